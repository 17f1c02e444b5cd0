using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Sync.Sandbox.Stack;

/// <summary>
/// One process of Sync, started as anybody would start it: its own program, settings in its environment, its output in a
/// file. It can be asked to stop, killed, and started again on the same port with the same settings.
/// </summary>
sealed partial class ManagedProcess : IAsyncDisposable
{
    /// <summary>From the start until it is ready: migrations, Kafka's assignment and the claim, on a busy machine.</summary>
    static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(3);

    /// <summary>A process gives a running batch 10 s and its deliverer 10 s more.</summary>
    static readonly TimeSpan StopsWithin = TimeSpan.FromSeconds(30);

    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);
    static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };
    static readonly ConcurrentDictionary<ManagedProcess, byte> Running = [];

    readonly string _assembly;
    readonly IReadOnlyDictionary<string, string> _settings;
    Process? _process;
    bool _mayEnd;

    static ManagedProcess()
    {
        // A parent that is told to stop takes its children along, also when nobody disposes of them any more.
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            foreach (var process in Running.Keys)
                process.Kill();
        };
    }

    public ManagedProcess(string name, string assembly, IReadOnlyDictionary<string, string> settings, string logFolder)
    {
        Name = name;
        _assembly = assembly;
        LogFile = Path.Combine(logFolder, $"{name}.log");
        Port = FreePort();
        var all = new Dictionary<string, string> { ["MANAGEMENT__PORT"] = $"{Port}" };
        foreach (var (setting, value) in settings)
            all[setting] = value;
        _settings = all;
    }

    public string Name { get; }

    public string LogFile { get; }

    /// <summary>Of health and metrics.</summary>
    public int Port { get; }

    public int? Pid => _process is { HasExited: false } process ? process.Id : null;

    public int? ExitCode => _process is { HasExited: true } process ? process.ExitCode : null;

    public void Start()
    {
        if (Pid is not null)
            throw new InvalidOperationException($"{Name} runs already");
        if (!File.Exists(_assembly))
            throw new StackException($"{_assembly} is not built; ./sync builds it");

        // The shell only points the output at the file and becomes the program, so no pipe depends on this process.
        var start = new ProcessStartInfo("/bin/sh")
        {
            ArgumentList = { "-c", "exec >>\"$0\" 2>&1 </dev/null; exec \"$@\"", LogFile, DotnetHost(), _assembly },
            UseShellExecute = false,
        };
        foreach (var name in start.Environment.Keys.Where(IsSetting).ToList())
            start.Environment.Remove(name);
        foreach (var (name, value) in _settings)
            start.Environment[name] = value;

        _mayEnd = false;
        _process = Process.Start(start) ?? throw new StackException($"{Name} cannot be started");
        Running[this] = 0;
    }

    /// <summary>Until it is assigned and has claimed its partitions.</summary>
    public async Task WaitUntilReady(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var last = "no answer";
        while (true)
        {
            ThrowIfDead();
            try
            {
                using var answer = await Http.GetAsync(
                    new Uri($"http://127.0.0.1:{Port}/health/ready"),
                    cancellationToken
                );
                if (answer.StatusCode == HttpStatusCode.OK)
                    return;
                last = $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(cancellationToken)}";
            }
            catch (HttpRequestException) { }
            catch (TaskCanceledException) when (!cancellationToken.IsCancellationRequested) { }

            if (Stopwatch.GetElapsedTime(began) > ReadyWithin)
                throw Trouble($"{Name} is not ready after {ReadyWithin.TotalSeconds:0} s; it says: {last}");
            await Task.Delay(Look, TimeProvider.System, cancellationToken);
        }
    }

    public void ThrowIfDead()
    {
        if (!_mayEnd && ExitCode is { } code)
            throw Trouble($"{Name} ended by itself with exit code {code}");
    }

    /// <summary>Until it ends by itself, as one does that refuses to start.</summary>
    public async Task<int> WaitForExit(TimeSpan within, CancellationToken cancellationToken)
    {
        _mayEnd = true;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(within);
        try
        {
            await _process!.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Trouble($"{Name} still runs after {within.TotalSeconds} s");
        }

        Running.TryRemove(this, out _);
        return _process.ExitCode;
    }

    /// <summary>SIGKILL: nothing in it gets a last word.</summary>
    public void Kill()
    {
        _mayEnd = true;
        Running.TryRemove(this, out _);
        if (_process is not { HasExited: false } process)
            return;
        try
        {
            process.Kill();
            process.WaitForExit();
        }
        catch (InvalidOperationException) { } // it ended by itself meanwhile
    }

    /// <summary>SIGTERM, as an operator stops it.</summary>
    /// <returns>Whether it ended by itself in time, with exit code 0.</returns>
    public async Task<bool> Stop()
    {
        _mayEnd = true;
        if (_process is not { HasExited: false } process)
            return ExitCode == 0;

        const int SigTerm = 15;
        _ = SendSignal(process.Id, SigTerm);
        using var limit = new CancellationTokenSource(StopsWithin);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            Kill();
            return false;
        }

        Running.TryRemove(this, out _);
        return process.ExitCode == 0;
    }

    /// <summary>The end of its log, for a person who wants to know what happened.</summary>
    public string Tail(int lines = 15) =>
        File.Exists(LogFile)
            ? string.Join('\n', ReadShared(LogFile).TrimEnd().Split('\n').TakeLast(lines).Select(line => "    " + line))
            : "    (no log)";

    public StackException Trouble(string what) => new($"{what}\n  the end of {LogFile}:\n{Tail()}");

    public async ValueTask DisposeAsync()
    {
        await Stop();
        Running.TryRemove(this, out _);
        _process?.Dispose();
        _process = null;
    }

    /// <summary>Below the range that outgoing connections take their ports from, so that none takes it meanwhile.</summary>
    public static int FreePort()
    {
#pragma warning disable CA5394 // A port is no secret.
        var chance = new Random();
#pragma warning restore CA5394
        for (var attempt = 0; attempt < 200; attempt++)
        {
            var port = chance.Next(20_000, 32_000);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException) { }
        }

        throw new StackException("no free port from 20000 to 32000");
    }

    /// <summary>Whether a variable is one of Sync's own: a child gets exactly those that it was given.</summary>
    public static bool IsSetting(string name) =>
        name.Contains("__", StringComparison.Ordinal)
        && name.Split("__")[0]
            is "KAFKA"
                or "DATABASE"
                or "SYNC"
                or "MANAGEMENT"
                or "STRIPE"
                or "SALESFORCE"
                or "PRODUCT"
                or "CUSTOMERS"
                or "SANDBOX"
                or "ADAPTER"
                or "CONSUMING";

    static string DotnetHost() =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";

    static string ReadShared(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        // The last 64 KiB are more than anybody reads.
        stream.Seek(Math.Max(0, stream.Length - 65_536), SeekOrigin.Begin);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int pid, int signal);
}

/// <summary>Why a process or the stack does not run, in words for the person at the terminal.</summary>
sealed class StackException(string message) : Exception(message);

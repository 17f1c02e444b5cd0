using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Messaging.Hosting;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>The counting process in an operating system's process of its own, which can be killed like any other.</summary>
sealed class ChildProcess : IDisposable
{
    const string Variable = "SYNC_TEST_CHILD";
    readonly Process _process;

    ChildProcess(Process process) => _process = process;

    public bool HasExited => _process.HasExited;

    public int Id => _process.Id;

    public static ChildProcess Start(Dictionary<string, string?> settings, string? crashAt = null)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        foreach (
            var argument in (ReadOnlySpan<string>)
                [
                    "-explicit",
                    "only",
                    "-method",
                    $"{typeof(ChildProcessHost).FullName}.{nameof(ChildProcessHost.Consumes_until_it_is_killed)}",
                ]
        )
            start.ArgumentList.Add(argument);
        start.Environment[Variable] = JsonSerializer.Serialize(settings);
        if (crashAt is not null)
            start.Environment[CrashAt.Variable] = crashAt;
        var process = Process.Start(start)!;
        // Nobody reads what it says; a full pipe would stop it.
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new(process);
    }

    public static Dictionary<string, string?>? Settings() =>
        Environment.GetEnvironmentVariable(Variable) is { } text
            ? JsonSerializer.Deserialize<Dictionary<string, string?>>(text)
            : null;

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public Task Exited() => _process.WaitForExitAsync();

    public void Signal(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            Kill();
        _process.Dispose();
    }
}

public sealed class ChildProcessHost
{
    /// <summary>Only when it is started as a child: it ends when its parent does.</summary>
    [Fact(Explicit = true)]
    public async Task Consumes_until_it_is_killed()
    {
        if (ChildProcess.Settings() is not { } settings)
            return;

        var builder = CountingProcess.Builder(settings);
        builder.Logging.ClearProviders();
        if (CrashAt.Asked() is { } crash)
            builder.Services.AddSingleton<CrashPoints>(crash);
        CountingProcess.Consume(builder, CountingStage.Topics);
        using var host = builder.Build();
        await host.StartAsync();
        await Console.In.ReadToEndAsync();
        Environment.Exit(0);
    }
}

/// <summary>Ends its process, as SIGKILL would, the n-th time that it comes by a place: <c>outbox-after-produce:3</c>.</summary>
sealed class CrashAt(string place, int nth) : CrashPoints
{
    public const string Variable = "SYNC_TEST_CRASHAT";

    int _left = nth;

    public static CrashAt? Asked() =>
        Environment.GetEnvironmentVariable(Variable)?.Split(':') is [var place, var nth]
            ? new(place, int.Parse(nth, CultureInfo.InvariantCulture))
            : null;

    public override ValueTask Pass(string point)
    {
        if (point == place && Interlocked.Decrement(ref _left) == 0)
            Environment.FailFast($"asked to crash at {point}");
        return ValueTask.CompletedTask;
    }
}

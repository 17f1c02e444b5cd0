using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sync.Tests.Support;

namespace Sync.Tests.Page;

/// <summary>
/// A headless Chromium of the machine's own, driven by its DevTools protocol: a few calls are all that is needed, and no
/// package that brings a browser. <c>./sync test</c> says in <c>SYNC_TEST_BROWSER</c> where it is, or why there is none.
/// </summary>
sealed class Browser : IAsyncDisposable
{
    /// <summary>A browser starts in a second; so long only on a machine that has much else to do.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    readonly Process _process;
    readonly DirectoryInfo _profile;
    readonly ClientWebSocket _socket = new();
    readonly ConcurrentDictionary<int, TaskCompletionSource<JsonNode>> _calls = new();
    readonly SemaphoreSlim _sending = new(1, 1);
    readonly CancellationTokenSource _over = new();
    Task _listening = Task.CompletedTask;
    int _lastId;

    Browser(Process process, DirectoryInfo profile) => (_process, _profile) = (process, profile);

    /// <summary>What pages complained about: errors of scripts, and what a policy kept out.</summary>
    public ConcurrentQueue<string> Complaints { get; } = new();

    /// <summary>Skips the test where no browser could be had.</summary>
    public static void Need()
    {
        if (Environment.GetEnvironmentVariable("SYNC_TEST_BROWSER") is { Length: > 0 })
            return;
        Assert.Skip(
            Environment.GetEnvironmentVariable("SYNC_TEST_NO_BROWSER") is { Length: > 0 } reason
                ? reason
                : "no browser: ./sync test looks for one and installs it"
        );
    }

    public static async Task<Browser> Start()
    {
        var profile = Directory.CreateTempSubdirectory("sync-browser-");
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("SYNC_TEST_BROWSER")!)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        foreach (
            var argument in (string[])
                [
                    "--headless",
                    // Root has no sandbox of Chromium's; the pages are ours.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    // Nothing but the page goes out.
                    "--disable-quic",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--remote-debugging-port=0",
                    $"--user-data-dir={profile.FullName}",
                    "about:blank",
                ]
        )
            start.ArgumentList.Add(argument);
        var browser = new Browser(Process.Start(start)!, profile);
        try
        {
            await browser.Connect();
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>A new page in a context of its own, loaded.</summary>
    public async Task<Tab> Open(Uri address, int width = 1280, int height = 900)
    {
        var target = await Call("Target.createTarget", new() { ["url"] = "about:blank" });
        var attached = await Call(
            "Target.attachToTarget",
            new() { ["targetId"] = (string)target["targetId"]!, ["flatten"] = true }
        );
        var tab = new Tab(this, (string)attached["sessionId"]!, (string)target["targetId"]!);
        await tab.Call("Runtime.enable");
        await tab.Call("Log.enable");
        await tab.Call("Page.enable");
        await tab.Resize(width, height);
        await tab.Call("Page.navigate", new() { ["url"] = address.ToString() });
        // Its buttons are there before its script is, and whoever clicks in between has clicked for nothing.
        await tab.Sees($"document.readyState === 'complete' && location.href === {Tab.Quote(address.ToString())}");
        return tab;
    }

    public async Task<JsonNode> Call(string method, JsonObject? parameters = null, string? session = null)
    {
        var id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<JsonNode>(TaskCreationOptions.RunContinuationsAsynchronously);
        _calls[id] = answer;
        var message = new JsonObject
        {
            ["id"] = id,
            ["method"] = method,
            ["params"] = parameters ?? [],
        };
        if (session is not null)
            message["sessionId"] = session;
        await _sending.WaitAsync(_over.Token);
        try
        {
            await _socket.SendAsync(
                JsonSerializer.SerializeToUtf8Bytes(message),
                WebSocketMessageType.Text,
                endOfMessage: true,
                _over.Token
            );
        }
        finally
        {
            _sending.Release();
        }

        return await answer.Task.WaitAsync(Limit, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        await _listening;
        _process.Dispose();
        _socket.Dispose();
        _sending.Dispose();
        _over.Dispose();
        // Its helpers may take a moment to let go of their files.
        await Eventually.Is(
            () =>
            {
                try
                {
                    _profile.Delete(recursive: true);
                    return true;
                }
                catch (IOException)
                {
                    return false;
                }
            },
            "the browser's profile is deleted"
        );
    }

    /// <summary>Chromium tells its address on its error output, once it listens.</summary>
    async Task Connect()
    {
        const string Mark = "DevTools listening on ";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        var said = new List<string>();
        while (await _process.StandardError.ReadLineAsync(limit.Token) is { } line)
        {
            said.Add(line);
            if (!line.StartsWith(Mark, StringComparison.Ordinal))
                continue;
            await _socket.ConnectAsync(new Uri(line[Mark.Length..]), limit.Token);
            _ = Drain(_process.StandardError);
            _ = Drain(_process.StandardOutput);
            _listening = Listen();
            return;
        }

        Assert.Fail($"the browser did not start:\n{string.Join('\n', said)}");
    }

    static async Task Drain(StreamReader output)
    {
        while (await output.ReadLineAsync() is not null) { }
    }

    async Task Listen()
    {
        try
        {
            var buffer = new byte[64 * 1024];
            using var message = new MemoryStream();
            while (true)
            {
                var part = await _socket.ReceiveAsync(buffer, _over.Token);
                if (part.MessageType == WebSocketMessageType.Close)
                    break;
                message.Write(buffer, 0, part.Count);
                if (!part.EndOfMessage)
                    continue;
                Take(JsonNode.Parse(message.ToArray())!);
                message.SetLength(0);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or WebSocketException) { }

        foreach (var call in _calls.Values)
            call.TrySetException(new InvalidOperationException("the browser has ended"));
    }

    void Take(JsonNode message)
    {
        if ((int?)message["id"] is { } id)
        {
            if (!_calls.TryRemove(id, out var call))
                return;
            if (message["error"] is { } error)
                call.TrySetException(new InvalidOperationException((string?)error["message"]));
            else
                call.TrySetResult(message["result"]!);
            return;
        }

        switch ((string?)message["method"])
        {
            case "Runtime.exceptionThrown":
                Complaints.Enqueue(message["params"]!["exceptionDetails"]!.ToJsonString());
                break;
            case "Log.entryAdded" when (string?)message["params"]!["entry"]!["source"] is "security" or "violation":
                Complaints.Enqueue((string)message["params"]!["entry"]!["text"]!);
                break;
        }
    }
}

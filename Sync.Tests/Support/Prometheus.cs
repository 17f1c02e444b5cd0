using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Sandbox.Stack;

namespace Sync.Tests.Support;

/// <summary>
/// Debian's own <c>prometheus</c> and <c>promtool</c>, where this machine has them: in <c>SYNC_TEST_PROMETHEUS</c>, which
/// <c>./sync test</c> sets, or in the path. Otherwise the test that asks is skipped, with the reason.
/// </summary>
sealed class Prometheus : IAsyncDisposable
{
    static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(60);

    readonly Process _process;
    readonly string _folder;
    readonly HttpClient _http;

    Prometheus(Process process, string folder, int port)
    {
        (_process, _folder) = (process, folder);
        _http = new() { BaseAddress = new($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(30) };
    }

    /// <summary>Runs <c>promtool</c>. Answers its exit code and what it said.</summary>
    public static async Task<(int Code, string Said)> Check(params string[] arguments)
    {
        using var process = Start("promtool", arguments);
        var said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, string.Concat(said));
    }

    /// <summary>A server of our own that scrapes those ports of this machine every second as job <c>sync</c>.</summary>
    public static async Task<Prometheus> Scrape(IEnumerable<int> ports)
    {
        var folder = Directory.CreateTempSubdirectory("sync-prometheus-").FullName;
        var port = ManagedProcess.FreePort();
        await File.WriteAllTextAsync(
            Path.Combine(folder, "prometheus.yml"),
            $"""
            global: {"{"} scrape_interval: 1s, scrape_timeout: 1s {"}"}
            scrape_configs:
              - job_name: sync
                static_configs: [ {"{"} targets: [ {string.Join(
                ", ",
                ports.Select(p => string.Create(CultureInfo.InvariantCulture, $"'127.0.0.1:{p}'"))
            )} ] {"}"} ]
            """
        );
        var process = Start(
            "prometheus",
            $"--config.file={folder}/prometheus.yml",
            $"--storage.tsdb.path={folder}/data",
            string.Create(CultureInfo.InvariantCulture, $"--web.listen-address=127.0.0.1:{port}"),
            "--log.level=error"
        );
        // Nobody reads what it says; a full pipe would stop it.
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new(process, folder, port);
    }

    /// <summary>The series of the answer; an error of the query is thrown with Prometheus's own words.</summary>
    public async Task<JsonArray> Query(string expression)
    {
        using var form = new FormUrlEncodedContent([new("query", expression)]);
        using var answer = await _http.PostAsync(
            new Uri("/api/v1/query", UriKind.Relative),
            form,
            TestContext.Current.CancellationToken
        );
        // While it starts it says so in plain text.
        if (answer.Content.Headers.ContentType?.MediaType != "application/json")
            throw new HttpRequestException($"Prometheus answers {answer.StatusCode}");
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        return $"{body["status"]}" == "success"
            ? body["data"]!["result"]!.AsArray()
            : throw new InvalidOperationException($"{body["error"]}");
    }

    /// <summary>Until an expression has an answer.</summary>
    public Task Until(string expression) =>
        Eventually.Is(
            async () =>
            {
                try
                {
                    return (await Query(expression)).Count > 0;
                }
                catch (HttpRequestException) when (!_process.HasExited)
                {
                    return false;
                }
            },
            $"Prometheus answers {expression}",
            AnswersWithin
        );

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    static Process Start(string program, params string[] arguments)
    {
        var path = (
            (string?[])
                [
                    Environment.GetEnvironmentVariable("SYNC_TEST_PROMETHEUS"),
                    .. Environment.GetEnvironmentVariable("PATH")?.Split(':') ?? [],
                ]
        )
            .Where(folder => !string.IsNullOrEmpty(folder))
            .Select(folder => Path.Combine(folder!, program))
            .FirstOrDefault(File.Exists);
        Assert.SkipWhen(path is null, $"{program} is not on this machine; Debian's package prometheus has it");
        return Process.Start(
            new ProcessStartInfo(path!, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
            }
        )!;
    }
}

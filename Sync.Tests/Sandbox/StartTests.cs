using System.Diagnostics;
using System.Text.Json.Nodes;
using Sync.Sandbox;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>How it starts, and when it does not.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task A_database_of_an_earlier_life_is_refused_and_an_empty_one_is_not()
    {
        await using var database = await TestPostgres.Create();

        Assert.Null(await StartGuard.Problem(null, default));
        Assert.Null(await StartGuard.Problem(database.ConnectionString, default));
        await database.Execute("create schema sync; create table sync.customer (customer_id text)");
        Assert.Null(await StartGuard.Problem(database.ConnectionString, default));

        await database.Execute("insert into sync.customer values ('c1')");

        Assert.Contains(
            "earlier life",
            await StartGuard.Problem(database.ConnectionString, default),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task What_is_real_throughout_starts_again_on_a_database_with_customers()
    {
        await using var database = await TestPostgres.Create();
        await database.Execute(
            "create schema sync; create table sync.customer (customer_id text); insert into sync.customer values ('c1')"
        );
        var real = new Dictionary<string, string>
        {
            ["KAFKA__BOOTSTRAP"] = "127.0.0.1:1",
            ["STRIPE__APIKEY"] = "sk_test_1",
            ["SALESFORCE__LOGINURL"] = "https://127.0.0.1",
        };
        StackOptions Options(IReadOnlyDictionary<string, string> settings) =>
            new()
            {
                DatabaseUrl = database.ConnectionString,
                LogFolder = Directory.CreateTempSubdirectory("sync-start-").FullName,
                Settings = settings,
            };

        foreach (var played in real.Keys)
            await Assert.ThrowsAsync<StackException>(() =>
                SyncStack.Create(Options(real.Where(s => s.Key != played).ToDictionary()), default)
            );
        await using var stack = await SyncStack.Create(Options(real), default);
    }

    [Fact]
    public async Task A_database_that_is_not_there_yet_holds_no_earlier_life()
    {
        await using var database = await TestPostgres.Create();
        var missing = database.ConnectionString.Replace("test_", "none_", StringComparison.Ordinal);

        Assert.Null(await StartGuard.Problem(missing, default));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("mysql://x/y")]
    [InlineData("Host=127.0.0.1;Port=1;Username=u;Password=hidden-word")]
    public async Task A_database_that_cannot_be_asked_is_refused_without_its_password(string url)
    {
        var problem = await StartGuard.Problem(url, default);

        Assert.StartsWith("DATABASE__URL: ", problem, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden-word", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_url_says_the_same_as_a_connection_string()
    {
        var text = StartGuard.ConnectionString("postgresql://us%40er:p%3Aw@db.example:6543/na%20me");

        Assert.Equal(
            "Host=db.example;Port=6543;Database=\"na me\";Timeout=10;Command Timeout=10;Username=us@er;Password=p:w",
            text
        );
    }

    [Fact]
    public void Every_wrong_setting_is_named_at_once()
    {
        var problems = new SandboxOptions
        {
            ProductPort = 70_000,
            Partitions = 0,
            Systems = "Stripe;",
            StripeApiKey = "",
        }.Problems();

        Assert.Equal(
            ["SANDBOX__PARTITIONS", "SANDBOX__PRODUCTPORT", "SANDBOX__STRIPEAPIKEY", "SANDBOX__SYSTEMS"],
            problems.Select(problem => problem[..problem.IndexOf(':')]).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task Serve_prints_one_line_of_addresses_and_ends_on_a_signal()
    {
        using var process = Process.Start(
            new ProcessStartInfo("dotnet")
            {
                ArgumentList = { typeof(SandboxHost).Assembly.Location, "serve" },
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { ["SANDBOX__STRIPEPORT"] = "0", ["DATABASE__URL"] = "" },
            }
        )!;
        try
        {
            process.ErrorDataReceived += static (_, _) => { };
            process.BeginErrorReadLine();
            var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            var ready = JsonNode.Parse(line!)!;
            using var client = new HttpClient();
            var state = await TestSandbox.Send(client, HttpMethod.Get, $"{(string?)ready["product"]}/sandbox/state");

            Assert.True((bool)state.Json!["ready"]!);
            Assert.Equal((string?)ready["kafka"], (string?)state.Json["kafka"]!["bootstrap"]);
            Assert.StartsWith("http://127.0.0.1:", (string?)ready["stripe"], StringComparison.Ordinal);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task Serve_refuses_a_setting_that_is_no_number()
    {
        using var process = Process.Start(
            new ProcessStartInfo("dotnet")
            {
                ArgumentList = { typeof(SandboxHost).Assembly.Location, "serve" },
                RedirectStandardError = true,
                Environment = { ["SANDBOX__STRIPEPORT"] = "many", ["DATABASE__URL"] = "" },
            }
        )!;
        var error = await process.StandardError.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(60));
        await process.WaitForExitAsync();

        Assert.Equal(78, process.ExitCode);
        Assert.Contains("StripePort", error, StringComparison.Ordinal);
    }
}

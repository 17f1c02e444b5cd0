using System.Text.Json.Nodes;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>
/// Processes whose credentials are wrong, and that have no collector: a call that is addressed to none of the strangers goes
/// to the proxy of the environment, which keeps it.
/// </summary>
public sealed class PausedStack : IAsyncLifetime
{
    TestPostgres? _postgres;
    SyncStack? _stack;
    OtlpCollector? _proxy;

    internal TestPostgres Postgres => _postgres!;
    internal SyncStack Stack => _stack!;
    internal OtlpCollector Proxy => _proxy!;

    public async ValueTask InitializeAsync()
    {
        _postgres = await TestPostgres.Create();
        _proxy = await OtlpCollector.Start();
        var options = RunningStack.Options(_postgres, "wrong-credentials");
        _stack = await SyncStack.Run(
            options with
            {
                Settings = new Dictionary<string, string>
                {
                    ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
                    ["http_proxy"] = _proxy.HttpAddress,
                    ["no_proxy"] = "127.0.0.1",
                },
                StripeSettings = With(options.StripeSettings, "STRIPE__APIKEY", "sk_test_wrong"),
                // One that lists its account before it creates anything, and one that does not.
                SalesforceSettings = new Dictionary<string, string>(
                    With(options.SalesforceSettings, "SALESFORCE__CLIENTSECRET", "wrong")
                )
                {
                    ["ADAPTER__LISTFIRST"] = "false",
                },
            },
            TestContext.Current.CancellationToken
        );
    }

    public async ValueTask DisposeAsync()
    {
        if (_stack is not null)
            await _stack.DisposeAsync();
        if (_postgres is not null)
            await _postgres.DisposeAsync();
        if (_proxy is not null)
            await _proxy.DisposeAsync();
    }

    static Dictionary<string, string> With(IReadOnlyDictionary<string, string> settings, string name, string value) =>
        new(settings) { [name] = value, ["ADAPTER__PAUSEPROBESECONDS"] = "3600" };
}

[Collection(EndToEndCollection.Name)]
public sealed class WrongCredentialsTests(PausedStack paused) : IClassFixture<PausedStack>
{
    [Fact]
    public async Task Wrong_credentials_are_named_as_configuration_pause_the_adapter_and_are_not_tried_again_and_again()
    {
        var run = new FlowRun(paused.Stack, static _ => { }, TestContext.Current.CancellationToken);

        for (var i = 0; i < 20; i++)
            await run.Create($"wrong-{i}", new JsonObject { ["name"] = RunningStack.Personal }.ToJsonString());

        await Paused(
            run,
            paused.Postgres,
            "stripe",
            "first-listing",
            paused.Stack.Stripe,
            () => run.Sandbox.Calls.Of(StripeApi.Vendor).Total
        );
        await Paused(
            run,
            paused.Postgres,
            "salesforce",
            "configuration:%",
            paused.Stack.Salesforce,
            () => run.Sandbox.Calls.Of(SalesforceApi.Vendor).Total
        );
        Assert.Empty(run.Eyes.Stripe());
        Assert.Empty(run.Eyes.Salesforce());
    }

    /// <summary>At a stop everything is exported that was measured: here nobody is asked to take it.</summary>
    [Fact]
    public async Task Without_an_endpoint_no_process_tries_to_export()
    {
        var orchestrator = paused.Stack.Orchestrator;

        Assert.True(await orchestrator.Stop());

        Assert.Empty(paused.Proxy.Requests);
        orchestrator.Start();
        await orchestrator.WaitUntilReady(TestContext.Current.CancellationToken);
    }

    static async Task Paused(
        FlowRun run,
        TestPostgres postgres,
        string schema,
        string reason,
        ManagedProcess process,
        Func<int> calls
    )
    {
        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>($"select count(*) from {schema}.link where reason like '{reason}'") > 0,
            $"a lane of {schema} waits for {reason}"
        );
        using var http = new HttpClient();
        var health = await Eventually.Get(
            () => http.GetStringAsync(new Uri($"http://127.0.0.1:{process.Port}/health/ready")),
            text => text.Contains("configuration", StringComparison.Ordinal),
            $"{process.Name} says that its configuration is the reason"
        );
        Assert.DoesNotContain(RunningStack.Personal, health, StringComparison.Ordinal);

        // 20 customers wait; the workers that had begun may each have asked once, and nobody asks again before the probe.
        var made = calls();
        await Eventually.Is(
            async () => await postgres.Scalar<long>($"select count(*) from {schema}.work where kind = 'command'") == 20,
            $"all 20 commands wait in {schema}.work"
        );
        await run.Wait(TimeSpan.FromSeconds(3));
        Assert.InRange(calls(), 1, 20);
        Assert.InRange(calls() - made, 0, 8);
    }
}

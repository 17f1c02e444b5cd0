using System.Text.Json.Nodes;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stack;
using Sync.Sandbox.Stripe;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

[Collection(EndToEndCollection.Name)]
public sealed class WrongCredentialsTests
{
    [Fact]
    public async Task Wrong_credentials_are_named_as_configuration_pause_the_adapter_and_are_not_tried_again_and_again()
    {
        await using var postgres = await TestPostgres.Create();
        var options = RunningStack.Options(postgres, "wrong-credentials");
        await using var stack = await SyncStack.Run(
            options with
            {
                StripeSettings = With(options.StripeSettings, "STRIPE__APIKEY", "sk_test_wrong"),
                SalesforceSettings = With(options.SalesforceSettings, "SALESFORCE__CLIENTSECRET", "wrong"),
            },
            TestContext.Current.CancellationToken
        );
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);

        for (var i = 0; i < 20; i++)
            await run.Create($"wrong-{i}", new JsonObject { ["name"] = RunningStack.Personal }.ToJsonString());

        await Paused(run, postgres, "stripe", stack.Stripe, () => run.Sandbox.Calls.Of(StripeApi.Vendor).Total);
        await Paused(
            run,
            postgres,
            "salesforce",
            stack.Salesforce,
            () => run.Sandbox.Calls.Of(SalesforceApi.Vendor).Total
        );
        Assert.Empty(run.Eyes.Stripe());
        Assert.Empty(run.Eyes.Salesforce());
    }

    static async Task Paused(FlowRun run, TestPostgres postgres, string schema, ManagedProcess process, Func<int> calls)
    {
        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>($"select count(*) from {schema}.link where reason like 'configuration:%'")
                > 0,
            $"a lane of {schema} waits for configuration"
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

    static Dictionary<string, string> With(IReadOnlyDictionary<string, string> settings, string name, string value) =>
        new(settings) { [name] = value, ["ADAPTER__PAUSEPROBESECONDS"] = "3600" };
}

using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Stack;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>Two of every process over one Kafka and one PostgreSQL, and one of each dies in mid-work.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class ReplicasTests
{
    const int Customers = 200;

    static readonly string[] Schemas = ["sync", "stripe", "salesforce"];

    /// <summary>Six processes on one machine take minutes, so it is run by <c>./sync test --thorough</c>.</summary>
    [Fact(Explicit = true)]
    public async Task Two_of_every_process_share_the_work_and_when_one_of_each_is_killed_every_effect_is_there_once()
    {
        await using var postgres = await TestPostgres.Create();
        await using var stack = await SyncStack.Create(
            RunningStack.Options(postgres, "replicas"),
            TestContext.Current.CancellationToken
        );
        var run = new FlowRun(stack, static _ => { }, TestContext.Current.CancellationToken);
        var (stripe, salesforce) = (new ConcurrentBag<string>(), new ConcurrentBag<string>());
        stack.Sandbox.Stripe.Written = record => stripe.Add((string?)record["metadata"]?["customer_id"] ?? "");
        stack.Sandbox.Salesforce.Written = record =>
            salesforce.Add(record.Values.GetValueOrDefault("Product_Customer_Id__c") ?? "");
        await stack.Start(ready: null, run.Cancelled);
        await using var orchestrator2 = Second("orchestrator", "Sync.Orchestrator", stack.OrchestratorSettings());
        await using var stripe2 = Second("stripe", "Sync.Stripe.Adapter", stack.StripeSettings());
        await using var salesforce2 = Second("salesforce", "Sync.Salesforce.Adapter", stack.SalesforceSettings());
        ManagedProcess[] seconds = [orchestrator2, stripe2, salesforce2];
        foreach (var process in seconds)
            process.Start();
        await Task.WhenAll(seconds.Select(process => process.WaitUntilReady(run.Cancelled)));
        foreach (var schema in Schemas)
            await Eventually.Is(async () => await Owners(schema) == 2, $"both replicas have partitions in {schema}");

        string[] ids = [.. Enumerable.Range(1, Customers).Select(i => $"replicas-{i}")];
        var creating = Task.Run(async () =>
        {
            foreach (var id in ids)
                await run.Create(id, new JsonObject { ["name"] = $"{RunningStack.Personal} {id}" }.ToJsonString());
        });
        await Eventually.Is(() => stripe.Count > Customers / 10 && !salesforce.IsEmpty, "the vendors have some");
        foreach (var process in stack.Processes)
            process.Kill();
        Assert.True(stripe.Count < Customers, "everything was done before the kill");
        await creating;

        await Eventually.Is(
            async () =>
                await postgres.Scalar<long>(
                    "select count(*) from dashboard.customers where state = 'Live' and behind = '{}' and attention is null"
                ) == Customers,
            "nobody is behind"
        );
        await run.InStep(ids);
        foreach (var schema in Schemas)
            await Eventually.Is(async () => await Owners(schema) == 1, $"the one that is left has all of {schema}");
        Assert.Equal(ids.Order(StringComparer.Ordinal), stripe.Order(StringComparer.Ordinal));
        Assert.Equal(ids.Order(StringComparer.Ordinal), salesforce.Order(StringComparer.Ordinal));

        Task<long> Owners(string schema) =>
            postgres.Scalar<long>($"select count(distinct owner) from {schema}.consumer_offset");

        ManagedProcess Second(string name, string project, Dictionary<string, string> settings)
        {
            settings["SYNC__REPLICA"] = $"{name}-2";
            if (settings.ContainsKey("STRIPE__WEBHOOKPORT"))
                settings["STRIPE__WEBHOOKPORT"] = $"{ManagedProcess.FreePort()}";
            return stack.Process($"{name}-2", project, settings);
        }
    }
}

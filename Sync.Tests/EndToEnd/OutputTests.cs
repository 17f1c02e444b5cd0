using System.Text.Json.Nodes;
using Npgsql;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stripe;

namespace Sync.Tests.EndToEnd;

[Collection(EndToEndCollection.Name)]
public sealed class OutputTests(RunningStack running)
{
    [Fact]
    public async Task No_process_prints_personal_data_or_a_secret_whatever_goes_wrong()
    {
        const string id = "e2e-output";
        var run = running.Run;
        foreach (var vendor in (string[])[StripeApi.Vendor, SalesforceApi.Vendor])
        {
            foreach (
                var kind in (FaultKind[])
                    [FaultKind.ErrorBefore, FaultKind.RateLimit, FaultKind.Html, FaultKind.DropAfter]
            )
                await run.Sandbox.AddFault(
                    new FaultOrder
                    {
                        Vendor = vendor,
                        Kind = kind,
                        Next = 1,
                    }
                );
        }

        await run.Create(
            id,
            new JsonObject
            {
                ["name"] = RunningStack.Personal,
                ["email"] = $"{RunningStack.Personal}@example.org",
                ["phone"] = "+442079469999",
                ["address"] = new JsonObject { ["line1"] = $"1 {RunningStack.Personal} Road" },
            }.ToJsonString()
        );
        await run.InStep(id);
        // Refused by the vendor itself, which quotes the value in its message.
        await run.Change(id, new JsonObject { ["email"] = $"{RunningStack.Personal} is no address" });
        await run.Until(
            "the refusal is known",
            async () =>
                (await run.Eyes.Saga([id], run.Cancelled)).GetValueOrDefault(id) is { Attention: not null, Behind: [] }
                    ? []
                    : [$"{(await run.Eyes.Saga([id], run.Cancelled)).GetValueOrDefault(id)}"]
        );

        var forbidden = running.Forbidden;
        var faults = Directory
            .EnumerateFiles(running.Stack.Options.LogFolder)
            .SelectMany(file =>
                File.ReadLines(file)
                    .Where(line => forbidden.Any(text => line.Contains(text, StringComparison.OrdinalIgnoreCase)))
                    .Take(3)
                    .Select(line => $"{Path.GetFileName(file)}: {line}")
            );
        Assert.Empty(faults);
        // Other tests of the same stack may have started a process of their own beside these.
        Assert.All(
            [.. running.Stack.Processes.Select(process => process.Name), "sandbox"],
            name => Assert.True(File.Exists(Path.Combine(running.Stack.Options.LogFolder, $"{name}.log")), name)
        );

        foreach (var process in running.Stack.Processes)
        {
            using var http = new HttpClient();
            var metrics = await http.GetStringAsync(new Uri($"http://127.0.0.1:{process.Port}/metrics"), run.Cancelled);
            // A page that is empty would hold nothing forbidden either.
            Assert.Matches(
                process.Name.Contains("rchestrator", StringComparison.Ordinal)
                    ? @"(?m)^sync_orchestrator_commands\w*\{[^}]*\} [1-9]"
                    : @"(?m)^sync_adapter_call_duration\w*_count\{[^}]*\} [1-9]",
                metrics
            );
            Assert.DoesNotContain(id, metrics, StringComparison.Ordinal);
            Assert.All(forbidden, text => Assert.DoesNotContain(text, metrics, StringComparison.OrdinalIgnoreCase));
        }

        // Spans of this customer have arrived, and nothing that any process has sent since its start holds any of it.
        await run.Until(
            "the processes' spans arrive",
            () => running.Collector.Spans.Any(span => span.Name.StartsWith("adapter ", StringComparison.Ordinal)),
            () => "they do not"
        );
        Assert.Empty(running.Collector.Leaks);

        foreach (var schema in (string[])["sync", "stripe", "salesforce"])
        {
            Assert.Equal(
                0,
                await running.Postgres.Scalar<long>(
                    $"select count(*) from {schema}.dead_letter where reason ilike '%{RunningStack.Personal}%'"
                )
            );
        }

        Assert.Equal(
            0,
            await running.Postgres.Scalar<long>(
                $"select count(*) from sync.timeline t where t::text ilike '%{RunningStack.Personal}%'"
            )
        );
        foreach (
            var text in (string[])
                [
                    "sync.customer where attention",
                    "sync.found_object where reason",
                    "stripe.link where reason",
                    "salesforce.link where reason",
                ]
        )
            Assert.Equal(
                0,
                await running.Postgres.Scalar<long>($"select count(*) from {text} ilike '%{RunningStack.Personal}%'")
            );
    }
}

using Sync.Sandbox.Demo;

namespace Sync.Tests.EndToEnd;

/// <summary>What real processes send to a collector: Salesforce's adapter over gRPC, the others over HTTP.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class TelemetryTests(RunningStack running)
{
    const string Orchestrator = "sync-orchestrator";
    const string Stripe = "sync-stripe-adapter";
    const string Salesforce = "sync-salesforce-adapter";

    [Fact]
    public async Task Metrics_of_every_process_arrive_at_the_collector_over_http_and_over_grpc()
    {
        foreach (
            var (service, own) in ((string, string)[])
                [(Orchestrator, "sync.kernel."), (Stripe, "sync.adapter."), (Salesforce, "sync.adapter.")]
        )
        {
            await running.Run.Until(
                $"a metric {own}… of {service}",
                () => running.Collector.MetricsOf(service).Any(name => name.StartsWith(own, StringComparison.Ordinal)),
                () => string.Join(", ", running.Collector.MetricsOf(service))
            );
        }
    }

    public static TheoryData<string> Places => [.. Place.All.Select(place => place.Name)];

    /// <summary>From the vendor's word over Kafka, saga and outbox to the call at the other vendor.</summary>
    [Theory]
    [MemberData(nameof(Places))]
    public async Task An_edit_is_one_trace_from_where_it_was_made_to_the_last_vendor_written(string origin)
    {
        var run = running.Run;
        var edit = new Edit(Change.Update, Place.Of(origin), $"trace-{origin}@example.org".ToLowerInvariant());
        await edit.Prepare(run);
        var before = await Traces(edit.Id!);

        await edit.Make(run);
        await edit.Settles(run);

        var trace = Assert.Single((await Traces(edit.Id!)).Except(before));
        string[] expected =
        [
            .. origin switch
            {
                "Stripe" => [$"{Stripe} serves stripe webhook", $"{Stripe}: adapter intake", $"{Stripe}: stripe read"],
                "Salesforce" => [$"{Salesforce}: adapter intake", $"{Salesforce}: salesforce read"],
                _ => (string[])[],
            },
            $"{Orchestrator}: sync-orchestrator receive",
            $"{Orchestrator}: sync-orchestrator process",
            .. origin == "Stripe" ? [] : Steps(Stripe, "stripe", "POST"),
            .. origin == "Salesforce" ? [] : Steps(Salesforce, "salesforce", "PATCH"),
        ];
        await run.Until(
            "every step is a span of the trace",
            () => Task.FromResult<IReadOnlyList<string>>([.. expected.Except(Names(trace))])
        );
    }

    /// <summary>Kafka, intake, the round, and the call that writes.</summary>
    static string[] Steps(string service, string system, string method) =>
        [
            $"{service}: sync-{system} receive",
            $"{service}: adapter update",
            $"{service}: {system} update",
            $"{service} calls {method}",
        ];

    IEnumerable<string> Names(string trace) =>
        running
            .Collector.Spans.Where(span => span.TraceId == trace)
            .Select(span =>
                span.Kind switch
                {
                    2 => $"{span.Service} serves {span.Name}",
                    3 => $"{span.Service} calls {span.Name}",
                    _ => $"{span.Service}: {span.Name}",
                }
            );

    Task<string[]> Traces(string customer) =>
        running.Postgres.Scalar<string[]>(
            $"select coalesce(array_agg(distinct trace_id), '{{}}') from sync.timeline where customer_id = '{customer}' and trace_id is not null"
        );
}

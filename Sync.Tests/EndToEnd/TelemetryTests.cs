using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Sandbox.Demo;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>What real processes send to a collector: Salesforce's adapter over gRPC, the others over HTTP.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class TelemetryTests(RunningStack running)
{
    const string Orchestrator = "sync-orchestrator";
    const string Stripe = "sync-stripe-adapter";
    const string Salesforce = "sync-salesforce-adapter";

    /// <summary>The product exports no spans: what it did is told by the trace parents on Kafka.</summary>
    const string Product = "product";

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

    [Fact]
    public Task An_edit_in_the_product_is_one_trace_from_its_event_to_the_calls_that_write_it_to_both_vendors() =>
        IsOneTrace(Place.Product, [Product, .. Handled], SystemNames.Stripe, SystemNames.Salesforce);

    /// <summary>The list of events would tell of the edit as well, some seconds later: here it is asked once a day.</summary>
    [Fact]
    public Task An_edit_in_Stripe_is_one_trace_from_its_webhook_to_the_product_s_answer_and_the_call_to_Salesforce() =>
        HeardOnlyBy(
            SystemNames.Stripe,
            "events",
            ("STRIPE__EVENTSSECONDS", "86400"),
            () =>
                IsOneTrace(
                    Place.Stripe,
                    [$"{Stripe} serves stripe webhook", .. Reported(Stripe, SystemNames.Stripe), .. Handled],
                    SystemNames.Product,
                    SystemNames.Salesforce
                )
        );

    /// <summary>The sweep would tell of the edit as well, some seconds later: here it comes once a day.</summary>
    [Fact]
    public Task An_edit_in_Salesforce_is_one_trace_from_its_change_event_to_the_product_s_answer_and_the_call_to_Stripe() =>
        HeardOnlyBy(
            SystemNames.Salesforce,
            "sweep",
            ("SALESFORCE__SWEEPSECONDS", "86400"),
            () =>
                IsOneTrace(
                    Place.Salesforce,
                    [.. Reported(Salesforce, SystemNames.Salesforce), .. Handled],
                    SystemNames.Product,
                    SystemNames.Stripe
                )
        );

    /// <summary>From where the vendor's word is stored, over the read that it asks for, to the report.</summary>
    static string[] Reported(string service, string system) =>
        [$"{service}: adapter intake", $"{service}: adapter hint", $"{service} sends {Topics.Reports(system)}"];

    static string[] Handled => [$"{Orchestrator}: {Orchestrator} receive", $"{Orchestrator}: {Orchestrator} process"];

    /// <summary>
    /// All spans of the edit's trace are one tree. Its branches are what the edit was: outbox, Kafka, intake, round and call
    /// at each system that is written, and the answer of each back to the saga.
    /// </summary>
    /// <param name="handled">From the edit to the saga that decides, the outermost first.</param>
    /// <returns>When the edit was not made yet, by the database's clock.</returns>
    async Task<DateTime> IsOneTrace(Place origin, string[] handled, params string[] targets)
    {
        var run = running.Run;
        var edit = new Edit(Change.Update, origin, $"trace-{origin}@example.org".ToLowerInvariant());
        await edit.Prepare(run);
        var before = await Traces(edit.Id!);
        var earlier = await running.Postgres.Scalar<DateTime>("select clock_timestamp()");

        await edit.Make(run);
        await edit.Settles(run);

        var trace = Assert.Single((await Traces(edit.Id!)).Except(before));
        var product = await OfTheProduct(edit.Id!, trace);
        string[][] expected =
        [
            .. origin.System == SystemNames.Product
                ? (string[][])[]
                :
                [
                    [
                        .. handled[..^3],
                        $"{Service(origin.System)}: {origin.System} read",
                        $"{Service(origin.System)} calls GET",
                    ],
                ],
            .. targets.SelectMany(target => Written(handled, target)),
        ];
        await run.Until(
            "the trace is one tree with all its branches",
            () =>
            {
                var chains = Chains(trace, product);
                string[] missing = [.. expected.Select(Chain).Except(chains)];
                var roots = chains.Where(chain => !chain.Contains(Below, StringComparison.Ordinal)).ToList();
                string[] seen =
                    missing.Length == 0 && roots.Count <= 1 ? [] : [.. chains.Order(StringComparer.Ordinal)];
                return Task.FromResult<IReadOnlyList<string>>([
                    .. missing.Select(chain => $"missing: {chain}"),
                    .. roots.Count > 1 ? roots.Select(root => $"hangs nowhere: {root}") : [],
                    .. seen.Select(chain => $"seen: {chain}"),
                ]);
            }
        );
        Assert.Equal(
            [handled[0]],
            Chains(trace, product).Where(chain => !chain.Contains(Below, StringComparison.Ordinal))
        );
        BatchesAreOnlyLinked(trace);
        return earlier;
    }

    /// <summary>To the call that writes, and to the answer as the saga handles it.</summary>
    static string[][] Written(string[] handled, string target)
    {
        string[] sent = [.. handled, $"{Orchestrator} sends {Topics.Commands(target)}"];
        if (target == SystemNames.Product)
            return
            [
                [.. sent, Product, .. Handled],
            ];
        var service = Service(target);
        string[] round =
        [
            .. sent,
            $"{service}: {Groups.Adapter(target)} receive",
            $"{service}: {Groups.Adapter(target)} process",
            $"{service}: adapter update",
        ];
        return
        [
            [
                .. round,
                $"{service}: {target} update",
                $"{service} calls {(target == SystemNames.Stripe ? "POST" : "PATCH")}",
            ],
            [.. round, $"{service} sends {Topics.Reports(target)}", .. Handled],
        ];
    }

    static string Service(string system) => $"sync-{system}-adapter";

    const string Below = "\n    > ";

    static string Chain(IEnumerable<string> outermostFirst) => string.Join(Below, outermostFirst);

    /// <summary>Each span of the trace behind all that it hangs below.</summary>
    HashSet<string> Chains(string trace, IReadOnlyList<ArrivedSpan> product)
    {
        // A batch of spans whose answer was lost is exported again.
        var spans = running
            .Collector.Spans.Where(span => span.TraceId == trace)
            .Concat(product)
            .DistinctBy(span => span.SpanId)
            .ToDictionary(span => span.SpanId, StringComparer.Ordinal);
        return [.. spans.Values.Select(span => Chain(Up(span).Reverse()))];

        IEnumerable<string> Up(ArrivedSpan span)
        {
            for (var at = span; at is not null; at = spans.GetValueOrDefault(at.ParentId))
                yield return Name(at);
        }
    }

    static string Name(ArrivedSpan span) =>
        span.Kind switch
        {
            2 => $"{span.Service} serves {span.Name}",
            3 => $"{span.Service} calls {span.Name}",
            4 => $"{span.Service} {span.Name.Replace("send ", "sends ", StringComparison.Ordinal)}",
            _ when span.Service == Product => Product,
            _ => $"{span.Service}: {span.Name}",
        };

    /// <summary>
    /// An event of the product carries a span of the product's in the edit's trace. It is below the command that the event
    /// answers, if that is of this trace, and else the edit itself.
    /// </summary>
    async Task<IReadOnlyList<ArrivedSpan>> OfTheProduct(string customer, string trace)
    {
        using var reader = new KafkaReader(
            running.Run.Sandbox.BootstrapServers,
            Topics.Partitions,
            Topics.Customers,
            Topics.CustomerCommands
        );
        var records = (
            await reader.Until(
                all => all.Any(r => r.Topic == Topics.Customers && IsOfTrace(r)),
                "the product's event is of the trace"
            )
        )
            .Where(IsOfTrace)
            .ToList();
        var commands = records
            .Where(r => r.Topic == Topics.CustomerCommands)
            .ToDictionary(r => (string)JsonNode.Parse(r.Value)!["commandId"]!, SpanOf, StringComparer.Ordinal);
        return
        [
            .. records
                .Where(r => r.Topic == Topics.Customers)
                .Select(r => new ArrivedSpan(
                    Product,
                    1,
                    r.Header("ce_type")!,
                    trace,
                    SpanOf(r),
                    commands.GetValueOrDefault((string?)JsonNode.Parse(r.Value)!["applied"]?["commandId"] ?? "", "")
                )),
        ];

        bool IsOfTrace(KafkaRecord record) =>
            record.Key == customer && record.Header("traceparent")?.Split('-')[1] == trace;

        static string SpanOf(KafkaRecord record) => record.Header("traceparent")!.Split('-')[2];
    }

    /// <summary>A batch has hundreds of traces in it: it is linked to each, is part of none, and nothing hangs below it.</summary>
    void BatchesAreOnlyLinked(string trace)
    {
        var batches = running.Collector.Spans.Where(span => span.Name == "kernel.batch").ToList();
        Assert.Contains(batches, batch => batch.Links.Any(link => link.TraceId == trace));
        Assert.All(batches, batch => Assert.Empty(batch.ParentId));
        Assert.Empty(
            running.Collector.Spans.Select(span => span.ParentId).Intersect(batches.Select(batch => batch.SpanId))
        );
    }

    /// <summary>
    /// Puts an adapter in the place of the vendor's own in which a feed that could tell of the edit too looks once at its
    /// start, and not again.
    /// </summary>
    async Task HeardOnlyBy(string system, string rare, (string Name, string Value) setting, Func<Task<DateTime>> act)
    {
        var run = running.Run;
        var stack = running.Stack;
        var (shared, project, settings) =
            system == SystemNames.Stripe
                ? (stack.Stripe, "Sync.Stripe.Adapter", stack.StripeSettings())
                : (stack.Salesforce, "Sync.Salesforce.Adapter", stack.SalesforceSettings());
        settings[setting.Name] = setting.Value;
        Assert.True(await shared.Stop(), $"{shared.Name} stops");
        try
        {
            await using var alone = stack.Process($"{shared.Name}-{rare}-once", project, settings);
            var looked = await Looked();
            alone.Start();
            await alone.WaitUntilReady(run.Cancelled);
            await run.Until("the first look", async () => await Looked() > looked ? [] : [$"{rare} looks"]);

            var earlier = await act();

            Assert.True(await Looked() < earlier, $"{rare} looked again, and may have told of the edit");
        }
        finally
        {
            shared.Start();
            await shared.WaitUntilReady(run.Cancelled);
        }

        Task<DateTime> Looked() =>
            running.Postgres.Scalar<DateTime>(
                $"select coalesce(max(page_at), '-infinity') from {system}.cursor where feed = '{rare}'"
            );
    }

    Task<string[]> Traces(string customer) =>
        running.Postgres.Scalar<string[]>(
            $"select coalesce(array_agg(distinct trace_id), '{{}}') from sync.timeline where customer_id = '{customer}' and trace_id is not null"
        );
}

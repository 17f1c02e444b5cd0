using Confluent.Kafka;
using Sync.Benchmarks.Figures;
using Sync.Benchmarks.Kernel;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Messaging.Wire;
using Sync.Sandbox;
using Sync.Sandbox.Kafka;
using Sync.Sandbox.Product;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks.Stack;

/// <summary>Whether the orchestrator becomes slower when its table is large.</summary>
sealed class ScaleBenchmark(string postgres, string logFolder, Progress progress)
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public async Task<Chapter> Run(bool quick, CancellationToken cancellationToken)
    {
        var large = quick ? 20_000 : 1_000_000;
        var events = quick ? 2_000 : 30_000;
        var rounds = quick ? 1 : 3;
        var template = await progress.Show("one customer in step, to copy", _ => Template(cancellationToken));
        await using var full = await Filled(large, cancellationToken);

        List<Measured> all = [];
        for (var round = 0; round < rounds; round++)
        {
            await using (var empty = await Filled(0, cancellationToken))
                await Measure("new customers", 0, empty, Enumerable.Range(0, events).Select(i => $"new-{round}-{i}"));
            await Measure("new customers", large, full, Enumerable.Range(0, events).Select(i => $"new-{round}-{i}"));

            // Spread over the whole table, and others in every round: each is in step when its event comes.
            var known = Enumerable
                .Range(0, events)
                .Select(i => Known((int)((((long)i * rounds) + round) * large / ((long)events * rounds))))
                .ToList();
            await using (var small = await Database(known, cancellationToken))
                await Measure("changes of known customers", events, small, known);
            await Measure("changes of known customers", large, full, known);
        }

        return Chapter(all, rounds);

        async Task Measure(string what, int rows, BenchDatabase database, IEnumerable<string> ids)
        {
            var label = $"{what}, {Spread.Number(rows)} in the table";
            var rate = await progress.Show(
                label,
                show => Rate(database, [.. ids], isNew: what == "new customers", show, cancellationToken)
            );
            progress.Line($"{label}: {Spread.Number(rate)} events/s");
            all.Add(new(what, rows, rate));
        }

        Task<BenchDatabase> Filled(int rows, CancellationToken cancelled) =>
            Database([.. Enumerable.Range(0, rows).Select(Known)], cancelled);

        Task<BenchDatabase> Database(IReadOnlyCollection<string> ids, CancellationToken cancelled) =>
            progress.Show(
                $"a table of {Spread.Number(ids.Count)}",
                async _ =>
                {
                    var database = await BenchDatabase.Create(postgres);
                    try
                    {
                        await Migrate(database, cancelled);
                        if (ids.Count > 0)
                            await template.Fill(database.Source, ids, cancelled);
                        return database;
                    }
                    catch
                    {
                        await database.DisposeAsync();
                        throw;
                    }
                }
            );
    }

    static string Known(int number) => $"known-{number}";

    /// <summary>Made by the real processes.</summary>
    async Task<CustomerTemplate> Template(CancellationToken cancellationToken)
    {
        await using var database = await BenchDatabase.Create(postgres);
        await using var stack = await SyncStack.Run(
            new StackOptions { DatabaseUrl = database.ConnectionString, LogFolder = logFolder },
            cancellationToken
        );
        stack.Sandbox.Product.Create("template", People.Person(1), TraceParents.Of(null));
        await People.InStep(stack, database, 1, static _ => { }, cancellationToken);
        return await CustomerTemplate.Take(database.Source, "template", cancellationToken);
    }

    /// <summary>By a start of the orchestrator that ends as soon as it is ready.</summary>
    async Task Migrate(BenchDatabase database, CancellationToken cancellationToken)
    {
        using var kafka = Kafka();
        await using var orchestrator = Orchestrator(database, kafka);
        orchestrator.Start();
        await orchestrator.WaitUntilReady(cancellationToken);
    }

    async Task<double> Rate(
        BenchDatabase database,
        IReadOnlyList<string> ids,
        bool isNew,
        Action<double> show,
        CancellationToken cancellationToken
    )
    {
        using var kafka = Kafka();
        await Produce(kafka, ids, isNew);
        using var counter = new CommandCounter(kafka.BootstrapServers, ids.Count);
        await using var orchestrator = Orchestrator(database, kafka);
        orchestrator.Start();
        try
        {
            return await Task.Run(() => counter.Count(show, Patience, cancellationToken), cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw orchestrator.Trouble(e.Message);
        }
    }

    static EmbeddedKafka Kafka() =>
        new(
            [
                Topics.Customers,
                Topics.CustomerCommands,
                Topics.Requests,
                Topics.DeadLetters,
                .. ((string[])[SystemNames.Stripe, SystemNames.Salesforce]).SelectMany(system =>
                    new[] { Topics.Commands(system), Topics.Reports(system) }
                ),
            ],
            Topics.Partitions
        );

    ManagedProcess Orchestrator(BenchDatabase database, EmbeddedKafka kafka) =>
        new(
            "orchestrator-alone",
            StackOptions.Assembly("Sync.Orchestrator"),
            new Dictionary<string, string>
            {
                ["DATABASE__URL"] = database.ConnectionString,
                ["DATABASE__MIGRATEATSTART"] = "true",
                ["KAFKA__BOOTSTRAP"] = kafka.BootstrapServers,
                ["KAFKA__EMBEDDED"] = "true",
                ["KAFKA__PARTITIONS"] = $"{Topics.Partitions}",
                ["SYNC__CONFIG"] = Path.Combine(StackOptions.Root, "config"),
                ["SYNC__ENVIRONMENT"] = "bench",
                ["SYNC__REPLICA"] = "orchestrator-1",
            },
            logFolder
        );

    /// <summary>A snapshot of each, in an order that is not that of the table.</summary>
    static async Task Produce(EmbeddedKafka kafka, IReadOnlyList<string> ids, bool isNew)
    {
        var catalog = new MessageCatalog();
        foreach (var w in Wire.All)
            catalog.Add(new MessageKind(w.Type, w.Json, w.Topic, w.Key, w.Sequence, w.Problem));
        var encoder = new MessageEncoder(catalog, "/bench/product", TimeProvider.System);
        using var producer = EventDelivery.CreateProducer(kafka.BootstrapServers);
        var order = Enumerable.Range(0, ids.Count).ToArray();
        new Random(1).Shuffle(order);
        await Task.WhenAll(
            order
                .Select(i =>
                    encoder.Encode(
                        isNew
                            ? new CustomerCreated
                            {
                                CustomerId = ids[i],
                                Revision = 1,
                                Customer = Whole(i),
                            }
                            : new CustomerUpdated
                            {
                                CustomerId = ids[i],
                                Revision = 1_000,
                                Customer = Whole(i),
                            }
                    )
                )
                .Select(message => producer.ProduceAsync(message.Topic, ByHand.Record(message)))
                .ToList()
        );
    }

    /// <summary>As a product sends it: a field that is empty is there, and null.</summary>
    static CustomerFields Whole(int number)
    {
        var fields = People.Person(number);
        foreach (var member in Paths.AddressMembers)
            fields.TryAdd($"address.{member}", null);
        return fields;
    }

    static Chapter Chapter(List<Measured> all, int rounds) =>
        new(
            "scale",
            "A large table",
            "The orchestrator alone, with both vendors mapped and nobody to answer: product events are there before it starts, "
                + "and counted are customers whose commands to both vendors were read back from Kafka, from the first fifth on. Each "
                + "customer of a filled table has the rows of a real one that is in step, with three rows of history. "
                + $"{rounds} rounds, interleaved.",
            [
                new(
                    "Orchestrator",
                    ["", "customers in the table", "events/s"],
                    [
                        .. all.GroupBy(m => (m.What, m.Rows))
                            .OrderBy(g => g.Key)
                            .Select(g =>
                                (IReadOnlyList<string>)
                                    [
                                        g.Key.What,
                                        Spread.Number(g.Key.Rows),
                                        Spread.Of(g.Select(m => (double?)m.PerSecond))!.Text(),
                                    ]
                            ),
                    ]
                ),
            ],
            all
        );

    sealed record Measured(string What, int Rows, double PerSecond);
}

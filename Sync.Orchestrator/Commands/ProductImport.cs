using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// <c>import --from product</c>. A product is its topic: it has told of a customer there, or it has to tell again. So an
/// import reads the topic from its first record, compares with what is known, and sends again, unchanged, the records that
/// were passed over and are missing; a copy too many is dropped by its revision. What the topic no longer holds only the
/// product can send. Records are read as the orchestrator reads them, by its own decoder: whatever form it takes in counts
/// here, and what it dead-letters is counted apart.
/// </summary>
static class ProductImport
{
    const string S = OrchestratorDb.Schema;

    /// <summary>Customers of one statement.</summary>
    const int Piece = 1_000;

    static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(300);

    /// <param name="Deleted">What the newest record of the customer says.</param>
    readonly record struct Newest(long Revision, bool Deleted, TopicPartitionOffset At);

    public static async Task<int> Run(Session session, bool dryRun, bool yes, CancellationToken cancellationToken)
    {
        Dictionary<string, Newest> customers = new(StringComparer.Ordinal);
        SortedDictionary<string, long> refusals = new(StringComparer.Ordinal);
        var decoder = new MessageDecoder(
            session.Services.GetRequiredService<MessageCatalog>(),
            session.Services.GetServices<IRecordReader>()
        );
        var (records, truncated) = Read(
            session,
            record => Note(customers, refusals, decoder, record),
            cancellationToken
        );
        var standings = await Standings(session, customers, cancellationToken);
        var vendors = session.Config.Systems.Keys.Where(s => s != SystemNames.Product).ToList();
        var sent = 0;
        if (!dryRun && standings.Lacking.Count > 0)
        {
            Confirmation.Ask(
                session,
                yes,
                $"{standings.New} customers of the topic are unknown and {standings.Newer} have moved on. What the orchestrator has passed over is sent again.",
                "yes"
            );
            sent = await SendAgain(session, standings.Lacking, cancellationToken);
            standings = await Settle(session, customers, standings, cancellationToken);
        }

        if (session.Output.Json)
        {
            session.Output.Document(
                new JsonObject
                {
                    ["system"] = SystemNames.Product,
                    ["topic"] = Topic(session),
                    ["records"] = records,
                    ["notUnderstood"] = new JsonObject(
                        refusals.Select(r => KeyValuePair.Create(r.Key, (JsonNode?)JsonValue.Create(r.Value)))
                    ),
                    ["customers"] = customers.Count,
                    ["known"] = standings.Known,
                    ["new"] = standings.New,
                    ["newer"] = standings.Newer,
                    ["deleted"] = standings.Deleted,
                    ["truncatedPartitions"] = truncated,
                    ["sentAgain"] = sent,
                    ["creates"] = new JsonObject(
                        vendors.Select(v => KeyValuePair.Create(v, (JsonNode?)JsonValue.Create(standings.New)))
                    ),
                }
            );
        }
        else
        {
            session.Output.Heading(
                dryRun ? "An import from the product would do this. Nothing was changed." : "Import from the product"
            );
            session.Output.Line(
                $"{records} records of {customers.Count} customers: {standings.Known} known as they are, {standings.New} unknown, {standings.Newer} with a newer revision, {standings.Deleted} deleted."
            );
            if (refusals.Count > 0)
                session.Output.Line(
                    $"{refusals.Values.Sum()} records were not understood ({string.Join(", ", refusals.Select(r => $"{r.Value} {r.Key}"))}) and count for no customer; the orchestrator dead-letters such records (./sync dead-letters)."
                );
            if (standings.New > 0)
                session.Output.Line(
                    $"Each unknown one becomes an object in {string.Join(", ", vendors)}, or is linked to the one there that has its e-mail and is nobody's."
                );
            if (truncated > 0)
                session.Output.Line(
                    $"{truncated} partitions no longer hold their first records: who has not changed since is not in the topic. Have the product send every customer once more; what is known already is dropped by its revision."
                );
            if (sent > 0)
                session.Output.Line($"{sent} records were sent again, unchanged.");
        }

        return dryRun || standings.Lacking.Count == 0 ? ExitCodes.Done : ExitCodes.Pending;
    }

    /// <summary>Where the orchestrator hears of the product.</summary>
    static string Topic(Session session) =>
        OrchestratorServices.OfProduct(session.Services.GetRequiredService<IEnumerable<IRecordReader>>());

    /// <summary>Every record that the topic has now; nothing is kept of them here.</summary>
    static (long Records, int Truncated) Read(
        Session session,
        Action<ConsumeResult<byte[], byte[]>> each,
        CancellationToken cancellationToken
    )
    {
        // Assigned by hand, and nothing is ever committed: the orchestrator's places are none of its business.
        var config = session.Kafka.Consumer(Groups.Orchestrator + "-import");
        config.EnableAutoCommit = false;
        config.EnablePartitionEof = true;
        config.StatisticsIntervalMs = 0;
        using var consumer = new ConsumerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, _) => { })
            .SetErrorHandler((_, _) => { })
            .Build();
        HashSet<TopicPartition> ends = [];
        var truncated = 0;
        var topic = Topic(session);
        var partitions = session.Partitions;
        for (var p = 0; p < partitions; p++)
        {
            var partition = new TopicPartition(topic, p);
            var marks = consumer.QueryWatermarkOffsets(partition, TimeSpan.FromSeconds(10));
            if (marks.Low.Value > 0)
                truncated++;
            if (marks.High.Value > marks.Low.Value)
                ends.Add(partition);
        }

        var records = 0L;
        if (ends.Count == 0)
            return (records, truncated);
        consumer.Assign(ends.Select(p => new TopicPartitionOffset(p, Offset.Beginning)));
        var heard = Stopwatch.GetTimestamp();
        while (ends.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (consumer.Consume(Poll) is not { } record)
            {
                if (Stopwatch.GetElapsedTime(heard) > Silence)
                    throw new CommandFailedException(
                        ExitCodes.Failed,
                        "kafka-unreachable",
                        $"Kafka stopped answering while {topic} was read.",
                        "Check KAFKA__BOOTSTRAP."
                    );
                continue;
            }

            heard = Stopwatch.GetTimestamp();
            if (record.IsPartitionEOF)
            {
                ends.Remove(record.TopicPartition);
                continue;
            }

            records++;
            each(record);
        }

        return (records, truncated);
    }

    /// <summary>What cannot be read is the orchestrator's to dead-letter; what tells of no customer's state is passed over.</summary>
    static void Note(
        Dictionary<string, Newest> customers,
        SortedDictionary<string, long> refusals,
        MessageDecoder decoder,
        ConsumeResult<byte[], byte[]> record
    )
    {
        var decoded = decoder.Decode(
            record.Topic,
            record.Message.Key,
            record.Message.Value,
            record.Message.Headers.ToMessageHeaders()
        );
        if (decoded.Refusal is { } refusal)
        {
            refusals[refusal.Code] = refusals.GetValueOrDefault(refusal.Code) + 1;
            return;
        }

        var (id, revision, deleted) = decoded.Message switch
        {
            CustomerSnapshot snapshot => (snapshot.CustomerId, snapshot.Revision, false),
            CustomerDeleted gone => (gone.CustomerId, gone.Revision, true),
            _ => (null, 0, false),
        };
        if (id is not null && !(customers.TryGetValue(id, out var known) && known.Revision >= revision))
            customers[id] = new(revision, deleted, record.TopicPartitionOffset);
    }

    /// <param name="Lacking">Records whose customer is unknown, or known as of an earlier one.</param>
    sealed record Standing(int Known, int New, int Newer, int Deleted, IReadOnlySet<TopicPartitionOffset> Lacking);

    static async Task<Standing> Standings(
        Session session,
        Dictionary<string, Newest> customers,
        CancellationToken cancellationToken
    )
    {
        var (known, unknown, newer, deleted) = (0, 0, 0, 0);
        HashSet<TopicPartitionOffset> lacking = [];
        foreach (var piece in customers.Chunk(Piece))
        {
            var rows = await Rows.Read(
                session.Database,
                $"""
                select customer_id, coalesce((systems #>> array['systems', '{SystemNames.Product}', 'obs'])::bigint, 0) as revision
                  from {S}.customer where correlation_id = any($1)
                """,
                Piece,
                cancellationToken,
                piece.Select(c => CustomerIds.CorrelationId(c.Key)).ToArray()
            );
            var seen = rows.Items.ToDictionary(
                r => (string)rows.Value(r, "customer_id")!,
                r => (long)rows.Value(r, "revision")!,
                StringComparer.Ordinal
            );
            foreach (var (id, newest) in piece)
            {
                var has = seen.TryGetValue(id, out var revision);
                if (has && revision >= newest.Revision)
                    known++;
                else if (!has && newest.Deleted)
                    deleted++;
                else
                {
                    if (has)
                        newer++;
                    else
                        unknown++;
                    lacking.Add(newest.At);
                }
            }
        }

        return new(known, unknown, newer, deleted, lacking);
    }

    /// <summary>What the orchestrator has not reached yet it will; what it has passed is sent once more, as it is.</summary>
    static async Task<int> SendAgain(
        Session session,
        IReadOnlySet<TopicPartitionOffset> lacking,
        CancellationToken cancellationToken
    )
    {
        var topic = Topic(session);
        var resume = session.Services.GetRequiredService<PartitionResume>();
        Dictionary<int, long> passed = [];
        foreach (var partition in lacking.Select(l => l.Partition.Value).Distinct().Order())
        {
            var places = await resume.Find(topic, partition, cancellationToken);
            passed[partition] = places
                .Where(p => p.Group == Groups.Orchestrator)
                .Select(p => p.Stored)
                .DefaultIfEmpty()
                .Max();
        }

        var config = session.Kafka.Producer();
        // The outbox retries for ever; a person waits for a definite answer.
        config.MessageTimeoutMs = (int)Silence.TotalMilliseconds;
        using var producer = new ProducerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, _) => { })
            .SetErrorHandler((_, _) => { })
            .Build();
        var sent = 0;
        var failed = 0;
        Read(
            session,
            record =>
            {
                if (
                    !lacking.Contains(record.TopicPartitionOffset)
                    || record.Offset.Value >= passed[record.Partition.Value]
                )
                    return;
                // Beside the customer's other records, also where the product's keys do not say which partition that is.
                producer.Produce(
                    record.TopicPartition,
                    record.Message,
                    report =>
                        _ = report.Error.IsError ? Interlocked.Increment(ref failed) : Interlocked.Increment(ref sent)
                );
            },
            cancellationToken
        );
        producer.Flush(cancellationToken);
        return failed == 0
            ? sent
            : throw new CommandFailedException(
                ExitCodes.Failed,
                "kafka-unreachable",
                $"Kafka did not take {failed} records for {topic}.",
                "Check KAFKA__BOOTSTRAP and that we may write there, then ask again: asking twice does no harm."
            );
    }

    /// <summary>Until every customer of the topic is known, or nothing has moved for as long as an answer is waited for.</summary>
    static async Task<Standing> Settle(
        Session session,
        Dictionary<string, Newest> customers,
        Standing before,
        CancellationToken cancellationToken
    )
    {
        var moved = Stopwatch.GetTimestamp();
        while (before.Lacking.Count > 0 && Stopwatch.GetElapsedTime(moved) < session.Wait)
        {
            await Task.Delay(Look, session.Time, cancellationToken);
            var now = await Standings(session, customers, cancellationToken);
            if (now.Known != before.Known)
            {
                moved = Stopwatch.GetTimestamp();
                session.Output.Note(
                    string.Create(CultureInfo.InvariantCulture, $"{now.Known} of {customers.Count} customers are known")
                );
            }

            before = now;
        }

        return before;
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Comparing;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
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

    /// <summary>Customers that are held at a time, about 100 bytes each; of more the topic is read again for the others.</summary>
    const int AtOnce = 1_000_000;

    /// <summary>What only the vendors' own lists tell.</summary>
    static readonly string[] NotKnown = ["links", "conflicts"];

    static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(300);

    public static async Task<int> Run(Session session, bool dryRun, bool yes, CancellationToken cancellationToken)
    {
        SortedDictionary<string, long> refusals = new(StringComparer.Ordinal);
        var decoder = new MessageDecoder(
            session.Services.GetRequiredService<MessageCatalog>(),
            session.Services.GetServices<IRecordReader>()
        );
        var newest = new NewestRecords(AtOnce);
        var costs = new CallCosts(session.Config);
        var found = new Standing();
        Dictionary<int, long>? passed = null;
        var (records, truncated, reads) = (0L, 0, 0);
        do
        {
            // Each time it is the same topic, and counted once.
            var isFirst = reads++ == 0;
            var read = Read(
                session,
                record => Note(newest, isFirst ? refusals : null, decoder, record),
                cancellationToken
            );
            if (isFirst)
                (records, truncated) = read;
            passed ??= await Passed(session, cancellationToken);
            found.Add(await Standings(session, newest.Customers, passed, costs, cancellationToken));
        } while (newest.Next());

        var standing = found;
        var sent = 0;
        if (!dryRun && found.Lacking > 0)
        {
            Confirmation.Ask(
                session,
                yes,
                $"{found.New} customers of the topic are unknown and {found.Newer} have moved on. What the orchestrator has passed over is sent again.",
                "yes"
            );
            standing = new Standing();
            passed = await Passed(session, cancellationToken);
            // Of a topic with several shares only the last is in memory.
            if (reads > 1)
                newest = new NewestRecords(AtOnce);
            do
            {
                if (reads > 1)
                    Read(session, record => Note(newest, null, decoder, record), cancellationToken);
                var share = await Standings(session, newest.Customers, passed, null, cancellationToken);
                sent += SendAgain(session, share.ToSend, cancellationToken);
                standing.Add(await Settle(session, newest.Customers, share, cancellationToken));
            } while (newest.Next());
        }

        if (session.Output.Json)
        {
            var document = new JsonObject
            {
                ["system"] = SystemNames.Product,
                ["topic"] = Topic(session),
                ["records"] = records,
                ["notUnderstood"] = new JsonObject(
                    refusals.Select(r => KeyValuePair.Create(r.Key, (JsonNode?)JsonValue.Create(r.Value)))
                ),
                ["customers"] = standing.Customers,
                ["known"] = standing.Known,
                ["inStep"] = standing.InStep,
                ["new"] = standing.New,
                ["newer"] = standing.Newer,
                ["deleted"] = standing.Deleted,
                ["truncatedPartitions"] = truncated,
                ["toSendAgain"] = found.PassedOver,
                ["sentAgain"] = sent,
                ["creates"] = new JsonObject(
                    Vendors(session)
                        .Select(v => KeyValuePair.Create(v, (JsonNode?)JsonValue.Create(standing.Creates(v))))
                ),
                ["notKnown"] = new JsonArray([.. NotKnown.Select(n => (JsonNode?)JsonValue.Create(n))]),
            };
            costs.AddTo(document);
            session.Output.Document(document);
        }
        else
        {
            session.Output.Heading(
                dryRun ? "An import from the product would do this. Nothing was changed." : "Import from the product"
            );
            session.Output.Line(
                $"{records} records of {standing.Customers} customers: {standing.Known} known as they are ({standing.InStep} of them in step everywhere), {standing.New} unknown, {standing.Newer} with a newer revision, {standing.Deleted} deleted."
            );
            if (refusals.Count > 0)
                session.Output.Line(
                    $"{refusals.Values.Sum()} records were not understood ({string.Join(", ", refusals.Select(r => $"{r.Value} {r.Key}"))}) and count for no customer; the orchestrator dead-letters such records (./sync dead-letters)."
                );
            if (dryRun && found.Lacking > 0)
                session.Output.Line(
                    $"{found.PassedOver} records were passed over and would be sent again, unchanged; {found.Lacking - found.PassedOver} the orchestrator has not reached yet, and reads without an import."
                );
            if (standing.New > 0)
                session.Output.Line(
                    $"Each unknown one becomes an object in {string.Join(", ", Vendors(session))}, or is linked to the one there that carries its id, or that has its e-mail and is nobody's."
                );
            if (dryRun)
                costs.Print(session.Output);
            if (dryRun && found.New > 0)
                session.Output.Line(
                    $"Not known: {string.Join(" and ", NotKnown)}. Only a vendor's own list tells which of the unknown ones it has already, and the look comes when they are created there; the calls above count every one as if it were there. {string.Join(", ", Vendors(session).Select(v => $"./sync import --from {v} --dry-run"))} compares a vendor's list with the customers that are known when it runs: an object of one that is not known yet counts there as create, or as unknown-customer where it carries the id."
                );
            if (truncated > 0)
                session.Output.Line(
                    $"{truncated} partitions no longer hold their first records: who has not changed since is not in the topic. Have the product send every customer once more; what is known already is dropped by its revision."
                );
            if (sent > 0)
                session.Output.Line($"{sent} records were sent again, unchanged.");
        }

        return dryRun || standing.Lacking == 0 ? ExitCodes.Done : ExitCodes.Pending;
    }

    static IEnumerable<string> Vendors(Session session) =>
        session.Config.Systems.Keys.Where(s => s != SystemNames.Product);

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
    /// <param name="refusals">Null where they were counted before.</param>
    static void Note(
        NewestRecords newest,
        SortedDictionary<string, long>? refusals,
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
            refusals?[refusal.Code] = refusals.GetValueOrDefault(refusal.Code) + 1;
            return;
        }

        var (id, revision, deleted) = decoded.Message switch
        {
            CustomerSnapshot snapshot => (snapshot.CustomerId, snapshot.Revision, false),
            CustomerDeleted gone => (gone.CustomerId, gone.Revision, true),
            _ => (null, 0, false),
        };
        if (id is not null)
            newest.Note(
                CustomerIds.CorrelationId(id),
                new(revision, deleted, record.Partition.Value, record.Offset.Value)
            );
    }

    /// <summary>What the topic's customers are to what is known.</summary>
    sealed class Standing
    {
        readonly Dictionary<string, int> _creates = new(StringComparer.Ordinal);

        public int Known { get; set; }

        /// <summary>Of the known ones, those that no system is behind and nobody waits for.</summary>
        public int InStep { get; set; }
        public int New { get; set; }
        public int Newer { get; set; }
        public int Deleted { get; set; }

        /// <summary>Of the lacking ones, those whose record the orchestrator does not come to any more.</summary>
        public int PassedOver { get; set; }

        /// <summary>Their records; of one share, not of a sum.</summary>
        public HashSet<(int Partition, long Offset)> ToSend { get; } = [];

        /// <summary>Customers that are unknown, or known as of an earlier record.</summary>
        public int Lacking => New + Newer;

        public int Customers => Known + New + Newer + Deleted;

        public int Creates(string vendor) => _creates.GetValueOrDefault(vendor);

        public void Create(string vendor, int customers = 1) =>
            _creates[vendor] = _creates.GetValueOrDefault(vendor) + customers;

        public void Add(Standing share)
        {
            Known += share.Known;
            InStep += share.InStep;
            New += share.New;
            Newer += share.Newer;
            Deleted += share.Deleted;
            PassedOver += share.PassedOver;
            foreach (var (vendor, customers) in share._creates)
                Create(vendor, customers);
        }
    }

    /// <param name="passed">What <see cref="Passed"/> said; null where nothing is to be sent.</param>
    /// <param name="costs">Gets what following the newest records would ask vendors for; null where it was counted before.</param>
    static async Task<Standing> Standings(
        Session session,
        IReadOnlyDictionary<Guid, NewestRecord> customers,
        Dictionary<int, long>? passed,
        CallCosts? costs,
        CancellationToken cancellationToken
    )
    {
        var standing = new Standing();
        foreach (var piece in customers.Chunk(Piece))
        {
            var rows = await Rows.Read(
                session.Database,
                $"""
                select correlation_id, current_state, behind = array[]::text[] and attention is null as in_step,
                       coalesce((systems #>> array['systems', '{SystemNames.Product}', 'obs'])::bigint, 0) as revision,
                       array(select key from jsonb_each(systems -> 'systems') where value ->> 'ext' is not null) as linked
                  from {S}.customer where correlation_id = any($1)
                """,
                Piece,
                cancellationToken,
                piece.Select(c => c.Key).ToArray()
            );
            var seen = rows.Items.ToDictionary(r => (Guid)rows.Value(r, "correlation_id")!);
            foreach (var (id, newest) in piece)
            {
                var row = seen.GetValueOrDefault(id);
                if (row is not null && (long)rows.Value(row, "revision")! >= newest.Revision)
                {
                    standing.Known++;
                    if ((bool)rows.Value(row, "in_step")!)
                        standing.InStep++;
                    continue;
                }

                if (row is null && newest.Deleted)
                {
                    standing.Deleted++;
                    continue;
                }

                if (row is null)
                    standing.New++;
                else
                    standing.Newer++;
                if (newest.Offset < passed?.GetValueOrDefault(newest.Partition))
                {
                    standing.PassedOver++;
                    standing.ToSend.Add((newest.Partition, newest.Offset));
                }

                Follow(
                    session,
                    standing,
                    costs,
                    row is null ? null : (string)rows.Value(row, "current_state")!,
                    row is null ? [] : (string[])rows.Value(row, "linked")!,
                    newest.Deleted
                );
            }
        }

        return standing;
    }

    /// <summary>
    /// What every vendor is asked for at most once the orchestrator knows this record. Which fields are another than there is not
    /// looked at: a record that is newer has a difference as a rule.
    /// </summary>
    static void Follow(
        Session session,
        Standing standing,
        CallCosts? costs,
        string? state,
        string[] linked,
        bool deleted
    )
    {
        // The record of one that is removed is dropped, unless it begins a new life.
        var isOver = state is nameof(Stage.Removing) or nameof(Stage.Removed) or nameof(Stage.Merged);
        if (isOver && !(state == nameof(Stage.Removed) && session.Services.GetRequiredService<Rules>().AllowRecreate))
            return;
        foreach (var vendor in Vendors(session))
        {
            var isLinked = !isOver && linked.Contains(vendor);
            if (deleted && !isLinked)
                continue;
            var operation =
                deleted ? Operation.Delete
                : isLinked ? Operation.Update
                : Operation.Create;
            if (operation == Operation.Create)
                standing.Create(vendor);
            costs?.Add(vendor, MostCalls.NameOf(operation), 1);
        }
    }

    /// <summary>By partition, the record that the orchestrator goes on with: what is before it is not read again.</summary>
    static async Task<Dictionary<int, long>> Passed(Session session, CancellationToken cancellationToken)
    {
        var topic = Topic(session);
        var resume = session.Services.GetRequiredService<PartitionResume>();
        Dictionary<int, long> passed = [];
        for (var partition = 0; partition < session.Partitions; partition++)
        {
            var places = await resume.Find(topic, partition, cancellationToken);
            passed[partition] = places
                .Where(p => p.Group == Groups.Orchestrator)
                .Select(p => p.Stored)
                .DefaultIfEmpty()
                .Max();
        }

        return passed;
    }

    /// <summary>What the orchestrator has not reached yet it will; what it has passed is sent once more, as it is.</summary>
    static int SendAgain(
        Session session,
        HashSet<(int Partition, long Offset)> passedOver,
        CancellationToken cancellationToken
    )
    {
        if (passedOver.Count == 0)
            return 0;
        var topic = Topic(session);
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
                if (!passedOver.Contains((record.Partition.Value, record.Offset.Value)))
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
        IReadOnlyDictionary<Guid, NewestRecord> customers,
        Standing before,
        CancellationToken cancellationToken
    )
    {
        var moved = Stopwatch.GetTimestamp();
        while (before.Lacking > 0 && Stopwatch.GetElapsedTime(moved) < session.Wait)
        {
            await Task.Delay(Look, session.Time, cancellationToken);
            var now = await Standings(session, customers, passed: null, costs: null, cancellationToken);
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

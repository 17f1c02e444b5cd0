using System.Diagnostics;
using MassTransit.Transports;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>How a try ended.</summary>
/// <param name="Failure">Null after a commit.</param>
/// <param name="DeadLetters">Written with it.</param>
sealed record BatchResult(
    Exception? Failure,
    FailureClass? Class,
    IReadOnlyList<DeadLetter> DeadLetters,
    int Rounds = 0,
    int PatienceEnded = 0
)
{
    public bool IsCommitted => Failure is null;
}

/// <summary>
/// Runs one try of a batch: decodes, dispatches each key's messages one after the other and the keys side by side through
/// the endpoint's ordinary pipe, writes what was staged, commits. It decides nothing about failures; the loop does.
/// </summary>
sealed class BatchRunner(
    BatchStore store,
    MessageDecoder decoder,
    DeadLetterBrake brake,
    Func<ConsumedRecord, MessageSlot, Task> dispatch,
    CrashPoints crash,
    ConsumingMetrics metrics,
    TimeProvider time
)
{
    /// <summary>What a batch may take from its begin to its writes.</summary>
    public static readonly TimeSpan Budget = TimeSpan.FromSeconds(10);

    /// <summary>How long the behaviours of a batch that failed may take to notice.</summary>
    static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    readonly HashSet<Type> _rowTypes = [.. store.Writers.Keys];

    /// <summary>One transaction for all records.</summary>
    /// <param name="verdict">Written instead of handling the one record.</param>
    public async Task<BatchResult> Run(
        string cluster,
        IReadOnlyList<ConsumedRecord> records,
        IReadOnlyList<OffsetAdvance> advances,
        bool solo,
        DeadLetter? verdict = null
    )
    {
        // The batch is a root of its own: its messages belong to the traces that they came with.
        Activity.Current = null;
        using var activity = BatchTrace.Start(records);
        Activity.Current = null;

        await using var transaction = new BatchTransaction(store, cluster, advances);
        await using var batch = new Batch(transaction, _rowTypes, Budget, solo, crash, metrics, time);
        activity?.SetTag(BatchTrace.BatchId, batch.Id.ToString());
        var chains = verdict is null ? Chains(records) : [];
        var dispatches = new List<Task>();
        var committing = false;
        try
        {
            batch.Enter(chains.Count);
            var opening = Open(transaction, batch);
            if (verdict is not null)
                batch.Refuse(verdict);
            var began = metrics.Now;
            await Handled(batch, chains, dispatches).ConfigureAwait(false);
            metrics.Phase(store.Group, "run", began);
            metrics.Rounds(store.Group, batch.Rounds);
            await crash.Pass("after-stage").ConfigureAwait(false);
            await opening.ConfigureAwait(false);
            if (batch.Failure is { } failed)
                throw failed;

            batch.Seal();
            brake.Check(batch.DeadLetters, records.Count);
            began = metrics.Now;
            await transaction.Write(batch, batch.Token).ConfigureAwait(false);
            await crash.Pass("before-commit").ConfigureAwait(false);
            committing = true;
            await transaction.Commit().ConfigureAwait(false);
            metrics.Phase(store.Group, "commit", began);
            await crash.Pass("after-commit").ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var failure = batch.Failure ?? e;
            batch.SetRolledBack(failure);
            activity?.SetStatus(ActivityStatusCode.Error, failure.GetType().Name);
            await Settled(dispatches, batch.LastRound).ConfigureAwait(false);
            var failed = Failures.Classify(failure, committing, transaction.Opened.IsCompletedSuccessfully);
            return new(failure, failed, [], batch.Rounds, batch.PatienceEnded);
        }

        brake.Count(batch.DeadLetters);
        batch.SetCommitted();
        await Settled(dispatches, batch.LastRound).ConfigureAwait(false);
        return new(null, null, batch.DeadLetters, batch.Rounds, batch.PatienceEnded);
    }

    /// <summary>By key across all topics, in consumption order. Records without a key follow their partition.</summary>
    static List<List<ConsumedRecord>> Chains(IReadOnlyList<ConsumedRecord> records)
    {
        var byKey = new Dictionary<byte[], List<ConsumedRecord>>(KeyComparer.Instance);
        var byPartition = new Dictionary<Confluent.Kafka.TopicPartition, List<ConsumedRecord>>();
        var chains = new List<List<ConsumedRecord>>();
        foreach (var record in records)
        {
            List<ConsumedRecord>? chain;
            if (record.Key is { Length: > 0 } key)
            {
                if (!byKey.TryGetValue(key, out chain))
                    chains.Add(byKey[key] = chain = []);
            }
            else if (!byPartition.TryGetValue(record.Partition, out chain))
            {
                chains.Add(byPartition[record.Partition] = chain = []);
            }

            chain.Add(record);
        }

        return chains;
    }

    async Task Open(BatchTransaction transaction, Batch batch)
    {
        try
        {
            await transaction.Open(batch.Token).ConfigureAwait(false);
            batch.Opened();
            await crash.Pass("after-advance").ConfigureAwait(false);
        }
        catch (Exception e)
        {
            batch.Fail(e);
        }
    }

    async Task Handled(Batch batch, List<List<ConsumedRecord>> chains, List<Task> dispatches)
    {
        var all = Task.WhenAll(chains.Select(c => Task.Run(() => Handle(batch, c, dispatches))));
        await Task.WhenAny(all, batch.Failed).ConfigureAwait(false);
        // A behaviour that does not look at its token is left behind: what it still does finds a batch that is over.
        if (!all.IsCompleted)
            await Task.WhenAny(all, Task.Delay(Grace, time)).ConfigureAwait(false);
        if (all.IsFaulted)
            batch.Fail(all.Exception!.GetBaseException());
    }

    async Task Handle(Batch batch, List<ConsumedRecord> chain, List<Task> dispatches)
    {
        try
        {
            foreach (var record in chain)
            {
                if (batch.Failure is not null)
                    return;

                var decoded = decoder.Decode(record.Topic, record.Key, record.Value, record.Headers);
                if (decoded.Refusal is not null)
                {
                    batch.Refuse(DeadLetter.Unreadable(record, decoded));
                    continue;
                }

                if (decoded.IsPassed)
                {
                    metrics.Dropped(store.Group, "ignored");
                    continue;
                }

                await crash.Pass("in-behaviour").ConfigureAwait(false);
                var handled = metrics.Now;
                var slot = new MessageSlot(batch, record, decoded);
                var dispatched = dispatch(record, slot);
                lock (dispatches)
                    dispatches.Add(dispatched);
                // The key's next message sees this one's state, so it waits for the stage; nobody waits for the commit.
                await Task.WhenAny(slot.Done, dispatched).ConfigureAwait(false);
                metrics.Handled(store.Group, record.Topic, handled, slot.IsFaulted);
                // Of a type that the catalog knows, and nothing on this endpoint asked for.
                if (slot is { IsFaulted: false, Attempts: 0 } && batch.Failure is null)
                    metrics.Dropped(store.Group, "unhandled");
            }
        }
        finally
        {
            batch.Leave();
        }
    }

    /// <summary>Lets the dispatchers see the outcome; their own failures were heard where they happened.</summary>
    async Task Settled(List<Task> dispatches, Task lastRound)
    {
        Task[] all;
        lock (dispatches)
            all = [.. dispatches, lastRound];
        await Task.WhenAny(Task.WhenAll(all), Task.Delay(Grace, time)).ConfigureAwait(false);
        foreach (var dispatched in all)
            _ = dispatched.Exception;
    }

    sealed class KeyComparer : IEqualityComparer<byte[]>
    {
        public static readonly KeyComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] key)
        {
            var hash = new HashCode();
            hash.AddBytes(key);
            return hash.ToHashCode();
        }
    }
}

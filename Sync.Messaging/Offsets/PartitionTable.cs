using Confluent.Kafka;
using Microsoft.Extensions.Logging;

namespace Sync.Messaging.Offsets;

enum PartitionPhase
{
    Unclaimed,
    Claimed,
    Halted,
}

/// <summary>How this process holds a partition.</summary>
/// <param name="Epoch">Of the claim; records consumed under another one are dropped.</param>
/// <param name="Next">The value of the row, as last read or written.</param>
/// <param name="IsRestoring">Claimed, but paused until the restore hook is done.</param>
readonly record struct PartitionState(
    PartitionPhase Phase,
    long Epoch,
    long Next,
    string? Reason = null,
    bool IsRestoring = false
);

/// <summary>
/// The partitions of one consumer loop, and the protocol by which it gets them: it claims each in PostgreSQL, compares what
/// is stored with what Kafka holds, and starts, writes down a gap, or halts. Used by the loop's thread only.
/// </summary>
sealed class PartitionTable(OffsetStore store, string group, int partitionCount, Action<FeedGap> onGap, ILogger logger)
{
    readonly Dictionary<TopicPartition, PartitionState> _states = [];

    public string ClusterId { get; private set; } = "";

    public IReadOnlyDictionary<TopicPartition, PartitionState> States => _states;

    /// <summary>Partitions whose rows must be claimed again before anything of them is dispatched.</summary>
    public IEnumerable<TopicPartition> Unclaimed =>
        _states.Where(s => s.Value.Phase is PartitionPhase.Unclaimed).Select(s => s.Key);

    public PartitionState? Find(TopicPartition partition) =>
        _states.TryGetValue(partition, out var state) ? state : null;

    /// <summary>
    /// Claims, decides, and answers where each partition starts. A halted one is answered with the end of its log and has
    /// to be paused.
    /// </summary>
    /// <exception cref="Exception">Kafka or PostgreSQL did not answer; the partitions are unclaimed.</exception>
    public IReadOnlyList<TopicPartitionOffset> Claim(
        IReadOnlyList<TopicPartition> partitions,
        IClusterView cluster,
        TimeSpan timeout
    )
    {
        foreach (var partition in partitions)
            _states[partition] = new(PartitionPhase.Unclaimed, 0, 0);

        var started = new List<TopicPartitionOffset>();
        var ours = new List<TopicPartition>();
        foreach (var partition in partitions)
        {
            if (partition.Partition.Value < partitionCount)
            {
                ours.Add(partition);
                continue;
            }

            logger.PartitionBeyondSetting(partition.Topic, partition.Partition.Value, partitionCount);
            Halt(partition, 0, $"partition beyond the setting of {partitionCount}");
            started.Add(new(partition, Offset.End));
        }

        if (ours.Count == 0)
            return started;

        // Half of the time for Kafka, half for PostgreSQL: the handler holds up the whole group's rebalance.
        var half = timeout / 2;
        ClusterId = cluster.ClusterId();
        var views = cluster.Read(ours, half);
        using var deadline = new CancellationTokenSource(half);
        // The loop's thread waits: partitions may not be consumed before they are claimed.
        var claims = store
            .Claim(
                ClusterId,
                [.. ours.Select(p => (p, views[p].Low))],
                claim => Judgement.Of(claim, views[claim.Partition]).Gap,
                deadline.Token
            )
            .GetAwaiter()
            .GetResult();
        foreach (var claim in claims)
            started.Add(Take(claim, views[claim.Partition]));
        return started;
    }

    /// <summary>Claims without looking at Kafka: what became of a batch whose commit had no answer.</summary>
    public IReadOnlyList<Claim> ClaimAgain(IReadOnlyList<TopicPartition> partitions, TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        var claims = store
            .Claim(ClusterId, [.. partitions.Select(p => (p, _states[p].Next))], _ => null, deadline.Token)
            .GetAwaiter()
            .GetResult();
        foreach (var claim in claims)
            _states[claim.Partition] = _states[claim.Partition] with
            {
                Phase = PartitionPhase.Claimed,
                Epoch = claim.Epoch,
                Next = claim.NextOffset,
            };
        return claims;
    }

    /// <summary>Halted partitions whose row an operator moved.</summary>
    public IReadOnlyList<TopicPartition> Resumed(TimeSpan timeout)
    {
        var halted = _states
            .Where(s => s.Value is { Phase: PartitionPhase.Halted, Epoch: > 0 })
            .Select(s => s.Key)
            .ToList();
        if (halted.Count == 0)
            return [];

        using var deadline = new CancellationTokenSource(timeout);
        return
        [
            .. store
                .Read(ClusterId, halted, deadline.Token)
                .GetAwaiter()
                .GetResult()
                .Where(row => row.Epoch != _states[row.Partition].Epoch)
                .Select(row => row.Partition),
        ];
    }

    public void Advance(OffsetAdvance advance)
    {
        if (_states.TryGetValue(advance.Partition, out var state) && state.Epoch == advance.Epoch)
            _states[advance.Partition] = state with { Next = advance.To };
    }

    public void Halt(TopicPartition partition, long epoch, string reason) =>
        _states[partition] = new(PartitionPhase.Halted, epoch, 0, reason);

    public void Unclaim(TopicPartition partition)
    {
        if (_states.TryGetValue(partition, out var state) && state.Phase is PartitionPhase.Claimed)
            _states[partition] = state with { Phase = PartitionPhase.Unclaimed };
    }

    public IReadOnlyList<TopicPartition> Restoring => [.. _states.Where(s => s.Value.IsRestoring).Select(s => s.Key)];

    public void Restored(TopicPartition partition)
    {
        if (_states.TryGetValue(partition, out var state))
            _states[partition] = state with { IsRestoring = false };
    }

    public void Remove(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
            _states.Remove(partition);
    }

    public void Clear() => _states.Clear();

    TopicPartitionOffset Take(Claim claim, PartitionView view)
    {
        var judgement = Judgement.Of(claim, view);
        var (topic, number) = (claim.Partition.Topic, claim.Partition.Partition.Value);
        if (judgement.Gap is { } gap)
            onGap(gap);
        if (judgement.Start is not { } start)
        {
            logger.PartitionHalted(topic, number, claim.NextOffset, view.High);
            Halt(claim.Partition, claim.Epoch, "the log ends before the stored offset");
            return new(claim.Partition, Offset.End);
        }

        if (judgement.Relation is Relation.New && view.Committed is { } ignored)
            logger.CommittedOffsetIgnored(topic, number, ignored, start);
        if (judgement.Relation is Relation.Overtaken)
            logger.RetentionOvertook(topic, number, claim.NextOffset, start);
        if (judgement.NeedsHook)
            logger.DatabaseWentBack(topic, number, claim.NextOffset, view.Committed ?? 0);
        logger.Claimed(group, topic, number, start, claim.Epoch, claim.IsNew);
        _states[claim.Partition] = new(PartitionPhase.Claimed, claim.Epoch, start, IsRestoring: judgement.NeedsHook);
        return new(claim.Partition, start);
    }
}

using System.Collections.Concurrent;
using System.Collections.Immutable;
using Confluent.Kafka;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>How much of a topic this replica holds: the share of a budget that all replicas keep together.</summary>
public interface IPartitionShare
{
    /// <summary>Partitions of the topic that this replica has claimed.</summary>
    int Held(string topic);

    /// <summary>Held partitions by all partitions; 0 while nothing is claimed.</summary>
    double Of(string topic);
}

/// <summary>What the loops of this process say about themselves, for health, metrics and shares. Read at any time.</summary>
sealed class ConsumerBoard(TimeProvider time) : IConsumerHealth, IPartitionShare
{
    readonly ConcurrentDictionary<string, LoopState> _loops = new(StringComparer.Ordinal);
    readonly DateTimeOffset _started = time.GetUtcNow();
    int _partitions = 1;

    public ConsumerState State
    {
        get
        {
            var loops = _loops.Values.ToList();
            if (loops.Count == 0)
                return new(ConsumerPhase.NeverAssigned, _started, null, null, null, []);

            // The least ready loop speaks for the process.
            var phase = loops.Min(l => l.Phase);
            return new(
                phase,
                loops.Where(l => l.Phase == phase).Min(l => l.Since),
                loops.Min(l => l.LastPollAt),
                loops.Select(l => l.FatalCode).FirstOrDefault(c => c is not null),
                loops.Select(l => l.Brake).FirstOrDefault(b => b is not null),
                [.. loops.SelectMany(l => l.Halted)]
            );
        }
    }

    public int Held(string topic) => _loops.Values.Sum(l => l.Claimed.Count(p => p.Topic == topic));

    public double Of(string topic) => Math.Min(1.0, (double)Held(topic) / Volatile.Read(ref _partitions));

    public void Partitions(int count) => Volatile.Write(ref _partitions, Math.Max(1, count));

    public void Report(string group, Func<LoopState, LoopState> change) =>
        _loops.AddOrUpdate(
            group,
            _ => change(new LoopState(ConsumerPhase.NeverAssigned, _started)),
            (_, state) => change(state)
        );

    public void Polled(string group) => Report(group, s => s with { LastPollAt = time.GetUtcNow() });

    public void Entered(string group, ConsumerPhase phase) =>
        Report(group, s => s.Phase == phase ? s : s with { Phase = phase, Since = time.GetUtcNow() });

    public IEnumerable<(string Group, LoopState State)> Loops => _loops.Select(l => (l.Key, l.Value));
}

sealed record LoopState(ConsumerPhase Phase, DateTimeOffset Since)
{
    public DateTimeOffset? LastPollAt { get; init; }

    public string? FatalCode { get; init; }

    public string? Brake { get; init; }

    public ImmutableArray<string> Halted { get; init; } = [];

    public ImmutableArray<TopicPartition> Claimed { get; init; } = [];

    /// <summary>Topics whose producer partitions otherwise than by murmur2.</summary>
    public ImmutableArray<string> Mismatched { get; init; } = [];

    public ImmutableArray<PartitionLag> Lags { get; init; } = [];
}

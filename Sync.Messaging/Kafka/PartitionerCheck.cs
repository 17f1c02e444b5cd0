using Microsoft.Extensions.Logging;

namespace Sync.Messaging.Kafka;

/// <summary>
/// Looks at the first keys of each topic: a producer with another partitioner would let one customer's topics meet in
/// different processes, and queue for its row there. Slow, not wrong, and worth one warning a topic.
/// </summary>
sealed class PartitionerCheck(int partitions, ILogger logger)
{
    /// <summary>Keys looked at per topic and process.</summary>
    public const int Samples = 1_000;

    readonly Dictionary<string, int> _left = new(StringComparer.Ordinal);
    readonly HashSet<string> _mismatched = new(StringComparer.Ordinal);

    /// <summary>Topics whose producer partitions otherwise.</summary>
    public IReadOnlyCollection<string> Mismatched => _mismatched;

    /// <summary>Answers true when the topic is found to be partitioned otherwise, once.</summary>
    public bool Look(ConsumedRecord record)
    {
        if (record.Key is not { Length: > 0 } key)
            return false;

        var left = _left.GetValueOrDefault(record.Topic, Samples);
        if (left == 0)
            return false;

        _left[record.Topic] = left - 1;
        var expected = Murmur2.Partition(key, partitions);
        if (expected == record.Partition.Partition.Value)
            return false;

        _left[record.Topic] = 0;
        _mismatched.Add(record.Topic);
        logger.PartitionerMismatch(record.Topic, record.Partition.Partition.Value, expected);
        return true;
    }
}

using Confluent.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

/// <summary>One record as the broker gave it. Bytes only: what it means is decided later, so that nothing is lost on the way.</summary>
/// <param name="Epoch">The claim under which its partition was held when it was consumed.</param>
sealed record ConsumedRecord(
    TopicPartition Partition,
    long Offset,
    byte[]? Key,
    byte[]? Value,
    MessageHeaders Headers,
    DateTimeOffset? Timestamp,
    long Epoch
)
{
    public string Topic => Partition.Topic;

    /// <summary>What counts against the byte limit of a batch.</summary>
    public int Bytes => Value?.Length ?? 0;
}

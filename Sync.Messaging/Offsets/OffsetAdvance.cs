using Confluent.Kafka;

namespace Sync.Messaging.Offsets;

/// <summary>How far a batch moves one partition.</summary>
/// <param name="From">The value last read from or written to the row, not the first record's offset: logs have holes.</param>
/// <param name="To">The last consumed offset + 1.</param>
readonly record struct OffsetAdvance(TopicPartition Partition, long Epoch, long From, long To);

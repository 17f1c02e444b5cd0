using Confluent.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

/// <summary>One record, before it is known under which claim it was consumed.</summary>
sealed record SourceRecord(
    TopicPartition Partition,
    long Offset,
    byte[]? Key,
    byte[]? Value,
    MessageHeaders Headers,
    DateTimeOffset? Timestamp
);

/// <summary>What a loop hears from its source, on the thread that is inside <see cref="IRecordSource.Consume"/>.</summary>
interface IAssignmentListener
{
    /// <summary>Answers where each partition starts. It may not throw: the consumer would own nothing, silently.</summary>
    IReadOnlyList<TopicPartitionOffset> Assigned(IReadOnlyList<TopicPartition> partitions, IClusterView cluster);

    void Revoked(IReadOnlyList<TopicPartition> partitions);

    void Lost(IReadOnlyList<TopicPartition> partitions);

    /// <summary>librdkafka's statistics, every 10 s.</summary>
    void Statistics(string json);

    void Failed(Error error);
}

/// <summary>A member of the consumer group. Used by one thread.</summary>
interface IRecordSource : IDisposable
{
    IClusterView Cluster { get; }

    IReadOnlyList<TopicPartition> Assignment { get; }

    /// <summary>The next record, or null when there is none in this time.</summary>
    /// <exception cref="ConsumeException">One partition, or the client, has a fault.</exception>
    SourceRecord? Consume(TimeSpan timeout);

    void Pause(IReadOnlyCollection<TopicPartition> partitions);

    void Resume(IReadOnlyCollection<TopicPartition> partitions);

    void Seek(TopicPartitionOffset position);

    /// <summary>Tells Kafka, for tools, where the group stands; it goes out within a second.</summary>
    void Store(TopicPartitionOffset position);

    /// <summary>Tells Kafka at once.</summary>
    void Commit(IReadOnlyList<TopicPartitionOffset> positions);

    void Close();
}

interface IRecordSourceFactory
{
    IRecordSource Create(string group, IReadOnlyList<string> topics, IAssignmentListener listener);
}

using System.Runtime.InteropServices;
using Confluent.Kafka;

namespace Sync.Messaging.Offsets;

/// <summary>How a partition stands in Kafka.</summary>
/// <param name="Low">The oldest offset that is there.</param>
/// <param name="High">Where the next record will be.</param>
/// <param name="Committed">What the group last told Kafka; null when it never did. For tools, and a check on ourselves.</param>
[StructLayout(LayoutKind.Auto)]
readonly record struct PartitionView(long Low, long High, long? Committed);

/// <summary>Kafka, as the assignment protocol needs to see it.</summary>
interface IClusterView
{
    /// <summary>The cluster that stored offsets belong to. Asked at every claim: a restarted embedded Kafka is another one.</summary>
    string ClusterId();

    /// <summary>All asked partitions, in one look.</summary>
    /// <exception cref="KafkaException">Kafka did not answer in time.</exception>
    IReadOnlyDictionary<TopicPartition, PartitionView> Read(
        IReadOnlyCollection<TopicPartition> partitions,
        TimeSpan timeout
    );
}

using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

sealed class KafkaRecordSourceFactory(KafkaClients clients, KafkaCluster cluster) : IRecordSourceFactory
{
    public IRecordSource Create(string group, IReadOnlyList<string> topics, IAssignmentListener listener) =>
        new KafkaRecordSource(clients, cluster, group, topics, listener);
}

/// <summary>The source behind which Confluent's consumer stands. It deals in bytes: decoding never happens in the client.</summary>
sealed class KafkaRecordSource : IRecordSource, IClusterView
{
    static readonly TimeSpan ClusterIdTimeout = TimeSpan.FromSeconds(5);
    readonly IConsumer<byte[], byte[]> _consumer;
    readonly IAdminClient _admin;
    readonly KafkaCluster _cluster;

    public KafkaRecordSource(
        KafkaClients clients,
        KafkaCluster cluster,
        string group,
        IReadOnlyList<string> topics,
        IAssignmentListener listener
    )
    {
        _cluster = cluster;
        // Positions are returned from the handler: a seek in it fails, and an exception would leave the consumer with
        // nothing, silently. The listener catches everything.
        _consumer = new ConsumerBuilder<byte[], byte[]>(clients.Consumer(group))
            .SetPartitionsAssignedHandler((_, partitions) => listener.Assigned(partitions, this))
            .SetPartitionsRevokedHandler(
                (_, partitions) => listener.Revoked([.. partitions.Select(p => p.TopicPartition)])
            )
            .SetPartitionsLostHandler((_, partitions) => listener.Lost([.. partitions.Select(p => p.TopicPartition)]))
            .SetStatisticsHandler((_, json) => listener.Statistics(json))
            .SetErrorHandler((_, error) => listener.Failed(error))
            .SetLogHandler(clients.Log)
            .Build();
        _admin = new DependentAdminClientBuilder(_consumer.Handle).Build();
        _consumer.Subscribe(topics);
    }

    public IClusterView Cluster => this;

    public IReadOnlyList<TopicPartition> Assignment => _consumer.Assignment;

    public SourceRecord? Consume(TimeSpan timeout)
    {
        if (_consumer.Consume(timeout) is not { } result)
            return null;

        return new(
            result.TopicPartition,
            result.Offset.Value,
            result.Message.Key,
            result.Message.Value,
            result.Message.Headers.ToMessageHeaders(),
            result.Message.Timestamp.Type is TimestampType.NotAvailable
                ? null
                : new DateTimeOffset(result.Message.Timestamp.UtcDateTime, TimeSpan.Zero)
        );
    }

    public void Pause(IReadOnlyCollection<TopicPartition> partitions) => _consumer.Pause(partitions);

    public void Resume(IReadOnlyCollection<TopicPartition> partitions) => _consumer.Resume(partitions);

    public void Seek(TopicPartitionOffset position) => _consumer.Seek(position);

    public void Store(TopicPartitionOffset position)
    {
        try
        {
            _consumer.StoreOffset(position);
        }
        catch (Exception e) when (e is KafkaException or ObjectDisposedException)
        {
            // The partition went meanwhile. PostgreSQL has the offset; this copy is for tools.
        }
    }

    public void Commit(IReadOnlyList<TopicPartitionOffset> positions)
    {
        try
        {
            _consumer.Commit(positions);
        }
        catch (KafkaException)
        {
            // As above; it is written again with the next batch.
        }
    }

    public string ClusterId() =>
        LibRdKafka.ClusterId(_consumer.Handle, ClusterIdTimeout)
        ?? _cluster.Id(CancellationToken.None).WaitAsync(ClusterIdTimeout).GetAwaiter().GetResult();

    public IReadOnlyDictionary<TopicPartition, PartitionView> Read(
        IReadOnlyCollection<TopicPartition> partitions,
        TimeSpan timeout
    )
    {
        var options = new ListOffsetsOptions
        {
            RequestTimeout = timeout,
            IsolationLevel = IsolationLevel.ReadUncommitted,
        };
        var low = _admin.ListOffsetsAsync(Specs(partitions, OffsetSpec.Earliest()), options);
        var high = _admin.ListOffsetsAsync(Specs(partitions, OffsetSpec.Latest()), options);
        var committed = _consumer
            .Committed(partitions, timeout)
            .Where(c => c.Offset.Value >= 0)
            .ToDictionary(c => c.TopicPartition, c => c.Offset.Value);
        var lows = Offsets(low.WaitAsync(timeout).GetAwaiter().GetResult());
        var highs = Offsets(high.WaitAsync(timeout).GetAwaiter().GetResult());
        return partitions.ToDictionary(
            p => p,
            p => new PartitionView(lows[p], highs[p], committed.TryGetValue(p, out var offset) ? offset : null)
        );
    }

    public void Close() => _consumer.Close();

    public void Dispose()
    {
        _admin.Dispose();
        _consumer.Dispose();
    }

    static List<TopicPartitionOffsetSpec> Specs(IEnumerable<TopicPartition> partitions, OffsetSpec spec) =>
        [.. partitions.Select(p => new TopicPartitionOffsetSpec { TopicPartition = p, OffsetSpec = spec })];

    static Dictionary<TopicPartition, long> Offsets(ListOffsetsResult result) =>
        result.ResultInfos.ToDictionary(
            r => r.TopicPartitionOffsetError.TopicPartition,
            r => r.TopicPartitionOffsetError.Offset.Value
        );
}

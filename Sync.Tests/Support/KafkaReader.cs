using System.Text;
using Confluent.Kafka;

namespace Sync.Tests.Support;

public sealed record KafkaRecord(string Topic, int Partition, long Offset, string Key, string Value, Headers Headers)
{
    public string? Header(string name) =>
        Headers.TryGetLastBytes(name, out var value) ? Encoding.UTF8.GetString(value) : null;
}

/// <summary>Reads topics from the beginning, apart from any group.</summary>
public sealed class KafkaReader : IDisposable
{
    readonly IConsumer<byte[], byte[]> _consumer;
    readonly List<KafkaRecord> _records = [];

    public KafkaReader(string bootstrap, int partitions, params string[] topics)
    {
        _consumer = new ConsumerBuilder<byte[], byte[]>(
            new ConsumerConfig
            {
                BootstrapServers = bootstrap,
                GroupId = $"reader-{Guid.NewGuid():n}",
                EnableAutoCommit = false,
                FetchWaitMaxMs = 5,
                AllowAutoCreateTopics = false,
            }
        ).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _consumer.Assign(
            from topic in topics
            from partition in Enumerable.Range(0, partitions)
            select new TopicPartitionOffset(topic, partition, Offset.Beginning)
        );
    }

    public IReadOnlyList<KafkaRecord> Records => _records;

    /// <summary>The first offset that the broker still has, and the one that comes next.</summary>
    public (long Low, long High) Watermarks(string topic, int partition)
    {
        var ends = _consumer.QueryWatermarkOffsets(new(topic, partition), TimeSpan.FromSeconds(30));
        return (ends.Low.Value, ends.High.Value);
    }

    /// <summary>All records once there are this many; fails when they do not come.</summary>
    public Task<IReadOnlyList<KafkaRecord>> Read(int count) => Until(r => r.Count >= count, $"{count} records");

    public async Task<IReadOnlyList<KafkaRecord>> Until(Func<IReadOnlyList<KafkaRecord>, bool> isEnough, string what)
    {
        await Eventually.Is(
            () =>
            {
                while (_consumer.Consume(TimeSpan.FromMilliseconds(20)) is { } result)
                {
                    _records.Add(
                        new(
                            result.Topic,
                            result.Partition.Value,
                            result.Offset.Value,
                            Encoding.UTF8.GetString(result.Message.Key ?? []),
                            Encoding.UTF8.GetString(result.Message.Value ?? []),
                            result.Message.Headers
                        )
                    );
                }

                return isEnough(_records);
            },
            what
        );
        return _records;
    }

    public void Dispose()
    {
        _consumer.Close();
        _consumer.Dispose();
    }
}

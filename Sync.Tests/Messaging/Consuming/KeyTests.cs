using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.DependencyInjection;
using Sync.Messaging.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

public sealed class KeyTests
{
    [Theory]
    [InlineData("21", -973932308)]
    [InlineData("foobar", -790332482)]
    [InlineData("a-little-bit-long-string", -985981536)]
    [InlineData("a-little-bit-longer-string", -1486304829)]
    [InlineData("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)]
    public void A_key_has_the_hash_that_Kafkas_own_vectors_give_it(string key, int hash) =>
        Assert.Equal(hash, Murmur2.Hash(Encoding.UTF8.GetBytes(key)));

    [Fact]
    public async Task Our_producers_put_a_thousand_keys_where_a_Java_client_does()
    {
        await using var stage = await CountingStage.Set();
        await using var process = await stage.Start();
        using var producer = new ProducerBuilder<byte[], byte[]>(
            process.Services.GetRequiredService<KafkaClients>().Producer()
        ).Build();

        var keys = Enumerable.Range(0, 1_000).Select(i => Encoding.UTF8.GetBytes($"customer-{i}")).ToList();
        var reports = await Task.WhenAll(
            keys.Select(k =>
                producer.ProduceAsync(stage.Kafka.Named(CountingJson.Echoes), new() { Key = k, Value = [] })
            )
        );

        Assert.All(
            keys.Zip(reports),
            p => Assert.Equal(Murmur2.Partition(p.First, CountingStage.Partitions), p.Second.Partition.Value)
        );
    }

    [Fact]
    public async Task A_topic_whose_producer_partitions_otherwise_is_named_once()
    {
        await using var stage = await CountingStage.Set();
        await using var process = await stage.Start();
        using var stranger = new ProducerBuilder<byte[], byte[]>(
            new ProducerConfig
            {
                BootstrapServers = stage.Kafka.BootstrapServers,
                Partitioner = Partitioner.ConsistentRandom,
            }
        ).Build();

        for (var i = 0; i < 40; i++)
            await stranger.ProduceAsync(
                stage.Kafka.Named(CountingJson.Steps),
                CountingStage.Record(CountingStage.Add($"k{i}", 1))
            );
        await stage.Until(s => s.Effects(), 40, "effects");

        Assert.Single(process.Logs.Of(4117));
    }
}

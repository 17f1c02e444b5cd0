using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

public sealed class PartitionerTests
{
    const int Partitions = 32;

    [Theory]
    [InlineData("21", -973932308)]
    [InlineData("foobar", -790332482)]
    [InlineData("a-little-bit-long-string", -985981536)]
    [InlineData("a-little-bit-longer-string", -1486304829)]
    [InlineData("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)]
    public void The_test_s_hash_is_the_one_of_Kafka_s_own_tests(string key, int hash) =>
        Assert.Equal(hash, Murmur2(Encoding.UTF8.GetBytes(key)));

    [Fact]
    public async Task T1_a_thousand_keys_land_where_a_Java_client_puts_them()
    {
        using var kafka = new TestKafka(["t"], Partitions);
        var clients = new KafkaClients(
            Options.Create(new KafkaOptions { Bootstrap = kafka.BootstrapServers, Embedded = kafka.IsEmbedded }),
            Options.Create(new ReplicaOptions()),
            new ProcessIdentity("test", "test", "test"),
            NullLoggerFactory.Instance
        );
        using var producer = new ProducerBuilder<byte[], byte[]>(clients.Producer()).Build();
        string[] keys = ["21", "foobar", "cus-ä", .. Enumerable.Range(0, 997).Select(i => $"customer-{i}")];
        foreach (var key in keys)
            producer.Produce(kafka.Named("t"), new() { Key = Encoding.UTF8.GetBytes(key), Value = [] });
        producer.Flush(TestContext.Current.CancellationToken);

        using var reader = new KafkaReader(kafka.BootstrapServers, Partitions, kafka.Named("t"));
        var records = await reader.Read(1_000);

        Assert.All(
            records,
            r => Assert.Equal((Murmur2(Encoding.UTF8.GetBytes(r.Key)) & int.MaxValue) % Partitions, r.Partition)
        );
    }

    /// <summary>As org.apache.kafka.common.utils.Utils.murmur2 computes it.</summary>
    static int Murmur2(byte[] data)
    {
        const uint m = 0x5bd1e995;
        var h = 0x9747b28c ^ (uint)data.Length;
        var whole = data.Length / 4 * 4;
        for (var i = 0; i < whole; i += 4)
        {
            var k = BitConverter.ToUInt32(data, i) * m;
            h = (h * m) ^ ((k ^ (k >> 24)) * m);
        }

        var rest = data.Length - whole;
        if (rest > 0)
        {
            for (var i = rest - 1; i >= 0; i--)
                h ^= (uint)data[whole + i] << (8 * i);
            h *= m;
        }

        h = (h ^ (h >> 13)) * m;
        return (int)(h ^ (h >> 15));
    }
}

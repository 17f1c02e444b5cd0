using Confluent.Kafka;
using Sync.Sandbox.Kafka;

namespace Sync.Tests.Sandbox;

public sealed class EmbeddedKafkaTests
{
    [Fact]
    public void What_is_produced_is_consumed_in_order()
    {
        using var kafka = new EmbeddedKafka(["t"], partitions: 4);
        using var producer = new ProducerBuilder<string, string>(
            new ProducerConfig { BootstrapServers = kafka.BootstrapServers }
        ).Build();
        for (var i = 0; i < 10; i++)
            producer.Produce("t", new Message<string, string> { Key = "k", Value = $"{i}" });
        producer.Flush(TimeSpan.FromSeconds(10));

        using var consumer = new ConsumerBuilder<string, string>(
            new ConsumerConfig
            {
                BootstrapServers = kafka.BootstrapServers,
                GroupId = "g",
                AutoOffsetReset = AutoOffsetReset.Earliest,
            }
        ).Build();
        consumer.Subscribe("t");
        var values = Enumerable
            .Range(0, 10)
            .Select(_ => consumer.Consume(TimeSpan.FromSeconds(10))?.Message.Value)
            .ToList();

        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"{i}"), values);
        consumer.Close();
    }
}

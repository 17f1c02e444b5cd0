using System.Net;
using System.Net.Sockets;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Sandbox;
using Sync.Sandbox.Product;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>Kafka behind one stable address, and loud when it loses anything.</summary>
public sealed class SandboxKafkaTests
{
    [Fact]
    public async Task Kafka_is_reached_at_the_port_that_was_asked_for_and_names_no_other()
    {
        int port;
        using (var probe = new TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            port = ((IPEndPoint)probe.LocalEndpoint).Port;
        }

        await using var sandbox = await TestSandbox.Start(TestSandbox.Quiet with { Kafka = true, KafkaPort = port });
        using var admin = new AdminClientBuilder(
            new AdminClientConfig { BootstrapServers = $"127.0.0.1:{port}" }
        ).Build();
        var metadata = admin.GetMetadata(TimeSpan.FromSeconds(30));

        Assert.Equal($"127.0.0.1:{port}", sandbox.Host.BootstrapServers);
        Assert.Equal([port], metadata.Brokers.Select(broker => broker.Port));
        Assert.Equal(
            [
                "product.customer-commands.v1",
                "product.customers.v1",
                "sync.dead-letters.v1",
                "sync.requests.v1",
                "sync.salesforce.commands.v1",
                "sync.salesforce.reports.v1",
                "sync.stripe.commands.v1",
                "sync.stripe.reports.v1",
            ],
            metadata.Topics.Select(topic => topic.Topic).Order(StringComparer.Ordinal)
        );
        Assert.All(metadata.Topics, topic => Assert.Equal(Topics.Partitions, topic.Partitions.Count));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        foreach (
            var options in new[]
            {
                TestSandbox.Quiet with
                {
                    Kafka = true,
                    KafkaPort = port,
                },
                TestSandbox.Quiet with
                {
                    StripePort = port,
                },
                TestSandbox.Quiet with
                {
                    SalesforcePort = port,
                },
                TestSandbox.Quiet with
                {
                    ProductPort = port,
                },
            }
        )
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => SandboxHost.Start(options));
            Assert.Contains($"port {port}", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_client_survives_kafka_going_down_and_coming_back_at_the_same_address()
    {
        await using var sandbox = await TestSandbox.Start(TestSandbox.Quiet with { Kafka = true });
        using var producer = EventDelivery.CreateProducer(sandbox.Host.BootstrapServers);
        await producer.ProduceAsync(Topics.Requests, new Message<byte[], byte[]> { Key = [1], Value = [1] });

        sandbox.Host.Kafka!.Down();
        var waiting = producer.ProduceAsync(Topics.Requests, new Message<byte[], byte[]> { Key = [1], Value = [2] });
        sandbox.Host.Kafka.Up();
        await waiting.WaitAsync(TimeSpan.FromSeconds(60));

        var values = sandbox.Records(r => r.Count >= 2, Topics.Requests).Select(r => r.Message.Value[0]);
        Assert.Equal([1, 2], values);
    }

    [Fact]
    public async Task Lost_records_make_the_sandbox_not_ready()
    {
        await using var sandbox = await TestSandbox.Start(TestSandbox.Quiet with { Kafka = true });
        Assert.Equal(200, (await TestSandbox.Send(sandbox.Product, HttpMethod.Get, "/sandbox/ready")).Status);
        using var producer = new ProducerBuilder<Null, byte[]>(
            new ProducerConfig { BootstrapServers = sandbox.Host.BootstrapServers, LingerMs = 0 }
        ).Build();

        // More than the 5 MiB that a partition keeps.
        for (var i = 0; i < 8; i++)
        {
            await producer.ProduceAsync(
                new TopicPartition(Topics.Requests, 3),
                new Message<Null, byte[]> { Value = new byte[900_000] }
            );
        }

        await Eventually.Is(
            async () => (await TestSandbox.Send(sandbox.Product, HttpMethod.Get, "/sandbox/ready")).Status == 503,
            "the loss is noticed"
        );
        var state = (await TestSandbox.Send(sandbox.Product, HttpMethod.Get, "/sandbox/state")).Json!;
        Assert.False((bool)state["ready"]!);
        var lost = Assert.Single(state["kafka"]!["truncated"]!.AsArray())!;
        Assert.Equal((Topics.Requests, 3), ((string)lost["topic"]!, (int)lost["partition"]!));
        Assert.True((long)lost["firstOffset"]! > 0);
    }
}

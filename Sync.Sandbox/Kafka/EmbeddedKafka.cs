using System.Runtime.InteropServices;

namespace Sync.Sandbox.Kafka;

/// <summary>
/// A Kafka cluster inside this process: librdkafka's mock, real protocol on loopback, memory only. It keeps at most 5 MiB
/// or 100,000 batches a partition and drops what is older without a word; its cluster id is new at every start.
/// </summary>
public sealed class EmbeddedKafka : IDisposable
{
    const int Broker = 1;
    readonly nint _client;
    readonly nint _cluster;
    bool _disposed;

    /// <summary>Starts a cluster of one broker with the given topics.</summary>
    public EmbeddedKafka(IEnumerable<string> topics, int partitions = 32)
    {
        LibRdKafka.Load();
        _client = LibRdKafka.NewProducer();
        _cluster = LibRdKafka.ClusterNew(_client, 1);
        // The default of 3 s would be paid by every first start of a group.
        LibRdKafka.GroupInitialRebalanceDelay(_cluster, 0);
        foreach (var topic in topics)
            CreateTopic(topic, partitions);
        BootstrapServers = Marshal.PtrToStringUTF8(LibRdKafka.ClusterBootstraps(_cluster))!;
    }

    public string BootstrapServers { get; }

    public void CreateTopic(string topic, int partitions = 32)
    {
        if (LibRdKafka.TopicCreate(_cluster, topic, partitions, 1) is var error and not 0)
            throw new InvalidOperationException($"topic {topic} cannot be created: librdkafka error {error}");
    }

    /// <summary>The address that clients are told to use from now on, instead of the port that was bound.</summary>
    public void Advertise(string host, int port)
    {
        if (LibRdKafka.BrokerSetHostPort(_cluster, Broker, host, port) is var error and not 0)
            throw new InvalidOperationException($"{host}:{port} cannot be advertised: librdkafka error {error}");
    }

    /// <summary>The broker stops answering; its port is kept.</summary>
    public void Down() => _ = LibRdKafka.BrokerSetDown(_cluster, Broker);

    public void Up() => _ = LibRdKafka.BrokerSetUp(_cluster, Broker);

    /// <summary>The next requests of this kind fail with these Kafka error codes, one each.</summary>
    /// <param name="apiKey">Kafka's number of the request: 0 Produce, 1 Fetch.</param>
    public void FailNext(short apiKey, params int[] errors) =>
        LibRdKafka.PushRequestErrors(_cluster, apiKey, (nuint)errors.Length, errors);

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        LibRdKafka.ClusterDestroy(_cluster);
        LibRdKafka.Destroy(_client);
    }
}

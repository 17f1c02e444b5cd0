using System.Net;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace Sync.Sandbox.Kafka;

/// <summary>
/// The embedded cluster behind one stable address, and the watch over what it silently drops: a partition whose first
/// offset is above 0 has lost records, and then this sandbox is not to be trusted any more.
/// </summary>
sealed class SandboxKafka : IAsyncDisposable
{
    static readonly TimeSpan WatchEvery = TimeSpan.FromSeconds(1);

    readonly EmbeddedKafka _cluster;
    readonly KafkaRelay _relay;
    readonly IAdminClient _admin;
    readonly List<TopicPartitionOffsetSpec> _earliest;
    readonly ILogger _log;
    readonly Lock _gate = new();
    readonly Dictionary<TopicPartition, long> _truncated = [];
    readonly CancellationTokenSource _stop = new();
    readonly Task _watching;

    public SandboxKafka(int port, IReadOnlyList<string> topics, int partitions, ILogger log)
    {
        _log = log;
        Topics = topics;
        Partitions = partitions;
        _cluster = new EmbeddedKafka(topics, partitions);
        try
        {
            _relay = new KafkaRelay(port, IPEndPoint.Parse(_cluster.BootstrapServers), log);
        }
        catch
        {
            _cluster.Dispose();
            throw;
        }

        _cluster.Advertise("127.0.0.1", _relay.Port);
        BootstrapServers = $"127.0.0.1:{_relay.Port}";
        _admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = BootstrapServers })
            .SetLogHandler(static (_, _) => { })
            .SetErrorHandler(static (_, _) => { })
            .Build();
        _earliest =
        [
            .. topics.SelectMany(topic =>
                Enumerable
                    .Range(0, partitions)
                    .Select(partition => new TopicPartitionOffsetSpec
                    {
                        TopicPartition = new TopicPartition(topic, partition),
                        OffsetSpec = OffsetSpec.Earliest(),
                    })
            ),
        ];
        _watching = Task.Run(Watch);
    }

    public string BootstrapServers { get; }

    public IReadOnlyList<string> Topics { get; }

    public int Partitions { get; }

    public bool IsUp { get; private set; } = true;

    /// <summary>Partitions that have lost records, with the first offset that is left.</summary>
    public IReadOnlyDictionary<TopicPartition, long> Truncated
    {
        get
        {
            lock (_gate)
                return new Dictionary<TopicPartition, long>(_truncated);
        }
    }

    public void Down()
    {
        IsUp = false;
        _cluster.Down();
    }

    public void Up()
    {
        _cluster.Up();
        IsUp = true;
    }

    /// <summary>Looks at every partition's first offset now.</summary>
    public async Task Look()
    {
        var result = await _admin.ListOffsetsAsync(
            _earliest,
            new ListOffsetsOptions { RequestTimeout = TimeSpan.FromSeconds(10) }
        );
        foreach (var info in result.ResultInfos)
        {
            var at = info.TopicPartitionOffsetError;
            if (at.Error.IsError || at.Offset.Value <= 0)
                continue;
            bool isNew;
            lock (_gate)
            {
                isNew = _truncated.TryAdd(at.TopicPartition, at.Offset.Value);
                _truncated[at.TopicPartition] = at.Offset.Value;
            }

            if (isNew)
                _log.Truncated(at.Topic, at.Partition.Value, at.Offset.Value);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _admin.Dispose();
        await _relay.DisposeAsync();
        _cluster.Dispose();
        _stop.Dispose();
    }

    async Task Watch()
    {
        using var timer = new PeriodicTimer(WatchEvery, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                if (!IsUp)
                    continue;
                try
                {
                    await Look();
                }
                catch (KafkaException failure)
                {
                    if (IsUp)
                        _log.WatermarksUnreadable(failure.Error.Code.ToString());
                }
            }
        }
        catch (OperationCanceledException) { }
    }
}

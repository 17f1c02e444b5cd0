using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>
/// The one place where clients of Kafka get their settings. What the promises rest on is fixed here, and an override of it
/// is refused at start with the reason; everything else can be overridden.
/// </summary>
public sealed class KafkaClients(
    IOptions<KafkaOptions> options,
    IOptions<ReplicaOptions> replica,
    ProcessIdentity identity,
    ILoggerFactory loggers
)
{
    /// <summary>What a batch may take: 10 s a try, three tries, and room; also the time a rebalance waits for a member.</summary>
    public static readonly TimeSpan MaxPollInterval = TimeSpan.FromSeconds(120);

    internal static readonly IReadOnlyList<FixedProperty> FixedForConsumer =
    [
        new("enable.auto.offset.store", "false", "otherwise uncommitted work looks done"),
        new("auto.offset.reset", "error", "any other value jumps over records without a signal"),
        new("partition.assignment.strategy", "range", "one customer's topics must meet in one process"),
        new("group.protocol", "classic", "the assignment protocol is written for it"),
        new("enable.auto.commit", "true", "tools see the lag by it; it is never a start position"),
        new("allow.auto.create.topics", "false", "a typing error must not become a topic"),
        new("enable.partition.eof", "false", "the loop expects records only"),
    ];

    internal static readonly IReadOnlyList<FixedProperty> FixedForProducer =
    [
        new("acks", "all", "an acknowledged message must survive a broker"),
        new("request.required.acks", "all", "an acknowledged message must survive a broker"),
        new("enable.idempotence", "true", "without it a retry changes the order of a key"),
        new("max.in.flight", "5", "more would change the order of a key"),
        new("max.in.flight.requests.per.connection", "5", "more would change the order of a key"),
        new("message.timeout.ms", "0", "a message that times out is overtaken by its successors"),
        new("delivery.timeout.ms", "0", "a message that times out is overtaken by its successors"),
        new("partitioner", "murmur2_random", "keys must land where every other client puts them"),
        new("transactional.id", "", "PostgreSQL and Kafka still would not commit together"),
    ];

    readonly ILogger _logger = loggers.CreateLogger("Sync.Messaging.Kafka.Client");

    /// <summary>The settings that every client of this process has.</summary>
    public ClientConfig Client() => Common(new ClientConfig());

    public AdminClientConfig Admin() => new(Common(new ClientConfig()));

    /// <summary>For the one consumer of a loop.</summary>
    public ConsumerConfig Consumer(string group)
    {
        var config = new ConsumerConfig(Common(new ClientConfig()))
        {
            GroupId = group,
            EnableAutoCommit = true,
            AutoCommitIntervalMs = 1_000,
            EnableAutoOffsetStore = false,
            AutoOffsetReset = AutoOffsetReset.Error,
            IsolationLevel = IsolationLevel.ReadCommitted,
            PartitionAssignmentStrategy = PartitionAssignmentStrategy.Range,
            MaxPollIntervalMs = (int)MaxPollInterval.TotalMilliseconds,
            SessionTimeoutMs = options.Value.Embedded ? 6_000 : 15_000,
            HeartbeatIntervalMs = options.Value.Embedded ? 1_000 : 3_000,
            // The embedded Kafka does not wake a waiting fetch: the wait is what a record waits.
            FetchWaitMaxMs = options.Value.Embedded ? 5 : 50,
            FetchMinBytes = 1,
            QueuedMaxMessagesKbytes = 16_384,
            MaxPartitionFetchBytes = 2 * 1024 * 1024,
            AllowAutoCreateTopics = false,
            EnablePartitionEof = false,
            StatisticsIntervalMs = 10_000,
        };
        Override(config, options.Value.Consumer);
        return config;
    }

    /// <summary>For the outbox, and for whoever else writes to topics that Sync reads.</summary>
    public ProducerConfig Producer()
    {
        var config = new ProducerConfig(Common(new ClientConfig()))
        {
            Acks = Acks.All,
            EnableIdempotence = true,
            // A broker refuses a request whose sequence number is not the next one; the embedded one looks at no sequence
            // number, so that a request behind a failed one would be stored before it.
            MaxInFlight = options.Value.Embedded ? 1 : 5,
            MessageTimeoutMs = 0,
            Partitioner = Partitioner.Murmur2Random,
            LingerMs = 0,
            BatchNumMessages = 1_000,
            CompressionType = CompressionType.Lz4,
            MessageMaxBytes = 1_000_000,
            QueueBufferingMaxMessages = 100_000,
        };
        Override(config, options.Value.Producer);
        return config;
    }

    /// <summary>A client's own log lines go into the process's log: <c>builder.SetLogHandler(clients.Log)</c>.</summary>
    public void Log(object? client, LogMessage message)
    {
        var level = (LogLevel)message.LevelAs(LogLevelType.MicrosoftExtensionsLogging);
        _logger.ClientLine(level, message.Name, message.Facility, message.Message);
    }

    T Common<T>(T config)
        where T : ClientConfig
    {
        var kafka = options.Value;
        config.BootstrapServers = kafka.Bootstrap;
        config.ClientId = $"{identity.Name}-{replica.Value.Replica}";
        config.SecurityProtocol = kafka.SecurityProtocol;
        config.SaslMechanism = kafka.SaslMechanism;
        config.SaslUsername = kafka.SaslUsername;
        config.SaslPassword = kafka.SaslPassword;
        config.SslCaLocation = kafka.SslCaLocation;
        Override(config, kafka.Client);
        return config;
    }

    static void Override(ClientConfig config, Dictionary<string, string> overrides)
    {
        foreach (var (setting, value) in overrides)
            config.Set(KafkaOptions.PropertyName(setting), value);
    }
}

using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Sync.Sandbox.Kafka;

namespace Sync.Tests.Support;

/// <summary>
/// Kafka for one test: an embedded one of its own or, where <c>SYNC_TEST_KAFKA</c> names bootstrap servers, topics of its own
/// there. Faults are the embedded one's to make: a test that asks for one is skipped on real servers.
/// </summary>
public sealed class TestKafka : IDisposable
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    static volatile bool s_asksOnly;
    readonly EmbeddedKafka? _embedded;
    readonly List<string> _created = [];

    public TestKafka(IEnumerable<string> topics, int partitions)
    {
        if (Server is { } server)
        {
            BootstrapServers = server;
            Prefix = $"test-{Guid.NewGuid():n}.";
            Create([.. topics.Select(Named)], partitions);
        }
        else
        {
            _embedded = new(topics, partitions);
            BootstrapServers = _embedded.BootstrapServers;
            Prefix = "";
        }
    }

    /// <summary>Bootstrap servers of a cluster that is there already; null where each test has an embedded one.</summary>
    public static string? Server =>
        Environment.GetEnvironmentVariable("SYNC_TEST_KAFKA") is { Length: > 0 } server ? server : null;

    public string BootstrapServers { get; }

    public bool IsEmbedded => _embedded is not null;

    /// <summary>What the names of this test's topics and groups begin with.</summary>
    public string Prefix { get; }

    /// <summary>The topic that a test calls so.</summary>
    public string Named(string topic) => Prefix + topic;

    /// <summary>For a test of what only the embedded Kafka does.</summary>
    public static void NeedsEmbedded(string why)
    {
        if (Server is not null)
            Assert.Skip($"{why}, which only the embedded Kafka can; SYNC_TEST_KAFKA names a server");
    }

    public void CreateTopic(string topic, int partitions)
    {
        if (_embedded is null)
            Create([Named(topic)], partitions);
        else
            _embedded.CreateTopic(topic, partitions);
    }

    /// <inheritdoc cref="EmbeddedKafka.Down"/>
    public void Down() => Faults().Down();

    /// <inheritdoc cref="EmbeddedKafka.Up"/>
    public void Up() => Faults().Up();

    /// <inheritdoc cref="EmbeddedKafka.FailNext"/>
    public void FailNext(short apiKey, params int[] errors) => Faults().FailNext(apiKey, errors);

    public void Dispose()
    {
        _embedded?.Dispose();
        if (_created.Count == 0)
            return;
        using var admin = Admin();
        try
        {
            admin.DeleteTopicsAsync(_created, new() { RequestTimeout = Limit }).GetAwaiter().GetResult();
        }
        catch (KafkaException e)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"topics {Prefix}* are left on the server: {e.Error.Code}");
        }
    }

    EmbeddedKafka Faults()
    {
        NeedsEmbedded("a broker that fails when asked to");
        return _embedded!;
    }

    void Create(List<string> topics, int partitions)
    {
        using var admin = Admin();
        try
        {
            if (s_asksOnly)
            {
                Ask(admin, topics, partitions);
                return;
            }

            admin
                .CreateTopicsAsync(
                    topics.Select(t => new TopicSpecification { Name = t, NumPartitions = partitions }),
                    new() { RequestTimeout = Limit, OperationTimeout = Limit }
                )
                .GetAwaiter()
                .GetResult();
            _created.AddRange(topics);
        }
        catch (KafkaException e)
            when (e is not CreateTopicsException
                && e.Error.Code is ErrorCode.Local_UnsupportedFeature or ErrorCode.Local_TimedOut
            )
        {
            // The embedded Kafka has no controller for another process; it makes the topics that it is asked about.
            s_asksOnly = true;
            Ask(admin, topics, partitions);
        }
    }

    static void Ask(IAdminClient admin, List<string> topics, int partitions)
    {
        foreach (var topic in topics)
            Ask(admin, topic, partitions);
    }

    static void Ask(IAdminClient admin, string topic, int partitions)
    {
        for (var attempt = 0; attempt < 100; attempt++)
        {
            var found = admin.GetMetadata(topic, Limit).Topics.Find(t => t.Topic == topic);
            if (found is not { Error.Code: ErrorCode.NoError, Partitions.Count: > 0 })
                continue;
            if (found.Partitions.Count != partitions)
                Assert.Skip(
                    $"{partitions} partitions are needed; the server of SYNC_TEST_KAFKA creates no topics, only of itself some of {found.Partitions.Count}"
                );
            return;
        }

        throw new InvalidOperationException(
            $"topic {topic} is not there, and the server of SYNC_TEST_KAFKA neither creates it when asked nor of itself"
        );
    }

    IAdminClient Admin() =>
        new AdminClientBuilder(Config()).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();

    ClientConfig Config() => new() { BootstrapServers = BootstrapServers };
}

using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

/// <summary>A process of the kernel's sending half, in this process: as a vendor's adapter is, without a vendor.</summary>
sealed class PingProcess : IAsyncDisposable
{
    public const int Partitions = 4;

    /// <summary>What the names of a test's topics begin with on a server that others use as well.</summary>
    const string Prefix = "Ping:Prefix";

    readonly IHost _host;

    PingProcess(IHost host, CapturedLogs logs)
    {
        _host = host;
        Logs = logs;
    }

    public CapturedLogs Logs { get; }

    public IServiceProvider Services => _host.Services;

    public IOutbox Outbox => Services.GetRequiredService<IOutbox>();

    public HealthBoard Board => Services.GetRequiredService<HealthBoard>();

    public static Dictionary<string, string?> Settings(TestPostgres database, string bootstrap, string replica) =>
        new()
        {
            ["Kafka:Bootstrap"] = bootstrap,
            ["Kafka:Embedded"] = "true",
            ["Kafka:Partitions"] = $"{Partitions}",
            ["Database:Url"] = database.ConnectionString,
            ["Database:MigrateAtStart"] = "true",
            ["Sync:Replica"] = replica,
        };

    public static HostApplicationBuilder Builder(IDictionary<string, string?> settings, CapturedLogs logs)
    {
        var builder = SyncProcess.CreateBuilder([], new ProcessIdentity("ping", PingDb.Schema, "sync-ping"));
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(logs);
        var prefix = settings.TryGetValue(Prefix, out var named) ? named! : "";
        builder.Services.AddMessaging<PingDb>(catalog => catalog.Add(PingedJson.Kind(prefix)));
        return builder;
    }

    public static async Task<PingProcess> Start(
        TestPostgres database,
        TestKafka kafka,
        string replica = "a",
        Action<HostApplicationBuilder>? configure = null
    )
    {
        var logs = new CapturedLogs();
        var settings = Settings(database, kafka.BootstrapServers, replica);
        settings["Kafka:Embedded"] = $"{kafka.IsEmbedded}";
        settings["Consuming:DeadLetterTopic"] = kafka.Named(PingStage.DeadLetters);
        settings[Prefix] = kafka.Prefix;
        var builder = Builder(settings, logs);
        configure?.Invoke(builder);
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new(host, logs);
    }

    /// <summary>Writes rows as a worker does: in a transaction of its own, then the signal.</summary>
    public async Task Send(params Pinged[] messages)
    {
        var source = Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Outbox.Write(connection, [.. messages.Select(m => Outbox.Encode(m))], CancellationToken.None);
        await transaction.CommitAsync();
        Outbox.Signal();
    }

    public Task Stop() => _host.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}

/// <summary>Database, Kafka and what reads it back, for one test.</summary>
sealed class PingStage : IAsyncDisposable
{
    public const string DeadLetters = "sync.dead-letters.v1";

    PingStage(TestPostgres database, TestKafka kafka, KafkaReader reader)
    {
        Database = database;
        Kafka = kafka;
        Reader = reader;
    }

    public TestPostgres Database { get; }

    public TestKafka Kafka { get; }

    public KafkaReader Reader { get; }

    public static async Task<PingStage> Set(params string[] moreTopics)
    {
        string[] topics = ["pings", .. moreTopics];
        var kafka = new TestKafka([.. topics, DeadLetters], PingProcess.Partitions);
        return new(await TestPostgres.Create(), kafka, Read(kafka, topics));
    }

    /// <summary>Reads topics of this stage, by the names that tests call them.</summary>
    public KafkaReader Read(params string[] topics) => Read(Kafka, topics);

    public Task<long> OutboxRows() => Database.Scalar<long>($"select count(*) from {PingDb.Schema}.outbox");

    public Task IsEmpty() => Eventually.Is(async () => await OutboxRows() == 0, "the outbox is empty");

    static KafkaReader Read(TestKafka kafka, string[] topics) =>
        new(kafka.BootstrapServers, PingProcess.Partitions, [.. topics.Select(kafka.Named)]);

    public async ValueTask DisposeAsync()
    {
        Reader.Dispose();
        Kafka.Dispose();
        await Database.DisposeAsync();
    }
}

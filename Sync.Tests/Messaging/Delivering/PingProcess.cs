using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Sandbox.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

/// <summary>A process of the kernel's sending half, in this process: as a vendor's adapter is, without a vendor.</summary>
sealed class PingProcess : IAsyncDisposable
{
    public const int Partitions = 4;
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
        builder.Services.AddMessaging<PingDb>(catalog => catalog.Add(PingedJson.Kind));
        return builder;
    }

    public static async Task<PingProcess> Start(
        TestPostgres database,
        EmbeddedKafka kafka,
        string replica = "a",
        Action<HostApplicationBuilder>? configure = null
    )
    {
        var logs = new CapturedLogs();
        var builder = Builder(Settings(database, kafka.BootstrapServers, replica), logs);
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

    PingStage(TestPostgres database, EmbeddedKafka kafka, KafkaReader reader)
    {
        Database = database;
        Kafka = kafka;
        Reader = reader;
    }

    public TestPostgres Database { get; }

    public EmbeddedKafka Kafka { get; }

    public KafkaReader Reader { get; }

    public static async Task<PingStage> Set(params string[] moreTopics)
    {
        string[] topics = ["pings", .. moreTopics];
        var kafka = new EmbeddedKafka([.. topics, DeadLetters], PingProcess.Partitions);
        return new(await TestPostgres.Create(), kafka, new(kafka.BootstrapServers, PingProcess.Partitions, topics));
    }

    public Task<long> OutboxRows() => Database.Scalar<long>($"select count(*) from {PingDb.Schema}.outbox");

    public Task IsEmpty() => Eventually.Is(async () => await OutboxRows() == 0, "the outbox is empty");

    public async ValueTask DisposeAsync()
    {
        Reader.Dispose();
        Kafka.Dispose();
        await Database.DisposeAsync();
    }
}

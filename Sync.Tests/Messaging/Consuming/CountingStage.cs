using System.Text;
using Confluent.Kafka;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Sagas;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>A process of the kernel's consuming half, in this process.</summary>
sealed class CountingProcess : IAsyncDisposable
{
    /// <summary>What the names of a test's topics and groups begin with on a server that others use as well.</summary>
    public const string Prefix = "Counting:Prefix";

    readonly IHost _host;

    CountingProcess(IHost host, CapturedLogs logs)
    {
        _host = host;
        Logs = logs;
    }

    public CapturedLogs Logs { get; }

    public IServiceProvider Services => _host.Services;

    public Behaviour Behaviour => Services.GetRequiredService<Behaviour>();

    public ConsumerBoard Board => Services.GetRequiredService<ConsumerBoard>();

    public static HostApplicationBuilder Builder(IDictionary<string, string?> settings)
    {
        var prefix = settings.TryGetValue(Prefix, out var named) ? named! : "";
        var builder = SyncProcess.CreateBuilder(
            [],
            new ProcessIdentity("counting", CountingDb.Schema, GroupOf(prefix))
        );
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddMessaging<CountingDb>(catalog => CountingJson.Fill(catalog, prefix));
        builder.Services.AddSingleton<Behaviour>();
        builder.Services.AddBatchRows<Effect, EffectWriter>();
        return builder;
    }

    public static string GroupOf(string prefix) => $"{prefix}sync-counting";

    public static void Consume(
        IHostApplicationBuilder builder,
        string[] topics,
        Action<TopicEndpointConfigurator, IRiderRegistrationContext>? configure = null,
        Action<IRiderRegistrationConfigurator>? register = null
    )
    {
        var prefix = builder.Configuration[Prefix] ?? "";
        builder.Services.AddMassTransit(x =>
        {
            x.DisableUsageTelemetry();
            x.UsingInMemory();
            x.AddRider(r =>
            {
                r.AddSagaStateMachine<CountingMachine, Counter>().EntityFrameworkRepository<Counter, CountingDb>();
                register?.Invoke(r);
                r.UsingKafka(
                    (context, k) =>
                        k.TopicEndpoint(
                            GroupOf(prefix),
                            topics.Select(t => prefix + t),
                            e =>
                            {
                                configure?.Invoke(e, context);
                                e.ConfigureSaga<Counter>(context);
                            }
                        )
                );
            });
        });
    }

    public static async Task<CountingProcess> Start(HostApplicationBuilder builder, Action<Behaviour>? behaviour = null)
    {
        var logs = new CapturedLogs();
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(logs);
        var host = builder.Build();
        behaviour?.Invoke(host.Services.GetRequiredService<Behaviour>());
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new(host, logs);
    }

    public Task Stop() => _host.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        // What the process had to say is worth having when a test fails, and only then is it shown.
        foreach (
            var line in Logs.Lines.Where(l => l.Level >= LogLevel.Warning || l.Event is >= 4100 and < 4200).Take(200)
        )
            TestContext.Current.TestOutputHelper?.WriteLine($"{line.Event} {line.Level} {line.Text} {line.Exception}");
    }
}

/// <summary>Database, Kafka, and a producer that writes as any stranger would.</summary>
sealed class CountingStage : IAsyncDisposable
{
    public const int Partitions = 4;
    readonly IProducer<byte[], byte[]> _producer;

    CountingStage(TestPostgres database, TestKafka kafka)
    {
        Database = database;
        Kafka = kafka;
        _producer = Producer(kafka.BootstrapServers);
    }

    public TestPostgres Database { get; }

    public TestKafka Kafka { get; }

    public string Group => CountingProcess.GroupOf(Kafka.Prefix);

    public static string[] Topics => [CountingJson.Steps, CountingJson.MoreSteps];

    public static async Task<CountingStage> Set() => new(await TestPostgres.Create(), NewKafka());

    public static TestKafka NewKafka() =>
        new([.. Topics, CountingJson.Echoes, new ConsumingOptions().DeadLetterTopic], Partitions);

    public static IProducer<byte[], byte[]> Producer(string bootstrap) => new ProducerBuilder<byte[], byte[]>(
            new ProducerConfig
            {
                BootstrapServers = bootstrap,
                Partitioner = Partitioner.Murmur2Random,
                EnableIdempotence = true,
                LingerMs = 2,
                MessageMaxBytes = 3_000_000,
            }
        ).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();

    public Dictionary<string, string?> Settings(string replica = "a", string? bootstrap = null) =>
        new()
        {
            ["Kafka:Bootstrap"] = bootstrap ?? Kafka.BootstrapServers,
            ["Kafka:Embedded"] = $"{Kafka.IsEmbedded}",
            ["Kafka:Partitions"] = $"{Partitions}",
            ["Consuming:DeadLetterTopic"] = Kafka.Named(new ConsumingOptions().DeadLetterTopic),
            [CountingProcess.Prefix] = Kafka.Prefix,
            ["Database:Url"] = Database.ConnectionString,
            ["Database:MigrateAtStart"] = "true",
            ["Sync:Replica"] = replica,
        };

    public Task<CountingProcess> Start(
        Action<Behaviour>? behaviour = null,
        string replica = "a",
        Action<HostApplicationBuilder>? build = null,
        Action<TopicEndpointConfigurator, IRiderRegistrationContext>? configure = null,
        Action<IRiderRegistrationConfigurator>? register = null
    )
    {
        var builder = CountingProcess.Builder(Settings(replica));
        build?.Invoke(builder);
        CountingProcess.Consume(builder, Topics, configure, register);
        return CountingProcess.Start(builder, behaviour);
    }

    public static Message<byte[], byte[]> Record(object message, string? topic = null)
    {
        var catalog = new MessageCatalog();
        CountingJson.Fill(catalog, "");
        var encoded = new MessageEncoder(catalog, "test", TimeProvider.System).Encode(message);
        var headers = new Confluent.Kafka.Headers();
        foreach (var (name, value) in encoded.Headers)
            headers.Add(name, value);
        return new()
        {
            Key = encoded.Key,
            Value = encoded.Body,
            Headers = headers,
        };
    }

    public Task<DeliveryResult<byte[], byte[]>> Send(object message, string topic = CountingJson.Steps) =>
        _producer.ProduceAsync(Kafka.Named(topic), Record(message));

    public Task<DeliveryResult<byte[], byte[]>[]> Send(
        IEnumerable<object> messages,
        string topic = CountingJson.Steps
    ) => Task.WhenAll(messages.Select(m => Send(m, topic)).ToList());

    public Task<DeliveryResult<byte[], byte[]>> SendRaw(
        Message<byte[], byte[]> record,
        string topic = CountingJson.Steps
    ) => _producer.ProduceAsync(Kafka.Named(topic), record);

    /// <summary>Reads topics of this stage, by the names that tests call them.</summary>
    public KafkaReader Read(params string[] topics) =>
        new(Kafka.BootstrapServers, Partitions, [.. topics.Select(Kafka.Named)]);

    public static Added Add(string key, long value, Guid? counter = null, string? ask = null, string? text = null) =>
        new()
        {
            Key = key,
            Counter = counter ?? Id(key),
            Value = value,
            Ask = ask,
            Text = text,
        };

    public static Guid Id(string key) =>
        new(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(key))[..16]);

    public Task<long> Effects() => Database.Scalar<long>($"select count(*) from {CountingDb.Schema}.effect");

    public Task<long> DeadLetters() => Database.Scalar<long>($"select count(*) from {CountingDb.Schema}.dead_letter");

    public Task Until(Func<CountingStage, Task<long>> count, long expected, string what) =>
        Eventually.Is(async () => await count(this) >= expected, $"{expected} {what}");

    public async Task<List<T>> Query<T>(string sql, Func<NpgsqlDataReader, T> read)
    {
        await using var command = Database.DataSource.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<T>();
        while (await reader.ReadAsync())
            rows.Add(read(reader));
        return rows;
    }

    public async ValueTask DisposeAsync()
    {
        _producer.Dispose();
        Kafka.Dispose();
        await Database.DisposeAsync();
    }
}

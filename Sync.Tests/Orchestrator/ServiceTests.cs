using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Contracts;
using Sync.Messaging.Hosting;
using Sync.Orchestrator;
using Sync.Orchestrator.Storage;
using Sync.Sandbox.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>The orchestrator as it runs: from Kafka, through the machine, into PostgreSQL and back onto Kafka.</summary>
public sealed class ServiceTests
{
    const int Partitions = 4;

    [Fact]
    public async Task A_snapshot_on_kafka_becomes_a_row_a_timeline_and_a_command_for_every_vendor()
    {
        await using var stage = await Stage.Set();
        using var reader = new KafkaReader(
            stage.Kafka.BootstrapServers,
            Partitions,
            Topics.Commands("billing"),
            Topics.Commands("crm")
        );

        await stage.Produce(
            Topics.Customers,
            "c-1",
            "product.customer.created.v1",
            """{"customerId":"c-1","revision":1,"customer":{"name":"Ann","email":"ann@example.com","phone":null,"attributes":{}}}"""
        );
        var commands = (await reader.Read(2)).ToList();
        Assert.All(commands, c => Assert.Equal(("c-1", "sync.customer.push.v1"), (c.Key, c.Header("ce_type"))));
        Assert.All(commands, c => Assert.Contains("\"operation\":\"create\"", c.Value, StringComparison.Ordinal));
        Assert.Equal(
            "Live",
            await stage.Database.Scalar<string>("select state from dashboard.customers where customer_id = 'c-1'")
        );
        Assert.Equal(
            3L,
            await stage.Database.Scalar<long>("select count(*) from sync.timeline where customer_id = 'c-1'")
        );
        Assert.Equal(1L, await stage.Database.Scalar<long>("select count(*) from sync.schedule"));
        Assert.Single(stage.Logs.Of(1000));

        // Whoever waits for an answer that was lost asks again, unchanged, when the timer rings.
        await stage.Database.Execute("update sync.schedule set due_at = now()");
        var repeated = (await reader.Read(4)).Skip(2).ToList();
        Assert.Equal(
            commands.Select(c => c.Value).Order(StringComparer.Ordinal),
            repeated.Select(c => c.Value).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task A_report_about_nobody_parks_the_object_where_a_person_sees_it()
    {
        await using var stage = await Stage.Set();

        await stage.Produce(
            Topics.Reports("crm"),
            "c-9",
            "sync.customer.reported.v1",
            """{"system":"crm","customerId":"c-9","generation":0,"obs":1,"externalId":"crm-9"}"""
        );

        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<long>(
                    "select count(*) from dashboard.attention where external_id = 'crm-9' and detail = 'unknown customer'"
                ) == 1,
            "the object is parked"
        );
        Assert.Equal(0L, await stage.Database.Scalar<long>("select count(*) from sync.customer"));
    }

    [Fact]
    public async Task What_can_never_be_handled_is_dead_lettered_with_its_reason_and_the_rest_goes_on()
    {
        await using var stage = await Stage.Set();
        async Task Product(long revision, string customer) =>
            await stage.Produce(
                Topics.Customers,
                "c-1",
                "product.customer.updated.v1",
                $$"""{"customerId":"c-1","revision":{{revision}},"customer":{{customer}}}"""
            );

        await Product(1, """{"name":"Ann","email":null,"phone":null}""");
        await Product(2, """{"name":"Secretta","email":null}""");
        await Product(3, """{"name":"nul\u0000Secretta","email":null,"phone":null}""");
        await stage.Produce(
            Topics.Reports("crm"),
            "c-1",
            "sync.customer.reported.v1",
            """{"system":"fax","customerId":"c-1","generation":0,"obs":1}"""
        );
        await Product(4, """{"name":"Bea","email":null,"phone":null}""");

        await Eventually.Is(
            async () => await stage.Database.Scalar<long>("select coalesce(max(revision), 0) from sync.customer") == 2,
            "the last snapshot is merged"
        );
        await Eventually.Is(
            async () => await stage.Database.Scalar<long>("select count(*) from sync.dead_letter") == 3,
            "three dead letters"
        );
        Assert.Equal(
            "schema schema unknown-system",
            await stage.Database.Scalar<string>(
                "select string_agg(reason_code, ' ' order by reason_code) from sync.dead_letter"
            )
        );
        Assert.Equal(
            0L,
            await stage.Database.Scalar<long>("select count(*) from sync.dead_letter where reason like '%Secretta%'")
        );
    }

    [Fact]
    public async Task Every_fault_of_settings_and_mapping_is_named_at_once_and_the_start_refused()
    {
        var logs = new CapturedLogs();
        var builder = Builder(
            new Dictionary<string, string?>
            {
                ["Product:Mode"] = "sideways",
                ["Sync:Config"] = Path.Combine(Repository.Root, "no-such-folder"),
            },
            logs
        );

        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(builder, []));

        var faults = logs.Of(4162).Select(l => l.Text).ToList();
        Assert.All(
            (string[])["PRODUCT__MODE", "systems.json", "fields.json", "DATABASE__URL", "KAFKA__BOOTSTRAP"],
            name => Assert.Contains(faults, f => f.Contains(name, StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task A_product_that_is_only_read_is_said_at_start()
    {
        await using var stage = await Stage.Set(("Product:Mode", "one-way"));

        Assert.Single(stage.Logs.Of(1001));
        Assert.Contains("one-way", Assert.Single(stage.Logs.Of(1000)).Text, StringComparison.Ordinal);
    }

    static HostApplicationBuilder Builder(IDictionary<string, string?> settings, CapturedLogs logs)
    {
        var builder = SyncProcess.CreateBuilder(
            [],
            new ProcessIdentity("orchestrator", OrchestratorDb.Schema, Groups.Orchestrator)
        );
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(logs);
        builder.Services.AddOrchestrator();
        return builder;
    }

    sealed class Stage : IAsyncDisposable
    {
        readonly IHost _host;
        readonly IProducer<byte[], byte[]> _producer;
        readonly string _config;

        Stage(TestPostgres database, EmbeddedKafka kafka, IHost host, CapturedLogs logs, string config)
        {
            Database = database;
            Kafka = kafka;
            _host = host;
            Logs = logs;
            _config = config;
            _producer = new ProducerBuilder<byte[], byte[]>(
                new ProducerConfig
                {
                    BootstrapServers = kafka.BootstrapServers,
                    Partitioner = Partitioner.Murmur2Random,
                }
            ).Build();
        }

        public TestPostgres Database { get; }
        public EmbeddedKafka Kafka { get; }
        public CapturedLogs Logs { get; }

        public static async Task<Stage> Set(params (string Name, string Value)[] settings)
        {
            var config = Directory.CreateTempSubdirectory("sync-mapping-").FullName;
            await File.WriteAllTextAsync(
                Path.Combine(config, "systems.json"),
                """
                [ { "name": "product", "fields": { "name": { "to": "name" }, "email": { "to": "email" }, "phone": { "to": "phone" } } },
                  { "name": "billing", "fields": { "name": { "to": "name" }, "email": { "to": "email" } } },
                  { "name": "crm", "fields": { "name": { "to": "Name" }, "phone": { "to": "Phone" } } } ]
                """
            );
            await File.WriteAllTextAsync(Path.Combine(config, "fields.json"), "[]");
            var database = await TestPostgres.Create();
            var kafka = new EmbeddedKafka(
                [
                    Topics.Customers,
                    Topics.CustomerCommands,
                    Topics.Requests,
                    Topics.DeadLetters,
                    Topics.Reports("billing"),
                    Topics.Commands("billing"),
                    Topics.Reports("crm"),
                    Topics.Commands("crm"),
                ],
                Partitions
            );
            var logs = new CapturedLogs();
            var builder = Builder(
                new Dictionary<string, string?>
                {
                    ["Kafka:Bootstrap"] = kafka.BootstrapServers,
                    ["Kafka:Embedded"] = "true",
                    ["Kafka:Partitions"] = $"{Partitions}",
                    ["Database:Url"] = database.ConnectionString,
                    ["Database:MigrateAtStart"] = "true",
                    ["Sync:Replica"] = "a",
                    ["Sync:Config"] = config,
                },
                logs
            );
            builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value));
            var host = builder.Build();
            await host.StartAsync(TestContext.Current.CancellationToken);
            return new(database, kafka, host, logs, config);
        }

        public Task Produce(string topic, string key, string type, string body) =>
            _producer.ProduceAsync(
                topic,
                new Message<byte[], byte[]>
                {
                    Key = Encoding.UTF8.GetBytes(key),
                    Value = Encoding.UTF8.GetBytes(body),
                    Headers = new()
                    {
                        { "ce_specversion", "1.0"u8.ToArray() },
                        { "ce_id", Encoding.UTF8.GetBytes(Guid.NewGuid().ToString()) },
                        { "ce_type", Encoding.UTF8.GetBytes(type) },
                        { "ce_source", "test"u8.ToArray() },
                        { "ce_time", "2026-01-02T03:04:05.000Z"u8.ToArray() },
                        { "content-type", "application/json"u8.ToArray() },
                    },
                }
            );

        public async ValueTask DisposeAsync()
        {
            await _host.StopAsync();
            _host.Dispose();
            _producer.Dispose();
            Kafka.Dispose();
            await Database.DisposeAsync();
            Directory.Delete(_config, recursive: true);
        }
    }
}

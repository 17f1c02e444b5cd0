using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Contracts;
using Sync.Orchestrator.Commands;
using Sync.Sandbox.Kafka;
using Sync.Tests.Support;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>What one run of the command line printed, and how it ended.</summary>
sealed record Printed(int ExitCode, string Out, string Error);

/// <summary>An orchestrator that runs, its database and an embedded Kafka: what the command line talks to.</summary>
public sealed class CommandLineStage : IAsyncLifetime
{
    public const int Partitions = 4;

    /// <summary>The topic of a product with JSON of its own. The orchestrator that runs here does not read it.</summary>
    public const string OwnTopic = "crm.people";

    readonly string _config = Directory.CreateTempSubdirectory("sync-mapping-").FullName;
    IHost? _host;
    IProducer<byte[], byte[]>? _producer;

    internal OrchestratorDatabase Database { get; private set; } = null!;

    internal EmbeddedKafka Kafka { get; private set; } = null!;

    internal Dictionary<string, string?> Settings { get; private set; } = [];

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllBytesAsync(Path.Combine(_config, "systems.json"), Systems);
        await File.WriteAllBytesAsync(Path.Combine(_config, "fields.json"), Fields);
        Database = await OrchestratorDatabase.Create();
        await Database.InsertOneOfEach();
        Kafka = new EmbeddedKafka(
            [
                Topics.Requests,
                Topics.DeadLetters,
                OwnTopic,
                .. TestRules
                    .Config.Systems.Keys.SelectMany(s => (string[])[Topics.Commands(s), Topics.Reports(s)])
                    .Distinct(),
            ],
            Partitions
        );
        Settings = new()
        {
            ["Kafka:Bootstrap"] = Kafka.BootstrapServers,
            ["Kafka:Embedded"] = "true",
            ["Kafka:Partitions"] = $"{Partitions}",
            ["Database:Url"] = Database.Postgres.ConnectionString,
            ["Sync:Replica"] = "a",
            ["Sync:Config"] = _config,
        };
        var builder = CommandLine.ProcessBuilder([]);
        builder.Configuration.AddInMemoryCollection(Settings);
        builder.Logging.ClearProviders();
        _host = builder.Build();
        await _host.StartAsync(TestContext.Current.CancellationToken);
        _producer = new ProducerBuilder<byte[], byte[]>(
            new ProducerConfig { BootstrapServers = Kafka.BootstrapServers, Partitioner = Partitioner.Murmur2Random }
        ).Build();
    }

    /// <summary>Runs a verb as <c>./sync</c> would, by a person called kim.</summary>
    internal Task<Printed> Run(params string[] args) => Run(Settings, typed: null, args);

    /// <param name="typed">What the person types when asked; null when nobody sits there.</param>
    internal static async Task<Printed> Run(Dictionary<string, string?> settings, string? typed, params string[] args)
    {
        await using var output = new StringWriter();
        await using var error = new StringWriter();
        var code = await CommandLine.Run(
            [.. args, "--by", "kim"],
            new Terminal(
                new StringReader(typed ?? ""),
                output,
                error,
                OutIsTerminal: false,
                ErrorIsTerminal: false,
                InIsTerminal: typed is not null,
                settings
            ),
            TestContext.Current.CancellationToken
        );
        return new(code, output.ToString(), error.ToString());
    }

    public Task Produce(string topic, string key, string type, string body) =>
        Produce(
            topic,
            key,
            body,
            new Headers
            {
                { "ce_specversion", "1.0"u8.ToArray() },
                { "ce_id", Encoding.UTF8.GetBytes(Guid.NewGuid().ToString()) },
                { "ce_type", Encoding.UTF8.GetBytes(type) },
                { "ce_source", "test"u8.ToArray() },
                { "ce_time", "2026-01-02T03:04:05.000Z"u8.ToArray() },
                { "content-type", "application/json"u8.ToArray() },
            }
        );

    /// <param name="key">Null for a record without one.</param>
    public Task<DeliveryResult<byte[], byte[]>> Produce(string topic, string? key, string body, Headers headers) =>
        _producer!.ProduceAsync(
            topic,
            new Message<byte[], byte[]>
            {
                Key = key is null ? null! : Encoding.UTF8.GetBytes(key),
                Value = Encoding.UTF8.GetBytes(body),
                Headers = headers,
            }
        );

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.StopAsync();
            _host.Dispose();
        }

        _producer?.Dispose();
        Kafka.Dispose();
        await Database.DisposeAsync();
        Directory.Delete(_config, recursive: true);
    }
}

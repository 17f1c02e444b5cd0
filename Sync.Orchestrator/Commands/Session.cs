using Confluent.Kafka;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>What a verb has around it: where to print, who asks, and the services of the process, none of them started.</summary>
sealed class Session(Terminal terminal, Output output, string requestedBy, TimeSpan wait) : IAsyncDisposable
{
    readonly Lazy<IHost> _host = new(() => Build(terminal));

    public Output Output => output;
    public Terminal Terminal => terminal;

    /// <summary>Who asks, for the timeline.</summary>
    public string RequestedBy => requestedBy;

    /// <summary>How long an answer is waited for.</summary>
    public TimeSpan Wait => wait;

    public IServiceProvider Services => _host.Value.Services;
    public NpgsqlDataSource Database => Services.GetRequiredService<NpgsqlDataSource>();
    public SyncConfig Config => Services.GetRequiredService<SyncConfig>();
    public MessageEncoder Encoder => Services.GetRequiredService<MessageEncoder>();
    public KafkaClients Kafka => Services.GetRequiredService<KafkaClients>();
    public TimeProvider Time => Services.GetRequiredService<TimeProvider>();

    /// <summary>Partitions of every topic.</summary>
    public int Partitions => Services.GetRequiredService<IOptions<KafkaOptions>>().Value.Partitions;

    /// <summary>Sends one message as the outbox would, and says by the message's id that Kafka has it.</summary>
    /// <exception cref="CommandFailedException">Kafka did not acknowledge it.</exception>
    public async Task<Guid> Produce(object message, CancellationToken cancellationToken)
    {
        var record = Encoder.Encode(message);
        var config = Kafka.Producer();
        // The outbox retries for ever; a person waits for a definite answer.
        config.MessageTimeoutMs = (int)KafkaTimeout.TotalMilliseconds;
        using var producer = new ProducerBuilder<byte[], byte[]>(config)
            .SetLogHandler((_, _) => { })
            .SetErrorHandler((_, _) => { })
            .Build();
        var headers = new Headers();
        foreach (var (name, value) in record.Headers)
            headers.Add(new Header(name, value));
        try
        {
            await producer.ProduceAsync(
                record.Topic,
                new Message<byte[], byte[]>
                {
                    Key = record.Key,
                    Value = record.Body,
                    Headers = headers,
                },
                cancellationToken
            );
        }
        catch (ProduceException<byte[], byte[]> e)
        {
            throw new CommandFailedException(
                ExitCodes.Failed,
                "kafka-unreachable",
                $"Kafka did not take the request for {record.Topic} ({e.Error.Code}).",
                "Check KAFKA__BOOTSTRAP and that the topic exists (topics), then ask again: asking twice does no harm."
            );
        }

        return Guid.Parse(record.Headers.Text(CloudEventNames.Id)!);
    }

    public ValueTask DisposeAsync()
    {
        if (_host.IsValueCreated)
            _host.Value.Dispose();
        return ValueTask.CompletedTask;
    }

    static readonly TimeSpan KafkaTimeout = TimeSpan.FromSeconds(10);

    static IHost Build(Terminal terminal)
    {
        var builder = CommandLine.ProcessBuilder([]);
        if (terminal.Settings is { } settings)
            builder.Configuration.AddInMemoryCollection(settings);
        // What failed is said to the person, once; the process's log lines would be noise between the tables.
        builder.Logging.ClearProviders();
        return builder.Build();
    }
}

/// <summary>Where a verb runs: its streams, at which of them a person sits, and settings beside the environment's.</summary>
sealed record Terminal(
    TextReader In,
    TextWriter Out,
    TextWriter Error,
    bool OutIsTerminal,
    bool ErrorIsTerminal,
    bool InIsTerminal,
    IDictionary<string, string?>? Settings = null
);

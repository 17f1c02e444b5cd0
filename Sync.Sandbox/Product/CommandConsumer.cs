using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Contracts.Customers;

namespace Sync.Sandbox.Product;

/// <summary>
/// Reads the product's commands with nothing but a Kafka client, from the first one: catalog and cluster forget together.
/// What cannot be read is skipped with a reason in the log, as a product may.
/// </summary>
sealed class CommandConsumer : IAsyncDisposable
{
    static readonly Dictionary<string, WireMessage> Kinds = Wire.All.ToDictionary(
        kind => kind.Type,
        StringComparer.Ordinal
    );

    readonly ProductCatalog _catalog;
    readonly ILogger _log;
    readonly CancellationTokenSource _stop = new();
    readonly ManualResetEventSlim _open = new(initialState: true);
    readonly Task _running;

    public CommandConsumer(ProductCatalog catalog, string bootstrap, int partitions, ILogger log)
    {
        _catalog = catalog;
        _log = log;
        var consumer = new ConsumerBuilder<byte[], byte[]>(
            new ConsumerConfig
            {
                BootstrapServers = bootstrap,
                GroupId = "product",
                EnableAutoCommit = false,
                AutoOffsetReset = AutoOffsetReset.Earliest,
                // The embedded cluster answers an empty fetch only when this has passed.
                FetchWaitMaxMs = 20,
                ReconnectBackoffMaxMs = 500,
            }
        ).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        consumer.Assign(
            Enumerable
                .Range(0, partitions)
                .Select(partition => new TopicPartitionOffset(Topics.CustomerCommands, partition, Offset.Beginning))
        );
        _running = Task.Factory.StartNew(
            () => Run(consumer),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
    }

    /// <summary>Applies no command any more, as a product does that is being deployed; its people may go on editing.</summary>
    public void Pause() => _open.Reset();

    /// <summary>Goes on with the command where it stopped.</summary>
    public void Resume() => _open.Set();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _open.Dispose();
        _stop.Dispose();
    }

    void Run(IConsumer<byte[], byte[]> consumer)
    {
        using (consumer)
        {
            while (true)
            {
                try
                {
                    var record = consumer.Consume(_stop.Token);
                    _open.Wait(_stop.Token);
                    if (Read(record, out var command) is { } reason)
                    {
                        _log.CommandSkipped(record.Topic, record.Partition.Value, record.Offset.Value, reason);
                        continue;
                    }

                    if (_catalog.Apply(command!, TraceParents.Answering(Header(record, "traceparent"))) is { } outcome)
                        _log.CommandApplied(command!.CommandId, command.CustomerId, outcome.ToString());
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                catch (ConsumeException failure)
                {
                    _log.CommandsUnreadable(failure.Error.Code.ToString());
                }
            }
        }
    }

    static string? Read(ConsumeResult<byte[], byte[]> record, out CustomerCommand? command)
    {
        command = null;
        if (Header(record, "ce_type") is not { } type || !Kinds.TryGetValue(type, out var kind))
            return "its ce_type is none of the contract";
        try
        {
            command = JsonSerializer.Deserialize(record.Message.Value, kind.Json) as CustomerCommand;
        }
        catch (JsonException)
        {
            return "its body is not what its ce_type says";
        }

        return command is null ? "its ce_type is not a command to the product" : kind.Problem(command);
    }

    static string? Header(ConsumeResult<byte[], byte[]> record, string name) =>
        record.Message.Headers.TryGetLastBytes(name, out var value) && value is not null
            ? Encoding.UTF8.GetString(value)
            : null;
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;

namespace Sync.Sandbox.Product;

/// <summary>
/// Carries the outbox to Kafka, in order for each key, as often as it takes: a batch is produced, and the next one starts
/// only when every record of it is acknowledged.
/// </summary>
sealed class EventDelivery : IAsyncDisposable
{
    const int MaxBatch = 1_000;
    const string Source = "/sandbox/product";

    readonly ProductOutbox _outbox;
    readonly string _bootstrap;
    readonly ILogger _log;
    readonly CancellationTokenSource _stop = new();
    readonly Task _running;

    public EventDelivery(ProductOutbox outbox, string bootstrap, ILogger log)
    {
        _outbox = outbox;
        _bootstrap = bootstrap;
        _log = log;
        _running = Task.Run(Run);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    /// <summary>A producer as every one of the contract is: Java's partitioner, idempotent, order kept.</summary>
    public static IProducer<byte[], byte[]> CreateProducer(string bootstrap, int maxBytes = 1_000_000) =>
        new ProducerBuilder<byte[], byte[]>(
            new ProducerConfig
            {
                BootstrapServers = bootstrap,
                Partitioner = Partitioner.Murmur2Random,
                EnableIdempotence = true,
                Acks = Acks.All,
                LingerMs = 1,
                CompressionType = CompressionType.Lz4,
                // A wait for the broker ends with the sandbox, not with a clock.
                MessageTimeoutMs = 0,
                ReconnectBackoffMaxMs = 500,
                AllowAutoCreateTopics = false,
                MessageMaxBytes = maxBytes,
            }
        ).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();

    async Task Run()
    {
        IProducer<byte[], byte[]>? producer = null;
        var batch = new List<ProductEvent>(MaxBatch);
        try
        {
            while (await _outbox.Waiting.WaitToReadAsync(_stop.Token))
            {
                while (batch.Count < MaxBatch && _outbox.Waiting.TryRead(out var next))
                    batch.Add(next);

                while (batch.Count > 0)
                {
                    producer ??= CreateProducer(_bootstrap);
                    var (undelivered, error) = await Send(producer, batch);
                    _outbox.Delivered(batch.Count - undelivered.Count);
                    batch = undelivered;
                    if (error is null)
                        continue;

                    // An idempotent producer that failed once is of no more use.
                    _log.EventsWait(error.Code.ToString(), _outbox.Pending);
                    producer.Dispose();
                    producer = null;
                    await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, _stop.Token);
                }
            }
        }
        catch (OperationCanceledException) { }
        finally
        {
            producer?.Dispose();
        }
    }

    async Task<(List<ProductEvent> Undelivered, Error? Error)> Send(
        IProducer<byte[], byte[]> producer,
        List<ProductEvent> batch
    )
    {
        var delivered = new bool[batch.Count];
        var left = batch.Count;
        Error? error = null;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        for (var i = 0; i < batch.Count; i++)
        {
            var index = i;
            try
            {
                producer.Produce(
                    batch[i].Kind.Topic(batch[i].Body),
                    Encode(batch[i]),
                    report =>
                    {
                        if (report.Error.IsError)
                            error ??= report.Error;
                        else
                            delivered[index] = true;
                        if (Interlocked.Decrement(ref left) == 0)
                            done.TrySetResult();
                    }
                );
            }
            catch (ProduceException<byte[], byte[]> full)
            {
                // This one and all behind it were not taken; those before it will be reported.
                error ??= full.Error;
                if (Interlocked.Add(ref left, i - batch.Count) == 0)
                    done.TrySetResult();
                break;
            }
        }

        await done.Task.WaitAsync(_stop.Token);
        return ([.. batch.Where((_, i) => !delivered[i])], error);
    }

    static Message<byte[], byte[]> Encode(ProductEvent happened)
    {
        var headers = new Headers
        {
            { "ce_specversion", "1.0"u8.ToArray() },
            { "ce_id", Encoding.UTF8.GetBytes(happened.Id.ToString()) },
            { "ce_type", Encoding.UTF8.GetBytes(happened.Kind.Type) },
            { "ce_source", Encoding.UTF8.GetBytes(Source) },
            {
                "ce_time",
                Encoding.UTF8.GetBytes(
                    happened.At.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)
                )
            },
            { "ce_subject", Encoding.UTF8.GetBytes(happened.Key) },
            { "content-type", "application/json"u8.ToArray() },
            { "traceparent", Encoding.UTF8.GetBytes(happened.TraceParent) },
        };
        if (happened.Sequence is { } sequence)
            headers.Add("ce_sequence", Encoding.UTF8.GetBytes(sequence.ToString(CultureInfo.InvariantCulture)));
        return new Message<byte[], byte[]>
        {
            Key = Encoding.UTF8.GetBytes(happened.Key),
            Value = JsonSerializer.SerializeToUtf8Bytes(happened.Body, happened.Kind.Json),
            Headers = headers,
            Timestamp = new Timestamp(happened.At),
        };
    }
}

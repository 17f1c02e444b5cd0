using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Confluent.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>How often the same customer comes.</summary>
enum KeyShape
{
    /// <summary>Every event another one: each is an insert.</summary>
    Distinct,

    /// <summary>10,000 customers, the most frequent a hundred times the hundredth: updates, and chains within a batch.</summary>
    Zipf,
}

/// <summary>The events of one round, put onto Kafka as any stranger would.</summary>
sealed class Feed : IDisposable
{
    const int ZipfKeys = 10_000;

    /// <summary>A product's snapshot of a customer has about so many characters.</summary>
    static readonly string Ballast = string.Concat(Enumerable.Repeat("name, address, phone ", 14));

    readonly IProducer<byte[], byte[]> _producer;
    readonly MessageEncoder _encoder = new(BenchJson.Catalog(), "sync/bench", TimeProvider.System);
    readonly KeyShape _shape;
    readonly Random _chance = new(1);
    readonly double[] _weights;
    readonly Dictionary<string, long> _values = new(StringComparer.Ordinal);
    readonly ConcurrentDictionary<int, long> _placed = new();
    readonly TaskCompletionSource<Exception> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int _made;
    int _delivered;

    public Feed(string bootstrap, KeyShape shape)
    {
        _shape = shape;
        var sum = 0.0;
        _weights = [.. Enumerable.Range(1, ZipfKeys).Select(rank => sum += 1.0 / rank)];
        _producer = new ProducerBuilder<byte[], byte[]>(
            new ProducerConfig
            {
                BootstrapServers = bootstrap,
                Partitioner = Confluent.Kafka.Partitioner.Murmur2Random,
                EnableIdempotence = true,
                // The embedded broker looks at no sequence number.
                MaxInFlight = 1,
                LingerMs = 0,
                CompressionType = CompressionType.Lz4,
            }
        ).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
    }

    public int Made => _made;

    /// <summary>Records by partition, as their delivery reports said.</summary>
    public IReadOnlyDictionary<int, long> Placed => _placed;

    /// <summary>As many as fast as Kafka takes them.</summary>
    public void Fill(int events)
    {
        for (var i = 0; i < events; i++)
            Send(Stopwatch.GetTimestamp());
        Flush();
    }

    /// <summary>So many a second, each at its own moment: an event that waits for a slow producer has waited.</summary>
    public void Pace(int events, double perSecond)
    {
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < events; i++)
        {
            var due = began + (long)(i / perSecond * Stopwatch.Frequency);
            while (Stopwatch.GetTimestamp() is var now && now < due)
                Thread.Sleep(Math.Max(1, (int)Stopwatch.GetElapsedTime(now, due).TotalMilliseconds));
            Send(due);
        }

        Flush();
    }

    public void Dispose() => _producer.Dispose();

    void Send(long at)
    {
        var key = Key();
        var value = _values[key] = _values.GetValueOrDefault(key) + 1;
        var message = _encoder.Encode(
            new Happened
            {
                Key = key,
                Subject = new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(key)).AsSpan(0, 16)),
                Value = value,
                At = at,
                Text = Ballast,
            }
        );
        _made++;
        while (true)
        {
            try
            {
                _producer.Produce(message.Topic, ByHand.Record(message), Report);
                return;
            }
            catch (ProduceException<byte[], byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                _producer.Flush(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    void Report(DeliveryReport<byte[], byte[]> report)
    {
        if (report.Error.IsError)
        {
            _failed.TrySetResult(new KafkaException(report.Error));
            return;
        }

        _placed.AddOrUpdate(report.Partition.Value, 1, static (_, count) => count + 1);
        Interlocked.Increment(ref _delivered);
    }

    void Flush()
    {
        while (Volatile.Read(ref _delivered) < _made)
        {
            _producer.Flush(TimeSpan.FromMilliseconds(100));
            if (_failed.Task.IsCompleted)
                throw _failed.Task.Result;
        }
    }

    string Key()
    {
        if (_shape == KeyShape.Distinct)
            return $"customer-{_made}";
        var at = Array.BinarySearch(_weights, _chance.NextDouble() * _weights[^1]);
        return $"customer-{(at < 0 ? ~at : at)}";
    }
}

static class KeyShapes
{
    public static string Text(this KeyShape shape) => shape == KeyShape.Distinct ? "all distinct" : "Zipf over 10,000";
}

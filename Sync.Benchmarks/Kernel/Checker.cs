using System.Diagnostics;
using System.Text.Json;
using Confluent.Kafka;

namespace Sync.Benchmarks.Kernel;

/// <summary>
/// Reads the commands back from Kafka while a contender works. What is not here was not delivered: rates are counted by it, and
/// it sees every loss and every wrong order, since the values of each key are 1, 2, 3 ….
/// </summary>
sealed class Checker : IDisposable
{
    /// <summary>The caches and the compiler are warm then, and the measurement begins.</summary>
    const double WarmShare = 0.2;

    readonly IConsumer<byte[], byte[]> _consumer;
    readonly int _partitions;
    readonly Func<TimeSpan> _processorTime;
    readonly Dictionary<string, long>[] _last = [.. BenchJson.Commands.Select(_ => new Dictionary<string, long>())];
    readonly List<string> _faults = [];
    readonly List<double> _latencies = [];
    readonly CancellationTokenSource _stop = new();
    readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _warm = new(TaskCreationOptions.RunContinuationsAsynchronously);
    Thread? _thread;
    int _expected = int.MaxValue;
    int _seen;

    public Checker(string bootstrap, int partitions, Func<TimeSpan> processorTime)
    {
        _partitions = partitions;
        _processorTime = processorTime;
        _consumer = new ConsumerBuilder<byte[], byte[]>(
            new ConsumerConfig
            {
                BootstrapServers = bootstrap,
                GroupId = "checker",
                EnableAutoCommit = false,
                FetchWaitMaxMs = 2,
                AllowAutoCreateTopics = false,
            }
        ).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _consumer.Assign(
            from topic in BenchJson.Commands
            from partition in Enumerable.Range(0, partitions)
            select new TopicPartitionOffset(topic, partition, Offset.Beginning)
        );
    }

    /// <summary>First copies so far.</summary>
    public int Seen => Volatile.Read(ref _seen);

    /// <summary>Copies beyond the first: allowed, and said.</summary>
    public int Doubles { get; private set; }

    /// <summary>What is lost or out of order, by key's number and never by value.</summary>
    public IReadOnlyList<string> Faults => _faults;

    /// <summary>When the measured part began and ended, and the contender's processor time at both.</summary>
    public Mark? Warm { get; private set; }
    public Mark? End { get; private set; }

    /// <summary>From an event's due moment to each of its commands, of events due at or after <see cref="MeasureFrom"/>.</summary>
    public IReadOnlyList<double> LatenciesMs => _latencies;

    public long MeasureFrom { get; set; }

    /// <summary>The measured part has begun.</summary>
    public Task IsWarm => _warm.Task;

    /// <summary>The first command has been seen.</summary>
    public Task First => _first.Task;

    public Task Done => _done.Task;

    /// <param name="events">Of which each has two commands.</param>
    public void Expect(int events)
    {
        Volatile.Write(ref _expected, events * BenchJson.Commands.Length);
        if (_thread is not null)
            return;
        _thread = new Thread(Read) { IsBackground = true, Name = "checker" };
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Cancel();
        _thread?.Join();
        _consumer.Dispose();
        _stop.Dispose();
    }

    /// <summary>Where the log of a topic begins and ends, by partition.</summary>
    public IReadOnlyDictionary<int, WatermarkOffsets> Watermarks(string topic) =>
        Enumerable
            .Range(0, _partitions)
            .ToDictionary(
                p => p,
                p => _consumer.QueryWatermarkOffsets(new TopicPartition(topic, p), TimeSpan.FromSeconds(10))
            );

    void Read()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                if (_consumer.Consume(TimeSpan.FromMilliseconds(20)) is { } record)
                    Look(record);
            }
        }
        catch (Exception e)
        {
            _done.TrySetException(e);
        }
    }

    void Look(ConsumeResult<byte[], byte[]> record)
    {
        var now = Stopwatch.GetTimestamp();
        var seen = JsonSerializer.Deserialize(record.Message.Value, BenchJson.Default.Seen)!;
        var last = _last[Array.IndexOf(BenchJson.Commands, record.Topic)];
        var before = last.GetValueOrDefault(seen.Key);
        if (seen.Value <= before)
        {
            Doubles++;
            return;
        }

        if (seen.Value != before + 1)
            _faults.Add($"{record.Topic}: a key's {seen.Value} came after its {before}");
        last[seen.Key] = seen.Value;
        if (seen.At >= MeasureFrom)
            _latencies.Add(Stopwatch.GetElapsedTime(seen.At, now).TotalMilliseconds);
        _first.TrySetResult();
        var count = ++_seen;
        var expected = Volatile.Read(ref _expected);
        if (Warm is null && expected < int.MaxValue && count >= expected * WarmShare)
        {
            Warm = new(count, now, _processorTime());
            _warm.TrySetResult();
        }

        if (count == expected)
        {
            End = new(count, now, _processorTime());
            _done.TrySetResult();
        }
    }
}

/// <param name="Commands">Seen until then.</param>
/// <param name="At">A timestamp of <see cref="Stopwatch"/>.</param>
sealed record Mark(int Commands, long At, TimeSpan ProcessorTime);

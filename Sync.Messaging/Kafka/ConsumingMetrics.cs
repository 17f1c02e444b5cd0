using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Confluent.Kafka;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>
/// What consuming measures, under OpenTelemetry's names where there are any. Attributes name topics, groups and classes;
/// the partition stands on the lag gauge only, and a key nowhere.
/// </summary>
sealed class ConsumingMetrics : IDisposable
{
    static readonly Meter Shared = new(KernelTelemetry.MeterName);

    /// <summary>One counter for both directions: consuming and delivering write to the same table.</summary>
    public static readonly Counter<long> DeadLetters = Shared.CreateCounter<long>(
        "sync.kernel.dead_letters",
        "{record}",
        "Messages that could not be handled, by reason"
    );

    readonly Meter _meter = new(KernelTelemetry.MeterName);
    readonly TimeProvider _time;
    readonly Counter<long> _consumed;
    readonly Histogram<double> _operation;
    readonly Histogram<double> _process;
    readonly Histogram<int> _batchSize;
    readonly Histogram<double> _batchDuration;
    readonly Histogram<int> _rounds;
    readonly Counter<long> _failures;
    readonly Counter<long> _solo;
    readonly Counter<long> _fenced;
    readonly Counter<long> _dropped;
    readonly Counter<long> _gaps;

    public ConsumingMetrics(ConsumerBoard board, TimeProvider time)
    {
        _time = time;
        _consumed = _meter.CreateCounter<long>("messaging.client.consumed.messages", "{message}", "Messages committed");
        _operation = _meter.CreateHistogram<double>(
            "messaging.client.operation.duration",
            "s",
            "Polls and commits, by operation"
        );
        _process = _meter.CreateHistogram<double>(
            "messaging.process.duration",
            "s",
            "One message, from dispatch to stage or fault"
        );
        _batchSize = _meter.CreateHistogram<int>("sync.kernel.batch.size", "{record}", "Records of a batch");
        _batchDuration = _meter.CreateHistogram<double>("sync.kernel.batch.duration", "s", "A batch, by phase");
        _rounds = _meter.CreateHistogram<int>(
            "sync.kernel.batch.rounds",
            "{round}",
            "Rounds of the load barrier of a batch"
        );
        _failures = _meter.CreateCounter<long>(
            "sync.kernel.batch.failures",
            "{batch}",
            "Batches that failed, by class of the failure"
        );
        _solo = _meter.CreateCounter<long>(
            "sync.kernel.solo.messages",
            "{message}",
            "Messages that went one by one after a failure"
        );
        _fenced = _meter.CreateCounter<long>(
            "sync.kernel.fenced",
            "{batch}",
            "Batches of a process that had lost its partitions"
        );
        _dropped = _meter.CreateCounter<long>(
            "sync.kernel.dropped",
            "{record}",
            "Records that were committed before, or of an earlier claim"
        );
        _gaps = _meter.CreateCounter<long>(
            "sync.kernel.feed_gap",
            "{gap}",
            "Windows of a topic that may have been lost"
        );
        _meter.CreateObservableGauge(
            "sync.kernel.consumer.lag",
            () => Lags(board, l => l.Records),
            "{record}",
            "Records up to the last stable offset"
        );
        _meter.CreateObservableGauge(
            "sync.kernel.consumer.lag.seconds",
            () => Lags(board, l => l.Seconds(time)),
            "s",
            "Age of the oldest record that is not committed"
        );
        _meter.CreateObservableGauge(
            "sync.kernel.partition.halted",
            () =>
                board.Loops.Select(l => new Measurement<int>(
                    l.State.Halted.Length,
                    new KeyValuePair<string, object?>("messaging.consumer.group.name", l.Group)
                )),
            "{partition}",
            "Partitions that stand still until an operator resumes them"
        );
    }

    public long Now => _time.GetTimestamp();

    public void Polled(string group, long since) =>
        _operation.Record(Seconds(since), Tags(group, ("messaging.operation.name", "poll")));

    public void Committed(string group, IReadOnlyList<ConsumedRecord> records, bool solo)
    {
        _batchSize.Record(records.Count, Tags(group));
        foreach (var topic in records.CountBy(r => r.Topic))
            _consumed.Add(topic.Value, Tags(group, ("messaging.destination.name", topic.Key)));
        if (solo)
            _solo.Add(records.Count, Tags(group));
    }

    public void Handled(string group, string topic, long since, bool failed)
    {
        var tags = Tags(group, ("messaging.destination.name", topic));
        if (failed)
            tags.Add("error.type", "fault");
        _process.Record(Seconds(since), tags);
    }

    /// <param name="phase"><c>collect</c>, <c>load</c>, <c>run</c> or <c>commit</c>.</param>
    public void Phase(string group, string phase, long since)
    {
        _batchDuration.Record(Seconds(since), Tags(group, ("phase", phase)));
        if (phase == "commit")
            _operation.Record(Seconds(since), Tags(group, ("messaging.operation.name", "commit")));
    }

    public void Rounds(string group, int rounds) => _rounds.Record(rounds, Tags(group));

    public void Failed(string group, FailureClass failure)
    {
        _failures.Add(1, Tags(group, ("error.type", failure.ToString())));
        if (failure is FailureClass.Fenced)
            _fenced.Add(1, Tags(group));
    }

    public void Dropped(string group, string reason) => _dropped.Add(1, Tags(group, ("reason", reason)));

    public static void DeadLettered(string group, DeadLetter letter) =>
        DeadLetters.Add(
            1,
            Tags(
                group,
                ("reason", letter.Code),
                ("direction", "in"),
                ("messaging.destination.name", letter.Record.Topic)
            )
        );

    public void Gap(string group, string topic, string reason) =>
        _gaps.Add(1, Tags(group, ("reason", reason), ("messaging.destination.name", topic)));

    public void Dispose() => _meter.Dispose();

    /// <summary>Where each partition's log ends for this reader, from librdkafka's statistics.</summary>
    public static Dictionary<TopicPartition, long> LogEnds(string statistics)
    {
        var ends = new Dictionary<TopicPartition, long>();
        using var document = JsonDocument.Parse(statistics);
        if (!document.RootElement.TryGetProperty("topics", out var topics))
            return ends;

        foreach (var topic in topics.EnumerateObject())
        {
            if (!topic.Value.TryGetProperty("partitions", out var partitions))
                continue;
            foreach (var partition in partitions.EnumerateObject())
            {
                // A reader of committed records cannot see beyond the last stable offset.
                if (
                    int.TryParse(partition.Name, out var number)
                    && number >= 0
                    && partition.Value.TryGetProperty("ls_offset", out var end)
                    && end.GetInt64() is var offset and >= 0
                )
                    ends[new(topic.Name, number)] = offset;
            }
        }

        return ends;
    }

    double Seconds(long since) => _time.GetElapsedTime(since).TotalSeconds;

    static IEnumerable<Measurement<T>> Lags<T>(ConsumerBoard board, Func<PartitionLag, T> value)
        where T : struct =>
        from loop in board.Loops
        from lag in loop.State.Lags
        select new Measurement<T>(
            value(lag),
            new KeyValuePair<string, object?>("messaging.consumer.group.name", loop.Group),
            new KeyValuePair<string, object?>("messaging.destination.name", lag.Partition.Topic),
            new KeyValuePair<string, object?>("messaging.destination.partition.id", lag.Partition.Partition.Value)
        );

    static TagList Tags(string group, params ReadOnlySpan<(string Name, object? Value)> more)
    {
        var tags = new TagList { { "messaging.system", "kafka" }, { "messaging.consumer.group.name", group } };
        foreach (var (name, value) in more)
            tags.Add(name, value);
        return tags;
    }
}

/// <summary>How far a partition is behind.</summary>
/// <param name="BehindSince">When the oldest record that is not consumed was first known; null when none is.</param>
sealed record PartitionLag(TopicPartition Partition, long Records, DateTimeOffset? BehindSince)
{
    public double Seconds(TimeProvider time) =>
        BehindSince is { } since ? Math.Max(0, (time.GetUtcNow() - since).TotalSeconds) : 0;
}

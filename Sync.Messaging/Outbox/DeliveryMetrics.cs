using System.Diagnostics.Metrics;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Outbox;

/// <summary>What the delivering half measures. Attributes are topics, codes and kinds: never a key.</summary>
sealed class DeliveryMetrics
{
    static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries =
        [
            0.001,
            0.0025,
            0.005,
            0.01,
            0.025,
            0.05,
            0.1,
            0.25,
            0.5,
            1,
            2.5,
            5,
            10,
            30,
            60,
            300,
        ],
    };

    readonly Counter<long> _sent;
    readonly Histogram<double> _send;
    readonly Histogram<double> _delivery;
    readonly Counter<long> _duplicates;
    readonly Counter<long> _leaseChanges;
    readonly Histogram<double> _late;
    readonly Counter<long> _moved;

    public DeliveryMetrics(IMeterFactory meters, HealthBoard board)
    {
        var meter = meters.Create(KernelTelemetry.MeterName);
        _sent = meter.CreateCounter<long>(
            "messaging.client.sent.messages",
            "{message}",
            "Messages given to Kafka, by result"
        );
        _send = meter.CreateHistogram(
            "messaging.client.operation.duration",
            "s",
            "From the first produce of a round to its last report",
            advice: Seconds
        );
        _delivery = meter.CreateHistogram(
            "sync.kernel.outbox.delivery",
            "s",
            "From the row's writing to Kafka's acknowledgement",
            advice: Seconds
        );
        _duplicates = meter.CreateCounter<long>(
            "sync.kernel.outbox.duplicates",
            "{message}",
            "Messages sent again because the fate of the first copy is not known"
        );
        _leaseChanges = meter.CreateCounter<long>(
            "sync.kernel.lease.changes",
            "{change}",
            "Outbox lease taken, lost, given back"
        );
        _late = meter.CreateHistogram(
            "sync.kernel.schedule.late",
            "s",
            "How late the latest timer of a round became a message",
            advice: Seconds
        );
        _moved = meter.CreateCounter<long>("sync.kernel.schedule.moved", "{timer}", "Timers that became messages");
        meter.CreateObservableGauge(
            "sync.kernel.outbox.rows",
            () => board.Backlog.Rows,
            "{row}",
            "Rows that wait in the outbox, at most: ids between the first and the last"
        );
        meter.CreateObservableGauge(
            "sync.kernel.outbox.age",
            () => board.Backlog.AgeSeconds,
            "s",
            "Age of the oldest row"
        );
        meter.CreateObservableGauge(
            "sync.kernel.backpressure",
            () => board.BackPressure ? 1 : 0,
            "1",
            "1 while consuming and timers pause"
        );
    }

    public void Sent(string topic, long count, string? error)
    {
        if (error is null)
        {
            _sent.Add(
                count,
                new("messaging.system", "kafka"),
                new("messaging.destination.name", topic),
                new("messaging.operation.name", "send")
            );
        }
        else
        {
            _sent.Add(
                count,
                new("messaging.system", "kafka"),
                new("messaging.destination.name", topic),
                new("messaging.operation.name", "send"),
                new("error.type", error)
            );
        }
    }

    public void Round(TimeSpan duration) =>
        _send.Record(
            duration.TotalSeconds,
            new KeyValuePair<string, object?>("messaging.system", "kafka"),
            new KeyValuePair<string, object?>("messaging.operation.name", "send")
        );

    public void Delivered(double seconds) => _delivery.Record(seconds);

    public void SentAgain(long count) => _duplicates.Add(count);

    public void LeaseChanged(string kind) => _leaseChanges.Add(1, new KeyValuePair<string, object?>("kind", kind));

    public static void DeadLetter(string reason) =>
        ConsumingMetrics.DeadLetters.Add(
            1,
            new KeyValuePair<string, object?>("reason", reason),
            new KeyValuePair<string, object?>("direction", "out")
        );

    public void Moved(long timers, double latestSeconds)
    {
        _moved.Add(timers);
        _late.Record(latestSeconds);
    }
}

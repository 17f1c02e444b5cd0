using System.Diagnostics.Metrics;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>Instruments of the consuming half. Attributes name topics, groups and classes, never keys.</summary>
static class ConsumingMetrics
{
    static readonly Meter Meter = new(KernelTelemetry.MeterName);

    public static readonly Counter<long> BatchFailures = Meter.CreateCounter<long>("sync.kernel.batch.failures");
    public static readonly Counter<long> Fenced = Meter.CreateCounter<long>("sync.kernel.fenced");
    public static readonly Counter<long> Dropped = Meter.CreateCounter<long>("sync.kernel.dropped");
    public static readonly Counter<long> DeadLetters = Meter.CreateCounter<long>("sync.kernel.dead_letters");

    public static void Lag(string group, string statistics) { }
}

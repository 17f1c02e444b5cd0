using System.Diagnostics;
using System.Globalization;
using System.Text;
using Confluent.Kafka;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>
/// The span of one message on its way out. It is a child of the span that wrote the row, begins where the row is given to
/// Kafka's client, and ends at the acknowledgement. The message carries it on, so that whoever reads it is its child.
/// </summary>
/// <remarks>
/// A message that another process wrote, as dead letters that are replayed or copied are, leaves as it came: its span stands
/// beside whatever reads it. Without a listener, or where the writer's trace is not sampled, there is no span, and nothing is
/// changed.
/// </remarks>
static class SendTrace
{
    /// <summary>How long the row had waited when it was read, in seconds: what the span's own duration does not show of the time in the outbox.</summary>
    public const string Age = "sync.kernel.outbox.age";

    /// <param name="headers">Of the row; the trace parent in them becomes the new span.</param>
    /// <param name="source">The CloudEvents source of this process.</param>
    public static Activity? Start(OutboxRow row, MessageHeaders headers, string source)
    {
        if (
            !KernelTelemetry.Source.HasListeners()
            || BatchTrace.TraceOf(headers) is not { } writer
            || !writer.TraceFlags.HasFlag(ActivityTraceFlags.Recorded)
        )
            return null;

        var around = Activity.Current;
        var span = KernelTelemetry.Source.StartActivity($"send {row.Topic}", ActivityKind.Producer, writer);
        // A thousand are on their way at once, and end in no order: none is what this flow is about.
        Activity.Current = around;
        if (span is null)
            return null;

        span.SetTag("messaging.system", "kafka");
        span.SetTag("messaging.operation.name", "send");
        span.SetTag("messaging.operation.type", "send");
        span.SetTag("messaging.destination.name", row.Topic);
        span.SetTag(Age, row.AgeSeconds);
        if (headers.Text(CloudEventNames.Id) is { } id)
            span.SetTag("messaging.message.id", id);
        if (span.Recorded && headers.Text(CloudEventNames.Source) == source)
        {
            var at = headers.FindLastIndex(h => h.Key == CloudEventNames.TraceParent);
            headers[at] = new(CloudEventNames.TraceParent, Encoding.UTF8.GetBytes(span.Id!));
        }

        return span;
    }

    /// <param name="error">The code of what went wrong; empty for an acknowledgement.</param>
    /// <param name="placed">Where the message stands, once it does.</param>
    public static void End(Activity? span, string error, TopicPartitionOffset? placed = null)
    {
        if (span is null)
            return;
        if (error.Length > 0)
        {
            span.SetTag("error.type", error);
            span.SetStatus(ActivityStatusCode.Error);
        }
        else if (placed is not null)
        {
            span.SetTag(
                "messaging.destination.partition.id",
                placed.Partition.Value.ToString(CultureInfo.InvariantCulture)
            );
            span.SetTag("messaging.kafka.offset", placed.Offset.Value);
        }

        span.Stop();
    }
}

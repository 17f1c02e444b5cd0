using System.Diagnostics;
using System.Diagnostics.Metrics;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging;

/// <summary>Spans and instruments of the consuming half. Attributes name topics, groups and classes, never keys.</summary>
static class KernelTelemetry
{
    /// <summary>The name under which both are listened to.</summary>
    public const string Name = "Sync.Messaging";

    /// <summary>More links than this say nothing that the count does not.</summary>
    const int MaxLinks = 100;

    static readonly ActivitySource Activities = new(Name);

    public static Activity? StartBatch(IReadOnlyList<ConsumedRecord> records)
    {
        if (!Activities.HasListeners())
            return null;

        var links = new List<ActivityLink>();
        foreach (var record in records)
        {
            if (links.Count == MaxLinks)
                break;
            if (
                record.Headers.Text(CloudEventNames.TraceParent) is { } parent
                && ActivityContext.TryParse(parent, record.Headers.Text(CloudEventNames.TraceState), out var context)
            )
                links.Add(new(context));
        }

        var activity = Activities.StartActivity(
            "kernel.batch",
            ActivityKind.Internal,
            parentContext: default,
            tags: null,
            links: links
        );
        activity?.SetTag("messaging.batch.message_count", records.Count);
        return activity;
    }
}

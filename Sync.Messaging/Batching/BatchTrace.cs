using System.Diagnostics;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>The span of a batch: a root of its own, linked to the traces of its messages.</summary>
static class BatchTrace
{
    /// <summary>Which batch a span belongs to.</summary>
    public const string BatchId = "sync.batch.id";

    /// <summary>More links than this say nothing that the count does not.</summary>
    const int MaxLinks = 100;

    public static Activity? Start(IReadOnlyList<ConsumedRecord> records)
    {
        if (!KernelTelemetry.Source.HasListeners())
            return null;

        var links = new List<ActivityLink>();
        foreach (var record in records)
        {
            if (links.Count == MaxLinks)
                break;
            if (TraceOf(record.Headers) is { } context)
                links.Add(new(context));
        }

        var activity = KernelTelemetry.Source.StartActivity(
            "kernel.batch",
            ActivityKind.Internal,
            parentContext: default,
            tags: null,
            links: links
        );
        activity?.SetTag("messaging.batch.message_count", records.Count);
        return activity;
    }

    /// <summary>A span of the message's own trace which says that it became a dead letter, and by which code.</summary>
    public static Activity? DeadLettered(MessageHeaders headers, string code)
    {
        if (!KernelTelemetry.Source.HasListeners())
            return null;
        var activity = KernelTelemetry.Source.StartActivity(
            "kernel.dead_letter",
            ActivityKind.Internal,
            TraceOf(headers) ?? default
        );
        activity?.SetStatus(ActivityStatusCode.Error, code);
        activity?.AddEvent(new ActivityEvent(code));
        return activity;
    }

    /// <summary>The span whose context a message carries; null when it carries none that can be read.</summary>
    public static ActivityContext? TraceOf(MessageHeaders headers) =>
        headers.Text(CloudEventNames.TraceParent) is { } parent
        && ActivityContext.TryParse(parent, headers.Text(CloudEventNames.TraceState), out var context)
            ? context
            : null;
}

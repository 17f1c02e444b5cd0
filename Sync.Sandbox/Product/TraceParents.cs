using System.Diagnostics;

namespace Sync.Sandbox.Product;

/// <summary>W3C trace context: a trace that comes in goes on under a span of the product's own, and without one a new trace begins.</summary>
static class TraceParents
{
    /// <summary>Of an edit by hand. It is always sampled: to be watched is what a sandbox is for.</summary>
    public static string Of(string? caller) =>
        Text(Parse(caller) is { } context ? context.TraceId : ActivityTraceId.CreateRandom(), sampled: true);

    /// <summary>Of what answers a command: whether it is sampled was decided where the trace began.</summary>
    public static string Answering(string? command) =>
        Parse(command) is { } context
            ? Text(context.TraceId, context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))
            : Of(null);

    static ActivityContext? Parse(string? traceParent) =>
        traceParent is not null && ActivityContext.TryParse(traceParent, null, out var context) ? context : null;

    static string Text(ActivityTraceId trace, bool sampled) =>
        $"00-{trace.ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-{(sampled ? "01" : "00")}";
}

using System.Diagnostics;

namespace Sync.Sandbox.Product;

/// <summary>W3C trace context: a caller's trace goes on, and without one a new trace begins.</summary>
static class TraceParents
{
    public static string Of(string? caller)
    {
        var trace =
            caller is not null && ActivityContext.TryParse(caller, null, out var context)
                ? context.TraceId
                : ActivityTraceId.CreateRandom();
        return $"00-{trace.ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-01";
    }
}

using System.Diagnostics;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Storage;

/// <summary>One thing that happened to a customer or to a found object: paths, never values.</summary>
sealed record TimelineEntry
{
    /// <summary>Rises with time; given by the database.</summary>
    public long Id { get; init; }
    public required DateTimeOffset At { get; init; }

    /// <summary>Of the customer, or of the found object.</summary>
    public required Guid CorrelationId { get; init; }
    public string? CustomerId { get; init; }
    public required long Revision { get; init; }

    /// <summary>One of <see cref="Codes"/>.</summary>
    public required string Code { get; init; }
    public string? System { get; init; }
    public required Direction Direction { get; init; }
    public required string[] Paths { get; init; }
    public string? ExternalId { get; init; }
    public string? Reason { get; init; }

    /// <summary>The operator who asked.</summary>
    public string? RequestedBy { get; init; }
    public Guid? MessageId { get; init; }
    public Guid? CausationId { get; init; }
    public string? TraceId { get; init; }
    public string? VendorRequestId { get; init; }
    public double? Calls { get; init; }
    public long? DurationMs { get; init; }

    /// <summary>Of the answer that put the system in step: since the change in the system that it came from.</summary>
    public long? LatencyMs { get; init; }

    public static string? CurrentTrace() =>
        Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? activity.TraceId.ToHexString() : null;
}

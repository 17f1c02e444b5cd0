using System.Text.Json.Serialization;
using Sync.Contracts.Json;

namespace Sync.Contracts.Requests;

/// <summary>
/// Compare every object of a vendor with the golden record, and act on what is found if <see cref="Apply"/> says so. The key
/// is the id: asking twice with one id is asking once.
/// </summary>
public sealed record Compare
{
    public required Guid ComparisonId { get; init; }
    public required string System { get; init; }
    public required ComparisonKind Kind { get; init; }
    public required bool Apply { get; init; }
    public required string RequestedBy { get; init; }
    public required DateTimeOffset RequestedAt { get; init; }
}

[JsonConverter(typeof(WireEnumConverter<ComparisonKind>))]
public enum ComparisonKind
{
    Unknown,

    /// <summary>A first load: whose an object is, or that a customer is made of it.</summary>
    Import,

    /// <summary>Whether linked objects are as the golden record says.</summary>
    Reconcile,
}

/// <summary>The orchestrator to itself: act on the next piece of what a comparison found.</summary>
public sealed record ApplyFindings
{
    public required Guid ComparisonId { get; init; }

    /// <summary>The finding that was acted on last.</summary>
    public string? After { get; init; }
}

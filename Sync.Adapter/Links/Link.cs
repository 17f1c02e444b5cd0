using System.Collections.Immutable;

namespace Sync.Adapter.Links;

/// <summary>
/// What the adapter knows of one lane: a row of <c>link</c>. Its version is the fence, and after a commit the number of
/// the report that the commit stored.
/// </summary>
sealed record Link
{
    public required string Lane { get; init; }

    /// <summary>The object of this customer; only a command, or the saga, replaces it.</summary>
    public string? ExternalId { get; init; }

    /// <summary>The customer's life in this system; an object of an earlier one is dead.</summary>
    public int Generation { get; init; }

    /// <summary>Objects of earlier generations. No look-up and no hint brings one back.</summary>
    public ImmutableArray<string> DeadExternalIds { get; init; } = [];

    public long Version { get; init; }

    /// <summary>The mapped record as last reported; null when nothing was, or the object is gone.</summary>
    public IReadOnlyDictionary<string, string?>? Last { get; init; }

    /// <summary>The command of ours whose write was the last to land, as the object showed when it was last reported.</summary>
    public Guid? Stamp { get; init; }

    /// <summary>
    /// When this database was restored from a backup, as long as a write of ours that the backup does not know may still be
    /// met; null otherwise.
    /// </summary>
    public DateTimeOffset? RestoredAt { get; init; }

    /// <summary>An object without a customer was reported as found; said once.</summary>
    public bool Found { get; init; }

    /// <summary>Failures since the last success.</summary>
    public int Attempts { get; init; }

    public string? CustomerId => Lanes.CustomerId(Lane);
}

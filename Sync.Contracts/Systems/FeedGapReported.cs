namespace Sync.Contracts.Systems;

/// <summary>
/// A window in which an adapter's feed may have lost changes: reported when it is found, and again when everything has been
/// looked at since. The key is the feed's name.
/// </summary>
public sealed record FeedGapReported
{
    public required Guid GapId { get; init; }
    public required string System { get; init; }
    public required string Feed { get; init; }

    /// <summary>In words without personal data.</summary>
    public required string Reason { get; init; }

    /// <summary>The last change before it; null when that is not known.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>From here on the feed tells again; null when that is not known.</summary>
    public DateTimeOffset? To { get; init; }

    public required DateTimeOffset OpenedAt { get; init; }

    /// <summary>When every object had been looked at since; null while that is not so.</summary>
    public DateTimeOffset? ClosedAt { get; init; }
}

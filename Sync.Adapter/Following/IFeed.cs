using Sync.Adapter.Links;
using Sync.Adapter.Vendors;

namespace Sync.Adapter.Following;

/// <summary>
/// A source of changes with a cursor. The frame runs each feed in one replica at a time, stores what a page yielded and
/// how far that is in one transaction, and never moves the cursor past a hint that is not stored.
/// </summary>
public interface IFeed
{
    /// <summary>What the cursor, the metrics and the gaps of this feed go by: "events", "change-events", "sweep".</summary>
    string Name { get; }

    /// <summary>Pause between two follows that ended by themselves; zero for streams.</summary>
    TimeSpan Every { get; }

    /// <summary>
    /// Whether the feed calls the service that is also written to. What it hears of another service says nothing about
    /// writes: neither that they work again nor that they fail.
    /// </summary>
    bool IsOfTheWrittenService => true;

    /// <summary>
    /// From the cursor on: pages until cancelled, or until there is no more for now. Null is the very first time: the feed
    /// answers where "now" is, with a cursor in one of its pages, and the frame begins a scan for all that is older. An
    /// empty page says that the vendor is there and has nothing new.
    /// </summary>
    /// <exception cref="FeedException">The vendor failed.</exception>
    IAsyncEnumerable<FeedPage> Follow(string? cursor, CancellationToken cancellationToken);
}

/// <summary>What a feed yielded. It is stored whole, or not at all and yielded again.</summary>
public sealed record FeedPage
{
    /// <summary>The id names the change: a hint that was taken in before is not taken in again.</summary>
    public IReadOnlyList<(Guid Id, Hint Hint)> Hints { get; init; } = [];

    /// <summary>How far the feed is read with this page, stored in the transaction that stores the hints; null leaves it.</summary>
    public string? Cursor { get; init; }

    /// <summary>Time of the newest change seen; null when there was none.</summary>
    public DateTimeOffset? NewestAt { get; init; }

    /// <summary>Changes may have been lost in this window: it is recorded, and a scan begins.</summary>
    public FeedGap? Gap { get; init; }
}

/// <param name="Reason">A code with words, without values.</param>
/// <param name="From">The last change before it, as far as known.</param>
/// <param name="To">Everything after this is in the feed again, as far as known.</param>
public sealed record FeedGap(string Reason, DateTimeOffset? From, DateTimeOffset? To)
{
    /// <summary>
    /// Ids of the changes that could not be taken in, where it is known which they are. A feed may tell of them again and
    /// again: a gap none of whose changes is new is not opened again.
    /// </summary>
    public IReadOnlyList<Guid> Lost { get; init; } = [];
}

/// <summary>A vendor's failure inside <see cref="IFeed.Follow"/> or <see cref="IListing.List"/>, classified with its error table.</summary>
#pragma warning disable CA1032 // It is thrown with a failure or not at all.
public sealed class FeedException(VendorResult.Failed failure) : Exception(failure.Code)
#pragma warning restore CA1032
{
    public VendorResult.Failed Failure { get; } = failure;
}

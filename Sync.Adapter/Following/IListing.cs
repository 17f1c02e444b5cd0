using Sync.Adapter.Vendors;

namespace Sync.Adapter.Following;

/// <summary>
/// Lists every object of the vendor, page by page. What changes meanwhile may be missing or told twice: the feeds tell of
/// it, and an object that is missing is read before anything is said about it.
/// </summary>
public interface IListing
{
    /// <summary>All pages; with <paramref name="after"/>, those after the page that carried it.</summary>
    /// <exception cref="FeedException">The vendor failed.</exception>
    IAsyncEnumerable<ListingPage> List(string? after, CancellationToken cancellationToken);
}

/// <param name="Objects">At most some thousand.</param>
/// <param name="After">Where to go on after a crash; null leaves it where it was.</param>
public sealed record ListingPage(IReadOnlyList<VendorObject> Objects, string? After);

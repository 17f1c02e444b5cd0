using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Stripe;
using Sync.Adapter.Following;
using Sync.Stripe.Adapter.Client;

namespace Sync.Stripe.Adapter.Events;

/// <summary>
/// Catches up with Stripe's list of events, which has what a webhook should have told and did not. Stripe keeps it for 30
/// days; it orders events by whole seconds, and one may appear in the list later than another of the same second. So each
/// follow reads the last seconds again, which costs a call and takes nothing in twice, and then goes on from the last event.
/// </summary>
sealed class EventsFeed(
    StripeApi api,
    EventReader reader,
    StripeOptions options,
    TimeProvider time,
    ILogger<EventsFeed> log
) : IFeed
{
    const int PageSize = 100;

    /// <summary>Read again before the last event.</summary>
    static readonly TimeSpan Overlap = TimeSpan.FromSeconds(10);

    /// <summary>Read again before the time of the last follow, when the last event is too old to go on from: clocks differ.</summary>
    static readonly TimeSpan ClockMargin = TimeSpan.FromMinutes(5);

    /// <summary>Less than the 30 days that Stripe keeps events: what is being thrown away may be half gone.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromDays(29);

    public string Name => "events";

    public TimeSpan Every { get; } = TimeSpan.FromSeconds(options.EventsSeconds);

    public async IAsyncEnumerable<FeedPage> Follow(
        string? cursor,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var now = time.GetUtcNow();
        if (Cursor.Parse(cursor) is not { } at)
        {
            yield return await Begin(now, gap: null, cancellationToken);
            yield break;
        }

        if (at.Checked < now - Kept)
        {
            FeedGap gap = new("expired: older than the 30 days that Stripe keeps events", at.Checked, now);
            yield return await Begin(now, gap, cancellationToken);
            yield break;
        }

        var isOld = at.Created < now - Kept;
        var id = isOld ? null : at.Id;
        var since = id is null ? at.Checked - ClockMargin : at.Created - Overlap;
        if (at.Begun is { } begun && since < begun)
            since = begun;
        if (id is null || since <= at.Created)
        {
            await foreach (var page in Again(since, id is null ? null : at.Created, at, cancellationToken))
            {
                at = page.At;
                yield return page.Page;
            }
        }

        while (id is not null)
        {
            var (told, more, unknown) = await List(new() { EndingBefore = id }, cancellationToken);
            if (unknown)
            {
                FeedGap gap = new("unknown: Stripe does not know the last event", at.Checked, now);
                yield return await Begin(now, gap, cancellationToken);
                yield break;
            }

            if (told.Count == 0)
                break;
            // The newest of the page; its neighbours in time are next.
            at = at.To(told[0]);
            id = told[0].Id;
            yield return Page(told, at);
            if (!more)
                break;
        }

        // Whatever was there when this follow began is read.
        yield return new FeedPage { Cursor = (at with { Checked = now }).ToString() };
    }

    /// <summary>A window of the past, the newest first, so that the cursor moves only at its end.</summary>
    async IAsyncEnumerable<(FeedPage Page, Cursor At)> Again(
        DateTimeOffset since,
        DateTimeOffset? until,
        Cursor at,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        EventListOptions window = new()
        {
            Created = new DateRangeOptions
            {
                GreaterThanOrEqual = since.UtcDateTime,
                LessThanOrEqual = until?.UtcDateTime,
            },
        };
        var newest = at;
        for (var more = true; more; )
        {
            (var told, more, _) = await List(window, cancellationToken);
            if (told.Count == 0)
                break;
            if (until is null && window.StartingAfter is null)
                newest = at.To(told[0]);
            window.StartingAfter = told[^1].Id;
            yield return (Page(told, more ? null : newest), more ? at : newest);
        }
    }

    /// <summary>Where "now" is; what is older is a scan's.</summary>
    async Task<FeedPage> Begin(DateTimeOffset now, FeedGap? gap, CancellationToken cancellationToken)
    {
        var (told, _, _) = await List(new() { Limit = 1 }, cancellationToken);
        var at = new Cursor(now, now, null);
        if (told.Count > 0)
        {
            // Once it is well in the past nothing else happens in the second of the last event, which was there before Sync.
            var last = told[0].Created;
            at = at.To(told[0]) with { Begun = last < now - ClockMargin ? last.AddSeconds(1) : last };
        }

        return new() { Cursor = at.ToString(), Gap = gap };
    }

    static FeedPage Page(List<Entry> told, Cursor? at) =>
        new()
        {
            Hints = [.. told.Select(e => e.Event).OfType<StripeEvent.Told>().Select(e => (e.HintId, e.Hint)).Reverse()],
            Cursor = at?.ToString(),
            NewestAt = told[0].Created,
            Gap = Unreadable(told),
        };

    /// <summary>What an event that cannot be read would have told is found by a scan, which a gap begins.</summary>
    static FeedGap? Unreadable(List<Entry> told)
    {
        var unreadable = told.FindAll(entry => entry.Event is StripeEvent.Unreadable);
        if (unreadable.Count == 0)
            return null;
        var newest = unreadable[0];
        var which = EventReader.IsId(newest.Id) ? newest.Id : "one without a proper id";
        return new(
            $"unreadable: {which}: {((StripeEvent.Unreadable)newest.Event).Reason}"
                + (unreadable.Count > 1 ? $"; and {unreadable.Count - 1} more" : ""),
            unreadable[^1].Created,
            newest.Created
        )
        {
            Lost = [.. unreadable.Select(entry => StripeEvent.Unreadable.LostId(entry.Id))],
        };
    }

    /// <summary>A page as Stripe lists it, the newest first.</summary>
    async Task<(List<Entry> Told, bool More, bool Unknown)> List(
        EventListOptions query,
        CancellationToken cancellationToken
    )
    {
        query.Types = [.. StripeEvent.Types];
        query.Limit ??= PageSize;
        var answer = await api.ListEvents(query, cancellationToken);
        if (answer.Error is { } error)
        {
            // An id in a parameter that is not known is a 400 or a 404, and either names the parameter.
            if (query.EndingBefore is not null && StripeErrors.IsUnknownId(error))
                return ([], false, true);
            throw new FeedException(StripeErrors.AsFailure(error));
        }

        List<Entry> entries = [];
        using var json = JsonDocument.Parse(answer.Value!.StripeResponse.Content);
        foreach (var item in json.RootElement.GetProperty("data").EnumerateArray())
        {
            var read = reader.Read(item);
            if (EventReader.Text(item, "id") is not { } id || !item.GetProperty("created").TryGetInt64(out var seconds))
                throw new FeedException(StripeErrors.Nonsense);
            if (read is StripeEvent.Unreadable unreadable)
                log.EventUnreadable(id, unreadable.Reason);
            entries.Add(new(id, DateTimeOffset.FromUnixTimeSeconds(seconds), read));
        }

        return (entries, answer.Value.HasMore, false);
    }

    internal sealed record Entry(string Id, DateTimeOffset Created, StripeEvent Event);

    /// <param name="Checked">Everything of before is read.</param>
    /// <param name="Created">Of the last event.</param>
    /// <param name="Id">Of the last event; null when there was none.</param>
    /// <param name="Begun">
    /// The second of Stripe's in which this feed began, where there was an event by then. What happened before it is a
    /// scan's, and the overlap does not reach back there: who filled an account just before Sync came wants no customers of it.
    /// </param>
    internal readonly record struct Cursor(
        DateTimeOffset Checked,
        DateTimeOffset Created,
        string? Id,
        DateTimeOffset? Begun = null
    )
    {
        public static Cursor? Parse(string? text) =>
            text?.Split('|') is [var checkedAt, var created, var id, .. var rest]
            && Seconds(checkedAt) is { } first
            && Seconds(created) is { } second
                ? new(first, second, id.Length == 0 ? null : id, rest is [var begun] ? Seconds(begun) : null)
                : null;

        static DateTimeOffset? Seconds(string text) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
                ? DateTimeOffset.FromUnixTimeSeconds(seconds)
                : null;

        public Cursor To(Entry entry) => this with { Created = entry.Created, Id = entry.Id };

        public override string ToString() =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Checked.ToUnixTimeSeconds()}|{Created.ToUnixTimeSeconds()}|{Id}|{Begun?.ToUnixTimeSeconds()}"
            );
    }
}

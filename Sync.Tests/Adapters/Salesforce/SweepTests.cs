using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Following;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Salesforce;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>What changed since the last time, by queries alone; and every record, for a scan.</summary>
public sealed class SweepTests
{
    /// <summary>Where the frozen clock of the sandbox stands.</summary>
    static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task The_first_time_answers_where_now_is_by_Salesforce_s_clock_and_tells_nothing()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        bench.Create("""{ "Name": "before" }""");
        bench.Sandbox.Clock.Advance(10 * Minute);

        var page = Assert.Single(await FeedBench.All(bench.Sweep.Follow(null, CancellationToken.None)));

        Assert.Empty(page.Hints);
        Assert.Equal(Noon, SweepCursor.Read(page.Cursor!)!.At);
    }

    /// <summary>The overlap that finds late commits does not reach back before the sweep began: what was there is a scan's.</summary>
    [Fact]
    public async Task What_was_there_before_the_first_sweep_is_not_told_of()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        bench.Create("""{ "Name": "Before" }""");
        bench.Sandbox.Clock.Advance(Minute);
        bench.Create("""{ "Name": "The newest" }""");
        var cursor = await Now(bench);
        Assert.Empty(FeedBench.Hints(await Sweep(bench, cursor)));
        bench.Sandbox.Clock.Advance(Minute);
        var after = bench.Create("""{ "Name": "After" }""");

        var pages = await Sweep(bench, cursor);
        Assert.Equal(after, Assert.Single(FeedBench.Hints(pages)).ExternalId);

        // Every later cursor remembers the begin, and a replica that has told nothing yet reads the overlap whole.
        bench.Forget();
        Assert.Equal(after, Assert.Single(FeedBench.Hints(await Sweep(bench, Last(pages)))).ExternalId);
    }

    [Fact]
    public async Task An_edit_in_the_second_of_the_begin_is_told()
    {
        await using var bench = await FeedBench.Start(frozen: true, clock: new FakeTimeProvider(Noon));
        bench.Create("""{ "Name": "Before" }""");
        bench.Sandbox.Clock.Advance(TimeSpan.FromSeconds(1));
        var id = bench.Create("""{ "Name": "Ada" }""");
        var cursor = await Now(bench);
        bench.Edit(id, """{ "Phone": "+46" }""");

        Assert.Equal("+46", Assert.Single(FeedBench.Hints(await Sweep(bench, cursor))).Fields!["phone"]);
    }

    [Fact]
    public async Task A_cursor_from_before_the_begin_was_remembered_goes_on()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        bench.Create("""{ "Name": "Ada" }""");

        var pages = await Sweep(bench, """{"at":"2026-03-01T12:00:00+00:00"}""");

        Assert.All(pages, page => Assert.Null(page.Gap));
        Assert.Single(FeedBench.Hints(pages));
    }

    [Fact]
    public async Task It_tells_of_every_kind_of_change_since_with_whole_records()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var edited = bench.Create("""{ "Name": "Ada", "Product_Customer_Id__c": "c-1" }""");
        var deleted = bench.Create("""{ "Name": "Bob" }""");
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(10 * Minute);
        bench.Edit(edited, """{ "Phone": "+46" }""");
        bench.Org.Delete(deleted, SalesforceOrg.Human);
        var created = bench.Create("""{ "Name": "Eve" }""");

        var hints = FeedBench.Hints(await Sweep(bench, cursor));

        Assert.Equal(
            [(edited, HintKind.Updated), (deleted, HintKind.Deleted), (created, HintKind.Updated)],
            hints.Select(h => (h.ExternalId, h.Kind))
        );
        Assert.Equal(("c-1", "+46"), (hints[0].CustomerId, hints[0].Fields!["phone"]));
        Assert.Equal(9, hints[0].Fields!.Count);
        Assert.All(hints, h => Assert.Null(h.CommandId));
    }

    [Fact]
    public async Task A_transaction_that_was_open_during_the_last_sweep_is_found_by_the_next()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(20 * Minute);
        bench.Create("""{ "Name": "first" }""");
        var swept = await Sweep(bench, cursor);

        // Its time is older than what was swept, by more than the ten minutes that a call of Salesforce may run.
        bench.Sandbox.Clock.AutoAdvanceAmount = TimeSpan.Zero;
        bench.Sandbox.Clock.AdjustTime(bench.Sandbox.Clock.GetUtcNow() - TimeSpan.FromMinutes(12));
        var late = bench.Create("""{ "Name": "late" }""");
        var next = await Sweep(bench, Last(swept));

        Assert.Equal(late, Assert.Single(FeedBench.Hints(next)).ExternalId);
    }

    [Fact]
    public async Task What_was_told_is_not_told_again_and_a_second_edit_within_the_second_is()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var id = bench.Create("""{ "Name": "Ada" }""");
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(Minute);
        bench.Edit(id, """{ "Phone": "+46" }""");

        var first = await Sweep(bench, cursor);
        var again = await Sweep(bench, Last(first));
        bench.Edit(id, """{ "Phone": "+47" }""");
        var second = await Sweep(bench, Last(again));

        Assert.Equal("+46", Assert.Single(FeedBench.Hints(first)).Fields!["phone"]);
        Assert.Empty(FeedBench.Hints(again));
        Assert.Equal("+47", Assert.Single(FeedBench.Hints(second)).Fields!["phone"]);
        Assert.NotEqual(first.SelectMany(p => p.Hints).Single().Id, second.SelectMany(p => p.Hints).Single().Id);
    }

    [Fact]
    public async Task A_page_that_was_not_stored_is_told_again()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(Minute);
        var id = bench.Create("""{ "Name": "Ada" }""");

        await foreach (var page in bench.Sweep.Follow(cursor, CancellationToken.None))
        {
            Assert.Single(page.Hints);
            break;
        }

        Assert.Equal(id, Assert.Single(FeedBench.Hints(await Sweep(bench, cursor))).ExternalId);
    }

    [Fact]
    public async Task Thousands_with_one_time_are_paged_through_and_each_is_told_once()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(10 * Minute);
        List<string> ids = [.. Enumerable.Range(0, 4_500).Select(i => bench.Create($$"""{ "Name": "N{{i}}" }"""))];

        var pages = await Sweep(bench, cursor);

        Assert.Equal([2_000, 2_000, 500, 0], pages.Select(p => p.Hints.Count));
        Assert.Equal(ids.Order(StringComparer.Ordinal), FeedBench.Hints(pages).Select(h => h.ExternalId));
    }

    [Fact]
    public async Task A_merge_is_the_end_of_one_record_and_a_look_at_the_other()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var winner = bench.Create("""{ "Name": "Ada" }""");
        var loser = bench.Create("""{ "Name": "Ada too" }""");
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(10 * Minute);
        bench.Merge(winner, loser);

        var hints = FeedBench.Hints(await Sweep(bench, cursor));

        Assert.Contains(hints, h => h.ExternalId == loser && h.Kind == HintKind.Deleted);
        Assert.Contains(hints, h => h.ExternalId == winner && h.Kind == HintKind.Look);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_taken_out_of_the_recycle_bin_is_told_as_such(bool afterRestart)
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var id = bench.Create("""{ "Name": "Ada" }""");
        bench.Org.Delete(id, SalesforceOrg.Human);
        if (!afterRestart)
            bench.Org.Undelete(id, SalesforceOrg.Human);
        var cursor = await Now(bench);
        if (!afterRestart)
        {
            bench.Sandbox.Clock.Advance(10 * Minute);
            bench.Org.Delete(id, SalesforceOrg.Human);
            cursor = Last(await Sweep(bench, cursor));
        }

        bench.Sandbox.Clock.Advance(10 * Minute);
        bench.Org.Undelete(id, SalesforceOrg.Human);

        Assert.Equal(HintKind.Undeleted, Assert.Single(FeedBench.Hints(await Sweep(bench, cursor))).Kind);
    }

    [Fact]
    public async Task A_cursor_that_cannot_be_read_is_a_gap()
    {
        await using var bench = await FeedBench.Start();

        var page = Assert.Single(await FeedBench.All(bench.Sweep.Follow("nonsense", CancellationToken.None)));

        Assert.StartsWith("cursor", page.Gap!.Reason, StringComparison.Ordinal);
        Assert.NotNull(SweepCursor.Read(page.Cursor!));
    }

    [Fact]
    public async Task Only_a_sweep_that_is_older_than_the_recycle_bin_is_a_gap()
    {
        var clock = new FakeTimeProvider(Noon);
        await using var bench = await FeedBench.Start(frozen: true, clock: clock);
        bench.Create("""{ "Name": "Ada" }""");
        var cursor = await Now(bench);

        // Nobody has changed anything for two months, and it was looked at once a fortnight.
        for (var i = 0; i < 5; i++)
        {
            clock.Advance(TimeSpan.FromDays(13));
            var quiet = await Sweep(bench, cursor);
            Assert.All(quiet, page => Assert.Null(page.Gap));
            cursor = Last(quiet);
        }

        var from = clock.GetUtcNow();
        clock.Advance(TimeSpan.FromDays(15));
        bench.Sandbox.Clock.SetUtcNow(clock.GetUtcNow());
        bench.Create("""{ "Name": "Meanwhile" }""");

        var late = Assert.Single(await Sweep(bench, cursor));

        Assert.Equal("expired: older than the 15 days of the recycle bin", late.Gap!.Reason);
        Assert.Equal((from, clock.GetUtcNow()), (late.Gap.From, late.Gap.To));
        Assert.Empty(late.Hints);
        bench.Sandbox.Clock.Advance(Minute);
        var after = bench.Create("""{ "Name": "After" }""");
        var next = await Sweep(bench, late.Cursor!);
        Assert.All(next, page => Assert.Null(page.Gap));
        Assert.Contains(FeedBench.Hints(next), h => h.ExternalId == after);
        Assert.Equal(SweepCursor.Read(cursor)!.Begun, SweepCursor.Read(Last(next))!.Begun);
    }

    [Fact]
    public async Task A_sweep_that_was_broken_off_was_not_checked_to_its_end()
    {
        var clock = new FakeTimeProvider(Noon);
        await using var bench = await FeedBench.Start(frozen: true, clock: clock);
        var cursor = await Now(bench);
        bench.Sandbox.Clock.Advance(Minute);
        bench.Create("""{ "Name": "Ada" }""");
        clock.Advance(TimeSpan.FromDays(13));

        await foreach (var page in bench.Sweep.Follow(cursor, CancellationToken.None))
        {
            cursor = page.Cursor!;
            break;
        }

        clock.Advance(TimeSpan.FromDays(2));
        Assert.NotNull(Assert.Single(await Sweep(bench, cursor)).Gap);
    }

    [Fact]
    public async Task What_a_gap_found_in_the_recycle_bin_is_told_when_it_is_taken_out()
    {
        var clock = new FakeTimeProvider(Noon);
        await using var bench = await FeedBench.Start(frozen: true, clock: clock);
        var id = bench.Create("""{ "Name": "Ada" }""");
        var cursor = await Now(bench);
        clock.Advance(TimeSpan.FromDays(15));
        bench.Sandbox.Clock.SetUtcNow(clock.GetUtcNow());
        bench.Org.Delete(id, SalesforceOrg.Human);
        cursor = Last(await Sweep(bench, cursor));
        bench.Sandbox.Clock.Advance(10 * Minute);
        bench.Org.Undelete(id, SalesforceOrg.Human);

        Assert.Equal(HintKind.Undeleted, Assert.Single(FeedBench.Hints(await Sweep(bench, cursor))).Kind);
    }

    [Theory]
    [InlineData(FaultKind.RateLimit, FailureClass.SlowDown)]
    [InlineData(FaultKind.Unavailable, FailureClass.Retry)]
    [InlineData(FaultKind.DropAfter, FailureClass.Retry)]
    public async Task A_failing_Salesforce_is_a_failure_of_the_table(object fault, FailureClass expected)
    {
        await using var bench = await FeedBench.Start();
        await bench.Sandbox.Host.AddFault(
            new()
            {
                Vendor = "salesforce",
                Kind = (FaultKind)fault,
                Operation = "queryAll",
            }
        );

        var failed = await Assert.ThrowsAsync<FeedException>(() =>
            FeedBench.All(bench.Sweep.Follow(null, CancellationToken.None))
        );

        Assert.Equal(expected, failed.Failure.Class);
    }

    [Fact]
    public async Task A_listing_has_every_live_record_once_and_goes_on_behind_a_page()
    {
        await using var bench = await FeedBench.Start();
        List<string> ids = [.. Enumerable.Range(0, 4_100).Select(i => bench.Create($$"""{ "Name": "N{{i}}" }"""))];
        bench.Org.Delete(ids[7], SalesforceOrg.Human);
        ids.RemoveAt(7);

        List<ListingPage> pages = [];
        await foreach (var page in bench.Listing.List(null, CancellationToken.None))
            pages.Add(page);
        List<ListingPage> rest = [];
        await foreach (var page in bench.Listing.List(pages[0].After, CancellationToken.None))
            rest.Add(page);

        Assert.Equal([2_000, 2_000, 99], pages.Select(p => p.Objects.Count));
        Assert.Equal(ids.Order(StringComparer.Ordinal), pages.SelectMany(p => p.Objects).Select(o => o.ExternalId));
        Assert.Equal(
            pages.Skip(1).SelectMany(p => p.Objects).Select(o => o.ExternalId),
            rest.SelectMany(p => p.Objects).Select(o => o.ExternalId)
        );
    }

    static async Task<string> Now(FeedBench bench) =>
        Assert.Single(await FeedBench.All(bench.Sweep.Follow(null, CancellationToken.None))).Cursor!;

    static Task<List<FeedPage>> Sweep(FeedBench bench, string cursor) =>
        FeedBench.All(bench.Sweep.Follow(cursor, CancellationToken.None));

    static string Last(IEnumerable<FeedPage> pages) => pages.Last(p => p.Cursor is not null).Cursor!;
}

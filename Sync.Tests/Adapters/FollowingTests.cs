using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Following;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>Feeds, gaps and scans: nothing that a vendor told, or may have told, is lost.</summary>
public sealed class FollowingTests
{
    // ---- feeds ----

    [Fact]
    public async Task Hints_and_cursor_of_a_page_are_stored_together()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        stage.Frame.Vendor.Edit(ext, "name", "Person");
        stage.Feed.Tells(Page("1", Change(ext, "name", "Person")));

        await stage.Follow();
        await stage.Frame.Work();

        Assert.Equal("1", await stage.Cursor());
        Assert.Equal("Person", (await stage.Frame.Message<CustomerReported>()).Fields!["name"]);
        Assert.Equal([null], stage.Feed.AskedFrom);
        await stage.Follow();
        Assert.Equal([null, "1"], stage.Feed.AskedFrom);
    }

    [Fact]
    public async Task After_a_crash_between_two_pages_the_feed_goes_on_at_the_page_that_was_stored()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        stage.Feed.Tells(Page("1", Change(ext, "name", "One")));
        stage.Feed.Crashes();

        await stage.Follow();
        await stage.Restart();
        stage.Feed.Tells(Page("2", Change(ext, "name", "Two")));
        await stage.Follow();

        Assert.Equal([null, "1"], stage.Feed.AskedFrom);
        Assert.Equal(2, await stage.Frame.WorkRows());
        Assert.Equal("2", await stage.Cursor());
    }

    [Fact]
    public async Task A_feed_is_followed_in_one_replica_until_its_lease_runs_out()
    {
        await using var stage = await Stage.Start();

        Assert.Null(await stage.Feeds.Take("events", "other/1", null, default));
        Assert.Null(await stage.Feeds.Take("events", "other/1", "other", default));
        Assert.NotNull(await stage.Feeds.Take("sweep", "other/1", null, default));
        // An earlier life of the same replica is over, and so is a lease that ran out.
        Assert.NotNull(await stage.Feeds.Take("events", "replica/2", "replica", default));
        await stage.LeaseRunsOut();
        Assert.NotNull(await stage.Feeds.Take("events", "other/2", null, default));
    }

    [Fact]
    public async Task A_replica_that_outlived_its_lease_stores_nothing()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        await stage.LeaseRunsOut();
        var other = await stage.Feeds.Take("events", "other/1", null, default);
        await stage.Feeds.Store(other!, Page("7"), default);
        stage.Feed.Tells(Page("3", Change(ext, "name", "Old")));

        await Assert.ThrowsAsync<LeaseLostException>(stage.Follow);

        Assert.Equal("7", await stage.Cursor());
        Assert.Equal(0, await stage.Frame.WorkRows());
        Assert.False(await stage.Feeds.Renew(stage.Lease, default));
    }

    [Fact]
    public async Task A_change_that_was_told_before_is_not_taken_in_again()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        var change = Change(ext, "name", "Person");
        stage.Feed.Tells(Page("1", change));
        await stage.Follow();
        await stage.Frame.Work();
        var reads = stage.Frame.Vendor.Calls.Count;

        stage.Feed.Tells(Page("2", change, change));
        await stage.Follow();

        Assert.Equal(0, await stage.Frame.WorkRows());
        Assert.Equal(reads, stage.Frame.Vendor.Calls.Count);
    }

    [Fact]
    public async Task A_feed_that_is_refused_waits_for_somebody_and_the_adapter_goes_on()
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        stage.Feed.Fails(FailureClass.PauseAll, "403");

        var wait = await stage.Follow();

        Assert.Equal(TimeSpan.FromSeconds(stage.Frame.Options.PauseProbeSeconds), wait);
        Assert.Contains("403", stage.Frame.Health.Reasons["feed-events"], StringComparison.Ordinal);
        Assert.Equal(10, stage.Frame.Gate.Lanes(10, 0));
        stage.Feed.Tells(Page("1"));
        await stage.Follow();
        Assert.Empty(stage.Frame.Health.Reasons);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_page_ends_a_pause_of_the_writes_only_where_it_came_from_the_same_service(bool same)
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        stage.Feed.IsOfTheWrittenService = same;
        var denied = new VendorResult.Failed(FailureClass.PauseAll, "403", "words", Definite: true);
        await stage.Frame.Gate.Call(_ => Task.FromResult(new CallOutcome([]) { PauseAll = denied }), default);
        stage.Frame.Clock.Advance(TimeSpan.FromSeconds(stage.Frame.Options.PauseProbeSeconds));

        stage.Feed.Tells(Page("1"));
        await stage.Follow();

        // One lane tries whether the pause is over; without it all go.
        Assert.Equal(same ? 10 : 1, stage.Frame.Gate.Lanes(10, 0));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_limit_of_a_feed_slows_the_writes_down_only_where_it_is_of_the_same_service(bool same)
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        stage.Feed.IsOfTheWrittenService = same;
        stage.Feed.Fails(FailureClass.SlowDown, "rate_limit");

        await stage.Follow();

        Assert.Equal(same ? 0 : 10, stage.Frame.Gate.Lanes(10, 0));
    }

    [Fact]
    public async Task A_vendor_that_limits_a_feed_slows_everybody_down_and_a_closed_gate_stops_feeds()
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        stage.Feed.Fails(FailureClass.SlowDown, "rate_limit");
        await stage.Follow();

        Assert.Equal(0, stage.Frame.Gate.Lanes(10, 0));
        stage.Feed.Tells(Page("1"));
        var following = stage.Follow();
        Assert.False(following.IsCompleted);
        Assert.Single(stage.Feed.AskedFrom);
        stage.Frame.Clock.Advance(TimeSpan.FromSeconds(15));
        await following;
        Assert.Equal("1", await stage.Cursor());
    }

    // ---- gaps ----

    [Fact]
    public async Task A_gap_is_recorded_and_reported_with_the_cursor_and_closed_by_a_scan_that_began_after_it()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        await stage.ScanAll();
        var from = DateTimeOffset.UnixEpoch.AddYears(50);
        stage.Feed.Tells(Page("9") with { Gap = new("expired", from, from.AddDays(40)) });

        await stage.Follow();

        var opened = (await stage.Gaps())[^1];
        Assert.Equal(("vendor", "events", "expired"), (opened.System, opened.Feed, opened.Reason));
        Assert.Equal((from, from.AddDays(40)), (opened.From, opened.To));
        Assert.Null(opened.ClosedAt);

        // What the lost event would have told.
        stage.Frame.Vendor.Edit(ext, "name", "Unseen");
        await stage.ScanAll();
        await stage.Frame.Work();

        var closed = (await stage.Gaps())[^1];
        Assert.Equal(opened.GapId, closed.GapId);
        Assert.NotNull(closed.ClosedAt);
        Assert.Equal("Unseen", (await stage.Frame.Reports())[^1].Fields!["name"]);
        Assert.Equal(
            0L,
            await stage.Frame.Database.Scalar<long>(
                $"select count(*) from {stage.Frame.Schema}.feed_gap where state = 'open'"
            )
        );
    }

    [Fact]
    public async Task A_gap_found_while_a_scan_is_under_way_waits_for_the_next_one()
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        await stage.Feeds.Store(stage.Lease, Page("1"), default);
        var scan = (await stage.Scans.Next(stage.ScanLease, null, feedsMayBegin: false, default))!;

        stage.Feed.Tells(Page("9") with { Gap = new("expired", null, null) });
        await stage.Follow();
        await stage.Scans.Listed(stage.ScanLease, scan, default);
        while (!await stage.Scans.End(stage.ScanLease, scan, default)) { }

        Assert.Null((await stage.Gaps())[^1].ClosedAt);
        await stage.ScanAll();
        Assert.NotNull((await stage.Gaps())[^1].ClosedAt);
    }

    // ---- scans ----

    [Fact]
    public async Task A_first_follow_begins_a_scan_that_finds_what_no_event_will_tell()
    {
        await using var stage = await Stage.Start();
        var known = await stage.Linked("Ada");
        var stranger = stage.Frame.Vendor.Make(null, ("name", "Old"), ("email", "old@x.org"));
        stage.Frame.Vendor.Edit(known, "name", "Edited");
        stage.Feed.Tells(Page("1"));
        await stage.Follow();

        await stage.ScanAll();
        await stage.Frame.Work();

        var messages = await stage.Frame.Outbox.All(stage.Frame.Database);
        Assert.Equal(stranger, Assert.Single(messages.OfType<ObjectFound>()).ExternalId);
        Assert.Equal("Edited", (await stage.Frame.Reports())[^1].Fields!["name"]);
        Assert.Equal(
            "first done 2 1 1 0",
            await stage.Frame.Database.Scalar<string>(
                $"select concat_ws(' ', kind, state, seen, differing, unknown, absent) from {stage.Frame.Schema}.scan"
            )
        );
        // Once is enough: the feed has a cursor.
        stage.Feed.Tells(Page("2"));
        await stage.Follow();
        Assert.Equal(1L, await stage.Frame.Database.Scalar<long>($"select count(*) from {stage.Frame.Schema}.scan"));
    }

    // ---- an account in which something was before ----

    static readonly AdapterOptions ListsFirst = new() { GatherMs = 5, CallTimeoutSeconds = 30 };

    /// <summary>A feed's begin asks for a listing, and so does an account that was never listed: that is one listing.</summary>
    [Fact]
    public async Task The_first_listing_waits_a_moment_for_the_begin_of_a_feed_and_does_for_both()
    {
        await using var stage = await Stage.Start(options: ListsFirst);
        Assert.Null(await stage.Scans.Next(stage.ScanLease, null, feedsMayBegin: true, default));

        stage.Feed.Tells(Page("1"));
        await stage.Follow();
        await stage.ScanAll();

        Assert.Equal(1L, await stage.Frame.Database.Scalar<long>($"select count(*) from {stage.Frame.Schema}.scan"));
        Assert.Equal(
            1L,
            await stage.Frame.Database.Scalar<long>(
                $"select count(*) from {stage.Frame.Schema}.first_listing where listed_at is not null"
            )
        );
    }

    [Fact]
    public async Task Where_no_feed_begins_the_account_is_listed_all_the_same()
    {
        await using var stage = await Stage.Start(options: ListsFirst);

        var scan = await stage.Scans.Next(stage.ScanLease, null, feedsMayBegin: false, default);

        Assert.Equal(ScanKind.First, scan!.Kind);
    }

    [Fact]
    public async Task What_the_account_held_before_is_linked_by_its_e_mail_and_never_created_again()
    {
        await using var stage = await Stage.Start(options: ListsFirst);
        var vendor = stage.Frame.Vendor;
        var ada = vendor.Make(null, ("name", "Ada there"), ("email", "ADA@x.org"));
        var owned = vendor.Make("c-9", ("name", "Owned"), ("email", "owned@x.org"));
        var changed = vendor.Make(null, ("name", "Changed"), ("email", "changed@x.org"));
        PushCustomer Create(string customer, string email) =>
            Command(Operation.Create, Values(("name", "Ours"), ("email", email)), customer: customer);

        // Before the account was listed nobody knows what is there, so nothing is created.
        await stage.Frame.TakeIn(
            Create("c-1", "ada@x.org"),
            Create("c-2", "owned@x.org"),
            Create("c-3", "changed@x.org"),
            Create("c-4", "new@x.org")
        );
        await stage.Frame.Work();
        Assert.Empty(vendor.Calls);
        Assert.Equal(
            4L,
            await stage.Frame.Database.Scalar<long>(
                $"select count(*) from {stage.Frame.Schema}.link where reason = 'first-listing' and due_at is not null"
            )
        );

        await stage.ScanAll();
        vendor.Edit(changed, "email", "other@x.org");
        await stage.Frame.Work();

        Assert.Equal(6, vendor.Live.Count);
        var reports = (await stage.Frame.Reports()).ToDictionary(r => r.CustomerId);
        var linked = reports["c-1"];
        Assert.Equal((ada, false, Outcome.Done), (linked.ExternalId, linked.IdOnObject, linked.Outcome));
        Assert.Equal("Ada there", linked.Fields!["name"]);
        Assert.Empty(linked.Written!);
        Assert.DoesNotContain(owned, reports.Values.Where(r => r.CustomerId != "c-9").Select(r => r.ExternalId));
        Assert.NotEqual(changed, reports["c-3"].ExternalId);
        Assert.True(reports["c-4"].IdOnObject);
        // It was not touched: what the saga asks for next brings id and values.
        Assert.Null(vendor.Live.Single(o => o.Id == ada).CustomerId);
        await stage.Frame.Do(
            Command(Operation.Update, Values(("name", "Ours")), expect: Values(("name", "Ada there")), ext: ada)
        );
        Assert.Equal("c-1", vendor.Live.Single(o => o.Id == ada).CustomerId);
    }

    [Fact]
    public async Task Two_customers_with_one_e_mail_do_not_share_one_object()
    {
        await using var stage = await Stage.Start(options: ListsFirst);
        var ada = stage.Frame.Vendor.Make(null, ("name", "Ada"), ("email", "ada@x.org"));
        await stage.ScanAll();

        await stage.Frame.TakeIn(
            Command(Operation.Create, Values(("email", "ada@x.org")), customer: "c-1"),
            Command(Operation.Create, Values(("email", "ada@x.org")), customer: "c-2")
        );
        await stage.Frame.Work();
        await stage.Frame.BackoffsEnd();
        await stage.Frame.Work();

        Assert.Equal(
            1L,
            await stage.Frame.Database.Scalar<long>(
                $"select count(*) from {stage.Frame.Schema}.link where ext = '{ada}'"
            )
        );
    }

    [Fact]
    public async Task What_was_there_before_waits_for_an_import_and_what_comes_later_is_found()
    {
        await using var stage = await Stage.Start(options: ListsFirst);
        var old = stage.Frame.Vendor.Make(null, ("name", "Old"), ("email", "old@x.org"));
        stage.Feed.Tells(Page("1"));
        await stage.Follow();
        await stage.ScanAll();
        await stage.Frame.Work();
        Assert.Empty((await stage.Frame.Outbox.All(stage.Frame.Database)).OfType<ObjectFound>());

        // Made while a feed was blind: the scan that closes the gap finds it, and only it.
        var late = stage.Frame.Vendor.Make(null, ("name", "Late"), ("email", "late@x.org"));
        await stage.Ask();
        await stage.ScanAll();
        await stage.Frame.Work();
        Assert.Equal(
            late,
            Assert.Single((await stage.Frame.Outbox.All(stage.Frame.Database)).OfType<ObjectFound>()).ExternalId
        );
        Assert.NotEqual(old, late);
    }

    [Fact]
    public async Task What_is_equal_and_idle_costs_a_scan_neither_work_nor_a_call()
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        stage.Frame.Vendor.Make(null, ("name", "Found"));
        await stage.Ask();
        await stage.ScanAll();
        await stage.Frame.Work();
        stage.Frame.Vendor.Calls.Clear();

        await stage.Ask();
        await stage.ScanAll();

        Assert.Equal(0, await stage.Frame.WorkRows());
        Assert.Empty(stage.Frame.Vendor.Calls);
    }

    /// <summary>
    /// A worker read before the change that the scan lists, and has not stored it yet: what is stored looks equal to the
    /// listing, and will not be.
    /// </summary>
    [Fact]
    public async Task A_lane_that_somebody_works_on_gets_its_hint_however_equal_it_looks()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        stage.Frame.Vendor.Edit(ext, "name", "Between");
        await stage.Frame.TakeIn(new Hint { ExternalId = ext, Kind = HintKind.Look });
        var worker = await stage.Frame.Begin();
        await worker.Step();
        stage.Frame.Vendor.Edit(ext, "name", "Ada");

        await stage.Ask();
        await stage.ScanAll();
        await worker.Finish();
        await stage.Frame.Work();

        Assert.Equal(["Between", "Ada"], (await stage.Frame.Reports()).TakeLast(2).Select(r => r.Fields!["name"]));
    }

    [Fact]
    public async Task What_was_reported_before_a_restore_is_no_reason_to_pass_over_a_listed_object()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        var reports = (await stage.Frame.Reports()).Count;
        await stage.Frame.Store.RaiseVersions(default);

        await stage.Ask();
        await stage.ScanAll();
        await stage.Frame.Work();

        var report = Assert.Single((await stage.Frame.Reports()).Skip(reports));
        Assert.Equal((ext, "Ada"), (report.ExternalId, report.Fields?["name"]));
        Assert.True(report.Obs > 1_000_000_000);
    }

    [Fact]
    public async Task A_deletion_that_no_event_told_is_found_by_absence_and_read()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        stage.Frame.Vendor.Remove(ext);

        await stage.Ask();
        await stage.ScanAll();
        await stage.Frame.Work();

        Assert.True((await stage.Frame.Reports())[^1] is { Gone: true } report && report.ExternalId == ext);
        // And a scan later there is nothing left to look at.
        stage.Frame.Vendor.Calls.Clear();
        await stage.Ask();
        await stage.ScanAll();
        Assert.Equal(0, await stage.Frame.WorkRows());
    }

    [Fact]
    public async Task An_object_that_is_missing_in_the_list_and_alive_is_not_reported_gone()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        stage.Listing.Hides(ext);
        var reports = (await stage.Frame.Reports()).Count;

        await stage.Ask();
        await stage.ScanAll();
        await stage.Frame.Work();

        Assert.Equal(reports, (await stage.Frame.Reports()).Count);
        Assert.Equal(1L, await stage.Frame.Database.Scalar<long>($"select absent from {stage.Frame.Schema}.scan"));
    }

    [Fact]
    public async Task A_scan_goes_on_after_a_crash_with_the_page_that_was_not_stored()
    {
        await using var stage = await Stage.Start();
        List<string> exts = [];
        for (var i = 0; i < 5; i++)
            exts.Add(await stage.Linked($"Person {i}", $"c-{i}"));
        stage.Frame.Vendor.Remove(exts[4]);
        stage.Listing.PageSize = 1;
        stage.Listing.CrashesAfter = 2;

        await stage.Ask();
        await stage.Scan();
        Assert.Equal("2", await stage.Frame.Database.Scalar<string>($"select after from {stage.Frame.Schema}.scan"));
        await stage.Restart();
        await stage.ScanAll();

        Assert.Equal([null, "2"], stage.Listing.AskedAfter);
        Assert.Equal(
            "done 4 1",
            await stage.Frame.Database.Scalar<string>(
                $"select concat_ws(' ', state, seen, absent) from {stage.Frame.Schema}.scan"
            )
        );
        Assert.Equal(1, await stage.Frame.WorkRows());
    }

    [Fact]
    public async Task A_scan_of_a_replica_that_lost_its_lease_stores_nothing()
    {
        await using var stage = await Stage.Start();
        await stage.Linked("Ada");
        await stage.Ask();
        await stage.LeaseRunsOut();
        await stage.Feeds.Take(ScanStore.Lease, "other/1", null, default);

        await Assert.ThrowsAsync<LeaseLostException>(stage.Scan);
    }

    [Fact]
    public async Task A_dry_run_counts_and_writes_no_hint()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        var gone = await stage.Linked("Bob", "c-2");
        stage.Frame.Vendor.Make(null, ("name", "Stranger"));
        stage.Frame.Vendor.Edit(ext, "name", "Edited");
        stage.Frame.Vendor.Remove(gone);
        var request = Guid.NewGuid();

        await stage.Scans.Request(request, dryRun: true, default);
        await stage.Scans.Request(request, dryRun: true, default);
        await stage.ScanAll();

        Assert.Equal(0, await stage.Frame.WorkRows());
        Assert.Equal(
            "request done 2 1 1 1",
            await stage.Frame.Database.Scalar<string>(
                $"select concat_ws(' ', kind, state, seen, differing, unknown, absent) from {stage.Frame.Schema}.scan"
            )
        );
    }

    [Fact]
    public async Task Who_asks_for_a_list_is_told_every_object_once_also_after_a_crash()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        for (var i = 0; i < 5; i++)
            stage.Frame.Vendor.Make(null, ("name", $"Stranger {i}"));
        stage.Listing.PageSize = 2;
        stage.Listing.CrashesAfter = 1;
        var calls = stage.Frame.Vendor.Calls.Count;
        var request = Guid.NewGuid();
        var requests = new ScanRequests(stage.Frame.AdapterSchema);
        await using (var connection = await stage.Frame.Database.DataSource.OpenConnectionAsync())
        {
            // Asked twice, as by a message that came twice.
            await requests.Write([new(request), new(request)], connection, default);
            await requests.Write([new(request)], connection, default);
        }

        Assert.NotEqual(TimeSpan.Zero, await stage.Scan());
        await stage.Restart();
        await stage.ScanAll();

        var told = (await stage.Frame.Outbox.All(stage.Frame.Database)).OfType<ObjectsListed>().ToList();
        Assert.All(told, t => Assert.Equal((request, "vendor"), (t.RequestId, t.System)));
        var objects = told.SelectMany(t => t.Objects).ToList();
        Assert.Equal(6, objects.Count);
        Assert.Equal(6, objects.Select(o => o.ExternalId).Distinct().Count());
        Assert.Equal(Customer, objects.Single(o => o.ExternalId == ext).CustomerId);
        Assert.Equal(["email", "name", "phone"], objects[0].Fields.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([.. Enumerable.Repeat(false, told.Count - 1), true], told.Select(t => t.Done));
        Assert.Equal(0, await stage.Frame.WorkRows());
        Assert.Equal(calls, stage.Frame.Vendor.Calls.Count);
    }

    [Fact]
    public async Task A_scan_begins_by_itself_when_the_last_one_is_old()
    {
        await using var stage = await Stage.Start();
        stage.Feed.Tells(Page("1"));
        await stage.Follow();
        await stage.ScanAll();
        var day = TimeSpan.FromDays(1);
        Assert.Null(await stage.Scans.Next(stage.ScanLease, day, feedsMayBegin: false, default));
        await stage.Frame.Database.Execute(
            $"update {stage.Frame.Schema}.scan set started_at = now() - interval '25 h'"
        );

        Assert.Null(await stage.Scans.Next(stage.ScanLease, null, feedsMayBegin: false, default));
        Assert.Equal(
            ScanKind.Timer,
            (await stage.Scans.Next(stage.ScanLease, day, feedsMayBegin: false, default))!.Kind
        );
    }

    [Fact]
    public async Task After_a_change_of_the_mapping_everything_is_read_and_reported_again_deletions_too()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        var gone = await stage.Linked("Bob", "c-2");
        Assert.False(await stage.Scans.ForgetOtherMapping(default));
        Assert.False(await stage.Scans.ForgetOtherMapping(default));
        await stage.Frame.Database.Execute($"update {stage.Frame.Schema}.mapping set hash = 'another'");
        stage.Frame.Vendor.Remove(gone);
        var reports = (await stage.Frame.Reports()).Count;

        Assert.True(await stage.Scans.ForgetOtherMapping(default));
        await stage.ScanAll();
        await stage.Frame.Work();

        var after = (await stage.Frame.Reports()).Skip(reports).ToList();
        Assert.Equal("Ada", Assert.Single(after, r => r.ExternalId == ext).Fields!["name"]);
        Assert.True(Assert.Single(after, r => r.ExternalId == gone).Gone);
        Assert.False(await stage.Scans.ForgetOtherMapping(default));
    }

    [Fact]
    public async Task A_round_that_knew_the_old_mapping_is_thrown_away()
    {
        await using var stage = await Stage.Start();
        var ext = await stage.Linked("Ada");
        await stage.Scans.ForgetOtherMapping(default);
        await stage.Frame.TakeIn(new Hint { ExternalId = ext, Kind = HintKind.Look });
        var worker = await stage.Frame.Begin();
        await worker.Step();
        await stage.Frame.Database.Execute($"update {stage.Frame.Schema}.mapping set hash = 'another'");

        await stage.Scans.ForgetOtherMapping(default);

        Assert.False(await worker.Finish());
        Assert.Equal("{}", await stage.Frame.OfLink<string>("last::text"));
    }

    [Fact]
    public async Task Hosted_feeds_and_scans_run_by_themselves_and_a_second_replica_takes_over_at_a_stop()
    {
        await using var stage = await Stage.Start(takeLeases: false);
        var ext = await stage.Linked("Ada");
        stage.Frame.Vendor.Edit(ext, "name", "Edited");
        stage.Feed.Tells(Page("1"));
        using var first = stage.Hosted("one");
        using var second = stage.Hosted("two");
        await first.StartAsync(default);
        await Support.Eventually.Is(
            async () =>
                await stage.Frame.Database.Scalar<long>(
                    $"select count(*) from {stage.Frame.Schema}.scan where state = 'done'"
                ) == 1,
            "the first scan is done"
        );
        Assert.Equal(1, await stage.Frame.WorkRows());

        await second.StartAsync(default);
        await first.StopAsync(default);
        stage.Feed.Tells(Page("2"));
        await Support.Eventually.Is(async () => await stage.Cursor() == "2", "the other follows");
        await second.StopAsync(default);
    }

    // ---- what stands on the stage ----

    static FeedPage Page(string cursor, params (Guid, Hint)[] hints) => new() { Cursor = cursor, Hints = hints };

    static (Guid, Hint) Change(string ext, string path, string? value) =>
        (
            Guid.NewGuid(),
            new Hint
            {
                ExternalId = ext,
                Kind = HintKind.Updated,
                Fields = Values((path, value)),
            }
        );

    sealed class Stage : IAsyncDisposable
    {
        Follower? _follower;

        Stage(Frame frame)
        {
            Frame = frame;
            Feeds = new FeedStore(
                frame.Database.DataSource,
                frame.AdapterSchema,
                new AdapterSystem("vendor"),
                frame.Hints,
                frame.Outbox
            );
            Scans = new ScanStore(
                frame.Database.DataSource,
                frame.AdapterSchema,
                new AdapterSystem("vendor"),
                frame.Map,
                frame.Hints,
                frame.Outbox,
                frame.Options
            );
            Listing = new FakeListing(frame.Vendor);
        }

        public Frame Frame { get; }
        public FeedStore Feeds { get; }
        public ScanStore Scans { get; }
        public FakeFeed Feed { get; } = new();
        public FakeListing Listing { get; }
        public FeedLease Lease { get; private set; } = null!;
        public FeedLease ScanLease { get; private set; } = null!;

        public static async Task<Stage> Start(bool takeLeases = true, AdapterOptions? options = null)
        {
            var stage = new Stage(await Frame.Start(options: options));
            if (takeLeases)
                await stage.Restart();
            return stage;
        }

        /// <summary>The process is another one, and takes what it had.</summary>
        public async Task Restart()
        {
            _follower = null;
            Lease = (await Feeds.Take("events", "replica/1", "replica", default))!;
            ScanLease = (await Feeds.Take(ScanStore.Lease, "replica/1", "replica", default))!;
        }

        public async Task<string> Linked(string name, string customer = Customer)
        {
            var made = await Frame.Do(Command(Operation.Create, Values(("name", name)), customer: customer));
            return made.ExternalId!;
        }

        public Task<TimeSpan> Follow() => (_follower ??= Follower(Frame.Clock)).Once(Lease, default);

        public async Task Ask()
        {
            await using var connection = await Frame.Database.DataSource.OpenConnectionAsync();
            await ScanStore.Ask(connection, Frame.AdapterSchema.Quoted, ScanKind.Gap, default);
        }

        public Task<TimeSpan> Scan() => Scanner(Frame.Clock).Once(ScanLease, default);

        public async Task ScanAll()
        {
            while (await Scan() == TimeSpan.Zero) { }
        }

        public Feeds Hosted(string replica) =>
            new(
                [Follower(TimeProvider.System)],
                Scanner(TimeProvider.System),
                Feeds,
                Scans,
                Frame.Backoff,
                Frame.MayWork,
                TimeProvider.System,
                "vendor",
                replica,
                Frame.Log.For<Feeds>()
            );

        Follower Follower(TimeProvider time) =>
            new(
                Feed,
                Feeds,
                Frame.Gate,
                Frame.Backoff,
                Frame.Options,
                Frame.Telemetry,
                Frame.Health,
                time,
                "vendor",
                Frame.Log.For<Feeds>()
            );

        Scanner Scanner(TimeProvider time) =>
            new(
                Listing,
                Scans,
                Frame.Gate,
                Frame.Backoff,
                Frame.Options,
                Frame.Telemetry,
                Frame.Health,
                time,
                "vendor",
                Frame.Log.For<Feeds>()
            );

        public Task<string> Cursor() =>
            Frame.Database.Scalar<string>(
                $"select coalesce(value, '') from {Frame.Schema}.cursor where feed = 'events'"
            );

        public Task LeaseRunsOut() =>
            Frame.Database.Execute($"update {Frame.Schema}.cursor set taken_until = now() - interval '1 s'");

        public async Task<IReadOnlyList<FeedGapReported>> Gaps() =>
            [.. (await Frame.Outbox.All(Frame.Database)).OfType<FeedGapReported>()];

        public ValueTask DisposeAsync() => Frame.DisposeAsync();
    }

    sealed class FakeFeed : IFeed
    {
        readonly System.Collections.Concurrent.ConcurrentQueue<object> _script = new();

        public string Name => "events";
        public TimeSpan Every { get; } = TimeSpan.FromMilliseconds(50);
        public bool IsOfTheWrittenService { get; set; } = true;
        public System.Collections.Concurrent.ConcurrentQueue<string?> AskedFrom { get; } = new();

        public void Tells(FeedPage page) => _script.Enqueue(page);

        public void Crashes() => _script.Enqueue(new InvalidOperationException("a mistake"));

        public void Fails(FailureClass failure, string code) =>
            _script.Enqueue(new FeedException(new(failure, code, "words", Definite: true)));

        public async IAsyncEnumerable<FeedPage> Follow(
            string? cursor,
            [EnumeratorCancellation] CancellationToken cancellationToken
        )
        {
            AskedFrom.Enqueue(cursor);
            await Task.Yield();
            while (_script.TryDequeue(out var next))
            {
                if (next is Exception failure)
                    throw failure;
                yield return (FeedPage)next;
            }
        }
    }

    sealed class FakeListing(FakeVendor vendor) : IListing
    {
        readonly HashSet<string> _hidden = [];

        public int PageSize { get; set; } = 100;
        public int? CrashesAfter { get; set; }
        public List<string?> AskedAfter { get; } = [];

        public void Hides(string ext) => _hidden.Add(ext);

        public async IAsyncEnumerable<ListingPage> List(
            string? after,
            [EnumeratorCancellation] CancellationToken cancellationToken
        )
        {
            AskedAfter.Add(after);
            await Task.Yield();
            var skip = after is null ? 0 : int.Parse(after);
            foreach (var page in vendor.Listed().Where(o => !_hidden.Contains(o.ExternalId)).Chunk(PageSize).Skip(skip))
            {
                if (CrashesAfter == skip)
                {
                    CrashesAfter = null;
                    throw new InvalidOperationException("a mistake");
                }

                yield return new ListingPage(page, $"{++skip}");
            }
        }
    }
}

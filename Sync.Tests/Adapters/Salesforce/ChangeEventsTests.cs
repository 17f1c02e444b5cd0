using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Following;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Sandbox;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>Change events over the sandbox's Pub/Sub API: what a page tells, and what becomes of a stream that goes wrong.</summary>
public sealed class ChangeEventsTests
{
    static readonly Guid Command = new("11111111-2222-3333-4444-555555555555");

    static readonly Actor Integration = new(SalesforceOrg.IntegrationUser, "com/salesforce/api/rest/66.0;client=Sync");

    [Fact]
    public async Task Each_change_is_a_hint_with_what_the_event_says_of_it()
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        var id = bench.Create(
            """{ "Name": "Ada", "Phone": "+46", "BillingCity": "Lund", "Product_Customer_Id__c": "c-1" }"""
        );
        bench.Edit(id, """{ "Phone": null, "BillingCity": "Malmö" }""");
        bench.Org.Delete(id, SalesforceOrg.Human);
        bench.Org.Undelete(id, SalesforceOrg.Human);
        var hints = await follow.Hints(4);

        Assert.Equal(
            [HintKind.Created, HintKind.Updated, HintKind.Deleted, HintKind.Undeleted],
            hints.Select(h => h.Kind)
        );
        Assert.All(hints, h => Assert.Equal(id, h.ExternalId));
        Assert.Equal(
            ("c-1", "Ada", "+46", "Lund", null),
            (
                hints[0].CustomerId,
                hints[0].Fields!["name"],
                hints[0].Fields!["phone"],
                hints[0].Fields!["address.city"],
                hints[0].Fields!["email"]
            )
        );
        Assert.Equal(new Dictionary<string, string?> { ["phone"] = null, ["address.city"] = "Malmö" }, hints[1].Fields);
        Assert.Null(hints[2].Fields);
        Assert.Equal("Malmö", hints[3].Fields!["address.city"]);
        Assert.All(hints, h => Assert.Null(h.CommandId));
    }

    [Fact]
    public async Task Only_a_stamp_that_the_change_itself_put_there_makes_it_ours()
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        var id = bench.Create(
            $$"""{ "Name": "Ada", "Product_Customer_Id__c": "c-1", "Sync_Command__c": "{{Command}}" }""",
            Integration
        );
        bench.Edit(id, """{ "Phone": "+46" }""");
        bench.Edit(id, """{ "Phone": "+47" }""", Integration);
        bench.Edit(
            id,
            """{ "Phone": "+48", "Sync_Command__c": "99999999-2222-3333-4444-555555555555" }""",
            Integration
        );
        var hints = await follow.Hints(4);

        Assert.Equal(
            [Command, null, null, new Guid("99999999-2222-3333-4444-555555555555")],
            hints.Select(h => h.CommandId)
        );
    }

    /// <summary>A list of writes has no If-Match: an edit between our read and our write is told by the event before ours.</summary>
    [Fact]
    public async Task Our_own_change_says_what_it_replaced_as_far_as_the_stream_told()
    {
        await using var bench = await FeedBench.Start();
        var id = bench.Create("""{ "Name": "Ada", "Phone": "+45" }""");
        var second = bench.Create("""{ "Name": "Bob", "Phone": "+45" }""");
        await using var follow = bench.Follow(await bench.Now());

        bench.Edit(id, """{ "Phone": "+46", "BillingCity": "Lund" }""");
        bench.Edit(second, """{ "Phone": "+40" }""");
        bench.Edit(id, $$"""{ "Phone": "+47", "Name": "Ann", "Sync_Command__c": "{{Command}}" }""", Integration);
        bench.Edit(id, """{ "Phone": "+48" }""");
        bench.Org.Announce(Header("GAP_UPDATE"), [id]);
        bench.Edit(
            id,
            """{ "Phone": "+49", "Sync_Command__c": "99999999-2222-3333-4444-555555555555" }""",
            Integration
        );
        var hints = await follow.Hints(6);

        // The name that it replaced was told before the stream began, and after a gap nothing is known.
        Assert.Equal(new Dictionary<string, string?> { ["phone"] = "+46" }, hints[2].Previous);
        Assert.All(hints.Where(h => h != hints[2]), h => Assert.Null(h.Previous));
    }

    [Fact]
    public async Task Our_id_put_there_or_taken_away_by_somebody_else_is_always_reported()
    {
        await using var bench = await FeedBench.Start();
        var id = bench.Create("""{ "Name": "Ada", "Product_Customer_Id__c": "c-1" }""");
        await using var follow = bench.Follow(await bench.Now());

        bench.Edit(id, """{ "Product_Customer_Id__c": null }""");
        bench.Edit(id, """{ "Product_Customer_Id__c": "c-2" }""");
        bench.Edit(id, $$"""{ "Product_Customer_Id__c": "c-1", "Sync_Command__c": "{{Command}}" }""", Integration);
        var hints = await follow.Hints(3);

        Assert.Equal([(true, null), (true, "c-2"), (false, "c-1")], hints.Select(h => (h.Always, h.CustomerId)));
    }

    [Fact]
    public async Task Several_ids_in_one_event_are_a_hint_each_and_a_second_copy_has_the_same_name()
    {
        await using var bench = await FeedBench.Start();
        string[] ids = [.. Enumerable.Range(0, 3).Select(i => bench.Create($$"""{ "Name": "N{{i}}" }"""))];
        var now = await bench.Now();
        await using var follow = bench.Follow(now);

        bench.Org.DeleteMany(ids, allOrNone: true, SalesforceOrg.Human);
        var page = await follow.Until(p => p.Hints.Count > 0);
        await using var again = bench.Follow(now);
        var copy = await again.Until(p => p.Hints.Count > 0);

        Assert.Equal(ids, page.Hints.Select(h => h.Hint.ExternalId));
        Assert.All(page.Hints, h => Assert.Equal(HintKind.Deleted, h.Hint.Kind));
        Assert.Equal(3, page.Hints.DistinctBy(h => h.Id).Count());
        Assert.Equal(page.Hints.Select(h => h.Id), copy.Hints.Select(h => h.Id));
    }

    [Theory]
    [InlineData("GAP_CREATE", HintKind.Look)]
    [InlineData("GAP_UPDATE", HintKind.Look)]
    [InlineData("GAP_DELETE", HintKind.Deleted)]
    [InlineData("GAP_UNDELETE", HintKind.Undeleted)]
    [InlineData("SNAPSHOT", HintKind.Look)]
    public async Task A_gap_event_asks_for_a_look_at_its_record(string type, HintKind kind)
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        bench.Org.Announce(Header(type), ["001000000000001AAA", "001000000000002"]);
        var hints = await follow.Hints(2);

        Assert.All(hints, h => Assert.Equal((kind, true), (h.Kind, h.Fields is null)));
        Assert.All(hints, h => Assert.Equal(18, h.ExternalId.Length));
    }

    [Theory]
    [InlineData("GAP_OVERFLOW", "overflow", new string[0])]
    [InlineData("UPDATE", "ids", new[] { "001*" })]
    [InlineData("UPDATE", "ids", new string[0])]
    public async Task An_event_that_names_no_records_is_a_gap_and_the_stream_goes_on(
        string type,
        string reason,
        string[] ids
    )
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        bench.Org.Announce(Header(type), ids);
        var page = await follow.Until(p => p.Gap is not null);
        bench.Create("""{ "Name": "after" }""");

        Assert.StartsWith(reason, page.Gap!.Reason, StringComparison.Ordinal);
        Assert.NotNull(page.Gap.From);
        Assert.NotNull(page.Cursor);
        Assert.Single(await follow.Hints(1));
    }

    [Fact]
    public async Task An_event_of_another_schema_is_read_by_it_and_each_schema_is_fetched_once()
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());
        var id = bench.Create("""{ "Name": "Ada" }""");
        bench.Org.AddField("Aardvark__c");
        bench.Edit(id, """{ "Product_Tier__c": "gold", "Aardvark__c": "yes" }""");
        bench.Edit(id, """{ "Product_Tier__c": "silver" }""");

        var hints = await follow.Hints(3);

        Assert.Equal(["gold", "silver"], hints.Skip(1).Select(h => h.Fields!["attributes.tier"]));
        Assert.All(hints.Skip(1), h => Assert.Single(h.Fields!));
        Assert.Equal(2, bench.Sandbox.Host.Calls.Of("salesforce-events").Operations["schema"]);
    }

    [Theory]
    [InlineData("unknown-schema", "AAAA")]
    [InlineData(null, "AAAA")]
    [InlineData(null, "")]
    public async Task An_event_that_cannot_be_read_is_a_gap_with_a_reason_and_the_next_one_is_read(
        string? schema,
        string payload
    )
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        bench.Org.Events.Append(schema ?? bench.Org.Schema.Id, [Convert.FromBase64String(payload)]);
        var page = await follow.Until(p => p.Gap is not null);
        bench.Create("""{ "Name": "after" }""");

        Assert.StartsWith("unreadable", page.Gap!.Reason, StringComparison.Ordinal);
        Assert.NotNull(page.Cursor);
        Assert.Single(await follow.Hints(1));
    }

    [Fact]
    public async Task A_body_that_cannot_be_read_still_says_whose_it_is()
    {
        await using var bench = await FeedBench.Start();
        await using var follow = bench.Follow(await bench.Now());

        bench.Org.Events.Append(
            bench.Org.Schema.Id,
            [
                Sync.Sandbox.Salesforce.Events.ChangeEventSchema.Write(
                    Header("UPDATE"),
                    ["001000000000001AAA"],
                    1,
                    [9, 9]
                ),
            ]
        );
        var hint = Assert.Single(await follow.Hints(1));

        Assert.Equal((HintKind.Look, "001000000000001AAA"), (hint.Kind, hint.ExternalId));
    }

    // ---- the place in the stream ----

    [Fact]
    public async Task The_first_time_begins_now_and_a_cursor_begins_behind_it()
    {
        await using var bench = await FeedBench.Start();
        bench.Create("""{ "Name": "before" }""");
        await using var first = bench.Follow(null);
        var one = bench.Create("""{ "Name": "one" }""");
        var page = await first.Until(p => p.Hints.Count > 0);
        var two = bench.Create("""{ "Name": "two" }""");

        await using var second = bench.Follow(page.Cursor);

        Assert.Equal(one, Assert.Single(page.Hints).Hint.ExternalId);
        Assert.Null(page.Gap);
        Assert.Equal(two, Assert.Single(await second.Hints(1)).ExternalId);
    }

    [Fact]
    public async Task A_keepalive_moves_the_cursor_on_so_that_a_quiet_channel_does_not_grow_too_old()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var first = bench.Follow(null);
        bench.Sandbox.Clock.Advance(TimeSpan.FromSeconds(270));
        var page = await first.Until(_ => true);
        for (var i = 0; i < 4; i++)
        {
            // A day each: with the first cursor alone the place would be lost by now.
            await first.DisposeAsync();
            bench.Sandbox.Clock.Advance(TimeSpan.FromHours(24));
            first = bench.Follow(page.Cursor);
            bench.Sandbox.Clock.Advance(TimeSpan.FromSeconds(270));
            page = await first.Until(_ => true);
            Assert.Null(page.Gap);
        }

        var made = bench.Create("""{ "Name": "later" }""");
        Assert.Equal(made, Assert.Single(await first.Hints(1)).ExternalId);
        await first.DisposeAsync();
    }

    [Fact]
    public async Task A_replay_id_that_is_too_old_is_a_recorded_gap_and_what_is_still_kept_is_read()
    {
        await using var bench = await FeedBench.Start(frozen: true);
        var cursor = await bench.Now();
        bench.Create("""{ "Name": "lost" }""");
        bench.Sandbox.Clock.Advance(TimeSpan.FromHours(73));
        var kept = bench.Create("""{ "Name": "kept" }""");

        var pages = await FeedBench.All(bench.Events.Follow(cursor, CancellationToken.None));
        await using var follow = bench.Follow(pages[^1].Cursor);

        var gap = Assert.Single(pages).Gap!;
        Assert.StartsWith("subscription.fetch.replayid.corrupted", gap.Reason, StringComparison.Ordinal);
        Assert.Equal(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero), gap.From);
        Assert.Equal(kept, Assert.Single(await follow.Hints(1)).ExternalId);
    }

    [Theory]
    [InlineData("no cursor at all", "cursor")]
    [InlineData(
        """{"channel":"/data/AccountChangeEvent","organization":"00D000000000009AAA","replay":"AAAA"}""",
        "organization"
    )]
    [InlineData("""{"channel":"/data/Other__chn","organization":"$org","replay":"AAAA"}""", "channel")]
    [InlineData(
        """{"channel":"/data/AccountChangeEvent","organization":"$org","replay":"AAAA"}""",
        "subscription.fetch.replayid.corrupted"
    )]
    public async Task A_cursor_that_leads_nowhere_is_a_gap_once_and_never_a_silent_jump(string cursor, string reason)
    {
        await using var bench = await FeedBench.Start();
        var kept = bench.Create("""{ "Name": "kept" }""");

        var page = Assert.Single(
            await FeedBench.All(
                bench.Events.Follow(
                    cursor.Replace("$org", SalesforceOrg.OrganizationId, StringComparison.Ordinal),
                    CancellationToken.None
                )
            )
        );
        await using var follow = bench.Follow(page.Cursor);

        Assert.StartsWith(reason, page.Gap!.Reason, StringComparison.Ordinal);
        var next = await follow.Until(p => p.Hints.Count > 0);
        Assert.Null(next.Gap);
        Assert.Equal(kept, Assert.Single(next.Hints).Hint.ExternalId);
    }

    // ---- streams that go wrong ----

    [Fact]
    public async Task More_is_asked_for_as_often_as_it_takes_and_the_order_of_the_commits_stays()
    {
        await using var bench = await FeedBench.Start();
        var cursor = await bench.Now();
        for (var i = 0; i < 350; i++)
            bench.Create($$"""{ "Name": "N{{i}}" }""");

        await using var pages = bench.Events.Follow(cursor, CancellationToken.None).GetAsyncEnumerator();
        List<Hint> hints = [];
        while (hints.Count < 350 && await pages.MoveNextAsync())
        {
            Assert.InRange(pages.Current.Hints.Count, 0, 50);
            hints.AddRange(pages.Current.Hints.Select(h => h.Hint));
        }

        Assert.Equal(Enumerable.Range(0, 350).Select(i => $"N{i}"), hints.Select(h => h.Fields!["name"]));
    }

    [Fact]
    public async Task A_stream_that_falls_silent_is_given_up()
    {
        var clock = new FakeTimeProvider();
        await using var bench = await FeedBench.Start(options => options.SilenceSeconds = 300, clock: clock);
        bench.Door.Silent = true;
        await using var follow = bench.Follow(null);

        var failing = follow.Failure();
        while (!failing.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(30));
            await Task.Yield();
        }

        Assert.Equal((FailureClass.Retry, "silent"), ((await failing).Failure.Class, (await failing).Failure.Code));
    }

    [Fact]
    public async Task A_stream_that_is_cut_is_a_failure_to_try_again_after()
    {
        await using var bench = await FeedBench.Start();
        var cursor = await bench.Now();
        await using var follow = bench.Follow(cursor);

        bench.Door.Cut();

        Assert.Equal(FailureClass.Retry, (await follow.Failure()).Failure.Class);
        var id = bench.Create("""{ "Name": "after" }""");
        await using var again = bench.Follow(cursor);
        Assert.Equal(id, Assert.Single(await again.Hints(1)).ExternalId);
    }

    [Theory]
    [InlineData("subscribe", "Unavailable", "service.unavailable", FailureClass.Retry)]
    [InlineData("subscribe", "ResourceExhausted", "service.protection.triggered", FailureClass.SlowDown)]
    [InlineData("subscribe", "ResourceExhausted", "subscription.limit.exceeded", FailureClass.PauseAll)]
    [InlineData("topic", "NotFound", "topic.not.found", FailureClass.PauseAll)]
    [InlineData("topic", "PermissionDenied", "topic.meta.permission", FailureClass.PauseAll)]
    [InlineData("subscribe", "Internal", "something.new", FailureClass.Retry)]
    public async Task An_error_of_Salesforce_is_acted_on_by_its_code(
        string operation,
        string status,
        string code,
        FailureClass expected
    )
    {
        await using var bench = await FeedBench.Start();
        var order = await TestSandbox.Send(
            bench.Sandbox.Product,
            HttpMethod.Post,
            "/sandbox/salesforce/events/errors",
            TestSandbox.Json(
                new
                {
                    operation,
                    status,
                    code,
                }
            )
        );
        Assert.Equal(204, order.Status);

        await using var follow = bench.Follow(null);
        var failure = (await follow.Failure()).Failure;

        Assert.Equal(expected, failure.Class);
        Assert.DoesNotContain("as ordered", failure.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_day_without_events_left_is_not_asked_about_again_and_again()
    {
        var clock = new FakeTimeProvider();
        await using var bench = await FeedBench.Start(clock: clock);
        bench.Door.Fail("subscribe", Grpc.Core.StatusCode.ResourceExhausted, "subscription.limit.exceeded", 1);
        await using (var follow = bench.Follow(null))
            await follow.Failure();
        var calls = bench.Sandbox.Host.Calls.Of("salesforce-events").Total;

        await using (var follow = bench.Follow(null))
            Assert.Equal("subscription.limit.exceeded", (await follow.Failure()).Failure.Code);

        Assert.Equal(calls, bench.Sandbox.Host.Calls.Of("salesforce-events").Total);
        clock.Advance(TimeSpan.FromMinutes(10));
        await using var later = bench.Follow(null);
        bench.Create("""{ "Name": "later" }""");
        Assert.Single(await later.Hints(1));
    }

    [Fact]
    public async Task A_session_that_ended_is_renewed_and_one_that_is_refused_anew_waits_for_a_person()
    {
        await using var bench = await FeedBench.Start();
        var cursor = await bench.Now();
        bench.Sandbox.Host.SalesforceTokens.RevokeAll();

        await using (var follow = bench.Follow(cursor))
        {
            bench.Create("""{ "Name": "after" }""");
            Assert.Single(await follow.Hints(1));
        }

        bench.Door.Fail("topic", Grpc.Core.StatusCode.Unauthenticated, "service.auth.error", 2);
        await using var refused = bench.Follow(cursor);
        Assert.Equal(FailureClass.PauseAll, (await refused.Failure()).Failure.Class);
    }

    [Fact]
    public async Task A_certificate_that_is_not_the_trusted_one_is_named()
    {
        await using var bench = await FeedBench.Start(options => options.PubSubCa = "");

        await using var follow = bench.Follow(null);
        var failure = (await follow.Failure()).Failure;

        Assert.Equal((FailureClass.PauseAll, "tls"), (failure.Class, failure.Code));
        Assert.Contains("SALESFORCE__PUBSUBCA", failure.Reason, StringComparison.Ordinal);
    }

    static Sync.Sandbox.Salesforce.Events.ChangeHeader Header(string type) =>
        new(
            type,
            SalesforceOrg.Human.Origin,
            "transaction",
            new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero),
            1,
            SalesforceOrg.HumanUser
        );
}

using Sync.Adapter.Following;
using Sync.Contracts.Systems;
using Sync.Sandbox.Stripe;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Sandbox;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>What people do in Stripe reaches the saga's topic, however Stripe tells of it, and costs what it must.</summary>
public sealed class StripeInwardTests
{
    [Fact]
    public async Task An_edit_a_new_customer_and_a_deletion_are_reported_and_our_own_write_is_not()
    {
        await using var stage = await StripeStage.Start();
        await stage.RunAll();
        var made = await stage.Created("c-1", ("name", "Ada"), ("email", "ada@x.org"));
        await stage.Settled();
        var reads = Reads(stage);

        // The event of our own create came, and was dropped without a call.
        Assert.Equal(0, reads);
        Assert.Single((await stage.Outbox.All(stage.Database)).OfType<CustomerReported>());

        stage.Edit(made.ExternalId!, """{ "name": "Ada L.", "address": { "city": "Oslo" } }""");
        var edit = await stage.Report(r => r.Fields?["name"] == "Ada L.", "the edit is reported");
        Assert.Equal(("c-1", "Oslo", null), (edit.CustomerId, edit.Fields!["address.city"], edit.Ack));

        var stranger = stage.Make("""{ "name": "Bob", "email": "bob@x.org" }""");
        var found = await stage.Message<ObjectFound>(_ => true, "the new customer is found");
        Assert.Equal((stranger, "bob@x.org"), (found.ExternalId, found.Fields["email"]));

        stage.Stripe.Delete(made.ExternalId!);
        var gone = await stage.Report(r => r.Gone, "the deletion is reported");
        Assert.Equal(("c-1", made.ExternalId), (gone.CustomerId, gone.ExternalId));
        await stage.Settled();
        Assert.InRange(Reads(stage), 3, 4);
    }

    /// <summary>
    /// A person's edit lands between our read and our write: the event of our own write says what it replaced, and says it
    /// once, however often it comes.
    /// </summary>
    [Fact]
    public async Task What_our_write_replaced_unseen_is_reported_from_its_event_and_only_once()
    {
        await using var stage = await StripeStage.Start();
        await stage.RunAll();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        await stage.Settled();
        stage.Fault(EventFaultKind.Duplicate);
        await stage.Sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "slow",
                operation = "customers.update",
                next = 1,
                delayMs = 1_500,
            }
        );

        await stage.TakeIn(
            new PushCustomer
            {
                CommandId = Guid.NewGuid(),
                System = "stripe",
                CustomerId = "c-1",
                Generation = 0,
                Operation = Operation.Update,
                ExternalId = ext,
                Revision = 2,
                Write = new() { ["name"] = "Product's" },
                Expect = new() { ["name"] = "Ada" },
            }
        );
        await Eventually.Is(
            () => stage.Sandbox.Host.Calls.Of("stripe").Operations.ContainsKey("customers.update"),
            "the write is on its way"
        );
        stage.Edit(ext, """{ "name": "Person's" }""");

        var report = await stage.Report(r => r.Over is not null, "the overwritten edit is reported");
        Assert.Equal(new Overwritten("Person's", "Product's"), report.Over!["name"]);
        await stage.Settled();
        Assert.Single((await stage.Outbox.All(stage.Database)).OfType<CustomerReported>(), r => r.Over is not null);
    }

    [Theory]
    [InlineData("Duplicate")]
    [InlineData("Reorder")]
    [InlineData("Tie")]
    [InlineData("ForeignVersion")]
    [InlineData("Thin")]
    public async Task However_events_come_the_last_report_is_what_stripe_holds(string kind)
    {
        await using var stage = await StripeStage.Start();
        await stage.RunAll();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        await stage.Settled();
        stage.Fault(Enum.Parse<EventFaultKind>(kind), next: 1);

        for (var i = 1; i <= 3; i++)
            stage.Edit(ext, $$"""{ "name": "Edit {{i}}" }""");

        await stage.Report(r => r.Fields?["name"] == "Edit 3", "the last edit is reported");
        await stage.Settled();
        Assert.Equal("Edit 3", (await stage.Report(_ => true, "a report")).Fields!["name"]);
        Assert.Equal(0, await stage.Count("dead_letter"));
        Assert.Equal(1, await stage.Count("link", "attempts = 0"));
    }

    [Fact]
    public async Task A_secret_that_is_rolled_while_events_flow_loses_none()
    {
        await using var stage = await StripeStage.Start();
        await stage.RunAll(webhooks: false);
        var endpoint = stage.Register();
        // The adapter knows a secret that the endpoint has not: everything is refused, and sent again.
        stage.Edit(stage.Make("""{ "name": "Ada" }"""), """{ "name": "Ada L." }""");
        await Eventually.Is(() => (long)stage.Stripe.Webhooks.State()["deliveries"]!["failed"]! >= 2, "refused");
        Assert.Equal(0, await stage.Count("webhook"));

        stage.Stripe.Webhooks.Know(endpoint, StripeStage.Secret);
        stage.Stripe.Webhooks.Roll(endpoint);

        await stage.Message<ObjectFound>(o => o.Fields["name"] == "Ada L.", "found through the old secret");
    }

    [Fact]
    public async Task What_no_webhook_told_is_caught_up_with_from_the_last_event()
    {
        await using var stage = await StripeStage.Start(settings: ("Stripe:EventsSeconds", "1"));
        await stage.RunAll();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        await stage.Settled();
        stage.Fault(EventFaultKind.Lose);
        var other = stage.Make("""{ "name": "Bob" }""");
        stage.Edit(ext, """{ "name": "Unheard" }""");
        stage.Stripe.Delete(other);

        await stage.Report(r => r.Fields?["name"] == "Unheard", "the edit is caught up with");

        Assert.True((long)stage.Stripe.Webhooks.State()["deliveries"]!["lost"]! >= 3);
    }

    [Fact]
    public async Task What_stripe_held_before_is_linked_by_its_e_mail_and_not_created_again()
    {
        await using var stage = await StripeStage.Start(settings: ("Adapter:ListFirst", "true"));
        var here = stage.Make("""{ "name": "Ada", "email": "ADA@x.org" }""");
        var stranger = stage.Make("""{ "name": "Bob", "email": "bob@x.org" }""");
        await stage.RunAll();

        var linked = await stage.Created("c-1", ("name", "Ada L."), ("email", "ada@x.org"));
        var made = await stage.Created("c-2", ("name", "Cay"), ("email", "cay@x.org"));

        Assert.Equal((here, false), (linked.ExternalId, linked.IdOnObject));
        Assert.Equal("Ada", linked.Fields!["name"]);
        Assert.DoesNotContain(made.ExternalId, (string?[])[here, stranger]);
        Assert.Equal(1, stage.Sandbox.Host.Calls.Of("stripe").Operations.GetValueOrDefault("customers.create"));
        // Whom nobody asks about is left alone.
        Assert.Empty((await stage.Outbox.All(stage.Database)).OfType<ObjectFound>());
    }

    // ---- the feed alone ----

    static async Task<(List<FeedPage> Pages, string? Cursor)> Follow(StripeStage stage, string? cursor)
    {
        List<FeedPage> pages = [];
        await foreach (var page in stage.Get<IFeed>().Follow(cursor, TestContext.Current.CancellationToken))
        {
            pages.Add(page);
            cursor = page.Cursor ?? cursor;
        }

        return (pages, cursor);
    }

    static List<string> Names(IEnumerable<FeedPage> pages) =>
        [.. pages.SelectMany(p => p.Hints).DistinctBy(h => h.Id).Select(h => h.Hint.Fields!["name"]!)];

    [Fact]
    public async Task The_first_follow_begins_now_and_the_next_one_has_everything_since_page_by_page()
    {
        await using var stage = await StripeStage.Start();
        stage.Make("""{ "name": "Before" }""");
        var (first, cursor) = await Follow(stage, null);
        Assert.Empty(first.SelectMany(p => p.Hints));
        Assert.NotNull(cursor);
        for (var i = 0; i < 250; i++)
            stage.Make($$"""{ "name": "New {{i}}" }""");

        var (pages, next) = await Follow(stage, cursor);

        Assert.Equal(250, Names(pages).Count(n => n.StartsWith("New", StringComparison.Ordinal)));
        Assert.All(pages, p => Assert.InRange(p.Hints.Count, 0, 100));
        // A crash after any page goes on with the next.
        var (rest, _) = await Follow(stage, pages.First(p => p.Cursor is not null && p.Hints.Count == 100).Cursor);
        Assert.Contains("New 249", Names(rest));
        Assert.NotEqual(cursor, next);
    }

    /// <summary>The overlap that finds late events does not reach back before the feed began: what was there is a scan's.</summary>
    [Fact]
    public async Task What_was_made_just_before_the_first_follow_is_not_told_of()
    {
        var sandbox = await TestSandbox.Start(frozen: true);
        await using var stage = await StripeStage.Start(sandbox);
        sandbox.Clock.SetUtcNow(TimeProvider.System.GetUtcNow());
        stage.Make("""{ "name": "Before" }""");
        sandbox.Clock.Advance(TimeSpan.FromSeconds(3));
        stage.Make("""{ "name": "In the second of the begin" }""");
        var (_, cursor) = await Follow(stage, null);
        stage.Make("""{ "name": "After" }""");
        sandbox.Clock.Advance(TimeSpan.FromSeconds(4));
        stage.Make("""{ "name": "Later" }""");

        var (pages, next) = await Follow(stage, cursor);
        Assert.Equal(["After", "In the second of the begin", "Later"], Names(pages).Order(StringComparer.Ordinal));

        // The begin is remembered by every later cursor.
        var (again, _) = await Follow(stage, next);
        Assert.DoesNotContain("Before", Names(again));
    }

    [Fact]
    public async Task The_last_event_of_long_before_the_first_follow_is_not_told_of()
    {
        var sandbox = await TestSandbox.Start(frozen: true);
        await using var stage = await StripeStage.Start(sandbox);
        sandbox.Clock.SetUtcNow(TimeProvider.System.GetUtcNow() - TimeSpan.FromHours(1));
        stage.Make("""{ "name": "Before" }""");
        var (_, cursor) = await Follow(stage, null);
        var (quiet, next) = await Follow(stage, cursor);
        Assert.Empty(Names(quiet));
        sandbox.Clock.SetUtcNow(TimeProvider.System.GetUtcNow());
        stage.Make("""{ "name": "After" }""");

        Assert.Equal(["After"], Names((await Follow(stage, next)).Pages));
    }

    [Fact]
    public async Task An_event_of_the_cursors_own_second_that_is_listed_before_it_is_not_passed_over()
    {
        await using var stage = await StripeStage.Start();
        stage.Make("""{ "name": "First" }""");
        var (_, cursor) = await Follow(stage, null);
        stage.Fault(EventFaultKind.Tie, next: 1);
        stage.Make("""{ "name": "Tied" }""");

        var (pages, _) = await Follow(stage, cursor);

        Assert.Contains("Tied", Names(pages));
    }

    [Fact]
    public async Task Only_what_may_be_lost_is_a_gap()
    {
        var sandbox = await TestSandbox.Start(frozen: true);
        await using var stage = await StripeStage.Start(sandbox);
        var now = TimeProvider.System.GetUtcNow();
        string At(TimeSpan checkedAgo, TimeSpan eventAgo, string id) =>
            $"{(now - checkedAgo).ToUnixTimeSeconds()}|{(now - eventAgo).ToUnixTimeSeconds()}|{id}";

        // Read a minute ago; only that nothing has happened for two months.
        var (quiet, _) = await Follow(stage, At(TimeSpan.FromMinutes(1), TimeSpan.FromDays(60), "evt_pruned"));
        Assert.All(quiet, p => Assert.Null(p.Gap));

        var (late, cursor) = await Follow(stage, At(TimeSpan.FromDays(30), TimeSpan.FromDays(30), "evt_pruned"));
        var gap = Assert.Single(late).Gap!;
        Assert.StartsWith("expired: ", gap.Reason, StringComparison.Ordinal);
        Assert.Equal((now - TimeSpan.FromDays(30)).ToUnixTimeSeconds(), gap.From!.Value.ToUnixTimeSeconds());
        Assert.All((await Follow(stage, cursor)).Pages, p => Assert.Null(p.Gap));

        var (unknown, _) = await Follow(stage, At(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), "evt_elsewhere"));
        Assert.StartsWith("unknown: ", unknown[^1].Gap!.Reason, StringComparison.Ordinal);
        Assert.NotNull(unknown[^1].Cursor);
    }

    [Fact]
    public async Task An_event_that_cannot_be_read_is_a_gap_that_names_it_without_a_value()
    {
        await using var stage = await StripeStage.Start();
        stage.Make("""{ "name": "Before" }""");
        var (_, cursor) = await Follow(stage, null);
        stage.Fault(EventFaultKind.Unreadable, next: 2);
        stage.Make("""{ "name": "Ada" }""");
        stage.Make("""{ "name": "Bob" }""");
        stage.Make("""{ "name": "Eve" }""");

        var (pages, _) = await Follow(stage, cursor);

        Assert.Equal("Eve", Names(pages)[^1]);
        // Within one second they stand in the overlap, too.
        var gap = pages.Select(p => p.Gap).First(g => g is not null)!;
        Assert.Matches(@"^unreadable: evt_\w+: data\.object\.id: is missing or no id; and 1 more$", gap.Reason);
        Assert.Equal(2, gap.Lost.Distinct().Count());
        Assert.NotNull(gap.From);
    }

    /// <summary>Each follow reads the last seconds again, and the event with them; it is the last one of the account.</summary>
    [Fact]
    public async Task What_an_unreadable_event_told_is_found_by_one_scan_however_often_it_is_listed()
    {
        await using var stage = await StripeStage.Start(settings: ("Stripe:EventsSeconds", "1"));
        await stage.RunAll(webhooks: false);
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        await stage.Settled();
        await Eventually.Is(async () => await stage.Count("scan", "state = 'done'") == 1, "the first scan is over");
        stage.Fault(EventFaultKind.Unreadable, next: 1);
        stage.Edit(ext, """{ "name": "Unread" }""");

        await stage.Report(r => r.Fields?["name"] == "Unread", "the scan of the gap has found the edit");
        var follows = Follows(stage);
        await Eventually.Is(() => Follows(stage) >= follows + 4, "the event was listed again, and again");

        Assert.Equal(1, await stage.Count("feed_gap", "reason like 'unreadable: evt_%'"));
        Assert.Equal(1, await stage.Count("scan", "kind = 'gap'"));
        await Eventually.Is(
            async () => await stage.Count("feed_gap", "state = 'open'") == 0,
            "the scan closes the gap"
        );
    }

    [Fact]
    public async Task A_failure_of_stripes_is_classified()
    {
        await using var stage = await StripeStage.Start();
        await stage.Sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "credentials",
                operation = "events.list",
            }
        );

        var failed = await Assert.ThrowsAsync<FeedException>(() => Follow(stage, null));

        Assert.Equal(Sync.Adapter.Vendors.FailureClass.PauseAll, failed.Failure.Class);
    }

    [Fact]
    public async Task The_listing_has_every_customer_once_a_page_and_goes_on_after_its_last_second()
    {
        await using var stage = await StripeStage.Start();
        for (var i = 0; i < 230; i++)
            stage.Make($$"""{ "name": "N {{i}}" }""");
        var listing = stage.Get<IListing>();
        List<ListingPage> pages = [];
        await foreach (var page in listing.List(null, default))
            pages.Add(page);

        Assert.Equal([100, 100, 30], pages.Select(p => p.Objects.Count));
        Assert.Equal(230, pages.SelectMany(p => p.Objects).Select(o => o.ExternalId).Distinct().Count());
        HashSet<string> rest = [];
        await foreach (var page in listing.List(pages[0].After, default))
            rest.UnionWith(page.Objects.Select(o => o.ExternalId));
        Assert.Superset(pages.Skip(1).SelectMany(p => p.Objects).Select(o => o.ExternalId).ToHashSet(), rest);
    }

    [Fact]
    public async Task A_listing_goes_on_when_the_customer_that_it_stood_at_is_deleted()
    {
        await using var stage = await StripeStage.Start();
        for (var i = 0; i < 150; i++)
            stage.Make($$"""{ "name": "N {{i}}" }""");
        HashSet<string> seen = [];
        var first = true;
        await foreach (var page in stage.Get<IListing>().List(null, default))
        {
            seen.UnionWith(page.Objects.Select(o => o.ExternalId));
            if (first)
                stage.Stripe.Delete(page.Objects[^1].ExternalId);
            first = false;
        }

        Assert.Equal(150, seen.Count);
    }

    static int Follows(StripeStage stage) =>
        stage.Sandbox.Host.Calls.Of("stripe").Operations.GetValueOrDefault("events.list");

    static int Reads(StripeStage stage) =>
        stage.Sandbox.Host.Calls.Of("stripe").Operations.GetValueOrDefault("customers.retrieve");
}

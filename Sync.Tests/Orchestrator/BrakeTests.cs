using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>Where the saga stops by itself and waits for a person: many deletions at once, and vendors that undo each other.</summary>
public sealed class BrakeTests
{
    static readonly LoopBudget Budget = new(News: 6, TimeSpan.FromMinutes(1));

    [Fact]
    public async Task More_deletions_at_once_than_allowed_are_held_until_the_window_is_calm()
    {
        await using var harness = await OrchestratorHarness.Start();
        harness.Surroundings.DeletionBrake = 2;
        var town = await TownOf(harness, 6);

        for (var i = 1; i <= 4; i++)
            town.DeleteInVendor(Crm, Slot(harness, $"c-{i}"));
        await town.Rest();

        Assert.Equal(2, harness.Customers.Count(c => c.CurrentState == "Removed"));
        var held = harness.Customers.Where(c => c.Attention == "deletion-held crm").ToList();
        Assert.Equal(2, held.Count);
        Assert.All(held, c => Assert.Equal("Live", c.CurrentState));
        Assert.All(held, c => Assert.NotNull(town.Product.Find(c.CustomerId)));
        Assert.Equal(
            "many objects vanished there at once",
            harness.Caught.Timeline.Last(t => t.Code == "deletion.held").Reason
        );

        // Held ones count as well: it stays on while they keep coming.
        harness.Time.Advance(TimeSpan.FromSeconds(59));
        town.DeleteInVendor(Crm, Slot(harness, "c-5"));
        await town.Rest();
        Assert.Equal("deletion-held crm", (await harness.Find("c-5"))!.Attention);

        // Another system has a count of its own.
        town.DeleteInVendor(Billing, (await harness.Find("c-6"))!.System(Billing).Ext!);
        await town.Rest();
        Assert.Equal("Removed", (await harness.Find("c-6"))!.CurrentState);

        harness.Time.Advance(TimeSpan.FromSeconds(61));
        town.CreateInProduct("c-7", "c-7@example.com");
        await town.Rest();
        town.DeleteInVendor(Crm, Slot(harness, "c-7"));
        await town.Rest();
        Assert.Equal("Removed", (await harness.Find("c-7"))!.CurrentState);
    }

    /// <summary>A list in which many objects are missing may be a list that is wrong.</summary>
    [Fact]
    public async Task Deletions_that_a_repair_comes_upon_are_held_like_those_that_are_told()
    {
        await using var harness = await OrchestratorHarness.Start();
        harness.Surroundings.DeletionBrake = 2;
        var town = await TownOf(harness, 4);

        for (var i = 1; i <= 4; i++)
        {
            town.Vanish(Crm, Slot(harness, $"c-{i}"));
            town.Ask(Requests.Resync(Crm) with { CustomerId = $"c-{i}", RequestedBy = "timer" });
        }

        await town.Rest();

        Assert.Equal(2, harness.Customers.Count(c => c.CurrentState == "Removed"));
        var held = harness.Customers.Where(c => c.Attention == "deletion-held crm").ToList();
        Assert.Equal(2, held.Count);
        Assert.All(held, c => Assert.NotNull(town.Product.Find(c.CustomerId)));
    }

    [Fact]
    public async Task A_person_spreads_or_restores_what_is_held()
    {
        await using var harness = await OrchestratorHarness.Start();
        harness.Surroundings.DeletionBrake = 0;
        var town = await TownOf(harness, 2);
        town.DeleteInVendor(Crm, Slot(harness, "c-1"));
        town.DeleteInVendor(Crm, Slot(harness, "c-2"));
        await town.Rest();

        town.Ask(Requests.Release(Crm, spread: true));
        town.Ask(Requests.Release(Crm, spread: false) with { CustomerId = "c-2" });
        await town.Rest();

        Assert.Equal("Removed", (await harness.Find("c-1"))!.CurrentState);
        Assert.Null(town.Product.Find("c-1"));
        var restored = (await harness.Find("c-2"))!;
        Assert.Equal(("Live", 1), (restored.CurrentState, restored.System(Crm).Gen));
        Assert.Equal("c-2", town.OnObject(Crm, restored.System(Crm).Ext!));
        Assert.Null(restored.Attention);
        Assert.Equal(
            ["kim", "kim"],
            harness.Caught.Timeline.Where(t => t.Code == "operator.release").Select(t => t.RequestedBy)
        );
    }

    [Fact]
    public async Task Deletions_of_our_own_are_not_counted()
    {
        await using var harness = await OrchestratorHarness.Start();
        harness.Surroundings.DeletionBrake = 0;
        var town = await TownOf(harness, 3);

        for (var i = 1; i <= 3; i++)
            town.DeleteInProduct($"c-{i}");
        await town.Rest();

        Assert.All(harness.Customers, c => Assert.Equal("Removed", c.CurrentState));
        Assert.DoesNotContain(harness.Caught.Timeline, t => t.Code is Codes.DeletionSeen or Codes.DeletionHeld);
    }

    [Fact]
    public async Task A_record_undeleted_while_its_deletion_is_held_goes_on_as_before()
    {
        await using var story = await Scenario.InStep();
        story.Harness.Surroundings.DeletionBrake = 0;
        await story.Gone(Crm);
        Assert.Equal("deletion-held crm", story.Customer.Attention);

        Assert.Null(await story.Send(story.Report(Crm) with { Undelete = true }));

        Assert.Null(story.Customer.Attention);
        Assert.False(story.Customer.System(Crm).Gone);
        await story.Edit(Crm, ("email", "new@example.com"));
        Assert.Equal("new@example.com", story.Golden("email"));
    }

    [Fact]
    public async Task Two_automations_that_undo_each_other_are_stopped_and_their_paths_named()
    {
        await using var story = await Scenario.InStep(TwoWay with { Loop = Budget });

        var turns = await Fight(story);

        Assert.Equal(Budget.News + 1, turns);
        Assert.Equal("loop golden email", story.Customer.Attention);
        Assert.Contains("loop.held", story.Codes);
        Assert.DoesNotContain("@", story.Customer.Attention, StringComparison.Ordinal);
        Assert.DoesNotContain(
            story.Harness.Caught.Timeline,
            t => t.Paths.Append(t.Reason ?? "").Any(x => x.Contains('@', StringComparison.Ordinal))
        );

        // What is in flight is still answered; nothing new is asked, whatever comes.
        await AnswerWithoutMore(story);
        await story.Edit(Billing, ("name", "Bea"));
        Assert.Empty(story.TakePushes());
        Assert.Equal("loop golden email", story.Customer.Attention);
        Assert.Null(await story.Send(Requests.ReleaseLoop()));
        Assert.Null(story.Customer.Attention);
        Assert.NotEmpty(story.Take());
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
        var released = story.Harness.Caught.Timeline.Single(t => t.Code == "operator.release-loop");
        Assert.Equal("kim", released.RequestedBy);
        Assert.Equal(["email"], released.Paths);
    }

    [Fact]
    public async Task An_automation_that_undoes_every_correction_is_a_loop_although_golden_never_moves()
    {
        // Only the product may write the tier, so crm's value is put back each time, and crm sets it again.
        await using var story = await Scenario.InStep(
            TwoWay with
            {
                Loop = Budget,
                Config = OnlyTheOwnerWrites(Product),
            },
            ("attributes.tier", "gold")
        );
        var writes = 0;
        for (var turn = 0; turn < 100 && story.Customer.Attention is null; turn++)
        {
            await story.Edit(Crm, ("attributes.tier", "robot"));
            writes += story.TakePushes().Count;
            await story.AnswerAll();
        }

        Assert.Equal("loop golden attributes.tier", story.Customer.Attention);
        Assert.Equal("gold", story.Golden("attributes.tier"));
        Assert.Equal(Budget.News, writes);
    }

    [Fact]
    public async Task A_burst_of_the_product_and_edits_over_time_are_no_loop()
    {
        await using var story = await Scenario.InStep(TwoWay with { Loop = Budget });
        for (var i = 0; i < 50; i++)
            await story.Snapshot(("name", $"Ann {i}"), ("email", "ann@example.com"));
        await story.AnswerAll();
        Assert.Null(story.Customer.Attention);

        for (var i = 0; i < 3 * Budget.News; i++)
        {
            await story.Edit(Crm, ("email", $"a{i}@example.com"));
            await story.AnswerAll();
            story.Harness.Time.Advance(TimeSpan.FromSeconds(15));
        }

        Assert.Null(story.Customer.Attention);
    }

    [Fact]
    public async Task A_looping_customer_can_still_be_deleted()
    {
        await using var story = await Scenario.InStep(TwoWay with { Loop = Budget });
        await Fight(story);
        await AnswerWithoutMore(story);

        await story.Deleted();
        await story.AnswerAll();

        Assert.Equal("Removed", story.State);
        Assert.Null(story.Customer.Attention);
    }

    [Fact]
    public async Task A_loop_in_one_life_does_not_stop_the_next()
    {
        await using var story = await Scenario.InStep(TwoWay with { Loop = Budget, AllowRecreate = true });
        await Fight(story);
        await AnswerWithoutMore(story);
        await story.Deleted();
        await story.AnswerAll();

        await story.Snapshot(("name", "New"), ("email", "new@example.com"));

        Assert.Equal(("Live", (string?)null), (story.State, story.Customer.Attention));
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task Releasing_a_loop_that_is_none_says_so()
    {
        await using var story = await Scenario.InStep();

        await story.Send(Requests.ReleaseLoop());

        Assert.EndsWith(
            "the request changed nothing",
            story.Harness.Caught.Timeline[^1].Reason,
            StringComparison.Ordinal
        );
    }

    // ---- merged in the vendor ----

    [Fact]
    public async Task An_object_that_the_vendor_merged_into_another_leads_the_customer_there_and_deletes_nobody()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(await story.Send(Merged(story, into: "crm-winner", owner: null)));

        // Nobody is known to have it, which only the object itself can say; until it does the deletion is held.
        Assert.Equal(("Live", "deletion-held crm"), (story.State, story.Customer.Attention));
        var claim = Assert.IsType<RelinkObject>(Assert.Single(story.Take()));
        Assert.Equal(("crm-winner", Scenario.Id, true), (claim.ExternalId, claim.To, claim.Claims));

        Assert.Null(await story.Send(Asks("crm-winner")));

        Assert.Equal(("Live", (string?)null), (story.State, story.Customer.Attention));
        Assert.Equal(("crm-winner", 1, false), Slot(story));
        var push = Assert.Single(story.TakePushes());
        Assert.Equal(
            (Crm, Operation.Update, "crm-winner", 1),
            (push.System, push.Operation, push.ExternalId, push.Generation)
        );

        // The winner's own values meet golden for the first time: golden wins, what it lacks is taken.
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("name", "Other"), ("email", "ann@example.com"), ("address.city", "Rome")) with
                {
                    Ack = push.CommandId,
                    Outcome = Outcome.Done,
                    Written = [],
                }
            )
        );
        Assert.Equal(("Ann", "Rome"), (story.Golden("name"), story.Golden("address.city")));
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task An_object_merged_into_one_that_carries_the_customers_own_id_needs_no_asking()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(await story.Send(Merged(story, into: "crm-winner", owner: Scenario.Id)));

        Assert.Equal(("crm-winner", 1, false), Slot(story));
        Assert.Equal(("Live", (string?)null), (story.State, story.Customer.Attention));
    }

    /// <summary>Seed 24 of the profile "ages": two customers had one object, and each went on writing it for ever.</summary>
    [Fact]
    public async Task An_object_merged_into_one_that_asks_another_customer_waits_for_a_person()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TownOf(harness, 1);
        var loser = harness.Customers.Single().System(Crm);
        var winner = town.CreateInVendor(Crm, "another@example.com");
        await town.Rest();
        var another = harness.Customers.Single(c => c.CustomerId != "c-1");
        Assert.Equal(winner, another.System(Crm).Ext);

        Assert.Null(
            await harness.Send(
                new CustomerReported
                {
                    System = Crm,
                    CustomerId = "c-1",
                    Generation = 0,
                    Obs = loser.Obs + 1,
                    ExternalId = loser.Ext,
                    Gone = true,
                    ReplacedBy = winner,
                }
            )
        );
        await town.Rest();

        Assert.Equal("deletion-held crm", harness.Customers.Single(c => c.CustomerId == "c-1").Attention);
        Assert.Equal(winner, harness.Customers.Single(c => c.CustomerId != "c-1").System(Crm).Ext);
    }

    [Fact]
    public async Task An_object_merged_into_one_of_another_customer_waits_for_a_person()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(await story.Send(Merged(story, into: "crm-winner", owner: "c-2")));

        Assert.Equal(("Live", "deletion-held crm"), (story.State, story.Customer.Attention));
        Assert.Equal(
            "merged into an object of customer c-2",
            story.Harness.Caught.Timeline.Last(t => t.Code == "deletion.held").Reason
        );
        Assert.Empty(story.TakePushes());
    }

    [Fact]
    public async Task An_object_that_is_out_of_sight_is_no_deletion_and_comes_back_by_itself()
    {
        await using var story = await Scenario.InStep();
        var there = story.Report(Crm);

        Assert.Null(await story.Send(there with { Gone = true, OutOfSight = true, Fields = null, IdOnObject = false }));

        Assert.Equal(("Live", "deletion-held crm"), (story.State, story.Customer.Attention));
        Assert.Equal(
            "the object is out of sight there, and nothing tells that it was deleted",
            story.Harness.Caught.Timeline.Last(t => t.Code == "deletion.held").Reason
        );
        Assert.Empty(story.TakePushes());

        Assert.Null(await story.Send(there with { Obs = there.Obs + 1 }));
        Assert.Equal(("Live", (string?)null), (story.State, story.Customer.Attention));
        Assert.Empty(story.TakePushes());
    }

    [Fact]
    public async Task A_deletion_is_held_while_another_object_of_the_customer_is_parked()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TownOf(harness, 1);
        var second = town.CreateInVendor(Crm, "c-1@example.com");
        await town.Rest();
        Assert.Equal("duplicate of customer c-1", (await harness.FindObject(Crm, second))!.Reason);

        // The loser was the parked one: nothing happens.
        var third = town.CreateInVendor(Crm, "c-1@example.com");
        await town.Rest();
        town.DeleteInVendor(Crm, third);
        await town.Rest();
        Assert.Null((await harness.Find("c-1"))!.Attention);

        // The loser was the linked one.
        town.DeleteInVendor(Crm, Slot(harness, "c-1"));
        await town.Rest();
        Assert.Equal("deletion-held crm", (await harness.Find("c-1"))!.Attention);
        Assert.NotNull(town.Product.Find("c-1"));

        town.Ask(Requests.LinkTo(Crm, second, "c-1"));
        await town.Rest();
        Assert.Equal(second, Slot(harness, "c-1"));
        Assert.Null((await harness.Find("c-1"))!.Attention);
        Assert.Equal("c-1", town.OnObject(Crm, second));
    }

    static CustomerReported Merged(Scenario story, string into, string? owner) =>
        story.Report(Crm) with
        {
            Gone = true,
            Fields = null,
            IdOnObject = false,
            ReplacedBy = into,
            ReplacedByCustomer = owner,
        };

    static LinkObject Asks(string ext) =>
        new()
        {
            CustomerId = Scenario.Id,
            System = Crm,
            ExternalId = ext,
            Fields = [],
            Minted = false,
            Decided = true,
        };

    static (string?, int, bool) Slot(Scenario story)
    {
        var crm = story.Customer.System(Crm);
        return (crm.Ext, crm.Gen, crm.Gone);
    }

    static string Slot(OrchestratorHarness harness, string customer) =>
        harness.Customers.Single(c => c.CustomerId == customer).System(Crm).Ext!;

    static async Task<Town> TownOf(OrchestratorHarness harness, int customers)
    {
        var town = new Town(harness);
        for (var i = 1; i <= customers; i++)
            town.CreateInProduct($"c-{i}", $"c-{i}@example.com");
        await town.Rest();
        Assert.Equal(customers, town.Live.Count);
        return town;
    }

    /// <summary>billing and crm each set the e-mail to their own value as soon as the other's arrives.</summary>
    static async Task<int> Fight(Scenario story)
    {
        for (var turn = 1; turn <= 100; turn++)
        {
            var vendor = Vendors[turn % 2];
            Assert.Null(await story.Edit(vendor, ("email", $"{vendor}@example.com")));
            if (story.Customer.Attention is not null)
                return turn;
            await story.AnswerAll();
        }

        Assert.Fail("it would go on for ever");
        return 0;
    }

    static async Task AnswerWithoutMore(Scenario story)
    {
        story.Take();
        foreach (var system in Config.Systems.Keys.Where(s => story.Sent(s) is not null).ToList())
            await (system == Product ? story.ProductApplies() : story.Answer(system));
        Assert.Empty(story.TakePushes());
        Assert.All(Config.Systems.Keys, s => Assert.Null(story.Sent(s)));
    }
}

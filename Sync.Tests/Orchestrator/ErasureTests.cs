using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>A person is forgotten everywhere and stays so; a removed id that was not erased may begin a new life.</summary>
public sealed class ErasureTests
{
    /// <summary>Seed 3000247 of "erasure": the create was repeated for ever, and the customer was never removed.</summary>
    [Fact]
    public async Task A_customer_erased_before_the_product_said_that_it_has_that_person_ends_all_the_same()
    {
        await using var story = await Scenario.Start();
        await story.Send(
            Requests.Link(Crm, "crm-9", minted: true, new() { ["name"] = "Ann", ["email"] = "ann@example.com" })
        );
        var create = story.Take().OfType<CreateCustomer>().Single();
        await story.Send(Requests.Erase());
        await story.Answer(Crm);
        Assert.Equal("Removing", story.State);

        Assert.Null(
            await story.Send(
                new CustomerExists
                {
                    CustomerId = Scenario.Id,
                    CommandId = create.CommandId,
                    Existing = "c-77",
                }
            )
        );

        Assert.Equal("Removed", story.State);
        Assert.Null(story.Sent(Product));
        Assert.Empty(story.Customer.Golden);
    }

    [Fact]
    public async Task An_erased_customer_is_deleted_everywhere_then_forgotten_by_every_adapter_and_by_us()
    {
        await using var story = await Scenario.InStep();
        var exts = Vendors.Select(v => story.Customer.System(v).Ext!).ToList();

        Assert.Null(await story.Send(Requests.Erase()));

        Assert.Equal("Removing", story.State);
        var first = story.Take();
        Assert.Equal(
            exts.Order(StringComparer.Ordinal),
            first.OfType<ForgetObject>().Select(f => f.ExternalId).Order(StringComparer.Ordinal)
        );
        Assert.Single(first.OfType<DeleteCustomer>());
        Assert.All(first.OfType<PushCustomer>(), p => Assert.Equal(Operation.Delete, p.Operation));
        Assert.Empty(story.Harness.Caught.Erasures);

        foreach (var system in Config.Systems.Keys)
            await (system == Product ? story.ProductApplies() : story.Answer(system));
        Assert.Equal("Removed", story.State);
        Assert.Equal(
            [(Billing, Operation.Erase), (Crm, Operation.Erase)],
            story.TakePushes().Select(p => (p.System, p.Operation))
        );
        Assert.Single(story.Harness.Caught.Erasures);
        Assert.Null(story.Customer.ErasedAt);
        // An adapter that was down is asked again, until it says so.
        await story.Ring();
        Assert.Equal(2, story.TakePushes().Count);

        foreach (var vendor in Vendors)
            await story.Answer(vendor);

        Assert.NotNull(story.Customer.ErasedAt);
        Assert.Empty(story.Customer.Behind);
        Assert.Equal(2, story.Harness.Caught.Erasures.Count);
        Assert.Equal(
            exts.Order(StringComparer.Ordinal),
            story.Harness.Caught.Erasures[1].Objects.Select(o => o.Ext).Order(StringComparer.Ordinal)
        );
        Assert.Equal(
            Vendors,
            story
                .Harness.Caught.Timeline.Where(t => t.Code == Codes.Erased && t.CustomerId == Scenario.Id)
                .Select(t => t.System)
        );
        Assert.Equal("kim", story.Harness.Caught.Timeline.Single(t => t.Code == "operator.erase").RequestedBy);
        var text = States.Text(story.Customer);
        Assert.DoesNotContain("Ann", text, StringComparison.OrdinalIgnoreCase);
        Assert.Null(story.Customer.EmailKey);
    }

    /// <summary>What is forgotten includes the customer's timer, and the commands that go out in that moment need one.</summary>
    [Fact]
    public async Task Forgetting_sets_the_timer_anew()
    {
        await using var story = await Scenario.InStep();
        await story.Send(Requests.Erase());
        var before = story.Customer.DueToken;
        story.Harness.Time.Advance(TimeSpan.FromMinutes(1));

        foreach (var system in Config.Systems.Keys)
            await (system == Product ? story.ProductApplies() : story.Answer(system));

        Assert.Single(story.Harness.Caught.Erasures);
        Assert.NotEqual(before, story.Customer.DueToken);
        Assert.Equal(story.Harness.Time.GetUtcNow() + Rules.FirstRepeat, story.Customer.DueAt);
        Assert.Contains(story.Customer.DueToken!.Value, story.Harness.Caught.Timers.Keys);
    }

    [Fact]
    public async Task Erasing_a_customer_that_was_removed_already_asks_the_adapters_at_once()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        story.Take();

        await story.Send(Requests.Erase());

        Assert.Equal("Removed", story.State);
        Assert.Equal(Vendors, story.TakePushes().Select(p => p.System));
        Assert.Single(story.Harness.Caught.Erasures);
    }

    [Fact]
    public async Task Nothing_brings_an_erased_customer_back()
    {
        await using var story = await Scenario.InStep(TwoWay with { AllowRecreate = true });
        await Erase(story);

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"));
        Assert.Equal(("Removed", "recreated product"), (story.State, story.Customer.Attention));
        await story.Send(Requests.AllowRecreate());
        Assert.Equal("Removed", story.State);
        Assert.EndsWith(
            "the request changed nothing",
            story.Harness.Caught.Timeline[^1].Reason,
            StringComparison.Ordinal
        );
        await story.Send(Requests.Link(Crm, "crm-9", minted: true, new() { ["name"] = "Ann" }));
        Assert.Equal("Removed", story.State);
        Assert.Empty(story.Customer.Golden);
        Assert.Equal("customer c-1 was removed", story.Take().OfType<ObjectParked>().Single().Reason);

        await story.Send(Requests.Erase());
        Assert.EndsWith(
            "the request changed nothing",
            story.Harness.Caught.Timeline[^1].Reason,
            StringComparison.Ordinal
        );
        Assert.Empty(story.TakePushes());
    }

    [Fact]
    public async Task A_late_create_of_ours_is_deleted_and_its_adapter_forgets_once_more()
    {
        await using var story = await Scenario.InStep();
        await Erase(story);

        Assert.Null(
            await story.Send(
                story.Report(Crm) with
                {
                    ExternalId = "crm-late",
                    Fields = Config.System(Crm).Fields.Keys.ToDictionary(f => f, f => (string?)"Ann"),
                }
            )
        );
        Assert.Equal("Removing", story.State);
        Assert.Equal(Operation.Delete, story.TakePushes().Single().Operation);
        await story.Answer(Crm);

        Assert.Equal("Removed", story.State);
        Assert.Equal((Crm, Operation.Erase), story.TakePushes().Select(p => (p.System, p.Operation)).Single());
        Assert.DoesNotContain("Ann", States.Text(story.Customer), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_deletion_that_a_vendor_refuses_keeps_the_erasure_waiting_for_a_person()
    {
        await using var story = await Scenario.InStep();
        await story.Send(Requests.Erase());
        await story.ProductApplies();
        await story.Answer(Crm);
        await story.Send(
            story.Report(Billing) with
            {
                Ack = story.Sent(Billing)!.Id,
                Outcome = Outcome.Refused,
                Reason = "live subscription",
                Fields = null,
            }
        );
        Assert.Equal(("Removing", "deletion-refused billing"), (story.State, story.Customer.Attention));
        story.Take();

        await story.Send(Requests.Ignore());

        Assert.Equal("Removed", story.State);
        Assert.Equal("kept", story.Customer.System(Billing).Brake);
        Assert.All(story.TakePushes(), p => Assert.Equal(Operation.Erase, p.Operation));
        foreach (var vendor in Vendors)
            await story.Answer(vendor);
        Assert.NotNull(story.Customer.ErasedAt);
    }

    [Fact]
    public async Task Found_objects_that_name_the_customer_forget_what_they_hold()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = new Town(harness);
        town.CreateInProduct("c-1", "ann@example.com");
        await town.Rest();
        var second = town.CreateInVendor(Crm, "ann@example.com");
        await town.Rest();
        Assert.NotEmpty((await harness.FindObject(Crm, second))!.Fields);

        town.Ask(Requests.Erase());
        await town.Rest();

        var found = (await harness.FindObject(Crm, second))!;
        Assert.Equal("Parked", found.CurrentState);
        Assert.Empty(found.Fields);
        var customer = (await harness.Find("c-1"))!;
        Assert.Equal("Removed", customer.CurrentState);
        Assert.NotNull(customer.ErasedAt);
        Assert.Null(town.Product.Find("c-1"));
        // The person's second object is nobody's to delete; the receipt and the attention name it.
        Assert.Equal([second], town.Objects(Crm));
    }

    [Fact]
    public async Task A_proposed_and_a_merged_customer_can_be_erased()
    {
        await using var story = await Scenario.Start();
        await story.Send(Requests.Link(Crm, "crm-7", minted: true, new() { ["name"] = "Ann" }));
        await story.Send(
            new CustomerExists
            {
                CustomerId = Scenario.Id,
                CommandId = story.Sent(Product)!.Id,
                Existing = "c-2",
            }
        );
        await story.Send(Requests.Erase());
        Assert.Equal("Merged", story.State);
        Assert.NotNull(story.Customer.ErasedAt);
        Assert.Single(story.Harness.Caught.Erasures);

        await using var proposed = await Scenario.Start();
        await proposed.Send(Requests.Link(Crm, "crm-7", minted: true, new() { ["name"] = "Ann" }));
        await proposed.Send(Requests.Erase());
        Assert.Equal("Removing", proposed.State);
        await proposed.AnswerAll();
        Assert.Equal("Removed", proposed.State);
        Assert.NotNull(proposed.Customer.ErasedAt);
    }

    // ---- a removed id created again ----

    [Fact]
    public async Task A_removed_id_created_again_begins_a_new_life_when_an_operator_allows_it()
    {
        await using var story = await Removed(TwoWay);
        await story.Snapshot(("name", "New"), ("email", "new@example.com"));
        Assert.Equal("recreated product", story.Customer.Attention);
        Assert.Empty(story.Customer.Golden);

        await story.Send(Requests.AllowRecreate());

        // Its record was not kept: the product is asked to show it, and until then nobody gets an empty one.
        Assert.Equal("Proposed", story.State);
        var asked = Assert.IsType<UpdateCustomer>(Assert.Single(story.Take()));
        Assert.Empty(asked.Write);
        await story.Snapshot(
            new AppliedCommand(asked.CommandId, Outcome.Done, []),
            ("name", "New"),
            ("email", "new@example.com")
        );

        Assert.Equal("Live", story.State);
        var pushes = story.TakePushes();
        Assert.Equal(
            [(Billing, Operation.Create, 1), (Crm, Operation.Create, 1)],
            pushes.Select(p => (p.System, p.Operation, p.Generation))
        );
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
        Assert.Null(story.Customer.Attention);
        Assert.Equal("New", story.Golden("name"));
    }

    [Fact]
    public async Task A_removed_id_created_again_is_followed_at_once_where_the_setting_says_so()
    {
        await using var story = await Removed(TwoWay with { AllowRecreate = true });

        await story.Snapshot(("name", "New"));

        Assert.Equal("Live", story.State);
        Assert.Contains("reborn", story.Codes);
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
        // A report of the former life is none of this one's.
        Assert.Null(await story.Send(story.Report(Crm, ("name", "Old")) with { Generation = 0 }));
        Assert.Equal("New", story.Golden("name"));
    }

    [Fact]
    public async Task There_is_nothing_to_allow_where_nothing_was_created_again()
    {
        await using var story = await Removed(TwoWay);

        await story.Send(Requests.AllowRecreate());

        Assert.Equal("Removed", story.State);
        Assert.EndsWith(
            "the request changed nothing",
            story.Harness.Caught.Timeline[^1].Reason,
            StringComparison.Ordinal
        );
    }

    static async Task<Scenario> Removed(Rules rules)
    {
        var story = await Scenario.InStep(rules);
        await story.Deleted();
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
        story.Take();
        return story;
    }

    static async Task Erase(Scenario story)
    {
        await story.Send(Requests.Erase());
        foreach (var system in Config.Systems.Keys)
            await (system == Product ? story.ProductApplies() : story.Answer(system));
        foreach (var vendor in Vendors)
            await story.Answer(vendor);
        Assert.NotNull(story.Customer.ErasedAt);
        story.Take();
    }
}

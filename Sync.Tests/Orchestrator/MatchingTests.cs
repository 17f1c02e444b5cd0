using CsCheck;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// Whose a found object is: candidates by e-mail, the customer's own slot, and the product, which decides who one person is.
/// The product is the sandbox's, which answers "exists".
/// </summary>
public sealed class MatchingTests
{
    const string Email = "ann@example.com";

    [Fact]
    public async Task An_object_that_matches_nobody_makes_a_customer_in_the_product_and_everywhere()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = new Town(harness);

        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        var customer = Assert.Single(town.Live);
        Assert.Equal(CustomerIds.Minted(Crm, ext), customer.CustomerId);
        Assert.Equal(Email, town.Product.Find(customer.CustomerId)!.Fields["email"]);
        Assert.Equal(ext, Assert.Single(town.Objects(Crm)));
        Assert.Equal(customer.CustomerId, town.OnObject(Crm, ext));
        Assert.Equal(customer.CustomerId, town.OnObject(Billing, Assert.Single(town.Objects(Billing))));
        Assert.Empty(customer.Behind);
        Assert.Equal("Linked", (await harness.FindObject(Crm, ext))!.CurrentState);
    }

    [Fact]
    public async Task An_object_whose_email_one_customer_has_takes_the_free_slot_and_gets_our_id()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = new Town(harness);
        var first = town.CreateInVendor(Billing, Email);
        // Made at the same moment, and found before anybody created one: the customer is proposed, its slot is free.
        var second = town.CreateInVendor(Crm, " ANN@example.com ");
        await town.Rest();

        var customer = Assert.Single(town.Live);
        Assert.Equal(first, customer.System(Billing).Ext);
        Assert.Equal(second, customer.System(Crm).Ext);
        Assert.Equal(1, town.Product.Count);
        Assert.All(
            [(Billing, first), (Crm, second)],
            o => Assert.Equal(customer.CustomerId, town.OnObject(o.Item1, o.Item2))
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Two_vendors_that_report_one_new_person_at_once_end_in_one_customer_although_neither_sees_the_other(
        bool crmFirst
    )
    {
        await using var harness = await OrchestratorHarness.Start();
        // Candidates are a batch old: nobody is there yet.
        harness.Surroundings.Stale = _ => [];
        var town = new Town(harness);
        string[] order = crmFirst ? [Crm, Billing] : [Billing, Crm];
        var objects = order.Select(v => (Vendor: v, Ext: town.CreateInVendor(v, Email))).ToList();
        await town.Rest();
        await town.RingAll();

        var customer = Assert.Single(town.Live);
        Assert.Equal(1, town.Product.Count);
        Assert.Equal("Merged", Assert.Single(harness.Customers, c => c.CustomerId != customer.CustomerId).CurrentState);
        Assert.Empty(customer.Behind);
        foreach (var (vendor, ext) in objects)
        {
            // Where the customer had asked for an object of its own already, the person's is shown as its second one.
            var found = (await harness.FindObject(vendor, ext))!;
            Assert.Equal(customer.CustomerId, found.CustomerId);
            Assert.Equal(customer.System(vendor).Ext == ext ? "Linked" : "Parked", found.CurrentState);
        }
    }

    [Fact]
    public async Task In_any_order_of_finds_edits_copies_and_stale_candidates_one_person_is_one_customer()
    {
        await Gen.Select(Gen.Int[0, 1000].Array[5, 60], Gen.Bool)
            .SampleAsync(
                async (tape, stale) =>
                {
                    await using var harness = await OrchestratorHarness.Start();
                    var town = new Town(harness);
                    if (stale)
                        harness.Surroundings.Stale = found => found.ExternalId.Length % 2 == 0 ? [] : null;
                    List<(string Vendor, string Ext)> people =
                    [
                        (Billing, town.CreateInVendor(Billing, Email)),
                        (Crm, town.CreateInVendor(Crm, Email)),
                    ];
                    if (tape[0] % 3 == 0)
                        town.CreateInProduct("c-1", Email);
                    foreach (var choice in tape)
                    {
                        var (vendor, ext) = people[choice % 2];
                        switch (choice % 9)
                        {
                            case 0:
                                town.EditInVendor(vendor, ext, "name", $"Name {choice}");
                                break;
                            case 1:
                                await town.Again(choice);
                                break;
                            case 2:
                                town.Find(vendor, ext);
                                break;
                            default:
                                await town.Step(choice);
                                break;
                        }
                    }

                    await town.Rest();
                    await town.RingAll();

                    // The product's own one may have been made although a vendor's was there first: it does not ask us.
                    Assert.Equal(town.Product.Count, town.Live.Count);
                    Assert.InRange(town.Live.Count, 1, tape[0] % 3 == 0 ? 2 : 1);
                    foreach (var vendor in Vendors)
                    {
                        var slots = town.Live.Select(c => c.System(vendor).Ext).ToList();
                        Assert.Equal(slots.Count, slots.Distinct().Count());
                    }

                    Assert.DoesNotContain(harness.Customers, c => c.CurrentState is "Proposed");
                    Assert.DoesNotContain(harness.Objects, o => o.CurrentState == "Asking");
                    Assert.All(
                        harness.Objects,
                        o =>
                            Assert.True(
                                o.CurrentState == "Parked" || town.Live.Any(c => c.System(o.System).Ext == o.Ext),
                                $"{o.Ext} is {o.CurrentState} of {o.CustomerId}"
                            )
                    );
                    Assert.All(town.Live, c => Assert.Empty(c.Behind));
                },
                iter: 25,
                threads: 1
            );
    }

    [Fact]
    public async Task Several_candidates_are_named_and_nobody_is_joined_by_a_guess()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);

        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        var found = (await harness.FindObject(Crm, ext))!;
        Assert.Equal(("Parked", "ambiguous"), (found.CurrentState, found.Reason));
        Assert.Equal(["c-1", "c-2"], found.Candidates);
        Assert.Equal(
            "ambiguous: c-1, c-2",
            harness.Caught.Timeline.Last(t => t.Code == "object.parked" && t.ExternalId == ext).Reason
        );
        Assert.Equal(2, harness.Customers.Count);
    }

    [Fact]
    public async Task A_parked_object_is_linked_to_the_customer_that_an_operator_names_if_its_slot_is_free()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);
        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        town.Ask(Requests.LinkTo(Crm, ext, "c-1"));
        await town.Rest();

        // c-1 has an object there: the slot is checked, whoever asks.
        var found = (await harness.FindObject(Crm, ext))!;
        Assert.Equal(
            ("Parked", "c-1", "duplicate of customer c-1"),
            (found.CurrentState, found.CustomerId, found.Reason)
        );
        var asked = harness.Caught.Timeline.Single(t => t.Code == "operator.link-to");
        Assert.Equal(("kim", ext), (asked.RequestedBy, asked.ExternalId));

        // Its deletion there is held: what a person names takes the place, and nothing is deleted.
        harness.Surroundings.DeletionBrake = 0;
        town.DeleteInVendor(Crm, (await harness.Find("c-1"))!.System(Crm).Ext!);
        await town.Rest();
        town.Ask(Requests.LinkTo(Crm, ext, "c-1"));
        await town.Rest();

        var customer = (await harness.Find("c-1"))!;
        Assert.Equal((ext, 1, (string?)null), (customer.System(Crm).Ext, customer.System(Crm).Gen, customer.Attention));
        Assert.Equal("c-1", town.OnObject(Crm, ext));
        Assert.Equal("Linked", (await harness.FindObject(Crm, ext))!.CurrentState);

        // What is somebody's stays so.
        town.Ask(Requests.LinkTo(Crm, ext, "c-2"));
        await town.Rest();
        Assert.Equal("c-1", (await harness.FindObject(Crm, ext))!.CustomerId);
        Assert.EndsWith(
            "the request changed nothing",
            harness.Caught.Timeline.Last(t => t.Code == "operator.link-to").Reason,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_customer_that_does_not_exist_answers_nobody_and_after_hours_a_person_is_asked_again()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);
        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        town.Ask(Requests.LinkTo(Crm, ext, "typo"));
        await town.Rest();
        await town.RingAll();

        var found = (await harness.FindObject(Crm, ext))!;
        Assert.Equal(("Parked", "unanswered", "typo"), (found.CurrentState, found.Reason, found.CustomerId));
        Assert.Null(await harness.Find("typo"));
        Assert.Empty(harness.Caught.Timers);
    }

    [Fact]
    public async Task A_retried_object_is_read_again_and_decided_by_what_is_there_now()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);
        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();
        town.EditInVendor(Crm, ext, "email", "other@example.com");
        await town.Rest();
        Assert.Equal("Parked", (await harness.FindObject(Crm, ext))!.CurrentState);

        town.Ask(Requests.RetryObject(Crm, ext));
        await town.Rest();

        var customer = Assert.Single(town.Live, c => c.CustomerId == CustomerIds.Minted(Crm, ext));
        Assert.Equal("other@example.com", customer.Golden["email"]);
        Assert.Equal("Linked", (await harness.FindObject(Crm, ext))!.CurrentState);
        Assert.Equal("kim", harness.Caught.Timeline.Single(t => t.Code == "operator.retry-object").RequestedBy);
    }

    [Fact]
    public async Task A_retried_object_that_is_gone_waits_no_longer()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);
        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        town.DeleteInVendor(Crm, ext);
        await town.Rest();

        Assert.Null(await harness.FindObject(Crm, ext));
        Assert.Equal(2, town.Live.Count);
        Assert.Contains(harness.Caught.Timeline, t => t.Code == "object.gone" && t.ExternalId == ext);
    }

    [Fact]
    public async Task What_an_operator_ignores_is_hidden_until_the_reason_is_another()
    {
        await using var harness = await OrchestratorHarness.Start();
        var town = await TwoNamesakes(harness);
        var ext = town.CreateInVendor(Crm, Email);
        await town.Rest();

        town.Ask(Requests.IgnoreObject(Crm, ext));
        await town.Rest();
        var found = (await harness.FindObject(Crm, ext))!;
        Assert.Equal(("Parked", "ambiguous", "ambiguous"), (found.CurrentState, found.Reason, found.Ignored));

        town.Ask(Requests.LinkTo(Crm, ext, "c-1"));
        await town.Rest();
        Assert.NotEqual((await harness.FindObject(Crm, ext))!.Reason, (await harness.FindObject(Crm, ext))!.Ignored);
    }

    [Fact]
    public async Task A_request_about_an_unknown_object_is_refused()
    {
        await using var harness = await OrchestratorHarness.Start();

        foreach (
            object request in (object[])
                [Requests.LinkTo(Crm, "x", "c-1"), Requests.RetryObject(Crm, "x"), Requests.IgnoreObject(Crm, "x")]
        )
            Assert.Contains("no found object", (await harness.Send(request))!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_id_of_ours_that_nobody_has_and_one_that_another_has_are_named_reasons()
    {
        await using var story = await Scenario.InStep();

        await story.Send(Requests.Duplicate(Crm, "copy", ours: false));
        await story.Send(story.Report(Crm) with { CustomerId = "nobody", ExternalId = "crm-9" });

        Assert.Equal(
            ["duplicate of customer c-1", "unknown customer"],
            story.Take().OfType<ObjectParked>().Select(p => p.Reason)
        );
    }

    /// <summary>Two customers whose e-mails became equal by an edit: shown, never merged.</summary>
    static async Task<Town> TwoNamesakes(OrchestratorHarness harness)
    {
        var town = new Town(harness);
        town.CreateInProduct("c-1", Email);
        town.CreateInProduct("c-2", Email);
        await town.Rest();
        Assert.Equal(2, town.Live.Count);
        return town;
    }
}

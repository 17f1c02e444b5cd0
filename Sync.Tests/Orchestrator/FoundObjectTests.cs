using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>Objects that are nobody's yet: none is lost, and none is joined by a guess.</summary>
public sealed class FoundObjectTests
{
    const string Ext = "crm-7";

    static readonly ObjectFound Found = new()
    {
        System = Crm,
        ExternalId = Ext,
        Fields = new() { ["name"] = "Ann", ["email"] = "ann@example.com" },
    };

    static ObjectParked Parked(string customer) =>
        new()
        {
            CustomerId = customer,
            System = Crm,
            ExternalId = Ext,
            Reason = $"duplicate of customer {customer}",
        };

    static ObjectLinked Linked(string customer) =>
        new()
        {
            CustomerId = customer,
            System = Crm,
            ExternalId = Ext,
        };

    static RelinkObject Relink(string customer, string to) =>
        new()
        {
            CustomerId = customer,
            System = Crm,
            ExternalId = Ext,
            To = to,
        };

    [Fact]
    public async Task An_object_of_a_product_that_is_only_read_is_parked()
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);

        Assert.Null(await harness.Send(Found));
        Assert.Null(await harness.Send(Found));

        var found = (await harness.FindObject(Crm, Ext))!;
        Assert.Equal(("Parked", "one-way"), (found.CurrentState, found.Reason));
        Assert.Equal("Ann", found.Fields["name"]);
        Assert.Single(harness.Caught.Timeline);
        Assert.Empty(harness.Caught.Messages);
    }

    [Fact]
    public async Task An_object_of_an_unknown_system_is_refused()
    {
        await using var harness = await OrchestratorHarness.Start();

        Assert.NotNull(await harness.Send(Found with { System = "fax" }));

        Assert.Null(await harness.FindObject("fax", Ext));
    }

    [Fact]
    public async Task A_second_object_that_a_customer_turned_away_is_kept_with_its_reason()
    {
        await using var harness = await OrchestratorHarness.Start();

        Assert.Null(await harness.Send(Parked("c-1")));

        var found = (await harness.FindObject(Crm, Ext))!;
        Assert.Equal(
            ("Parked", "c-1", "duplicate of customer c-1"),
            (found.CurrentState, found.CustomerId, found.Reason)
        );
    }

    [Fact]
    public async Task A_link_of_an_object_that_was_never_found_leaves_no_row()
    {
        await using var harness = await OrchestratorHarness.Start();

        Assert.Null(await harness.Send(Linked("c-1")));

        Assert.Null(await harness.FindObject(Crm, Ext));
    }

    [Fact]
    public async Task A_parked_object_that_a_customer_took_after_all_is_linked()
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);
        await harness.Send(Found);

        Assert.Null(await harness.Send(Linked("c-1")));
        Assert.Equal("Linked", (await harness.FindObject(Crm, Ext))!.CurrentState);

        // Turned away by somebody else, who was asked before: its customer is another.
        Assert.Null(await harness.Send(Parked("c-2")));
        Assert.Equal("Linked", (await harness.FindObject(Crm, Ext))!.CurrentState);
        Assert.Null(await harness.Send(Parked("c-1")));
        Assert.Equal("Parked", (await harness.FindObject(Crm, Ext))!.CurrentState);
    }

    [Fact]
    public async Task A_late_copy_of_linked_does_not_end_the_asking()
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);
        await harness.Send(Found);
        await harness.Send(Linked("c-1"));
        await harness.Send(Relink("c-1", to: "c-2"));

        Assert.Null(await harness.Send(Linked("c-1")));
        Assert.Equal("Asking", (await harness.FindObject(Crm, Ext))!.CurrentState);

        await harness.Send(Linked("c-2"));
        // Nor does a late copy of "ask that one" begin it anew.
        Assert.Null(await harness.Send(Relink("c-1", to: "c-2")));
        Assert.Equal("Linked", (await harness.FindObject(Crm, Ext))!.CurrentState);

        // Nor does it link again what the other turned away.
        await harness.Send(Parked("c-2"));
        Assert.Null(await harness.Send(Linked("c-1")));
        Assert.Equal("Parked", (await harness.FindObject(Crm, Ext))!.CurrentState);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_that_another_was_merged_into_goes_to_that_ones_customer(bool known)
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);
        if (known)
            await harness.Send(Found);

        Assert.Null(await harness.Send(Relink("c-1", to: "c-1") with { Claims = true }));

        var ask = Assert.IsType<LinkObject>(Assert.Single(harness.Caught.Messages));
        Assert.Equal(("c-1", true, false), (ask.CustomerId, ask.Decided, ask.Minted));
        Assert.Null(await harness.Send(Linked("c-1")));
        Assert.Equal("Linked", (await harness.FindObject(Crm, Ext))!.CurrentState);
    }

    [Fact]
    public async Task An_object_of_somebody_is_not_claimed()
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);
        await harness.Send(Found);
        await harness.Send(Linked("c-1"));

        Assert.Null(await harness.Send(Relink("c-2", to: "c-2") with { Claims = true }));

        Assert.Equal("c-1", (await harness.FindObject(Crm, Ext))!.CustomerId);
        Assert.Empty(harness.Caught.Messages);
    }

    [Fact]
    public async Task An_unknown_object_that_is_sent_on_leaves_no_row()
    {
        await using var harness = await OrchestratorHarness.Start();

        Assert.Null(await harness.Send(Relink("c-1", to: "c-2")));

        Assert.Null(await harness.FindObject(Crm, Ext));
        Assert.Empty(harness.Caught.Messages);
    }

    [Fact]
    public async Task An_object_whose_customer_became_another_asks_that_one_until_it_answers()
    {
        await using var harness = await OrchestratorHarness.Start(OneWay);
        await harness.Send(Found);
        await harness.Send(Linked("c-1"));

        Assert.Null(await harness.Send(Relink("c-1", to: "c-2")));
        Assert.Equal("Asking", (await harness.FindObject(Crm, Ext))!.CurrentState);
        await harness.Ring();

        var asks = harness.Caught.Messages.Cast<LinkObject>().ToList();
        Assert.Equal(2, asks.Count);
        Assert.All(asks, a => Assert.Equal(("c-2", false, "Ann"), (a.CustomerId, a.Minted, a.Fields["name"])));
        Assert.Single(harness.Caught.Timers);

        Assert.Null(await harness.Send(Linked("c-2")));
        await harness.Ring();
        Assert.Equal("Linked", (await harness.FindObject(Crm, Ext))!.CurrentState);
        Assert.Equal(2, harness.Caught.Messages.Count);
        Assert.Empty(harness.Caught.Timers);
    }
}

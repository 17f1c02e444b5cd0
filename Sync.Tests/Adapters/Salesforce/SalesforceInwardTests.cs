using Sync.Contracts.Systems;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>What people do in Salesforce reaches the saga's topic, by events or by the sweep alone, and costs what it must.</summary>
public sealed class SalesforceInwardTests
{
    static readonly (string, string?)[] SweepAlone =
    [
        ("Salesforce:Feed", "sweep"),
        ("Salesforce:SweepSeconds", "1"),
        ("Salesforce:SweepOverlapSeconds", "60"),
    ];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_person_does_is_reported_and_our_own_write_is_not(bool events)
    {
        await using var stage = await SalesforceStage.Start(events ? [] : SweepAlone);
        await stage.RunAll();
        var made = await stage.Created("c-1", ("name", "Ada"), ("email", "ada@x.org"));
        var ext = made.ExternalId!;
        await stage.Settled();

        // Our own create was told, too, and ended there.
        Assert.Single((await stage.Outbox.All(stage.Database)).OfType<CustomerReported>());

        stage.Edit(ext, """{ "Phone": "+4611", "BillingCity": "Lund", "Product_Email__c": null }""");
        var edit = await stage.Message<CustomerReported>(r => r.Fields?["phone"] == "+4611", "the edit is reported");
        Assert.Equal(
            ("c-1", "Lund", null, null),
            (edit.CustomerId, edit.Fields!["address.city"], edit.Fields["email"], edit.Ack)
        );

        var stranger = stage.Make("""{ "Name": "Bob", "Product_Email__c": "bob@x.org" }""");
        var found = await stage.Message<ObjectFound>(f => f.ExternalId == stranger, "the new account is found");
        Assert.Equal("bob@x.org", found.Fields["email"]);

        stage.Org.Delete(ext, SalesforceOrg.Human);
        var gone = await stage.Message<CustomerReported>(r => r.Gone, "the deletion is reported");
        Assert.Equal(("c-1", ext), (gone.CustomerId, gone.ExternalId));

        stage.Org.Undelete(ext, SalesforceOrg.Human);
        var back = await stage.Message<CustomerReported>(r => r.Undelete, "the undeletion is reported");
        Assert.Equal(("c-1", "+4611"), (back.CustomerId, back.Fields!["phone"]));

        var other = (await stage.Created("c-2", ("name", "Ada too"))).ExternalId!;
        stage.Merge(ext, other);
        var merged = await stage.Message<CustomerReported>(
            r => r is { Gone: true, CustomerId: "c-2" },
            "the merge is the end of the loser"
        );
        Assert.Equal((other, ext, "c-1"), (merged.ExternalId, merged.ReplacedBy, merged.ReplacedByCustomer));
        Assert.DoesNotContain(stage.Logs.Lines, l => l.Text.Contains("bob@x.org", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Edits_while_the_stream_is_down_and_its_place_is_lost_are_found_and_the_gap_is_closed()
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        var lost = (await stage.Created("c-2", ("name", "Bob"))).ExternalId!;
        await stage.Settled();

        await stage.Sandbox.Host.AddFault(
            new() { Vendor = "salesforce-events", Kind = Sync.Sandbox.Faults.FaultKind.Down }
        );
        stage.Edit(ext, """{ "Phone": "+4611" }""");
        stage.Org.Delete(lost, SalesforceOrg.Human);
        stage.Org.Events.Expire();
        await stage.Sandbox.Host.ClearFaults();

        await stage.Message<CustomerReported>(r => r.Fields?["phone"] == "+4611", "the edit is found");
        await stage.Message<CustomerReported>(r => r is { Gone: true, CustomerId: "c-2" }, "the deletion is found");
        await Eventually.Is(
            async () => await stage.Count("feed_gap", "state = 'closed' and feed = 'change-events'") == 1,
            "the gap is closed"
        );
        stage.Edit(ext, """{ "Phone": "+4622" }""");
        await stage.Message<CustomerReported>(r => r.Fields?["phone"] == "+4622", "the stream goes on");
        Assert.Equal(1, await stage.Count("feed_gap"));
    }

    /// <summary>A security review takes View All from the integration user, and the next scan misses what others own.</summary>
    [Fact]
    public async Task What_the_integration_user_may_not_see_any_more_is_reported_as_out_of_sight()
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var hidden = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        var purged = (await stage.Created("c-2", ("name", "Bob"))).ExternalId!;
        var deleted = (await stage.Created("c-3", ("name", "Cy"))).ExternalId!;
        await stage.Settled();

        await stage.Sandbox.Host.AddFault(
            new() { Vendor = "salesforce-events", Kind = Sync.Sandbox.Faults.FaultKind.Down }
        );
        stage.Org.Sharing = account => account.Id != hidden;
        stage.Org.Delete(purged, SalesforceOrg.Human);
        stage.Org.Purge(purged);
        stage.Org.Delete(deleted, SalesforceOrg.Human);
        stage.Org.Events.Expire();
        await stage.Sandbox.Host.ClearFaults();

        Assert.True((await Gone("c-1")).OutOfSight);
        Assert.True((await Gone("c-2")).OutOfSight);
        Assert.False((await Gone("c-3")).OutOfSight);

        stage.Org.Sharing = null;
        stage.Edit(hidden, """{ "Phone": "+4611" }""");
        var back = await stage.Message<CustomerReported>(r => r.Fields?["phone"] == "+4611", "it is in sight again");
        Assert.False(back.OutOfSight);

        Task<CustomerReported> Gone(string customer) =>
            stage.Message<CustomerReported>(r => r.Gone && r.CustomerId == customer, $"{customer} is missed");
    }

    [Fact]
    public async Task Our_id_taken_off_an_account_is_reported()
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;

        stage.Edit(ext, """{ "Product_Customer_Id__c": null }""");

        await stage.Message<CustomerReported>(r => !r.IdOnObject && !r.Gone, "our id is not there any more");
    }
}

using Sync.Contracts.Systems;
using Sync.Sandbox.Salesforce;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>What the adapter makes of an org whose flows and triggers object to what it writes.</summary>
public sealed class SalesforceWritesTests
{
    /// <summary>
    /// An administrator deploys a flow that fills a lookup with an id of another org. Taken for a deletion, the answer
    /// would delete the customer in every system.
    /// </summary>
    [Theory]
    [InlineData("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")]
    [InlineData("ENTITY_IS_DELETED", "entity is deleted")]
    public async Task A_wrong_lookup_in_a_flow_refuses_the_write_and_the_account_is_not_gone(
        string code,
        string message
    )
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var made = await stage.Created("c-1", ("name", "Ada"), ("phone", "+4611"));
        var others = new List<CustomerReported>();
        for (var i = 2; i < 6; i++)
            others.Add(await stage.Created($"c-{i}", ("name", "Ada"), ("phone", "+4611")));
        stage.Org.Flow = (_, _) => new SalesforceProblem(400, code, message);

        var update = await stage.Answered(SalesforceStage.Command(Operation.Update, made, ("phone", "+4622")));
        var delete = await stage.Answered(SalesforceStage.Command(Operation.Delete, made));
        var many = await stage.Answered([
            .. others.Select(o => SalesforceStage.Command(Operation.Update, o, ("phone", "+4622"))),
        ]);

        foreach (var report in (CustomerReported[])[update, delete, .. many])
        {
            Assert.Equal((Outcome.Refused, false), (report.Outcome!.Value, report.Gone));
            Assert.Contains(code, report.Reason, StringComparison.Ordinal);
        }

        Assert.Equal(5, stage.Org.Find(_ => true, 10).Count);
    }

    /// <summary>A flow fills a unique field of the org's own, and the stranger's account has that value.</summary>
    [Fact]
    public async Task A_duplicate_in_a_field_of_the_org_does_not_make_the_customer_adopt_a_stranger_s_account()
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var stranger = stage.Make("""{ "Name": "Bob" }""");
        stage.Org.Flow = (_, _) =>
            new SalesforceProblem(
                400,
                "DUPLICATE_VALUE",
                $"duplicate value found: Dup_Key__c duplicates value on record with id: {stranger[..15]}"
            );

        var report = await stage.Created("c-1", ("name", "Ada"));

        Assert.Equal((Outcome.Refused, null), (report.Outcome!.Value, report.ExternalId));
        Assert.Contains("Dup_Key__c", report.Reason, StringComparison.Ordinal);
        Assert.Null(Assert.Single(stage.Org.Find(_ => true, 10)).Values.GetValueOrDefault("Product_Customer_Id__c"));
    }

    [Fact]
    public async Task A_write_to_an_account_in_the_recycle_bin_says_that_it_is_gone()
    {
        await using var stage = await SalesforceStage.Start();
        await stage.RunAll();
        var made = await stage.Created("c-1", ("name", "Ada"));
        stage.Org.Delete(made.ExternalId!, SalesforceOrg.Human);

        var update = await stage.Answered(SalesforceStage.Command(Operation.Update, made, ("phone", "+4622")));
        var delete = await stage.Answered(SalesforceStage.Command(Operation.Delete, made));

        Assert.Equal((Outcome.Gone, true), (update.Outcome!.Value, update.Gone));
        Assert.Equal((Outcome.Done, true), (delete.Outcome!.Value, delete.Gone));
    }
}

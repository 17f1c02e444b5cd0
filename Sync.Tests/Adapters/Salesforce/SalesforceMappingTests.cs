using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class SalesforceMappingTests
{
    [Fact]
    public async Task A_create_sends_what_is_there_with_our_id_and_stamp()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(201, $$"""{ "id": "{{SalesforceBench.Id}}", "success": true, "errors": [] }""")
        );

        await bench.CreateOne(
            ("name", "Jane \"J\" <Søn> 🦊"),
            ("email", null),
            ("phone", ""),
            ("address.line1", "Vägen 1\nB"),
            ("attributes.tier", "gold")
        );

        var call = Assert.Single(bench.Calls);
        Assert.Equal("POST /services/data/v66.0/sobjects/Account", call.Target);
        Assert.Equal(
            """{"BillingStreet":"Vägen 1\nB","Product_Tier__c":"gold","Name":"Jane \"J\" <Søn> 🦊","Product_Customer_Id__c":"c-1","Sync_Command__c":"11111111-2222-4333-8444-555555555555"}""",
            call.Body.Replace("\\uD83E\\uDD8A", "🦊", StringComparison.Ordinal)
        );
        Assert.Equal("application/json; charset=utf-8", call.Header("Content-Type"));
    }

    [Fact]
    public async Task An_update_clears_with_null_and_leaves_alone_what_is_not_written()
    {
        using var bench = new SalesforceBench(_ => StubHttp.Empty(204));

        await bench.UpdateOne(("email", null), ("address.city", ""), ("phone", "+4612345"));

        var call = Assert.Single(bench.Calls);
        Assert.Equal($"PATCH {SalesforceBench.Row}", call.Target);
        Assert.Equal(
            """{"BillingCity":null,"Product_Email__c":null,"Phone":"+4612345","Product_Customer_Id__c":"c-1","Sync_Command__c":"11111111-2222-4333-8444-555555555555"}""",
            call.Body
        );
    }

    [Fact]
    public async Task A_record_is_read_with_every_mapped_path_and_empty_is_null()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(
                200,
                SalesforceBench.Record(
                    members: $$"""
                    "Name": "Zoë 🦊", "Product_Email__c": null, "Phone": "", "BillingStreet": "L1", "BillingPostalCode": "P",
                    "Product_Tier__c": 7, "Product_Customer_Id__c": "c-1", "Sync_Command__c": "{{SalesforceBench.Command}}",
                    "LastModifiedById": "005000000000001", "CreatedById": "{{SalesforceBench.Us}}", "IsDeleted": false
                    """
                ),
                ("ETag", "\"abc=-gzip\"")
            )
        );

        var ok = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        Assert.Equal(
            new Dictionary<string, string?>
            {
                ["name"] = "Zoë 🦊",
                ["email"] = null,
                ["phone"] = null,
                ["address.line1"] = "L1",
                ["address.city"] = null,
                ["address.state"] = null,
                ["address.postalCode"] = "P",
                ["address.country"] = null,
                ["attributes.tier"] = "7",
            }.OrderBy(f => f.Key),
            ok.Object!.Fields.OrderBy(f => f.Key)
        );
        Assert.Equal(
            ("c-1", SalesforceBench.Command, "\"abc=-gzip\""),
            (ok.Object.CustomerId, ok.Object.Stamp, ok.Object.Guard)
        );
        Assert.True(ok.Object is { LastModifiedByUs: true, CreatedByUs: true });
        Assert.Equal(
            $"GET {SalesforceBench.Row}?fields=Id,Name,Product_Email__c,Phone,BillingStreet,BillingCity,BillingState,"
                + "BillingPostalCode,BillingCountry,Product_Tier__c,Product_Customer_Id__c,Sync_Command__c,LastModifiedById,"
                + "CreatedById,IsDeleted",
            Assert.Single(bench.Calls).Target
        );
    }

    [Theory]
    [InlineData("005000000000002AAA", false)]
    [InlineData("005000000000001aAA", false)]
    [InlineData("005000000000001AAA", true)]
    [InlineData("005000000000001", true)]
    public async Task Who_wrote_last_is_told_by_the_user_that_the_app_runs_as(string user, bool us)
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, SalesforceBench.Record(members: $"\"LastModifiedById\": \"{user}\""))
        );

        Assert.Equal(us, Assert.IsType<VendorResult.Ok>(await bench.ReadOne()).Object!.LastModifiedByUs);
    }

    /// <summary>Pairs that the platform itself gave, upper and lower case in every chunk.</summary>
    [Theory]
    [InlineData("001D000000IqhSL", "001D000000IqhSLIAZ")]
    [InlineData("001000000000001", "001000000000001AAA")]
    [InlineData("0015g00000AbCdE", "0015g00000AbCdEAAV")]
    [InlineData("001D000000IqhSLIAZ", "001D000000IqhSLIAZ")]
    [InlineData("not an id", "not an id")]
    public void Ids_are_compared_with_eighteen_characters(string id, string expected)
    {
        Assert.Equal(expected, RecordIds.To18(id));
        Assert.True(RecordIds.Same(id, expected));
    }

    [Fact]
    public void Ids_that_differ_in_case_are_two() => Assert.False(RecordIds.Same("001D000000IqhSL", "001D000000iqhSL"));

    [Theory]
    [InlineData("c-1", "'c-1'")]
    [InlineData("it's", @"'it\'s'")]
    [InlineData(@"a\' OR Name != '", @"'a\\\' OR Name != \''")]
    public void A_literal_cannot_be_left(string text, string literal) => Assert.Equal(literal, Soql.Literal(text));

    [Fact]
    public async Task A_further_field_is_a_line_of_the_mapping()
    {
        var config = TestMapping.Of(
            "salesforce",
            """
            "name": { "to": "Name" }, "attributes.colour": { "to": "Colour__c" }, "attributes.site": { "to": "Website" }
            """
        );
        using var bench = new SalesforceBench(
            request =>
                request.Method == "GET"
                    ? StubHttp.Json(200, SalesforceBench.Record(members: "\"Colour__c\": \"red\", \"Website\": \"w\""))
                    : StubHttp.Empty(204),
            config
        );

        var read = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
        await bench.UpdateOne(("attributes.colour", "blue"), ("attributes.site", null));

        Assert.Equal(("red", "w"), (read.Object!.Fields["attributes.colour"], read.Object.Fields["attributes.site"]));
        Assert.StartsWith("""{"Colour__c":"blue","Website":null,""", bench.Calls[1].Body, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_fault_of_the_mapping_is_named_at_once()
    {
        var config = TestMapping.Of(
            "salesforce",
            """
            "phone": { "to": "Phone", "max": 41 },
            "email": { "to": "Product_Customer_Id__c" },
            "address.city": { "to": "BillingAddress" },
            "attributes.a": { "to": "LastModifiedDate" },
            "attributes.b": { "to": "Bad Name__c" }
            """,
            "\"onDelete\": \"delete-unless-subscribed\","
        );

        var faults = SalesforceMapping.Faults(config).ToList();

        Assert.Equal(7, faults.Count);
        foreach (var path in config.System("salesforce").Fields.Keys)
            Assert.Single(faults, f => f.Contains($" {path}: ", StringComparison.Ordinal));
        Assert.Single(
            faults,
            f => f.Contains("\"Name\"", StringComparison.Ordinal) && f.Contains("no path", StringComparison.Ordinal)
        );
        Assert.Single(faults, f => f.Contains("onDelete", StringComparison.Ordinal));
    }

    [Fact]
    public void The_shipped_mapping_has_no_fault() => Assert.Empty(SalesforceMapping.Faults(TestMapping.Shipped));
}

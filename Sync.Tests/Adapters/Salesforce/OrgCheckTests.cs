using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Sandbox;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>What the org has is looked at before anything is written there.</summary>
public sealed class OrgCheckTests
{
    static readonly FakeTimeProvider Time = new(new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task The_shipped_mapping_fits_the_shipped_fields()
    {
        await using var sandbox = await SandboxHost.Start(new() { Kafka = false });
        using var client = Client(sandbox);

        var org = await client.DescribeAsync(SalesforceMapping.Object, CancellationToken.None);

        Assert.Empty(OrgCheck.Faults(org.Value, TestMapping.Shipped));
        Assert.Equal(128, org.Value.Fields["product_customer_id__c"].Length);
    }

    public static TheoryData<string, Action<JsonObject>, string> Unfit =>
        new()
        {
            { "no id", o => Remove(o, "Product_Customer_Id__c"), "Product_Customer_Id__c is not there, or hidden" },
            {
                "an id that is no external id",
                o => Set(o, "Product_Customer_Id__c", "externalId", false),
                "unique and case-sensitive"
            },
            {
                "an id that is not unique",
                o => Set(o, "Product_Customer_Id__c", "unique", false),
                "unique and case-sensitive"
            },
            {
                "an id without case",
                o => Set(o, "Product_Customer_Id__c", "caseSensitive", false),
                "unique and case-sensitive"
            },
            {
                "an id too short",
                o => Set(o, "Product_Customer_Id__c", "length", 64),
                "holds 64 characters; 128 are needed"
            },
            { "an id to read alone", o => Set(o, "Product_Customer_Id__c", "updateable", false), "may not be written" },
            { "no stamp", o => Remove(o, "Sync_Command__c"), "Sync_Command__c is not there, or hidden" },
            { "a stamp too short", o => Set(o, "Sync_Command__c", "length", 20), "holds 20 characters; 36 are needed" },
            {
                "a mapped field that is hidden",
                o => Remove(o, "Product_Email__c"),
                "systems.json: salesforce: email: Product_Email__c is not there, or hidden"
            },
            {
                "a mapped field to read alone",
                o => Set(o, "Phone", "createable", false),
                "systems.json: salesforce: phone: Phone may not be written"
            },
            {
                "a field shorter than the mapping says",
                o => Set(o, "BillingCity", "length", 30),
                "\"max\" is 40; BillingCity of this org holds 30 characters"
            },
            { "accounts to read alone", o => o["updateable"] = false, "may not change an Account" },
            { "no new accounts", o => o["createable"] = false, "may not create an Account" },
            { "no deletion", o => o["deletable"] = false, "may not delete an Account" },
            {
                "countries from a picklist",
                o => Add(o, "BillingCountryCode", required: false),
                "salesforce: address.country: this org takes states and countries from picklists"
            },
            { "a field that the org requires", o => Add(o, "Region__c"), "requires Region__c of every new Account" },
        };

    [Theory]
    [MemberData(nameof(Unfit))]
    public void What_does_not_fit_is_named_with_what_to_do(string what, Action<JsonObject> change, string expected)
    {
        var fault = Assert.Single(Faults(change));

        Assert.True(fault.Contains(expected, StringComparison.Ordinal), $"{what}: {fault}");
    }

    [Fact]
    public void Everything_that_does_not_fit_is_named_at_once() =>
        Assert.Equal(
            4,
            Faults(org =>
                {
                    Remove(org, "Product_Email__c");
                    Remove(org, "Sync_Command__c");
                    Set(org, "Phone", "length", 10);
                    org["createable"] = false;
                })
                .Count()
        );

    [Fact]
    public void A_required_field_that_the_org_fills_in_by_itself_is_no_fault() =>
        Assert.Empty(
            Faults(org =>
            {
                Add(org, "Region__c");
                Set(org, "Region__c", "defaultedOnCreate", true);
            })
        );

    [Fact]
    public async Task A_start_on_an_org_that_does_not_fit_is_refused_with_all_faults()
    {
        var org = Described();
        Remove(org, "Product_Email__c");
        org["deletable"] = false;
        using var bench = new SalesforceBench(_ => StubHttp.Json(200, org.ToJsonString()));
        using var check = Check(bench);

        var refused = await Assert.ThrowsAsync<StartRefusedException>(() => check.StartAsync(CancellationToken.None));

        Assert.Equal(2, refused.Faults.Count);
    }

    [Theory]
    [InlineData(503)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task An_org_that_does_not_answer_now_is_asked_again_and_holds_up_no_start(int status)
    {
        var broken = true;
        using var bench = new SalesforceBench(_ =>
            broken ? StubHttp.Html(status) : StubHttp.Json(200, Described().ToJsonString())
        );
        using var check = Check(bench);

        await check.StartAsync(CancellationToken.None);
        broken = false;
        await Eventually.Is(
            () =>
            {
                bench.Time.Advance(TimeSpan.FromMinutes(1));
                return bench.Calls.Count > 1;
            },
            "it is asked again"
        );
        await check.ExecuteTask!;

        Assert.Equal(2, bench.Calls.Count);
    }

    /// <summary>Also where the mapping names no length, and without a call; the other fields of the command can go on.</summary>
    [Fact]
    public async Task What_the_org_s_field_does_not_hold_is_refused_before_the_call_naming_field_and_limit()
    {
        var org = Described();
        Set(org, "Description", "length", 5, add: true);
        using var bench = new SalesforceBench(
            request =>
                request.Uri.AbsolutePath.EndsWith("/describe", StringComparison.Ordinal)
                    ? StubHttp.Json(200, org.ToJsonString())
                    : StubHttp.Empty(204),
            TestMapping.Of(
                "salesforce",
                "\"name\": { \"to\": \"Name\" }, \"attributes.note\": { \"to\": \"Description\" }"
            )
        );
        bench.Mapping.Learn((await bench.Client.DescribeAsync("Account", CancellationToken.None)).Value);
        var before = bench.Calls.Count;

        var refused = Assert.IsType<VendorResult.Refused>(
            await bench.UpdateOne(("attributes.note", "secret"), ("name", "Ada"))
        );
        var done = await bench.UpdateOne(("attributes.note", "short"), ("name", "Ada"));

        Assert.Equal(
            ("attributes.note", "Description holds 5 characters"),
            (refused.Fields.Single().Key, refused.Fields.Single().Value)
        );
        Assert.DoesNotContain("secret", refused.Reason, StringComparison.Ordinal);
        Assert.IsType<VendorResult.Ok>(done);
        Assert.Equal(before + 1, bench.Calls.Count);
    }

    static OrgCheck Check(SalesforceBench bench) =>
        new(bench.Client, bench.Mapping, TestMapping.Shipped, bench.Time, NullLogger<OrgCheck>.Instance);

    static IEnumerable<string> Faults(Action<JsonObject> change)
    {
        var org = Described();
        change(org);
        using var json = JsonDocument.Parse(org.ToJsonString());
        return [.. OrgCheck.Faults(ObjectDescription.Parse(json.RootElement), TestMapping.Shipped)];
    }

    /// <summary>As the sandbox's org, and so Salesforce, describes it.</summary>
    static JsonObject Described() =>
        new()
        {
            ["name"] = "Account",
            ["createable"] = true,
            ["updateable"] = true,
            ["deletable"] = true,
            ["fields"] = new JsonArray([.. AccountField.Standard.Select(f => (JsonNode)f.Describe())]),
        };

    static JsonObject Field(JsonObject org, string name) =>
        org["fields"]!.AsArray().Single(f => f!["name"]!.GetValue<string>() == name)!.AsObject();

    static void Remove(JsonObject org, string name) => org["fields"]!.AsArray().Remove(Field(org, name));

    static void Set(JsonObject org, string name, string member, JsonNode value, bool add = false)
    {
        if (add)
            org["fields"]!.AsArray().Add(new AccountField(name, name, "textarea", 0).Describe());
        Field(org, name)[member] = value;
    }

    static void Add(JsonObject org, string name, bool required = true) =>
        org["fields"]!.AsArray().Add(new AccountField(name, name, "string", 10) { Required = required }.Describe());

    static SalesforceClient Client(SandboxHost sandbox) =>
        new(
            new()
            {
                LoginUrl = sandbox.SalesforceAddress.ToString(),
                ClientId = sandbox.Options.SalesforceClientId,
                ClientSecret = sandbox.Options.SalesforceClientSecret,
            },
            new(),
            Time,
            NullLogger<AccessTokens>.Instance
        );
}

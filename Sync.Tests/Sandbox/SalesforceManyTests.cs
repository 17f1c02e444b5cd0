using System.Text.Json.Nodes;

namespace Sync.Tests.Sandbox;

/// <summary>Collections: many records in one call, each with its own result.</summary>
public sealed class SalesforceManyTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Fact]
    public async Task Each_record_of_a_create_has_its_own_result_in_order()
    {
        await _sandbox.Account(new { Name = "There", Product_Customer_Id__c = "c0" });

        var reply = await Create(
            """{"attributes":{"type":"Account"},"Name":"A","Product_Customer_Id__c":"c1"}""",
            """{"attributes":{"type":"Account"},"Name":"B","Product_Customer_Id__c":"c0"}""",
            """{"attributes":{"type":"Account"},"Name":"C","Product_Customer_Id__c":"c1"}""",
            """{"attributes":{"type":"Contact"},"Name":"D"}""",
            """{"Name":"E"}""",
            """{"attributes":{"type":"Account"},"Name":"F"}"""
        );

        Assert.Equal(200, reply.Status);
        Assert.Equal(
            ["ok", "DUPLICATE_VALUE", "DUPLICATE_VALUE", "INVALID_TYPE", "INVALID_INPUT", "ok"],
            Outcomes(reply)
        );
        // A record of the same call is not committed yet, so it has no name.
        Assert.EndsWith("<unknown>", (string?)reply.Json![2]!["errors"]![0]!["message"], StringComparison.Ordinal);
        Assert.Null(reply.Json[1]!["id"]);
    }

    [Fact]
    public async Task All_or_none_does_none()
    {
        var id = await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c0" });

        var created = await Create(
            true,
            """{"attributes":{"type":"Account"},"Name":"A","Product_Customer_Id__c":"c1"}""",
            """{"attributes":{"type":"Account"},"Name":" "}"""
        );
        var updated = await Update(
            true,
            $$"""{"attributes":{"type":"Account"},"id":"{{id}}","Name":"B","Product_Customer_Id__c":"c9"}""",
            """{"attributes":{"type":"Account"},"id":"001000000000000AAA","Name":"B"}"""
        );
        var deleted = await Delete($"{id},001000000000000AAA&allOrNone=true");

        Assert.Equal(["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"], Outcomes(created));
        Assert.Equal(["ALL_OR_NONE_OPERATION_ROLLED_BACK", "NOT_FOUND"], Outcomes(updated));
        Assert.Equal(["ALL_OR_NONE_OPERATION_ROLLED_BACK", "NOT_FOUND"], Outcomes(deleted));
        var only = Assert.Single(_sandbox.Host.Salesforce.All())!;
        Assert.Equal("Ada", (string?)only["Name"]);
        Assert.False((bool)only["IsDeleted"]!);
        // The external ids are free again, and the old one is not.
        await _sandbox.Account(new { Name = "A", Product_Customer_Id__c = "c1" });
        await _sandbox.Account(new { Name = "A", Product_Customer_Id__c = "c9" });
        Assert.Equal(
            ["DUPLICATE_VALUE"],
            Outcomes(await Create("""{"attributes":{"type":"Account"},"Name":"A","Product_Customer_Id__c":"c0"}"""))
        );
    }

    [Fact]
    public async Task An_update_names_records_by_id_or_Id_and_none_twice()
    {
        var a = await _sandbox.Account(new { Name = "A", Phone = "1" });
        var b = await _sandbox.Account(new { Name = "B" });

        var reply = await Update(
            false,
            $$"""{"attributes":{"type":"Account"},"id":"{{a}}","Phone":null}""",
            $$"""{"attributes":{"type":"Account"},"Id":"{{b[..15]}}","Phone":"2"}""",
            $$"""{"attributes":{"type":"Account"},"id":"{{a}}","Phone":"3"}""",
            """{"attributes":{"type":"Account"},"Phone":"4"}"""
        );

        Assert.Equal(["ok", "ok", "DUPLICATE_VALUE", "MISSING_ARGUMENT"], Outcomes(reply));
        Assert.Equal([null, "2"], _sandbox.Host.Salesforce.All().Select(r => (string?)r!["Phone"]));
    }

    [Fact]
    public async Task A_delete_and_a_retrieve_answer_in_order()
    {
        var a = await _sandbox.Account(new { Name = "A" });
        var b = await _sandbox.Account(new { Name = "B" });

        Assert.Equal(["ok", "NOT_FOUND"], Outcomes(await Delete($"{a},001000000000000AAA")));
        Assert.Equal(["ENTITY_IS_DELETED"], Outcomes(await Delete(a)));
        var read = await Retrieve(new { ids = new[] { a, b, "nonsense" }, fields = new[] { "Name" } });

        Assert.Equal([null, "B", null], read.Json!.AsArray().Select(r => (string?)r?["Name"]));
        Assert.Equal(["attributes", "Name"], read.Json[1]!.AsObject().Select(m => m.Key));
        Assert.Equal(
            "INVALID_FIELD",
            (string?)(await Retrieve(new { ids = new[] { b }, fields = new[] { "Nope" } })).First["errorCode"]
        );
    }

    [Fact]
    public async Task A_call_takes_200_records_and_a_retrieve_2000()
    {
        var records = Enumerable
            .Range(0, 200)
            .Select(i => $$"""{"attributes":{"type":"Account"},"Name":"N{{i}}"}""")
            .ToArray();
        var ids = Outcomes(await Create(records));
        Assert.All(ids, outcome => Assert.Equal("ok", outcome));

        var tooMany = await Create([.. records, records[0]]);
        Assert.Equal(400, tooMany.Status);
        Assert.Equal("EXCEEDED_ID_LIMIT", (string?)tooMany.First["errorCode"]);
        var many = Enumerable.Repeat("001000000000000AAA", 2_000);
        Assert.Equal(200, (await Retrieve(new { ids = many, fields = new[] { "Id" } })).Status);
        Assert.Equal(400, (await Retrieve(new { ids = many.Append("x"), fields = new[] { "Id" } })).Status);
        Assert.Equal(200, _sandbox.Host.Salesforce.All().Count);
        Assert.Equal(400, (await Create()).Status);
    }

    [Fact]
    public async Task One_call_is_one_api_request()
    {
        var before = _sandbox.Host.SalesforceUsage.Used;

        await Create([
            .. Enumerable.Range(0, 50).Select(i => $$"""{"attributes":{"type":"Account"},"Name":"N{{i}}"}"""),
        ]);

        Assert.Equal(before + 1, _sandbox.Host.SalesforceUsage.Used);
    }

    static List<string?> Outcomes(Reply reply) =>
        [
            .. reply
                .Json!.AsArray()
                .Select(result => (bool)result!["success"]! ? "ok" : (string?)result["errors"]![0]!["statusCode"]),
        ];

    Task<Reply> Create(params string[] records) => Create(false, records);

    Task<Reply> Create(bool allOrNone, params string[] records) => Save(HttpMethod.Post, allOrNone, records);

    Task<Reply> Update(bool allOrNone, params string[] records) => Save(HttpMethod.Patch, allOrNone, records);

    Task<Reply> Save(HttpMethod method, bool allOrNone, string[] records) =>
        TestSandbox.Send(
            _sandbox.Salesforce,
            method,
            "composite/sobjects",
            TestSandbox.Json(
                new JsonObject
                {
                    ["allOrNone"] = allOrNone,
                    ["records"] = new JsonArray([.. records.Select(record => JsonNode.Parse(record))]),
                }.ToJsonString()
            )
        );

    Task<Reply> Delete(string ids) =>
        TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Delete, $"composite/sobjects?ids={ids}");

    Task<Reply> Retrieve(object body) =>
        TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Post, "composite/sobjects/Account", TestSandbox.Json(body));
}

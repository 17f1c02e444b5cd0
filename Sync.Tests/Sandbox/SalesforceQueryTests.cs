namespace Sync.Tests.Sandbox;

/// <summary>SOQL: a small grammar, and no mercy for what is not escaped.</summary>
public sealed class SalesforceQueryTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Theory]
    [InlineData("it's")]
    [InlineData("back\\slash")]
    [InlineData("\\' OR Name != '")]
    [InlineData("') OR (Name != '")]
    [InlineData("%27 _ % \" * ?")]
    [InlineData("line\nbreak\ttab")]
    [InlineData("ünï 😀 \u202E")]
    [InlineData("'; DROP TABLE Account; --")]
    public async Task A_hostile_id_finds_itself_and_nothing_else_when_it_is_escaped(string id)
    {
        await _sandbox.Account(new { Name = "Other", Product_Customer_Id__c = "other" });
        await _sandbox.Account(new { Name = "Ours", Product_Customer_Id__c = id });

        var reply = await _sandbox.Query($"SELECT Name FROM Account WHERE Product_Customer_Id__c IN ('{Escape(id)}')");

        Assert.Equal("Ours", (string?)Assert.Single(reply.Json!["records"]!.AsArray())!["Name"]);
    }

    [Theory]
    [InlineData("SELECT Id FROM Account WHERE Name = 'it's'")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a\\'")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a\\x'")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a\\u12'")]
    [InlineData("SELECT Id FROM Account WHERE Name = \"a\"")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a' --")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a';")]
    [InlineData("SELECT Id FROM Account WHERE Name IN ()")]
    [InlineData("SELECT Id FROM Account WHERE Name IN ('a'")]
    [InlineData("SELECT Id FROM Account WHERE Name = 'a' AND Phone = 'b' OR Phone = 'c'")]
    [InlineData("SELECT Id FROM Account WHERE")]
    [InlineData("SELECT Id, Id FROM Account")]
    [InlineData("SELECT FROM Account")]
    [InlineData("SELECT * FROM Account")]
    [InlineData("SELECT Id Account")]
    [InlineData("SELECT Id FROM Account LIMIT x")]
    [InlineData("SELECT Id FROM Account LIMIT 1 LIMIT 1")]
    [InlineData("DELETE FROM Account")]
    [InlineData("SELECT Id FROM Account UNION SELECT Id FROM Account")]
    [InlineData("")]
    public async Task A_query_that_is_none_is_malformed(string soql)
    {
        var reply = await _sandbox.Query(soql);

        Assert.Equal(400, reply.Status);
        Assert.Equal("MALFORMED_QUERY", (string?)reply.First["errorCode"]);
    }

    [Theory]
    [InlineData("SELECT Nope FROM Account", "INVALID_FIELD")]
    [InlineData("SELECT Id FROM Account WHERE Nope = 'a'", "INVALID_FIELD")]
    [InlineData("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD")]
    [InlineData("SELECT Id FROM Account WHERE SystemModstamp > 'a'", "INVALID_FIELD")]
    [InlineData("SELECT Id FROM Contact", "INVALID_TYPE")]
    [InlineData("SELECT Id FROM Account WHERE Id = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR")]
    public async Task What_the_org_does_not_have_is_named(string soql, string code) =>
        Assert.Equal(code, (string?)(await _sandbox.Query(soql)).First["errorCode"]);

    [Fact]
    public async Task Conditions_select_order_and_limit()
    {
        foreach (var name in new[] { "b", "a", "c" })
            await _sandbox.Account(new { Name = name, Product_Customer_Id__c = name });

        Assert.Equal(["a", "b", "c"], await Names("SELECT Name FROM Account ORDER BY Name"));
        Assert.Equal(["c", "b"], await Names("select name from account order by name desc limit 2"));
        Assert.Equal(["b"], await Names("SELECT Name FROM Account WHERE (Name = 'B' OR Name = 'c') AND Name != 'c'"));
        // An ordinary text is compared without case, the external id with it.
        Assert.Empty(await Names("SELECT Name FROM Account WHERE Product_Customer_Id__c = 'B'"));
        Assert.Equal(["b", "a", "c"], await Names("SELECT Name FROM Account WHERE Phone = null AND Phone = ''"));
        Assert.Equal(
            ["b", "a", "c"],
            await Names("SELECT Name FROM Account WHERE SystemModstamp >= 2020-01-01T00:00:00Z AND IsDeleted = false")
        );
        Assert.Equal(["b"], await Names("SELECT Name FROM Account WHERE Name NOT IN ('a', 'c')"));
    }

    [Fact]
    public async Task A_record_is_found_by_either_form_of_its_id()
    {
        var id = await _sandbox.Account(new { Name = "Ada" });

        Assert.Equal(["Ada"], await Names($"SELECT Name FROM Account WHERE Id = '{id}'"));
        Assert.Equal(["Ada"], await Names($"SELECT Name FROM Account WHERE Id IN ('{id[..15]}')"));
    }

    [Fact]
    public async Task More_than_2000_records_come_in_pages()
    {
        for (var i = 0; i < 2_001; i++)
        {
            _sandbox.Host.Salesforce.Create(
                System.Text.Json.JsonSerializer.SerializeToElement(new { Name = $"N{i}" }),
                Sync.Sandbox.Salesforce.SalesforceOrg.Human
            );
        }

        var first = (await _sandbox.Query("SELECT Name FROM Account")).Json!;
        Assert.False((bool)first["done"]!);
        Assert.Equal(2_001, (int)first["totalSize"]!);
        var next = (
            await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, (string)first["nextRecordsUrl"]!)
        ).Json!;

        Assert.True((bool)next["done"]!);
        Assert.Equal("N2000", (string?)Assert.Single(next["records"]!.AsArray())!["Name"]);
        Assert.Equal(
            "INVALID_QUERY_LOCATOR",
            (string?)(await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, "query/01gxx-1")).First["errorCode"]
        );
    }

    [Fact]
    public async Task An_address_has_at_most_16384_bytes()
    {
        var reply = await _sandbox.Query($"SELECT Id FROM Account WHERE Name = '{new string('x', 16_400)}'");

        Assert.Equal(414, reply.Status);
    }

    async Task<List<string?>> Names(string soql)
    {
        var reply = await _sandbox.Query(soql);
        Assert.True(reply.Status == 200, reply.Text);
        return [.. reply.Json!["records"]!.AsArray().Select(record => (string?)record!["Name"])];
    }

    static string Escape(string text) =>
        text.Replace("\\", @"\\", StringComparison.Ordinal).Replace("'", @"\'", StringComparison.Ordinal);
}

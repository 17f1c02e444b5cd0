using System.Text;

namespace Sync.Tests.Sandbox;

/// <summary>The product's REST API: strict about what comes in.</summary>
public sealed class ProductApiTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Fact]
    public async Task A_customer_is_created_read_changed_and_deleted()
    {
        var created = await Post(
            """{"id":"c1","name":"Ada","address":{"city":"C","line1":"L"},"attributes":{"tier":"gold"}}"""
        );
        Assert.Equal(201, created.Status);
        Assert.Equal(1, (long)created.Json!["revision"]!);

        var changed = await Patch("c1", """{"name":null,"address":{"city":"D"},"attributes":{"tier":null}}""");
        Assert.Equal(2, (long)changed.Json!["revision"]!);
        Assert.Null(changed.Json["name"]);
        Assert.Equal("D", (string?)changed.Json["address"]!["city"]);
        Assert.Equal("L", (string?)changed.Json["address"]!["line1"]);
        // A cleared attribute is still a member: without it a snapshot would be partial.
        Assert.True(changed.Json["attributes"]!.AsObject().ContainsKey("tier"));

        var cleared = await Patch("c1", """{"address":null}""");
        Assert.All(cleared.Json!["address"]!.AsObject(), member => Assert.Null(member.Value));

        Assert.Equal(204, (await Send(HttpMethod.Delete, "/customers/c1")).Status);
        Assert.Equal(404, (await Send(HttpMethod.Get, "/customers/c1")).Status);
        Assert.Equal(404, (await Patch("c1", "{}")).Status);
        Assert.Equal(409, (await Post("""{"id":"c1"}""")).Status);
    }

    [Fact]
    public async Task A_change_that_changes_nothing_raises_no_revision()
    {
        await Post("""{"id":"c1","name":"Ada"}""");

        Assert.Equal(1, (long)(await Patch("c1", """{"name":"Ada","phone":""}""")).Json!["revision"]!);
    }

    [Fact]
    public async Task Without_an_id_the_product_gives_one()
    {
        var a = (string?)(await Post("{}")).Json!["id"];
        var b = (string?)(await Post("{}")).Json!["id"];

        Assert.NotEqual(a, b);
        Assert.True(Guid.TryParse(a, out _));
    }

    [Theory]
    [InlineData("""{"zip":"1"}""", "zip")]
    [InlineData("""{"address":{"zip":"1"}}""", "address.zip")]
    [InlineData("""{"address":"x"}""", "address")]
    [InlineData("""{"attributes":null}""", "attributes")]
    [InlineData("""{"attributes":{"":"x"}}""", "attributes")]
    [InlineData("""{"name":5}""", "name")]
    [InlineData("""{"name":["x"]}""", "name")]
    [InlineData("""{"name":"a\u0000b"}""", "name")]
    [InlineData("""{"name":"\ud800"}""", "name")]
    [InlineData("""{"id":""}""", "id")]
    [InlineData("""{"id":"a\nb"}""", "id")]
    [InlineData("""{"revision":7}""", "revision")]
    [InlineData("""{"name":"a","name":"b"}""", "")]
    [InlineData("""{"\ud800":"b"}""", "")]
    [InlineData("""[]""", "")]
    [InlineData("""{"name":""", "")]
    public async Task Input_that_is_no_customer_is_refused_by_path(string body, string path)
    {
        var reply = await Post(body);

        Assert.Equal(400, reply.Status);
        Assert.Equal(path, (string?)Assert.Single(reply.Json!["problems"]!.AsArray())!["path"]);
        Assert.Equal(0, _sandbox.Host.Product.Count);
    }

    [Fact]
    public async Task Every_fault_is_named_at_once_and_no_value_is_repeated()
    {
        var reply = await Post($$"""{"name":5,"phone":"{{new string('9', 5_001)}}","email":["secret@x.org"],"a":1}""");

        Assert.Equal(
            ["name", "phone", "email", "a"],
            reply.Json!["problems"]!.AsArray().Select(p => (string?)p!["path"])
        );
        Assert.DoesNotContain("secret", reply.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("999", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_id_has_at_most_128_characters_and_a_value_5000()
    {
        Assert.Equal(
            201,
            (await Post($$"""{"id":"{{new string('i', 128)}}","name":"{{new string('n', 5_000)}}"}""")).Status
        );
        Assert.Equal(400, (await Post($$"""{"id":"{{new string('i', 129)}}"}""")).Status);
        Assert.Equal(400, (await Post($$"""{"name":"{{new string('n', 5_001)}}"}""")).Status);
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("a/b")]
    [InlineData("a%2Fb")]
    [InlineData("a b+c")]
    [InlineData("..")]
    [InlineData("?x=1#y")]
    [InlineData("ünï😀")]
    [InlineData("'; DROP TABLE customers; --")]
    [InlineData("sandbox")]
    public async Task A_hostile_id_is_only_an_id(string id)
    {
        var body = new System.Text.Json.Nodes.JsonObject { ["id"] = id, ["name"] = "Ada" }.ToJsonString();
        Assert.Equal(201, (await Post(body)).Status);

        // "." and ".." cannot stand in a path: clients take them for steps. The query can carry any id.
        var path = id == ".." ? $"/customers?id={Uri.EscapeDataString(id)}" : $"/customers/{Uri.EscapeDataString(id)}";
        var reply = await Send(HttpMethod.Get, path);

        Assert.Equal(id, (string?)reply.Json!["id"]);
    }

    [Fact]
    public async Task Customers_are_listed_in_pages()
    {
        foreach (var id in new[] { "c", "a", "b" })
            await Post($$"""{"id":"{{id}}"}""");

        var first = (await Send(HttpMethod.Get, "/customers?limit=2")).Json!;
        Assert.Equal(["a", "b"], first["customers"]!.AsArray().Select(c => (string?)c!["id"]));
        var next = (await Send(HttpMethod.Get, $"/customers?limit=2&after={(string?)first["next"]}")).Json!;

        Assert.Equal(["c"], next["customers"]!.AsArray().Select(c => (string?)c!["id"]));
        Assert.Null(next["next"]);
        Assert.Equal(400, (await Send(HttpMethod.Get, "/customers?limit=0")).Status);
    }

    [Fact]
    public async Task A_body_that_is_too_large_or_not_utf_8_is_refused()
    {
        using var broken = new ByteArrayContent([.. "{\"name\":\""u8, 0xC3, 0x28, .. "\"}"u8]);

        Assert.Equal(413, (await Post(new string(' ', 1_048_577))).Status);
        Assert.Equal(400, (await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, "/customers", broken)).Status);
    }

    [Fact]
    public async Task Other_methods_and_pages_are_not_there()
    {
        Assert.Equal(405, (await Send(HttpMethod.Put, "/customers/c1")).Status);
        Assert.Equal(405, (await Send(HttpMethod.Delete, "/customers")).Status);
        Assert.Equal(404, (await Send(HttpMethod.Get, "/nothing")).Status);
        Assert.Contains("<title>", (await Send(HttpMethod.Get, "/")).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Origin", "http://evil.example", 403)]
    [InlineData("Host", "evil.example", 403)]
    [InlineData("Origin", null, 200)]
    public async Task A_page_of_another_site_gets_nothing(string header, string? value, int status)
    {
        value ??= _sandbox.Host.ProductAddress.GetLeftPart(UriPartial.Authority);

        var reply = await TestSandbox.Send(_sandbox.Product, HttpMethod.Get, "/sandbox/state", null, (header, value));

        Assert.Equal(status, reply.Status);
    }

    Task<Reply> Post(string body) =>
        TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/customers",
            new StringContent(body, Encoding.UTF8, "application/json")
        );

    Task<Reply> Patch(string id, string body) =>
        TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Patch,
            $"/customers/{Uri.EscapeDataString(id)}",
            new StringContent(body, Encoding.UTF8, "application/json")
        );

    Task<Reply> Send(HttpMethod method, string path) => TestSandbox.Send(_sandbox.Product, method, path);
}

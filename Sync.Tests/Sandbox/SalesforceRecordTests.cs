using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using Sync.Sandbox.Salesforce;

namespace Sync.Tests.Sandbox;

/// <summary>One Account at a time, as the real org keeps it.</summary>
public sealed class SalesforceRecordTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Fact]
    public async Task A_record_is_created_and_read_with_its_users()
    {
        var id = await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c1" });

        var reply = await Get(id, "?fields=Id,Name,CreatedById,LastModifiedById,SystemModstamp");

        Assert.Equal(18, id.Length);
        Assert.Equal(
            ["attributes", "Id", "Name", "CreatedById", "LastModifiedById", "SystemModstamp"],
            reply.Json!.AsObject().Select(m => m.Key)
        );
        Assert.Equal(SalesforceOrg.IntegrationUser, (string?)reply.Json["CreatedById"]);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$", (string?)reply.Json["SystemModstamp"]!);
        Assert.StartsWith("\"", reply.Header("ETag"), StringComparison.Ordinal);
        Assert.Matches(@"^api-usage=\d+/100000$", reply.Header("Sforce-Limit-Info")!);
    }

    [Theory]
    [InlineData("""{"Phone":"1"}""", "REQUIRED_FIELD_MISSING", "Name")]
    [InlineData("""{"Name":" "}""", "REQUIRED_FIELD_MISSING", "Name")]
    [InlineData("""{"Name":null}""", "REQUIRED_FIELD_MISSING", "Name")]
    [InlineData("""{"Name":"A","Email":"x"}""", "INVALID_FIELD", null)]
    [InlineData("""{"Name":"A","Id":"001Sb0000000001IAA"}""", "INVALID_FIELD_FOR_INSERT_UPDATE", "Id")]
    [InlineData("""{"Name":"A","CreatedById":"x"}""", "INVALID_FIELD_FOR_INSERT_UPDATE", "CreatedById")]
    [InlineData("""{"Name":"A","Product_Email__c":"nobody"}""", "INVALID_EMAIL_ADDRESS", "Product_Email__c")]
    [InlineData("""{"Name":1}""", "JSON_PARSER_ERROR", null)]
    [InlineData("""{"Name":"\ud800"}""", "JSON_PARSER_ERROR", null)]
    [InlineData("""{"Name":"A","Name":"B"}""", "JSON_PARSER_ERROR", null)]
    [InlineData("""[]""", "JSON_PARSER_ERROR", null)]
    [InlineData("""{"Name":""", "JSON_PARSER_ERROR", null)]
    public async Task What_the_org_does_not_take_is_refused_with_its_code(string body, string code, string? field)
    {
        var reply = await Post(body);

        Assert.Equal(400, reply.Status);
        Assert.Equal(code, (string?)reply.First["errorCode"]);
        Assert.Equal(field, (string?)reply.First["fields"]?[0]);
        Assert.Empty(_sandbox.Host.Salesforce.All());
    }

    [Theory]
    [InlineData("Name", 255)]
    [InlineData("Phone", 40)]
    [InlineData("BillingStreet", 255)]
    [InlineData("BillingCity", 40)]
    [InlineData("BillingState", 80)]
    [InlineData("BillingPostalCode", 20)]
    [InlineData("BillingCountry", 80)]
    [InlineData("Product_Customer_Id__c", 128)]
    [InlineData("Product_Email__c", 80)]
    [InlineData("Product_Tier__c", 255)]
    public async Task A_value_may_be_as_long_as_its_field_and_no_longer(string field, int length)
    {
        var id = await _sandbox.Account(new { Name = "Ada" });
        var fits = field == "Product_Email__c" ? $"a@b.{new string('c', length - 4)}" : new string('ü', length);

        // Outer blanks are trimmed first.
        Assert.Equal(204, (await Patch(id, new Dictionary<string, string> { [field] = $"  {fits} " })).Status);
        var reply = await Patch(id, new Dictionary<string, string> { [field] = $"{fits}x" });

        Assert.Equal("STRING_TOO_LONG", (string?)reply.First["errorCode"]);
        Assert.Equal(field, (string?)reply.First["fields"]![0]);
        Assert.Equal(fits, (string?)(await Get(id)).Json![field]);
    }

    [Fact]
    public async Task Text_is_trimmed_an_email_is_lowered_and_empty_is_null()
    {
        var id = await _sandbox.Account(
            new
            {
                Name = "  Ada  L ",
                Product_Email__c = " Ada@X.Org ",
                Phone = "   ",
            }
        );

        var record = (await Get(id)).Json!;

        Assert.Equal("Ada  L", (string?)record["Name"]);
        Assert.Equal("ada@x.org", (string?)record["Product_Email__c"]);
        Assert.Null(record["Phone"]);
    }

    [Fact]
    public async Task Null_clears_and_an_absent_field_stays()
    {
        var id = await _sandbox.Account(
            new
            {
                Name = "Ada",
                Phone = "1",
                BillingCity = "C",
            }
        );

        Assert.Equal(204, (await Patch(id, TestSandbox.Json("""{"Phone":null}"""))).Status);

        var record = (await Get(id)).Json!;
        Assert.Null(record["Phone"]);
        Assert.Equal("C", (string?)record["BillingCity"]);
        Assert.Equal(
            "REQUIRED_FIELD_MISSING",
            (string?)(await Patch(id, TestSandbox.Json("""{"Name":null}"""))).First["errorCode"]
        );
    }

    [Fact]
    public async Task A_second_record_with_the_id_is_refused_and_the_first_is_named_by_its_short_id()
    {
        var id = await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c1" });

        var reply = await Post("""{"Name":"Eve","Product_Customer_Id__c":"c1"}""");

        Assert.Equal(400, reply.Status);
        Assert.Equal("DUPLICATE_VALUE", (string?)reply.First["errorCode"]);
        Assert.EndsWith($"on record with id: {id[..15]}", (string?)reply.First["message"], StringComparison.Ordinal);
        // Case counts, and what is in the recycle bin does not.
        await _sandbox.Account(new { Name = "Eve", Product_Customer_Id__c = "C1" });
        await Delete(id);
        await _sandbox.Account(new { Name = "Eve", Product_Customer_Id__c = "c1" });
    }

    [Fact]
    public async Task An_update_may_not_take_another_s_id_but_may_repeat_its_own()
    {
        await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c1" });
        var other = await _sandbox.Account(new { Name = "Eve", Product_Customer_Id__c = "c2" });

        Assert.Equal(204, (await Patch(other, new { Product_Customer_Id__c = "c2" })).Status);
        Assert.Equal(
            "DUPLICATE_VALUE",
            (string?)(await Patch(other, new { Product_Customer_Id__c = "c1" })).First["errorCode"]
        );
    }

    [Fact]
    public async Task An_update_with_an_old_etag_changes_nothing()
    {
        var id = await _sandbox.Account(new { Name = "Ada" });
        var etag = (await Get(id)).Header("ETag")!;

        Assert.Equal(204, (await Patch(id, new { Phone = "1" }, ("If-Match", etag))).Status);
        var late = await Patch(id, new { Phone = "2" }, ("If-Match", etag));

        Assert.Equal(412, late.Status);
        Assert.Equal("1", (string?)(await Get(id)).Json!["Phone"]);
        var now = (await Get(id)).Header("ETag")!;
        Assert.NotEqual(etag, now);
        Assert.Equal(204, (await Patch(id, new { Phone = "3" }, ("If-Match", $"\"other\", {now}"))).Status);
        Assert.Equal(400, (await Patch(id, new { Phone = "4" }, ("If-Match", "no tag"))).Status);
        Assert.Equal(204, (await Patch(id, new { Phone = "5" }, ("If-Match", "*"))).Status);
    }

    [Fact]
    public async Task A_person_s_edit_changes_etag_and_user()
    {
        var id = await _sandbox.Account(new { Name = "Ada" });
        var etag = (await Get(id)).Header("ETag")!;

        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Patch,
            $"/sandbox/salesforce/accounts/{id}",
            TestSandbox.Json(new { Phone = "7" })
        );

        var reply = await Get(id);
        Assert.NotEqual(etag, reply.Header("ETag"));
        Assert.Equal(SalesforceOrg.HumanUser, (string?)reply.Json!["LastModifiedById"]);
        Assert.Equal(SalesforceOrg.IntegrationUser, (string?)reply.Json["CreatedById"]);
        Assert.Equal(304, (await Get(id, "", ("If-None-Match", reply.Header("ETag")!))).Status);
    }

    [Fact]
    public async Task A_deleted_record_is_in_the_recycle_bin_and_nowhere_else()
    {
        var id = await _sandbox.Account(new { Name = "Ada", Product_Customer_Id__c = "c1" });

        Assert.Equal(204, (await Delete(id)).Status);

        foreach (var reply in new[] { await Get(id), await Patch(id, new { Name = "B" }), await Delete(id) })
        {
            Assert.Equal(404, reply.Status);
            Assert.Equal("ENTITY_IS_DELETED", (string?)reply.First["errorCode"]);
        }

        const string Soql = "SELECT Id, IsDeleted FROM Account WHERE Product_Customer_Id__c = 'c1'";
        Assert.Equal(0, (int)(await _sandbox.Query(Soql)).Json!["totalSize"]!);
        var all = (await _sandbox.Query(Soql, "queryAll")).Json!;
        Assert.True((bool)all["records"]![0]!["IsDeleted"]!);
    }

    [Theory]
    [InlineData("001Sb00000000ZZZZZ", 404, "NOT_FOUND")]
    [InlineData("nonsense", 404, "NOT_FOUND")]
    [InlineData("a%2Fb", 404, "NOT_FOUND")]
    public async Task An_unknown_id_is_not_found(string id, int status, string code)
    {
        var reply = await Get(id);

        Assert.Equal(status, reply.Status);
        Assert.Equal(code, (string?)reply.First["errorCode"]);
    }

    [Fact]
    public async Task The_short_form_of_an_id_is_the_same_record()
    {
        var id = await _sandbox.Account(new { Name = "Ada" });

        Assert.Equal(id, (string?)(await Get(id[..15])).Json!["Id"]);
    }

    [Fact]
    public async Task Bodies_come_chunked_and_packed()
    {
        using var packed = new MemoryStream();
        await using (var zip = new GZipStream(packed, CompressionMode.Compress, leaveOpen: true))
            await zip.WriteAsync("""{"Name":"Packed"}"""u8.ToArray());
        packed.Position = 0;
        // A stream of unknown length goes in chunks.
        using var content = new StreamContent(new Unseekable(packed));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        content.Headers.ContentEncoding.Add("gzip");

        var reply = await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Post, "sobjects/Account", content);

        Assert.Equal(201, reply.Status);
        Assert.Equal("Packed", (string?)(await Get((string)reply.Json!["id"]!)).Json!["Name"]);
    }

    [Fact]
    public async Task A_body_must_be_json_and_utf_8()
    {
        using var text = new StringContent("""{"Name":"A"}""", Encoding.UTF8, "text/plain");
        using var broken = new ByteArrayContent([.. "{\"Name\":\""u8, 0xFF, .. "\"}"u8]);
        broken.Headers.ContentType = new MediaTypeHeaderValue("application/json");

        Assert.Equal(
            415,
            (await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Post, "sobjects/Account", text)).Status
        );
        Assert.Equal(
            "JSON_PARSER_ERROR",
            (string?)
                (await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Post, "sobjects/Account", broken)).First[
                    "errorCode"
                ]
        );
    }

    [Theory]
    [InlineData("/services/data//v66.0/limits/", 200)]
    [InlineData("//services/data/v66.0/limits", 200)]
    [InlineData("/services/data/v66.0/limits?x=1", 200)]
    [InlineData("/services/data/v99.0/limits", 404)]
    [InlineData("/services/data/66.0/limits", 404)]
    [InlineData("/services/data/v66.0/nothing", 404)]
    public async Task Paths_are_taken_with_slashes_doubled_and_unknown_ones_are_not(string path, int status)
    {
        var reply = await TestSandbox.Send(
            _sandbox.Salesforce,
            HttpMethod.Get,
            new Uri(_sandbox.Host.SalesforceAddress.GetLeftPart(UriPartial.Authority) + path).ToString()
        );

        Assert.Equal(status, reply.Status);
    }

    [Fact]
    public async Task Describe_tells_the_fields()
    {
        var reply = await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, "sobjects/Account/describe");

        var field = reply.Json!["fields"]!.AsArray().Single(f => (string?)f!["name"] == "Product_Customer_Id__c")!;
        Assert.True((bool)field["externalId"]! && (bool)field["unique"]! && (bool)field["caseSensitive"]!);
        Assert.Equal(128, (int)field["length"]!);
    }

    Task<Reply> Post(string body) =>
        TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Post, "sobjects/Account", TestSandbox.Json(body));

    Task<Reply> Get(string id, string query = "", params (string, string)[] headers) =>
        TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, $"sobjects/Account/{id}{query}", null, headers);

    Task<Reply> Patch(string id, object body, params (string, string)[] headers) =>
        TestSandbox.Send(
            _sandbox.Salesforce,
            HttpMethod.Patch,
            $"sobjects/Account/{id}",
            body as HttpContent ?? TestSandbox.Json(body),
            headers
        );

    Task<Reply> Delete(string id) => TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Delete, $"sobjects/Account/{id}");

    sealed class Unseekable(Stream inner) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

using System.Globalization;
using System.Text.Json;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class SalesforceVendorTests
{
    [Fact]
    public async Task Every_call_says_who_we_are()
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(200, SalesforceBench.Record()));

        await bench.ReadOne();

        var call = Assert.Single(bench.Calls);
        Assert.Equal("Bearer token-1", call.Header("Authorization"));
        Assert.Equal("client=Sync", call.Header("Sforce-Call-Options"));
        Assert.Null(call.Header("Sforce-Duplicate-Rule-Header"));
        Assert.Equal("one.example.com", call.Uri.Host);
    }

    [Fact]
    public async Task Alerting_duplicate_rules_are_passed_over_only_when_the_setting_says_so()
    {
        using var bench = new SalesforceBench(_ => StubHttp.Empty(204), options: new() { AllowDuplicates = true });

        await bench.UpdateOne(("phone", "1"));

        Assert.Equal("allowSave=true", Assert.Single(bench.Calls).Header("Sforce-Duplicate-Rule-Header"));
    }

    // ---- alone ----

    [Fact]
    public async Task One_update_is_conditional_when_a_guard_is_given()
    {
        using var bench = new SalesforceBench(_ => StubHttp.Empty(204));

        var guarded = await bench.Vendor.Update(
            [SalesforceBench.Update(SalesforceBench.Id, "\"abc=-gzip\"", ("phone", "1"))],
            CancellationToken.None
        );
        await bench.UpdateOne(("phone", "1"));

        Assert.Null(Assert.IsType<VendorResult.Ok>(Assert.Single(guarded)).Object);
        Assert.Equal(["\"abc=-gzip\"", null], bench.Calls.Select(c => c.Header("If-Match")));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("""[ { "errorCode": "PRECONDITION_FAILED", "message": "x" } ]""")]
    [InlineData("<html>")]
    public async Task A_record_that_lost_the_guard_s_version_has_moved(string body)
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(412, body));

        Assert.IsType<VendorResult.Moved>(await bench.UpdateOne(("phone", "1")));
    }

    [Theory]
    [InlineData("<html>Sign in</html>")]
    [InlineData("{}")]
    public async Task An_answer_where_there_should_be_none_is_no_proof_of_a_write(string body)
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(200, body));

        Assert.False(Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("phone", "1"))).Definite);
        Assert.False(Assert.IsType<VendorResult.Failed>(await bench.DeleteOne()).Definite);
    }

    [Fact]
    public async Task A_create_answers_with_the_id_alone()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(201, """{ "id": "0015g00000AbCdE", "success": true, "errors": [] }""")
        );

        var ok = Assert.IsType<VendorResult.Ok>(await bench.CreateOne(("name", "Jane")));

        Assert.Equal("0015g00000AbCdEAAV", ok.ExternalId);
        Assert.Null(ok.Object);
        Assert.False(bench.Vendor.Traits.AnswersWithRecord);
    }

    // ---- names ----

    [Theory]
    [InlineData(null)]
    [InlineData("  ")]
    public async Task A_customer_without_a_name_is_refused_without_a_call(string? name)
    {
        using var bench = new SalesforceBench(_ => throw new InvalidOperationException("called"));

        foreach (
            var result in (VendorResult[])
                [
                    await bench.CreateOne(("name", name), ("phone", "1")),
                    await bench.CreateOne(("phone", "1")),
                    await bench.UpdateOne(("name", name)),
                ]
        )
        {
            var refused = Assert.IsType<VendorResult.Refused>(result);
            Assert.Equal(["name"], refused.Fields.Keys);
            Assert.Equal("REQUIRED_FIELD_MISSING", refused.Code);
        }

        Assert.Empty(bench.Http!.Requests);
    }

    [Fact]
    public async Task One_without_a_name_holds_up_no_other_and_keeps_its_place()
    {
        using var bench = new SalesforceBench(request =>
            StubHttp.Json(200, $"[ {string.Join(", ", Enumerable.Range(1, Records(request)).Select(i => Saved(i)))} ]")
        );

        var results = await bench.Vendor.Create(
            [
                SalesforceBench.Create("c-1", ("name", "A")),
                SalesforceBench.Create("c-2"),
                SalesforceBench.Create("c-3", ("name", "B")),
            ],
            CancellationToken.None
        );

        Assert.Equal(AccountId(1), Assert.IsType<VendorResult.Ok>(results[0]).ExternalId);
        Assert.IsType<VendorResult.Refused>(results[1]);
        Assert.Equal(AccountId(2), Assert.IsType<VendorResult.Ok>(results[2]).ExternalId);
    }

    // ---- many ----

    [Fact]
    public async Task Many_creates_are_collections_of_200_in_order()
    {
        using var bench = new SalesforceBench(request =>
        {
            using var body = JsonDocument.Parse(request.Body);
            Assert.False(body.RootElement.GetProperty("allOrNone").GetBoolean());
            var ids = body
                .RootElement.GetProperty("records")
                .EnumerateArray()
                .Select(r =>
                    int.Parse(r.GetProperty("Product_Customer_Id__c").GetString()!, CultureInfo.InvariantCulture)
                );
            return StubHttp.Json(200, $"[ {string.Join(", ", ids.Select(i => Saved(i)))} ]");
        });

        var results = await bench.Vendor.Create(
            [
                .. Enumerable
                    .Range(0, 1_001)
                    .Select(i => SalesforceBench.Create(i.ToString(CultureInfo.InvariantCulture), ("name", "N"))),
            ],
            CancellationToken.None
        );

        Assert.Equal(6, bench.Calls.Count);
        Assert.All(bench.Calls, c => Assert.Equal($"POST {SalesforceBench.Collections}", c.Target));
        Assert.Equal([1, 200, 200, 200, 200, 200], bench.Calls.Select(Records).Order());
        Assert.Equal(
            Enumerable.Range(0, 1_001).Select(AccountId),
            results.Select(r => Assert.IsType<VendorResult.Ok>(r).ExternalId)
        );
        Assert.Equal(6, results.Sum(r => r.Calls), 6);
    }

    [Fact]
    public async Task A_collection_that_partly_fails_says_so_of_each_record()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(
                200,
                $$"""
                [ {{Saved(1)}},
                  {{Failure("UNABLE_TO_LOCK_ROW")}},
                  {{Failure("STRING_TOO_LONG", "\"Phone\"")}},
                  {{Failure("ENTITY_IS_DELETED")}},
                  {{Failure("INVALID_CROSS_REFERENCE_KEY", "\"Id\"")}},
                  {{Failure("SOMETHING_NEW")}} ]
                """
            )
        );

        var results = await bench.Vendor.Update(
            [.. Enumerable.Range(1, 6).Select(i => SalesforceBench.Update(AccountId(i), "guard", ("phone", "1")))],
            CancellationToken.None
        );

        var call = Assert.Single(bench.Calls);
        Assert.Equal($"PATCH {SalesforceBench.Collections}", call.Target);
        Assert.StartsWith(
            $$"""{"allOrNone":false,"records":[{"attributes":{"type":"Account"},"id":"{{AccountId(1)}}","Phone":"1",""",
            call.Body,
            StringComparison.Ordinal
        );
        Assert.IsType<VendorResult.Ok>(results[0]);
        Assert.Equal(
            (FailureClass.Retry, true),
            Assert.IsType<VendorResult.Failed>(results[1]) is var f ? (f.Class, f.Definite) : default
        );
        Assert.Equal(["phone"], Assert.IsType<VendorResult.Refused>(results[2]).Fields.Keys);
        Assert.IsType<VendorResult.Gone>(results[3]);
        Assert.IsType<VendorResult.Gone>(results[4]);
        Assert.IsType<VendorResult.Refused>(results[5]);
    }

    /// <summary>A refused session has written nothing, so the list is sent again whole; the lists beside it are not.</summary>
    [Fact]
    public async Task A_session_that_ends_in_the_middle_of_a_batch_writes_each_record_once()
    {
        var calls = 0;
        List<int> written = [];
        using var bench = new SalesforceBench(request =>
        {
            if (Interlocked.Increment(ref calls) == 2)
                return SalesforceBench.SessionEnded();
            using var body = JsonDocument.Parse(request.Body);
            List<int> ids =
            [
                .. body
                    .RootElement.GetProperty("records")
                    .EnumerateArray()
                    .Select(r =>
                        int.Parse(r.GetProperty("Product_Customer_Id__c").GetString()!, CultureInfo.InvariantCulture)
                    ),
            ];
            lock (written)
                written.AddRange(ids);
            return StubHttp.Json(200, $"[ {string.Join(", ", ids.Select(i => Saved(i)))} ]");
        });

        var results = await bench.Vendor.Create(
            [
                .. Enumerable
                    .Range(0, 600)
                    .Select(i => SalesforceBench.Create(i.ToString(CultureInfo.InvariantCulture), ("name", "N"))),
            ],
            CancellationToken.None
        );

        Assert.Equal(Enumerable.Range(0, 600), written.Order());
        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(r));
        Assert.Equal((4, 2), (bench.Calls.Count, bench.SignIns));
    }

    [Fact]
    public async Task A_duplicate_in_a_collection_is_that_record_s_alone()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(
                200,
                $$"""
                [ {{Saved(1)}},
                  { "success": false, "errors": [ { "statusCode": "DUPLICATE_VALUE", "fields": [],
                    "message": "duplicate value found: Product_Customer_Id__c duplicates value on record with id: {{AccountId(
                    7
                )}}" } ] } ]
                """
            )
        );

        var results = await bench.Vendor.Create(
            [SalesforceBench.Create("c-1", ("name", "A")), SalesforceBench.Create("c-2", ("name", "B"))],
            CancellationToken.None
        );

        Assert.IsType<VendorResult.Ok>(results[0]);
        Assert.Equal(AccountId(7), Assert.IsType<VendorResult.Taken>(results[1]).ExternalId);
    }

    [Theory]
    [InlineData(500, "[]")]
    [InlineData(200, "[]")]
    [InlineData(200, "{}")]
    [InlineData(200, "nonsense")]
    public async Task A_collection_without_an_answer_for_each_record_is_open_for_all(int status, string body)
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(status, body));

        var results = await bench.Vendor.Create(
            [SalesforceBench.Create("c-1", ("name", "A")), SalesforceBench.Create("c-2", ("name", "B"))],
            CancellationToken.None
        );

        Assert.All(results, r => Assert.False(Assert.IsType<VendorResult.Failed>(r).Definite));
    }

    [Fact]
    public async Task Many_reads_are_one_retrieve_and_ids_of_15_and_18_characters_are_one()
    {
        using var bench = new SalesforceBench(request =>
        {
            if (SalesforceBench.IsLook(request))
                return StubHttp.Json(200, SalesforceBench.Rows());
            using var body = JsonDocument.Parse(request.Body);
            var ids = body.RootElement.GetProperty("ids").EnumerateArray().Select(i => i.GetString()!);
            return StubHttp.Json(
                200,
                $"[ {string.Join(", ", ids.Select((id, i) => i == 2 ? "null" : SalesforceBench.Record(id)))} ]"
            );
        });

        var results = await bench.Vendor.Read(
            ["0015g00000AbCdE", AccountId(2), "0015g00000AbCdEAAV", AccountId(3)],
            CancellationToken.None
        );

        Assert.Equal($"POST {SalesforceBench.Retrieve}", bench.Calls[0].Target);
        Assert.True(SalesforceBench.IsLook(Assert.Single(bench.Calls.Skip(1))));
        Assert.Equal("0015g00000AbCdE", Assert.IsType<VendorResult.Ok>(results[0]).ExternalId);
        Assert.Equal(AccountId(2), Assert.IsType<VendorResult.Ok>(results[1]).ExternalId);
        Assert.Equal("0015g00000AbCdEAAV", Assert.IsType<VendorResult.Ok>(results[2]).ExternalId);
        Assert.IsType<VendorResult.Gone>(results[3]);
    }

    [Fact]
    public async Task Many_deletions_are_one_call_and_what_is_not_there_is_gone()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, $"[ {Saved(1)}, {Failure("ENTITY_IS_DELETED")}, {Failure("DELETE_FAILED")} ]")
        );

        var results = await bench.Vendor.Delete(
            [new(AccountId(1), false), new(AccountId(2), false), new(AccountId(3), false)],
            CancellationToken.None
        );

        Assert.Equal(
            $"DELETE {SalesforceBench.Collections}?ids={AccountId(1)},{AccountId(2)},{AccountId(3)}&allOrNone=false",
            Assert.Single(bench.Calls).Target
        );
        Assert.IsType<VendorResult.Ok>(results[0]);
        Assert.IsType<VendorResult.Gone>(results[1]);
        Assert.IsType<VendorResult.Refused>(results[2]);
    }

    // ---- look-up ----

    [Fact]
    public async Task A_look_up_sees_the_recycle_bin_and_minds_the_case_of_an_id()
    {
        using var bench = new SalesforceBench(request =>
            request.Uri.Query.Length > 0
                ? StubHttp.Json(
                    200,
                    $$"""
                    { "totalSize": 3, "done": false, "nextRecordsUrl": "/services/data/v66.0/query/01g-2000", "records": [
                      {{SalesforceBench.Record(AccountId(1), "\"Product_Customer_Id__c\": \"C-1\"")}},
                      {{SalesforceBench.Record(
                        AccountId(2),
                        "\"Product_Customer_Id__c\": \"c-1\", \"IsDeleted\": true"
                    )}} ] }
                    """
                )
                : StubHttp.Json(
                    200,
                    $$"""
                    { "totalSize": 3, "done": true, "records": [ {{SalesforceBench.Record(
                        AccountId(3),
                        "\"Product_Customer_Id__c\": \"it's\""
                    )}} ] }
                    """
                )
        );

        var results = await bench.Vendor.Find(
            [new("c-1", default, null), new("it's", default, null), new("none", default, null)],
            CancellationToken.None
        );

        var query = Uri.UnescapeDataString(bench.Calls[0].Uri.Query);
        Assert.Equal("/services/data/v66.0/queryAll", bench.Calls[0].Uri.AbsolutePath);
        Assert.EndsWith(
            @"FROM Account WHERE Product_Customer_Id__c IN ('c-1', 'it\'s', 'none')",
            query,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain('+', bench.Calls[0].Uri.Query);
        Assert.Equal("GET /services/data/v66.0/query/01g-2000", bench.Calls[1].Target);
        var found = Assert.Single(results[0].Objects);
        Assert.Equal((AccountId(2), true), (found.ExternalId, found.Deleted));
        Assert.Equal([AccountId(3)], results[1].Objects.Select(o => o.ExternalId));
        Assert.Empty(results[2].Objects);
        Assert.All(results, r => Assert.Null(r.Failure));
    }

    [Fact]
    public async Task A_look_up_of_many_long_ids_keeps_its_addresses_short()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, """{ "totalSize": 0, "done": true, "records": [] }""")
        );

        var results = await bench.Vendor.Find(
            [.. Enumerable.Range(0, 200).Select(i => new FindRequest(new string('ø', 124) + i, default, null))],
            CancellationToken.None
        );

        Assert.Equal(200, results.Count);
        Assert.InRange(bench.Calls.Max(c => c.Uri.AbsoluteUri.Length), 1, 12_000);
    }

    [Theory]
    [InlineData(500, "UNKNOWN_EXCEPTION", FailureClass.Retry)]
    [InlineData(400, "MALFORMED_QUERY", FailureClass.PauseAll)]
    [InlineData(400, "SOMETHING_NEW", FailureClass.PauseAll)]
    [InlineData(404, "NOT_FOUND", FailureClass.PauseAll)]
    public async Task A_look_up_that_failed_is_never_an_empty_one(int status, string code, FailureClass expected)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(status, code));

        var result = Assert.Single(await bench.Vendor.Find([new("c-1", default, null)], CancellationToken.None));

        Assert.Equal(expected, result.Failure!.Class);
    }

    [Fact]
    public async Task A_next_page_elsewhere_gets_no_token()
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, """{ "done": false, "nextRecordsUrl": "https://evil.example.com/x", "records": [] }""")
        );

        var result = Assert.Single(await bench.Vendor.Find([new("c-1", default, null)], CancellationToken.None));

        Assert.NotNull(result.Failure);
        Assert.Single(bench.Calls);
    }

    // ---- hostile ids ----

    [Theory]
    [InlineData("../../query?q=SELECT Id FROM User")]
    [InlineData("001/describe")]
    [InlineData("001?x=1#y")]
    [InlineData("a\r\nX-Evil: 1")]
    public async Task An_id_stays_one_segment_of_the_path(string id)
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(200, SalesforceBench.Record()));

        await bench.ReadOne(id);

        var call = Assert.Single(bench.Calls);
        Assert.StartsWith(
            $"/services/data/v66.0/sobjects/Account/{Uri.EscapeDataString(id)}?fields=",
            call.Uri.PathAndQuery,
            StringComparison.Ordinal
        );
    }

    // ---- budget, turns ----

    [Theory]
    [InlineData("api-usage=18/5000", 18, 5_000)]
    [InlineData("api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)", 25, 5_000)]
    [InlineData("per-app-api-usage=17/250(appName=x); api-usage=26/5000; api-bursts=1/750", 26, 5_000)]
    [InlineData("api-usage=27/5000, per-app-api-usage=1/2(appName=x)", 27, 5_000)]
    public async Task The_budget_is_read_off_every_answer(string header, long used, long limit)
    {
        using var bench = new SalesforceBench(_ =>
            StubHttp.Json(200, SalesforceBench.Record(), ("Sforce-Limit-Info", header))
        );
        Assert.Null(bench.Usage.Used);

        await bench.ReadOne();

        Assert.Equal((used, limit), (bench.Usage.Used, bench.Usage.Limit));
    }

    [Theory]
    [InlineData("")]
    [InlineData("api-usage=x/y")]
    [InlineData("api-usage=5")]
    [InlineData("api-usage=-1/-2")]
    public void A_budget_that_cannot_be_read_is_left_out(string header)
    {
        var usage = new ApiBudget();

        usage.Record(header, DateTimeOffset.UnixEpoch);

        Assert.Null(usage.Used);
        Assert.Null(usage.Limit);
    }

    [Fact]
    public async Task Who_finds_no_turn_has_made_no_call()
    {
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var bench = new SalesforceBench(
            new StubHttp(
                async (request, _) =>
                {
                    if (SalesforceBench.IsToken(request))
                        return SalesforceBench.Token();
                    arrived.TrySetResult();
                    await held.Task;
                    return StubHttp.Json(200, SalesforceBench.Record());
                }
            ),
            options: new() { MaxConcurrent = 1 }
        );

        var first = bench.ReadOne();
        await arrived.Task;
        var second = bench.ReadOne();
        bench.Time.Advance(TimeSpan.FromSeconds(15) / 4);

        Assert.Equal(
            (FailureClass.SlowDown, true),
            Assert.IsType<VendorResult.Failed>(await second) is var f ? (f.Class, f.Definite) : default
        );
        held.SetResult();
        Assert.IsType<VendorResult.Ok>(await first);
        Assert.Single(bench.Calls);
    }

    /// <summary>Salesforce reads no record of a list in which one value has the wrong type, and says not whose it is.</summary>
    [Fact]
    public async Task A_list_that_is_refused_as_a_whole_is_refused_for_the_one_record_only()
    {
        using var bench = new SalesforceBench(request =>
            request.Body.Contains("\"bad\"", StringComparison.Ordinal)
                ? SalesforceBench.Error(400, "JSON_PARSER_ERROR")
                : StubHttp.Json(200, $"[ {string.Join(", ", Enumerable.Range(0, Records(request)).Select(Saved))} ]")
        );

        var results = await bench.Vendor.Update(
            [
                .. Enumerable
                    .Range(0, 200)
                    .Select(i => SalesforceBench.Update(AccountId(i), null, ("phone", i == 77 ? "bad" : "1"))),
            ],
            CancellationToken.None
        );

        Assert.Equal(200, results.Count);
        Assert.Equal("JSON_PARSER_ERROR", Assert.IsType<VendorResult.Refused>(results[77]).Code);
        Assert.Equal(199, results.Count(r => r is VendorResult.Ok));
        Assert.InRange(bench.Calls.Count, 15, 17);
        Assert.Equal(bench.Calls.Count, results.Sum(r => r.Calls), 6);
    }

    static int Records(SentRequest request)
    {
        using var body = JsonDocument.Parse(request.Body);
        return body.RootElement.GetProperty("records").GetArrayLength();
    }

    static string AccountId(int i) => RecordIds.To18(string.Create(CultureInfo.InvariantCulture, $"001{i:D12}"));

    static string Saved(int i) => $$"""{ "id": "{{AccountId(i)}}", "success": true, "errors": [] }""";

    static string Failure(string code, string fields = "") =>
        $$"""{ "success": false, "errors": [ { "statusCode": "{{code}}", "message": "jane@example.com", "fields": [ {{fields}} ] } ] }""";
}

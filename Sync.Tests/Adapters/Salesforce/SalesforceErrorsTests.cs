using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class SalesforceErrorsTests
{
    /// <summary>status, code, message, class, whether a write certainly had no effect</summary>
    public static TheoryData<int, string, string, FailureClass, bool> Failures =>
        new()
        {
            { 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", FailureClass.PauseAll, true },
            { 403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", FailureClass.SlowDown, true },
            {
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
                FailureClass.SlowDown,
                true
            },
            { 400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", FailureClass.Retry, true },
            { 503, "SERVER_UNAVAILABLE", "", FailureClass.Retry, false },
            { 500, "UNKNOWN_EXCEPTION", "", FailureClass.Retry, false },
            { 502, "SOMETHING_NEW", "", FailureClass.Retry, false },
            { 400, "QUERY_TIMEOUT", "", FailureClass.Retry, false },
            { 403, "TXN_SECURITY_METERING_ERROR", "", FailureClass.SlowDown, true },
            { 420, "SOMETHING_NEW", "", FailureClass.SlowDown, true },
            { 429, "SOMETHING_NEW", "", FailureClass.SlowDown, true },
            { 400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger: UNABLE_TO_LOCK_ROW, x", FailureClass.Retry, true },
            {
                400,
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "trigger: Apex CPU time limit exceeded",
                FailureClass.Retry,
                true
            },
            { 400, "INVALID_FIELD", "No such column 'X' on entity 'Account'", FailureClass.PauseAll, true },
            {
                400,
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "AccountTrigger: System.LimitException: Too many SOQL queries: 101",
                FailureClass.Retry,
                true
            },
            { 400, "CANNOT_EXECUTE_FLOW_TRIGGER", "flow: UNABLE_TO_LOCK_ROW, x", FailureClass.Retry, true },
            { 400, "CANNOT_EXECUTE_FLOW_TRIGGER", "flow: LIMIT_EXCEEDED, x", FailureClass.Retry, true },
            { 400, "CANNOT_EXECUTE_FLOW_TRIGGER", "flow: CPU time, x", FailureClass.Retry, true },
            { 403, "API_DISABLED_FOR_ORG", "", FailureClass.PauseAll, true },
            { 400, "STORAGE_LIMIT_EXCEEDED", "", FailureClass.PauseAll, true },
            { 403, "SOMETHING_NEW", "", FailureClass.PauseAll, true },
            { 401, "INVALID_AUTH_HEADER", "", FailureClass.PauseAll, true },
            { 405, "METHOD_NOT_ALLOWED", "", FailureClass.PauseAll, true },
            { 410, "UNSUPPORTED_API_VERSION", "", FailureClass.PauseAll, true },
        };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_says_what_to_do_and_whether_the_write_can_have_happened(
        int status,
        string code,
        string message,
        FailureClass expected,
        bool definite
    )
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(status, code, message));

        var failed = Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("phone", "1")));

        Assert.Equal((expected, definite, code), (failed.Class, failed.Definite, failed.Code));
        Assert.True(Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Definite);
    }

    /// <summary>A person account, or a flow that touches what nobody shares, must not stop all other customers.</summary>
    [Theory]
    [InlineData("INVALID_FIELD_FOR_INSERT_UPDATE")]
    [InlineData("INSUFFICIENT_ACCESS_OR_READONLY")]
    [InlineData("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY")]
    public async Task What_the_user_may_not_do_to_one_record_is_that_record_s_affair(string code)
    {
        var problem =
            $$"""{ "success": false, "errors": [ { "statusCode": "{{code}}", "message": "x", "fields": [] } ] }""";
        var good = $$"""{ "id": "{{SalesforceBench.Id}}", "success": true, "errors": [] }""";
        var answer = $"[ {problem}, {good} ]";
        using var bench = new SalesforceBench(request =>
            request.Uri.AbsolutePath == SalesforceBench.Collections
                ? StubHttp.Json(200, answer)
                : SalesforceBench.Error(400, code, "x")
        );

        Assert.Equal(code, Assert.IsType<VendorResult.Refused>(await bench.UpdateOne(("phone", "1"))).Code);
        Assert.Equal(code, Assert.IsType<VendorResult.Refused>(await bench.DeleteOne()).Code);
        Assert.Equal(FailureClass.Retry, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
        Assert.Equal(
            FailureClass.PauseAll,
            Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "1"))).Class
        );

        var updated = await Two(bench);
        Assert.Equal(code, Assert.IsType<VendorResult.Refused>(updated[0]).Code);
        Assert.IsType<VendorResult.Ok>(updated[1]);

        answer = $"[ {problem}, {problem} ]";
        Assert.All(
            await Two(bench),
            r => Assert.Equal((FailureClass.PauseAll, code), r is VendorResult.Failed f ? (f.Class, f.Code) : default)
        );
        static Task<IReadOnlyList<VendorResult>> Two(SalesforceBench bench) =>
            bench.Vendor.Update(
                [
                    SalesforceBench.Update(SalesforceBench.Id, null, ("phone", "1")),
                    SalesforceBench.Update("001000000000002AAA", null, ("phone", "1")),
                ],
                CancellationToken.None
            );
    }

    [Theory]
    [InlineData("REQUIRED_FIELD_MISSING", "\"Name\"", "name")]
    [InlineData("STRING_TOO_LONG", "\"BillingStreet\"", "address.line1")]
    [InlineData("FIELD_CUSTOM_VALIDATION_EXCEPTION", "\"product_tier__c\"", "attributes.tier")]
    [InlineData("INVALID_EMAIL_ADDRESS", "\"Product_Email__c\"", "email")]
    [InlineData("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "\"Other__c\"", null)]
    [InlineData("DUPLICATES_DETECTED", "", null)]
    [InlineData("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "", null)]
    [InlineData("CANNOT_EXECUTE_FLOW_TRIGGER", "", null)]
    [InlineData("SOMETHING_NEW", "\"jane@example.com\"", null)]
    public async Task A_refusal_names_the_path_and_never_a_value(string code, string fields, string? path)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(400, code, "jane@example.com", fields));

        foreach (
            var result in (VendorResult[])
                [await bench.UpdateOne(("phone", "1")), await bench.CreateOne(("name", "Jane"))]
        )
        {
            var refused = Assert.IsType<VendorResult.Refused>(result);
            Assert.Equal(path is null ? [] : [path], refused.Fields.Keys);
            Assert.Equal(code, refused.Code);
            Assert.Contains(code, refused.Reason, StringComparison.Ordinal);
            Assert.DoesNotContain(
                "jane",
                refused.Reason + string.Join(' ', refused.Fields.Values),
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public async Task Several_errors_are_all_named_and_what_stops_everybody_comes_first()
    {
        var errors = """
            [ { "errorCode": "STRING_TOO_LONG", "message": "x", "fields": ["Phone"] },
              { "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "x", "fields": ["BillingCity"] } ]
            """;
        using var bench = new SalesforceBench(_ => StubHttp.Json(400, errors));
        using var locked = new SalesforceBench(_ =>
            StubHttp.Json(400, errors.Replace("STRING_TOO_LONG", "UNABLE_TO_LOCK_ROW", StringComparison.Ordinal))
        );

        var refused = Assert.IsType<VendorResult.Refused>(await bench.UpdateOne(("phone", "1")));

        Assert.Equal(["address.city", "phone"], refused.Fields.Keys.Order());
        Assert.IsType<VendorResult.Failed>(await locked.UpdateOne(("phone", "1")));
    }

    [Theory]
    [InlineData(200, FailureClass.Retry, false)]
    [InlineData(400, FailureClass.Retry, false)]
    [InlineData(403, FailureClass.PauseAll, true)]
    [InlineData(404, FailureClass.PauseAll, true)]
    [InlineData(302, FailureClass.PauseAll, true)]
    [InlineData(503, FailureClass.Retry, false)]
    public async Task A_page_that_is_not_Salesforce_s_says_nothing_about_the_record(
        int status,
        FailureClass expected,
        bool definite
    )
    {
        using var bench = new SalesforceBench(_ => StubHttp.Html(status));

        // A create is the write whose success has a body.
        var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane")));

        Assert.Equal((expected, definite), (failed.Class, failed.Definite));
        Assert.DoesNotContain("jane@", failed.ToString(), StringComparison.Ordinal);
        Assert.IsType<VendorResult.Failed>(await bench.ReadOne());
    }

    // ---- gone ----

    [Fact]
    public async Task A_deleted_record_is_gone_at_once()
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(404, "ENTITY_IS_DELETED"));

        Assert.IsType<VendorResult.Gone>(await bench.UpdateOne(("phone", "1")));
        Assert.IsType<VendorResult.Gone>(await bench.DeleteOne());
        Assert.Equal(2, bench.Calls.Count);
    }

    [Fact]
    public async Task A_record_in_the_recycle_bin_is_gone()
    {
        using var bench = new SalesforceBench(request =>
            StubHttp.Json(
                200,
                SalesforceBench.IsLook(request)
                        ? SalesforceBench.Rows(
                            SalesforceBench.Record(members: "\"IsDeleted\": true, \"MasterRecordId\": null"),
                            SalesforceBench.Record("001000000000002AAA", "\"IsDeleted\": true")
                        )
                    : request.Method == "GET" ? SalesforceBench.Record(members: "\"IsDeleted\": true")
                    : $"[ {SalesforceBench.Record(members: "\"IsDeleted\": true")}, null ]"
            )
        );

        Assert.Equal(new VendorResult.Gone { Calls = 2 }, await bench.ReadOne());
        var many = await bench.Vendor.Read([SalesforceBench.Id, "001000000000002AAA"], CancellationToken.None);
        Assert.All(many, r => Assert.Equal(new VendorResult.Gone { Calls = 1 }, r));
    }

    /// <summary>One look for all that a read did not find, whatever the read said of them.</summary>
    [Theory]
    [InlineData("ENTITY_IS_DELETED")]
    [InlineData("NOT_FOUND")]
    public async Task What_a_read_does_not_find_is_deleted_merged_or_out_of_sight(string code)
    {
        string[] ids = [.. Enumerable.Range(1, 4).Select(i => RecordIds.To18($"00100000000000{i}"))];
        var winner = RecordIds.To18("001000000000009");
        using var bench = new SalesforceBench(request =>
            SalesforceBench.IsLook(request)
                ? StubHttp.Json(
                    200,
                    SalesforceBench.Rows(
                        SalesforceBench.Record(ids[1], "\"IsDeleted\": true, \"MasterRecordId\": null"),
                        SalesforceBench.Record(ids[2], $"\"IsDeleted\": true, \"MasterRecordId\": \"{winner}\"")
                    )
                )
            : request.Method == "GET" ? SalesforceBench.Error(404, code)
            : StubHttp.Json(200, $"[ {SalesforceBench.Record(ids[0])}, null, null, null ]")
        );

        var many = await bench.Vendor.Read(ids, CancellationToken.None);

        Assert.IsType<VendorResult.Ok>(many[0]);
        Assert.Equal((null, false), Told(many[1]));
        Assert.Equal((winner, false), Told(many[2]));
        Assert.Equal((null, true), Told(many[3]));
        var look = Uri.UnescapeDataString(bench.Calls[^1].Uri.Query);
        Assert.Equal(2, bench.Calls.Count);
        Assert.Contains($"IN ('{ids[1]}', '{ids[2]}', '{ids[3]}')", look, StringComparison.Ordinal);
        Assert.Equal((null, false), Told(await bench.ReadOne(ids[1])));
        Assert.Equal((winner, false), Told(await bench.ReadOne(ids[2])));
        Assert.Equal((null, true), Told(await bench.ReadOne(ids[3])));

        static (string?, bool) Told(VendorResult result) =>
            Assert.IsType<VendorResult.Gone>(result) is var gone ? (gone.MergedInto, gone.OutOfSight) : default;
    }

    [Theory]
    [InlineData(503, "SERVER_UNAVAILABLE", FailureClass.Retry)]
    [InlineData(404, "NOT_FOUND", FailureClass.PauseAll)]
    public async Task Nothing_is_concluded_where_the_look_into_the_recycle_bin_fails(
        int status,
        string code,
        FailureClass expected
    )
    {
        using var bench = new SalesforceBench(request =>
            SalesforceBench.IsLook(request) ? SalesforceBench.Error(status, code)
            : request.Method == "GET" ? SalesforceBench.Error(404, "NOT_FOUND")
            : StubHttp.Json(200, $"[ {SalesforceBench.Record()}, null ]")
        );

        Assert.Equal(expected, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
        var many = await bench.Vendor.Read([SalesforceBench.Id, "001000000000002AAA"], CancellationToken.None);
        Assert.IsType<VendorResult.Ok>(many[0]);
        Assert.Equal(expected, Assert.IsType<VendorResult.Failed>(many[1]).Class);
    }

    /// <summary>Salesforce refuses a whole query for one of these.</summary>
    [Theory]
    [InlineData("nonsense")]
    [InlineData("001000000000001AAB")]
    public async Task What_is_no_id_is_not_looked_for(string id)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(404, "NOT_FOUND"));

        Assert.True(Assert.IsType<VendorResult.Gone>(await bench.ReadOne(id)).OutOfSight);
        Assert.Single(bench.Calls);
    }

    [Fact]
    public async Task Not_found_is_believed_when_a_retrieve_has_no_such_record_either()
    {
        using var bench = new SalesforceBench(request =>
            request.Uri.AbsolutePath == SalesforceBench.Retrieve
                ? StubHttp.Json(200, "[ null ]")
                : SalesforceBench.Error(404, "NOT_FOUND")
        );

        Assert.IsType<VendorResult.Gone>(await bench.UpdateOne(("phone", "1")));
        Assert.IsType<VendorResult.Gone>(await bench.DeleteOne());
    }

    /// <summary>Else a wrong SALESFORCE__APIVERSION would report every customer as deleted.</summary>
    [Fact]
    public async Task Not_found_for_every_call_is_a_wrong_version_and_nobody_is_gone()
    {
        using var bench = new SalesforceBench(_ =>
            SalesforceBench.Error(404, "NOT_FOUND", "The requested resource does not exist")
        );

        foreach (
            var result in (VendorResult[])
                [await bench.ReadOne(), await bench.UpdateOne(("phone", "1")), await bench.DeleteOne()]
        )
            Assert.Equal(FailureClass.PauseAll, Assert.IsType<VendorResult.Failed>(result).Class);
    }

    [Fact]
    public async Task A_record_that_was_not_found_and_then_was_is_tried_again()
    {
        using var bench = new SalesforceBench(request =>
            request.Uri.AbsolutePath == SalesforceBench.Retrieve ? StubHttp.Json(200, $"[ {SalesforceBench.Record()} ]")
            : SalesforceBench.IsLook(request)
                ? StubHttp.Json(200, SalesforceBench.Rows(SalesforceBench.Record(members: "\"IsDeleted\": false")))
            : SalesforceBench.Error(404, "NOT_FOUND")
        );

        Assert.Equal(
            FailureClass.Retry,
            Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("phone", "1"))).Class
        );
        Assert.Equal(FailureClass.Retry, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
    }

    /// <summary>A flow that fills a lookup with an id of another org answers as a record that is not there does.</summary>
    [Theory]
    [InlineData("INVALID_CROSS_REFERENCE_KEY", "")]
    [InlineData("INVALID_CROSS_REFERENCE_KEY", "\"Id\"")]
    [InlineData("ENTITY_IS_DELETED", "")]
    public async Task A_write_that_may_have_met_another_record_says_what_it_means_if_this_one_is_there(
        string code,
        string fields
    )
    {
        using var bench = new SalesforceBench(request =>
            request.Uri.AbsolutePath == SalesforceBench.Collections
                ? StubHttp.Json(
                    200,
                    $$"""
                    [ { "success": false, "errors": [ { "statusCode": "{{code}}", "message": "x", "fields": [ {{fields}} ] } ] },
                      { "success": false, "errors": [ { "statusCode": "{{code}}", "message": "x", "fields": [ {{fields}} ] } ] } ]
                    """
                )
                : SalesforceBench.Error(400, code, "x", fields)
        );
        var two = await bench.Vendor.Update(
            [
                SalesforceBench.Update(SalesforceBench.Id, null, ("phone", "1")),
                SalesforceBench.Update("001000000000002AAA", null, ("phone", "1")),
            ],
            CancellationToken.None
        );

        foreach (var result in (VendorResult[])[await bench.UpdateOne(("phone", "1")), await bench.DeleteOne(), .. two])
        {
            var refused = Assert.IsType<VendorResult.Gone>(result).IfThere;
            Assert.Equal(code, refused!.Code);
            Assert.Contains("a reference points to", refused.Reason, StringComparison.Ordinal);
        }
    }

    // ---- taken ----

    [Theory]
    [InlineData(
        "duplicate value found: Product_Customer_Id__c duplicates value on record with id: 0015g00000AbCdE",
        "0015g00000AbCdEAAV"
    )]
    [InlineData("dubbelt värde: Product_Customer_Id__c, post 0015g00000AbCdEAAV.", "0015g00000AbCdEAAV")]
    [InlineData("duplicate value found: <unknown> duplicates value on record with id: <unknown>", null)]
    public async Task A_create_that_meets_our_id_names_the_record_that_has_it(string message, string? id)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(400, "DUPLICATE_VALUE", message));

        Assert.Equal(id, Assert.IsType<VendorResult.Taken>(await bench.CreateOne(("name", "Jane"))).ExternalId);
    }

    [Fact]
    public async Task A_create_that_meets_another_unique_value_is_refused()
    {
        using var bench = new SalesforceBench(_ =>
            SalesforceBench.Error(
                400,
                "DUPLICATE_VALUE",
                "duplicate value found: Product_Email__c duplicates value on record with id: 0015g00000AbCdE"
            )
        );

        var refused = Assert.IsType<VendorResult.Refused>(await bench.CreateOne(("name", "Jane")));

        Assert.Equal(["email"], refused.Fields.Keys);
    }

    /// <summary>An org has unique fields that the mapping does not know, and the error names them in its text only.</summary>
    [Theory]
    [InlineData("duplicate value found: Dup_Key__c duplicates value on record with id: 0015g00000AbCdE")]
    [InlineData(
        "duplicate value found: Not_Product_Customer_Id__c duplicates value on record with id: 0015g00000AbCdE"
    )]
    public async Task A_create_that_meets_a_unique_field_of_the_org_is_refused_and_names_it(string message)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.Error(400, "DUPLICATE_VALUE", message));

        var refused = Assert.IsType<VendorResult.Refused>(await bench.CreateOne(("name", "Jane")));

        Assert.Empty(refused.Fields);
        Assert.Contains(message.Split(' ')[3], refused.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("0015g", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_duplicate_that_names_no_field_is_looked_for_and_not_believed()
    {
        using var bench = new SalesforceBench(_ =>
            SalesforceBench.Error(400, "DUPLICATE_VALUE", "duplicate value: record 0015g00000AbCdE")
        );

        Assert.Null(Assert.IsType<VendorResult.Taken>(await bench.CreateOne(("name", "Jane"))).ExternalId);
    }

    [Fact]
    public async Task An_update_that_meets_our_id_elsewhere_is_refused_without_a_path()
    {
        using var bench = new SalesforceBench(_ =>
            SalesforceBench.Error(
                400,
                "DUPLICATE_VALUE",
                "duplicate value found: Product_Customer_Id__c",
                "\"Product_Customer_Id__c\""
            )
        );

        Assert.Empty(Assert.IsType<VendorResult.Refused>(await bench.UpdateOne(("phone", "1"))).Fields);
    }

    [Fact]
    public void Every_row_that_stops_all_lanes_says_what_to_do()
    {
        Assert.All(
            SalesforceErrors.Table.Where(r => r.Action == ErrorAction.PauseAll),
            row => Assert.False(string.IsNullOrEmpty(row.Remedy), row.Code)
        );
        Assert.Equal(
            SalesforceErrors.Table.Count,
            SalesforceErrors.Table.Select(r => (r.Code, r.When)).Distinct().Count()
        );
    }
}

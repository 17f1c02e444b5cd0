using System.Text.Json.Nodes;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>Every fault that can be named can be switched on, and off again.</summary>
public sealed class FaultTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start();

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Theory]
    [InlineData("rate-limit", 429, "rate_limit")]
    [InlineData("lock-timeout", 429, "lock_timeout")]
    [InlineData("error-before", 500, null)]
    [InlineData("unavailable", 503, null)]
    [InlineData("credentials", 401, null)]
    public async Task Stripe_fails_before_the_effect_for_as_many_calls_as_said(string kind, int status, string? code)
    {
        Assert.Equal(
            201,
            (
                await _sandbox.Fault(
                    new
                    {
                        vendor = "stripe",
                        kind,
                        operation = "customers.create",
                        next = 2,
                    }
                )
            ).Status
        );

        for (var i = 0; i < 2; i++)
        {
            var reply = await _sandbox.Post("/v1/customers", "name=Ada", "k");
            Assert.Equal(status, reply.Status);
            Assert.Equal(code, (string?)reply.Error["code"]);
            Assert.StartsWith("req_", reply.Header("Request-Id"), StringComparison.Ordinal);
        }

        Assert.Empty(_sandbox.Host.Stripe.All());
        // Nothing was kept under the key, and the fault is used up.
        var third = await _sandbox.Post("/v1/customers", "name=Ada", "k");
        Assert.Equal(200, third.Status);
        Assert.Null(third.Header("Idempotent-Replayed"));
    }

    [Theory]
    [InlineData("rate-limit", 403, "REQUEST_LIMIT_EXCEEDED")]
    [InlineData("lock-timeout", 400, "UNABLE_TO_LOCK_ROW")]
    [InlineData("error-before", 500, "UNKNOWN_EXCEPTION")]
    [InlineData("unavailable", 503, "SERVER_UNAVAILABLE")]
    [InlineData("credentials", 401, "INVALID_SESSION_ID")]
    public async Task Salesforce_fails_before_the_effect(string kind, int status, string code)
    {
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind,
                operation = "account.create",
                next = 1,
            }
        );

        var reply = await CreateAccount();

        Assert.Equal(status, reply.Status);
        Assert.Equal(code, (string?)reply.First["errorCode"]);
        Assert.Empty(_sandbox.Host.Salesforce.All());
        Assert.Equal(201, (await CreateAccount()).Status);
    }

    [Fact]
    public async Task The_token_is_refused_in_its_own_words()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind = "credentials",
                operation = "token",
            }
        );

        var reply = await _sandbox.Token("sandbox-client", "sandbox-secret");

        Assert.Equal(400, reply.Status);
        Assert.Equal("invalid_client", (string?)reply.Json!["error"]);
    }

    [Fact]
    public async Task A_lock_fails_each_record_of_a_collection_by_itself()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind = "lock-timeout",
                next = 1,
            }
        );

        var reply = await TestSandbox.Send(
            _sandbox.Salesforce,
            HttpMethod.Post,
            "composite/sobjects",
            TestSandbox.Json(
                """{"allOrNone":false,"records":[{"attributes":{"type":"Account"},"Name":"A"},{"attributes":{"type":"Account"},"Name":"B"}]}"""
            )
        );

        Assert.Equal(200, reply.Status);
        Assert.All(
            reply.Json!.AsArray(),
            result => Assert.Equal("UNABLE_TO_LOCK_ROW", (string?)result!["errors"]![0]!["statusCode"])
        );
        Assert.Empty(_sandbox.Host.Salesforce.All());
    }

    [Fact]
    public async Task An_error_after_the_effect_has_the_effect()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind = "error-after",
                next = 1,
            }
        );
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "error-after",
                next = 1,
            }
        );

        Assert.Equal(500, (await CreateAccount()).Status);
        Assert.Equal(500, (await _sandbox.Post("/v1/customers", "name=Ada")).Status);

        Assert.Single(_sandbox.Host.Salesforce.All());
        Assert.Single(_sandbox.Host.Stripe.All());
    }

    [Fact]
    public async Task A_dropped_connection_after_the_effect_has_the_effect()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "drop-after",
                next = 1,
            }
        );

        await Assert.ThrowsAsync<HttpRequestException>(() => _sandbox.Post("/v1/customers", "name=Ada", "k"));

        Assert.Single(_sandbox.Host.Stripe.All());
        Assert.Equal("true", (await _sandbox.Post("/v1/customers", "name=Ada", "k")).Header("Idempotent-Replayed"));
    }

    [Fact]
    public async Task A_withheld_answer_waits_until_the_caller_gives_up_and_has_the_effect()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "salesforce",
                kind = "hang-after",
                next = 1,
            }
        );
        using var giveUp = new CancellationTokenSource();
        var body = TestSandbox.Json(new { Name = "Ada" });
        var call = _sandbox.Salesforce.PostAsync(new Uri("sobjects/Account", UriKind.Relative), body, giveUp.Token);

        await Eventually.Is(() => Task.FromResult(_sandbox.Host.Salesforce.All().Count == 1), "the effect happens");
        Assert.False(call.IsCompleted);
        await giveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task A_late_write_lands_after_the_caller_gave_up()
    {
        var id = await _sandbox.StripeCustomer();
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "late",
                operation = "customers.update",
                next = 1,
            }
        );
        using var giveUp = new CancellationTokenSource();
        var call = _sandbox.Stripe.PostAsync(
            new Uri($"/v1/customers/{id}", UriKind.Relative),
            TestSandbox.Form("name=Late"),
            giveUp.Token
        );
        await Eventually.Is(
            () => Task.FromResult(_sandbox.Host.Calls.Of("stripe").Operations.ContainsKey("customers.update")),
            "the call arrives"
        );
        await _sandbox.Post($"/v1/customers/{id}", "name=Newer");
        Assert.Equal("Newer", (string?)_sandbox.Host.Stripe.Get(id)["name"]);

        await giveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Eventually.Is(
            () => Task.FromResult((string?)_sandbox.Host.Stripe.Get(id)["name"] == "Late"),
            "the late write lands"
        );
    }

    [Fact]
    public async Task A_vendor_that_is_down_refuses_connections_and_comes_back_with_everything()
    {
        var id = await _sandbox.StripeCustomer();
        await _sandbox.Fault(new { vendor = "stripe", kind = "down" });

        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => _sandbox.Post("/v1/customers", "name=Ada"));
        Assert.Equal(HttpRequestError.ConnectionError, refused.HttpRequestError);
        Assert.Equal(201, (await CreateAccount()).Status);
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Delete, "/sandbox/faults?vendor=stripe");

        Assert.Equal(200, (await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/customers/{id}")).Status);
    }

    [Fact]
    public async Task A_proxy_answers_with_a_page()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "html",
                next = 1,
            }
        );

        var reply = await _sandbox.Post("/v1/customers", "name=Ada");

        Assert.Equal(502, reply.Status);
        Assert.StartsWith("<!DOCTYPE html>", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_limit_can_come_without_its_reason()
    {
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "rate-limit",
                next = 1,
            }
        );
        await _sandbox.Fault(
            new
            {
                vendor = "stripe",
                kind = "rate-limit",
                next = 1,
                header = false,
            }
        );

        Assert.NotNull((await _sandbox.Post("/v1/customers", "name=a")).Header("Stripe-Rate-Limited-Reason"));
        Assert.Null((await _sandbox.Post("/v1/customers", "name=a")).Header("Stripe-Rate-Limited-Reason"));
    }

    [Fact]
    public async Task Chance_is_the_same_for_the_same_seed()
    {
        var runs = new List<string>();
        for (var run = 0; run < 2; run++)
        {
            await _sandbox.Fault(
                new
                {
                    vendor = "stripe",
                    kind = "error-before",
                    rate = 0.5,
                    seed = 7,
                }
            );
            var statuses = new List<int>();
            for (var i = 0; i < 40; i++)
                statuses.Add((await _sandbox.Post("/v1/customers", "name=a")).Status);
            runs.Add(string.Join(',', statuses));
            await TestSandbox.Send(_sandbox.Product, HttpMethod.Delete, "/sandbox/faults");
        }

        Assert.Equal(runs[0], runs[1]);
        Assert.Contains("200", runs[0], StringComparison.Ordinal);
        Assert.Contains("500", runs[0], StringComparison.Ordinal);
        Assert.Equal(200, (await _sandbox.Post("/v1/customers", "name=a")).Status);
    }

    [Theory]
    [InlineData("""{"vendor":"paypal","kind":"html"}""", "vendor")]
    [InlineData("""{"vendor":"stripe","kind":"burn"}""", "kind")]
    [InlineData("""{"vendor":"stripe","kind":"html","operation":"customers.merge"}""", "operation")]
    [InlineData("""{"vendor":"stripe","kind":"html","next":1,"rate":0.5}""", "rate")]
    [InlineData("""{"vendor":"stripe","kind":"html","rate":2}""", "rate")]
    [InlineData("""{"vendor":"stripe","kind":"slow"}""", "delayMs")]
    [InlineData("""{"vendor":"stripe","kind":"down","next":1}""", "next")]
    [InlineData("""{"vendor":"stripe","kind":"html","often":1}""", "often")]
    [InlineData("""{"kind":"html"}""", "vendor")]
    public async Task A_fault_that_makes_no_sense_is_refused(string order, string named)
    {
        var reply = await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/sandbox/faults",
            TestSandbox.Json(order)
        );

        Assert.Equal(400, reply.Status);
        Assert.Contains(named, (string?)reply.Json!["error"], StringComparison.Ordinal);
        Assert.Empty(_sandbox.Host.Faults.List());
    }

    [Fact]
    public async Task Calls_are_counted_by_operation_and_status_since_the_last_reset()
    {
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, "/sandbox/calls/reset");
        await _sandbox.StripeCustomer();
        await _sandbox.Post("/v1/customers", "bogus=1");
        await CreateAccount();

        var calls = (await TestSandbox.Send(_sandbox.Product, HttpMethod.Get, "/sandbox/calls")).Json!;

        Assert.Equal(
            """{"total":2,"operations":{"customers.create":2},"statuses":{"200":1,"400":1}}""",
            calls["stripe"]!.ToJsonString()
        );
        Assert.Equal(
            """{"total":1,"operations":{"account.create":1},"statuses":{"201":1}}""",
            calls["salesforce"]!.ToJsonString()
        );
    }

    [Fact]
    public async Task A_person_edits_both_vendors_from_behind_the_scenes()
    {
        var stripe = await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/sandbox/stripe/customers",
            TestSandbox.Json("""{"name":"By hand","address":{"city":"C"},"metadata":{"a":"1"}}""")
        );
        var id = (string)stripe.Json!["id"]!;
        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Patch,
            $"/sandbox/stripe/customers/{id}",
            TestSandbox.Json("""{"name":null,"address":{"city":null,"line1":"L"},"metadata":{"a":null}}""")
        );
        var account = await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/sandbox/salesforce/accounts",
            TestSandbox.Json("""{"Name":"By hand"}""")
        );
        var accountId = (string)account.Json!["id"]!;
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Delete, $"/sandbox/salesforce/accounts/{accountId}");
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, $"/sandbox/salesforce/accounts/{accountId}/undelete");

        var customer = (await Admin("stripe/customers")).Single()!;
        Assert.Null(customer["name"]);
        Assert.Equal("L", (string?)customer["address"]!["line1"]);
        Assert.Equal("{}", customer["metadata"]!.ToJsonString());
        var record = (await Admin("salesforce/accounts")).Single()!;
        Assert.False((bool)record["IsDeleted"]!);
        Assert.Equal(Sync.Sandbox.Salesforce.SalesforceOrg.HumanUser, (string?)record["CreatedById"]);
        Assert.Equal(0, _sandbox.Host.Calls.Of("stripe").Total);
    }

    async Task<JsonArray> Admin(string path) =>
        (await TestSandbox.Send(_sandbox.Product, HttpMethod.Get, $"/sandbox/{path}")).Json!.AsArray();

    Task<Reply> CreateAccount() =>
        TestSandbox.Send(
            _sandbox.Salesforce,
            HttpMethod.Post,
            "sobjects/Account",
            TestSandbox.Json(new { Name = "Ada" })
        );
}

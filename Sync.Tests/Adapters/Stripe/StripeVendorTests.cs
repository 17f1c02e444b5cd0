using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

public sealed class StripeVendorTests
{
    [Theory]
    [InlineData(409)]
    [InlineData(429)]
    [InlineData(500)]
    public async Task Nothing_is_repeated_by_the_SDK(int status)
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Error(status, "\"type\": \"api_error\"", ("Stripe-Should-Retry", "true"))
        );

        await bench.CreateOne(("name", "Jane"));

        Assert.Single(bench.Http!.Requests);
    }

    [Fact]
    public async Task Writes_carry_the_frame_s_key_and_nothing_else_a_key_of_its_own()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.CreateOne(("name", "Jane"));
        await bench.UpdateOne(("name", "Jane"));
        await bench.ReadOne();
        await bench.DeleteOne();

        Assert.Equal(
            [StripeBench.Create().Key, StripeBench.Update().Key, null, null],
            bench.Http!.Requests.Select(r => r.Header("Idempotency-Key"))
        );
        Assert.All(bench.Http.Requests, r => Assert.Equal("Bearer sk_test_bench", r.Header("Authorization")));
        Assert.All(bench.Http.Requests, r => Assert.Null(r.Header("X-Stripe-Client-Telemetry")));
    }

    /// <summary>An account's own default may be years old, and its answers then have other members.</summary>
    [Fact]
    public async Task Every_request_names_the_api_version_that_the_adapter_reads()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.CreateOne(("name", "Jane"));
        await bench.UpdateOne(("name", "Jane"));
        await bench.ReadOne();
        await bench.DeleteOne();

        Assert.Equal(
            Enumerable.Repeat(global::Stripe.StripeConfiguration.ApiVersion, 4),
            bench.Http!.Requests.Select(r => r.Header("Stripe-Version"))
        );
    }

    /// <summary>Stripe may forget a key after a day; a repeat that comes later would create a second customer.</summary>
    [Fact]
    public void A_key_is_trusted_for_less_than_the_day_that_it_lives()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        Assert.InRange(bench.Vendor.Traits.CreateKeyLifetime!.Value, TimeSpan.FromHours(1), TimeSpan.FromHours(23.5));
        Assert.True(bench.Vendor.Traits.SuspectWindow >= TimeSpan.FromHours(24));
    }

    [Fact]
    public async Task A_write_without_a_field_is_still_a_post_with_who_it_is_and_clears_nothing()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.UpdateOne();

        Assert.Equal(
            "metadata[customer_id]=c-1&metadata[csync_command]=11111111-2222-4333-8444-555555555555",
            Uri.UnescapeDataString(bench.Http!.Only.Body)
        );
    }

    [Fact]
    public async Task The_answer_of_a_write_is_the_record_and_ours()
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Customer(metadata: $$"""{ "csync_command": "{{StripeBench.Command}}" }""")
        );

        var created = Assert.IsType<VendorResult.Ok>(await bench.CreateOne(("name", "Jane")));
        var updated = Assert.IsType<VendorResult.Ok>(await bench.UpdateOne(("name", "Jane")));
        var read = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        Assert.True(bench.Vendor.Traits.AnswersWithRecord);
        Assert.Equal(("cus_1", "req_1", 1.0), (created.ExternalId, created.RequestId, created.Calls));
        Assert.True(created.Object is { CreatedByUs: true, LastModifiedByUs: true, Stamp: not null });
        Assert.True(updated.Object is { CreatedByUs: null, LastModifiedByUs: true });
        Assert.False(read.Object!.LastModifiedByUs, "Stripe does not tell who wrote last");
    }

    /// <summary>A replayed body is the record of then.</summary>
    [Fact]
    public async Task A_replayed_answer_says_so_and_vouches_for_nothing()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer(headers: ("Idempotent-Replayed", "true")));

        var created = Assert.IsType<VendorResult.Ok>(await bench.CreateOne(("name", "Jane")));

        Assert.True(created.Replayed);
        Assert.False(created.Object!.LastModifiedByUs);
        Assert.Null(created.Object.CreatedByUs);
    }

    [Fact]
    public async Task A_deleted_customer_s_stub_is_gone()
    {
        using var bench = new StripeBench(_ =>
            StubHttp.Json(200, """{ "id": "cus_1", "object": "customer", "deleted": true }""")
        );

        Assert.IsType<VendorResult.Gone>(await bench.ReadOne());
    }

    [Fact]
    public async Task Each_item_keeps_its_place_and_its_own_answer()
    {
        using var bench = new StripeBench(request =>
            request.Uri.AbsolutePath switch
            {
                "/v1/customers/cus_2" => StripeBench.Error(
                    404,
                    "\"code\": \"resource_missing\", \"type\": \"invalid_request_error\""
                ),
                "/v1/customers/cus_3" => StripeBench.Error(500, "\"type\": \"api_error\""),
                var path => StripeBench.Customer(path.Split('/')[^1]),
            }
        );

        var results = await bench.Vendor.Read(["cus_1", "cus_2", "cus_3", "cus_4"], CancellationToken.None);

        Assert.Equal("cus_1", Assert.IsType<VendorResult.Ok>(results[0]).ExternalId);
        Assert.IsType<VendorResult.Gone>(results[1]);
        Assert.IsType<VendorResult.Failed>(results[2]);
        Assert.Equal("cus_4", Assert.IsType<VendorResult.Ok>(results[3]).ExternalId);
    }

    [Theory]
    [InlineData("active", true)]
    [InlineData("trialing", true)]
    [InlineData("past_due", true)]
    [InlineData("unpaid", true)]
    [InlineData("paused", true)]
    [InlineData("incomplete", true)]
    [InlineData("incomplete_expired", false)]
    [InlineData("canceled", false)]
    public async Task A_customer_with_a_live_subscription_is_not_deleted(string status, bool live)
    {
        using var bench = new StripeBench(request =>
            request.Uri.AbsolutePath == "/v1/subscriptions"
                ? StubHttp.Json(
                    200,
                    $$"""{ "object": "list", "has_more": false, "url": "/v1/subscriptions", "data": [ { "id": "sub_1", "object": "subscription", "status": "{{status}}" } ] }"""
                )
                : StubHttp.Json(200, """{ "id": "cus_1", "object": "customer", "deleted": true }""")
        );

        var result = await bench.DeleteOne(unlessSubscribed: true);

        Assert.Equal("GET /v1/subscriptions?customer=cus_1&limit=100", bench.Http!.Requests.First().Target);
        if (live)
        {
            Assert.Equal("subscribed", Assert.IsType<VendorResult.Refused>(result).Code);
            Assert.DoesNotContain(bench.Http.Requests, r => r.Method == "DELETE");
        }
        else
        {
            Assert.Equal(2, Assert.IsType<VendorResult.Ok>(result).Calls);
        }
    }

    [Fact]
    public async Task A_look_at_subscriptions_that_failed_deletes_nothing()
    {
        using var bench = new StripeBench(_ => StripeBench.Error(500, "\"type\": \"api_error\""));

        Assert.IsType<VendorResult.Failed>(await bench.DeleteOne(unlessSubscribed: true));
        Assert.DoesNotContain(bench.Http!.Requests, r => r.Method == "DELETE");
    }

    [Fact]
    public async Task A_plain_deletion_does_not_ask_for_subscriptions()
    {
        using var bench = new StripeBench(_ =>
            StubHttp.Json(200, """{ "id": "cus_1", "object": "customer", "deleted": true }""")
        );

        Assert.IsType<VendorResult.Ok>(await bench.DeleteOne());
        Assert.Equal("DELETE /v1/customers/cus_1", bench.Http!.Only.Target);
    }

    // ---- look-up ----

    static readonly DateTimeOffset Attempt = new(2026, 11, 24, 11, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task One_listing_since_the_first_attempt_answers_a_whole_batch()
    {
        using var bench = new StripeBench(request =>
            Query(request).Contains("starting_after=cus_b", StringComparison.Ordinal)
                ? Page(false, ("cus_a", "c-1"))
                : Page(true, ("cus_c", "c-3"), ("cus_b", "C-1"))
        );

        var results = await bench.Vendor.Find(
            [new("c-1", Attempt.AddMinutes(5), null), new("c-2", Attempt, null), new("c-3", Attempt, null)],
            CancellationToken.None
        );

        Assert.Equal(["cus_a"], results[0].Objects.Select(o => o.ExternalId));
        Assert.Empty(results[1].Objects);
        Assert.Equal(["cus_c"], results[2].Objects.Select(o => o.ExternalId));
        Assert.All(results, r => Assert.Null(r.Failure));
        Assert.Equal(2, bench.Http!.Requests.Count);
        Assert.Contains(
            $"created[gte]={Attempt.ToUnixTimeSeconds()}",
            Query(bench.Http.Requests.First()),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task An_older_customer_is_found_by_the_e_mail_when_it_carries_our_id()
    {
        using var bench = new StripeBench(request =>
            Query(request).Contains("email=Jane@example.com", StringComparison.Ordinal)
                ? Page(false, ("cus_other", "c-9"), ("cus_none", null), ("cus_ours", "c-1"))
                : Page(false)
        );

        var result = Assert.Single(
            await bench.Vendor.Find([new("c-1", Attempt, "Jane@example.com")], CancellationToken.None)
        );

        Assert.Equal(["cus_ours"], result.Objects.Select(o => o.ExternalId));
    }

    /// <summary>An empty list that nobody has seen is how duplicates are made.</summary>
    [Theory]
    [InlineData(500)]
    [InlineData(401)]
    [InlineData(400)]
    public async Task A_look_up_that_failed_is_never_an_empty_one(int status)
    {
        using var bench = new StripeBench(_ => StripeBench.Error(status, "\"type\": \"invalid_request_error\""));

        var results = await bench.Vendor.Find(
            [new("c-1", Attempt, null), new("c-2", Attempt, "a@b.c")],
            CancellationToken.None
        );

        Assert.All(results, r => Assert.NotNull(r.Failure));
    }

    [Fact]
    public async Task More_customers_than_can_be_listed_are_searched_once_the_search_has_caught_up()
    {
        var created = Attempt;
        using var bench = new StripeBench(request =>
            request.Uri.AbsolutePath == "/v1/customers/search"
                ? StubHttp.Json(
                    200,
                    $$"""{ "object": "search_result", "has_more": false, "url": "/v1/customers/search", "data": [ {{Item("cus_ours", "it's", Attempt)}} ] }"""
                )
                : StubHttp.Json(
                    200,
                    $$"""{ "object": "list", "has_more": true, "url": "/v1/customers", "data": [ {{Item("cus_x", "c-9", created)}} ] }"""
                )
        );
        var request = new FindRequest("it's", Attempt.AddDays(-1), null);

        bench.Time.SetUtcNow(Attempt.AddHours(1));
        var early = Assert.Single(await bench.Vendor.Find([request], CancellationToken.None));
        bench.Time.SetUtcNow(Attempt.AddHours(3));
        var later = Assert.Single(await bench.Vendor.Find([request], CancellationToken.None));

        Assert.Equal((FailureClass.Retry, true), (early.Failure!.Class, early.Failure.Definite));
        Assert.Equal(["cus_ours"], later.Objects.Select(o => o.ExternalId));
        Assert.Contains(
            @"metadata['customer_id']:'it\'s'",
            Query(bench.Http!.Requests.Last()),
            StringComparison.Ordinal
        );
    }

    // ---- limits ----

    [Fact]
    public async Task A_list_goes_out_side_by_side_and_never_more_than_allowed_at_once()
    {
        var now = 0;
        var most = 0;
        var four = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var bench = new StripeBench(
            new StubHttp(
                async (_, _) =>
                {
                    var here = Interlocked.Increment(ref now);
                    InterlockedMax(ref most, here);
                    if (here == 4)
                        four.TrySetResult();
                    await four.Task;
                    Interlocked.Decrement(ref now);
                    return StripeBench.Customer();
                }
            ),
            options: new() { MaxConcurrent = 4 }
        );

        var results = await bench.Vendor.Read(
            [.. Enumerable.Range(0, 40).Select(i => $"cus_{i}")],
            CancellationToken.None
        );

        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(r));
        Assert.Equal(4, most);
    }

    [Fact]
    public async Task Who_finds_no_turn_has_made_no_call()
    {
        // One token in a thousand seconds, and a clock that jumps beyond the wait.
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        using var limits = new StripeLimits(
            new()
            {
                WritesPerSecond = 1,
                ReadsPerSecond = 1,
                MaxConcurrent = 1,
            },
            time
        );
        using var first = await limits.Turn(StripeCall.CreateCustomer, CancellationToken.None);

        // The only place on the way is taken, whatever tokens come.
        var second = limits.Turn(StripeCall.RetrieveCustomer, CancellationToken.None);
        time.Advance(limits.MaxWait);

        Assert.NotNull(first);
        Assert.Null(await second);
    }

    [Theory]
    [InlineData("https://api.stripe.com", "sk_test_x", 20, 20)]
    [InlineData("https://api.stripe.com", "sk_live_x", 20, 80)]
    [InlineData("http://127.0.0.1:1", "sk_test_x", 100, 400)]
    public void A_test_account_at_Stripe_is_kept_below_its_25_a_second(
        string api,
        string key,
        int writes,
        int expected
    ) =>
        Assert.Equal(
            expected,
            new StripeOptions
            {
                ApiBase = api,
                ApiKey = key,
                WritesPerSecond = writes,
            }.TotalPerSecond
        );

    static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref target)) < value)
            Interlocked.CompareExchange(ref target, value, seen);
    }

    static string Query(SentRequest request) => Uri.UnescapeDataString(request.Uri.Query.Replace('+', ' '));

    static HttpResponseMessage Page(bool more, params (string Id, string? CustomerId)[] customers) =>
        StubHttp.Json(
            200,
            $$"""
            { "object": "list", "has_more": {{(more ? "true" : "false")}}, "url": "/v1/customers",
              "data": [ {{string.Join(", ", customers.Select(c => Item(c.Id, c.CustomerId, Attempt)))}} ] }
            """
        );

    static string Item(string id, string? customerId, DateTimeOffset created) =>
        $$"""
            { "id": "{{id}}", "object": "customer", "created": {{created.ToUnixTimeSeconds()}}, "name": "Jane",
              "metadata": { {{(customerId is null ? "" : $"\"customer_id\": \"{customerId}\"")}} } }
            """;
}

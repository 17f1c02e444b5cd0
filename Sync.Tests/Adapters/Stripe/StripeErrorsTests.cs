using System.Net.Sockets;
using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>Every documented error through the SDK, as it would come over the wire.</summary>
public sealed class StripeErrorsTests
{
    const string LimitHeader = "Stripe-Rate-Limited-Reason";

    /// <summary>status, error members, header, class, whether a write certainly had no effect, whether its key is spent</summary>
    public static TheoryData<int, string, string?, FailureClass, bool, bool> Failures =>
        new()
        {
            {
                429,
                "\"type\": \"invalid_request_error\", \"code\": \"rate_limit\"",
                null,
                FailureClass.SlowDown,
                true,
                false
            },
            {
                429,
                "\"type\": \"invalid_request_error\", \"code\": \"rate_limit\"",
                LimitHeader,
                FailureClass.SlowDown,
                true,
                false
            },
            {
                429,
                "\"type\": \"invalid_request_error\", \"code\": \"lock_timeout\"",
                null,
                FailureClass.Retry,
                true,
                false
            },
            {
                429,
                "\"type\": \"invalid_request_error\", \"code\": \"lock_timeout\"",
                LimitHeader,
                FailureClass.SlowDown,
                true,
                false
            },
            {
                409,
                "\"type\": \"idempotency_error\", \"code\": \"idempotency_key_in_use\"",
                null,
                FailureClass.Retry,
                false,
                false
            },
            {
                409,
                "\"type\": \"invalid_request_error\", \"code\": \"idempotency_key_in_use\"",
                null,
                FailureClass.Retry,
                false,
                false
            },
            { 409, "\"type\": \"invalid_request_error\"", null, FailureClass.Retry, false, false },
            { 400, "\"type\": \"idempotency_error\"", null, FailureClass.Retry, false, true },
            {
                400,
                "\"type\": \"invalid_request_error\", \"code\": \"parameter_unknown\", \"param\": \"bogus\"",
                null,
                FailureClass.PauseAll,
                true,
                false
            },
            { 401, "\"type\": \"invalid_request_error\"", null, FailureClass.PauseAll, true, false },
            {
                401,
                "\"type\": \"invalid_request_error\", \"code\": \"api_key_expired\"",
                null,
                FailureClass.PauseAll,
                true,
                false
            },
            { 403, "\"type\": \"invalid_request_error\"", null, FailureClass.PauseAll, true, false },
            {
                403,
                "\"type\": \"invalid_request_error\", \"code\": \"request_blocked\"",
                null,
                FailureClass.PauseAll,
                true,
                false
            },
            { 404, "\"type\": \"invalid_request_error\"", null, FailureClass.PauseAll, true, false },
            { 424, "\"type\": \"api_error\"", null, FailureClass.Retry, false, false },
            { 500, "\"type\": \"api_error\"", null, FailureClass.Retry, false, false },
            { 500, "\"type\": \"api_error\"", "Idempotent-Replayed", FailureClass.Retry, false, true },
            { 503, "\"type\": \"api_error\"", null, FailureClass.Retry, false, false },
        };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_says_what_to_do_and_whether_the_write_can_have_happened(
        int status,
        string error,
        string? header,
        FailureClass expected,
        bool definite,
        bool keySpent
    )
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Error(status, error, header is null ? [] : [(header, "true")])
        );

        var failed = Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("name", "Jane")));

        Assert.Equal((expected, definite, keySpent), (failed.Class, failed.Definite, failed.KeySpent));
        Assert.Equal("req_1", failed.RequestId);
        Assert.Equal(1, failed.Calls);
    }

    [Fact]
    public async Task A_read_that_failed_has_certainly_done_nothing()
    {
        using var bench = new StripeBench(_ => StripeBench.Error(500, "\"type\": \"api_error\""));

        Assert.True(Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Definite);
    }

    [Theory]
    [InlineData(
        400,
        "\"type\": \"invalid_request_error\", \"code\": \"email_invalid\", \"param\": \"email\", \"message\": \"Invalid email address: jane@example.com\"",
        "email",
        "email_invalid"
    )]
    [InlineData(
        400,
        "\"type\": \"invalid_request_error\", \"param\": \"address[line1]\", \"message\": \"jane@example.com\"",
        "address.line1",
        "400"
    )]
    [InlineData(
        400,
        "\"type\": \"invalid_request_error\", \"param\": \"metadata[tier]\", \"message\": \"jane@example.com\"",
        "attributes.tier",
        "400"
    )]
    [InlineData(
        400,
        "\"type\": \"invalid_request_error\", \"param\": \"jane@example.com\", \"message\": \"x\"",
        null,
        "400"
    )]
    [InlineData(
        402,
        "\"type\": \"card_error\", \"code\": \"card_declined\", \"message\": \"jane@example.com\"",
        null,
        "card_declined"
    )]
    public async Task A_refusal_names_the_path_and_never_a_value(int status, string error, string? path, string code)
    {
        using var bench = new StripeBench(_ => StripeBench.Error(status, error));

        var refused = Assert.IsType<VendorResult.Refused>(await bench.UpdateOne(("email", "jane@example.com")));

        Assert.Equal(path is null ? [] : [path], refused.Fields.Keys);
        Assert.Equal(code, refused.Code);
        Assert.DoesNotContain(
            "jane",
            refused.ToString() + string.Join(' ', refused.Fields.Values),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task An_unknown_customer_is_gone()
    {
        using var bench = new StripeBench(_ => StripeBench.Error(404, Missing("No such customer: 'cus_1'")));

        Assert.IsType<VendorResult.Gone>(await bench.ReadOne());
        Assert.IsType<VendorResult.Gone>(await bench.UpdateOne(("name", "Jane")));
        Assert.IsType<VendorResult.Gone>(await bench.DeleteOne());
    }

    /// <summary>Else swapping a live key for a test key would report every customer as deleted.</summary>
    [Fact]
    public async Task A_customer_of_the_other_mode_is_not_gone()
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Error(
                404,
                Missing(
                    "No such customer: 'cus_1'; a similar object exists in live mode, but a test mode key was used to make this request."
                )
            )
        );

        Assert.Equal(FailureClass.PauseAll, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(502)]
    public async Task A_page_that_is_not_Stripe_s_says_nothing_about_the_customer(int status)
    {
        using var bench = new StripeBench(_ => StubHttp.Html(status));

        var written = Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("name", "Jane")));
        var read = Assert.IsType<VendorResult.Failed>(await bench.ReadOne());

        Assert.False(written.Definite);
        Assert.True(read.Definite);
        Assert.DoesNotContain("jane@", written.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(201)]
    [InlineData(204)]
    public async Task A_success_other_than_200_is_none_and_its_effect_is_open(int status)
    {
        using var bench = new StripeBench(_ => StubHttp.Json(status, """{ "id": "cus_1", "object": "customer" }"""));

        Assert.False(Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane"))).Definite);
    }

    [Fact]
    public async Task A_redirect_is_a_wrong_address()
    {
        using var bench = new StripeBench(_ => StubHttp.Html(302));

        Assert.Equal(FailureClass.PauseAll, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
    }

    [Fact]
    public async Task A_refused_connection_has_sent_nothing()
    {
        // Bound and not listening: nobody else can take the port, and whoever connects is refused.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        var port = ((System.Net.IPEndPoint)socket.LocalEndPoint!).Port;
        using var bench = new StripeBench(
            Transport.Handler(4),
            options: new() { ApiBase = $"http://127.0.0.1:{port}" }
        );

        var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane")));

        Assert.Equal((FailureClass.Retry, true), (failed.Class, failed.Definite));
    }

    public static TheoryData<Exception> LostOnTheWay =>
        [
            new HttpRequestException(HttpRequestError.ResponseEnded, "jane@example.com"),
            new HttpRequestException("jane@example.com", new IOException("jane@example.com")),
            new TaskCanceledException("jane@example.com", new TimeoutException()),
            new InvalidOperationException("jane@example.com"),
        ];

    [Theory]
    [MemberData(nameof(LostOnTheWay))]
    public async Task A_write_whose_answer_is_lost_may_have_happened(Exception lost)
    {
        using var bench = new StripeBench(_ => throw lost);

        var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane")));

        Assert.Equal((FailureClass.Retry, false), (failed.Class, failed.Definite));
        Assert.DoesNotContain("jane", failed.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_cancellation_is_thrown()
    {
        using var stop = new CancellationTokenSource();
        using var bench = new StripeBench(
            new StubHttp(
                async (_, cancellationToken) =>
                {
                    await stop.CancelAsync();
                    cancellationToken.ThrowIfCancellationRequested();
                    return StripeBench.Customer();
                }
            )
        );

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bench.Vendor.Read(["cus_1"], stop.Token));
    }

    [Fact]
    public void Every_row_that_stops_all_lanes_says_what_to_do()
    {
        Assert.All(
            StripeErrors.Table.Where(r => r.Action == ErrorAction.PauseAll),
            row => Assert.False(string.IsNullOrEmpty(row.Remedy), row.Code)
        );
        Assert.Equal(StripeErrors.Table.Count, StripeErrors.Table.Select(r => (r.Code, r.When)).Distinct().Count());
    }

    static string Missing(string message) =>
        $$"""
            "type": "invalid_request_error", "code": "resource_missing", "param": "id", "message": "{{message}}"
            """;
}

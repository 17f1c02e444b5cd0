using Sync.Sandbox.Faults;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>Idempotency keys and rate limits, with a clock that the test moves.</summary>
public sealed class StripeKeysTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start(frozen: true);

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Fact]
    public async Task A_repeat_with_the_same_key_answers_the_same_and_creates_nothing()
    {
        var first = await _sandbox.Post("/v1/customers", "name=Ada&metadata[a]=1", "k");
        var again = await _sandbox.Post("/v1/customers", "metadata[a]=1&name=Ada", "k");

        Assert.Equal(first.Text, again.Text);
        Assert.Null(first.Header("Idempotent-Replayed"));
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        Assert.Equal(first.Header("Request-Id"), again.Header("Original-Request"));
        Assert.NotEqual(first.Header("Request-Id"), again.Header("Request-Id"));
        Assert.Single(_sandbox.Host.Stripe.All());
    }

    [Fact]
    public async Task A_repeat_answers_what_was_then_and_not_what_is_now()
    {
        var id = await _sandbox.StripeCustomer();
        await _sandbox.Post($"/v1/customers/{id}", "name=One", "k");
        await _sandbox.Post($"/v1/customers/{id}", "name=Two");

        var again = await _sandbox.Post($"/v1/customers/{id}", "name=One", "k");

        Assert.Equal("One", (string?)again.Json!["name"]);
        Assert.Equal("Two", (string?)_sandbox.Host.Stripe.Get(id)["name"]);
    }

    [Fact]
    public async Task Other_parameters_with_the_same_key_are_an_idempotency_error()
    {
        await _sandbox.Post("/v1/customers", "name=Ada", "k");

        var reply = await _sandbox.Post("/v1/customers", "name=Eve", "k");

        Assert.Equal(400, reply.Status);
        Assert.Equal("idempotency_error", (string?)reply.Error["type"]);
        Assert.StartsWith(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                + "Try using a key other than 'k'",
            (string?)reply.Error["message"],
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_key_lives_a_day_and_then_executes_anew()
    {
        await _sandbox.Post("/v1/customers", "name=Ada", "k");
        _sandbox.Clock.Advance(TimeSpan.FromHours(24) - TimeSpan.FromSeconds(1));
        await _sandbox.Post("/v1/customers", "name=Ada", "k");
        Assert.Single(_sandbox.Host.Stripe.All());

        _sandbox.Clock.Advance(TimeSpan.FromSeconds(1));
        await _sandbox.Post("/v1/customers", "name=Ada", "k");

        Assert.Equal(2, _sandbox.Host.Stripe.All().Count);
    }

    [Fact]
    public async Task What_was_refused_before_it_began_is_not_kept()
    {
        Assert.Equal(400, (await _sandbox.Post("/v1/customers", "email=nobody", "k")).Status);

        var reply = await _sandbox.Post("/v1/customers", "email=a@x.org", "k");

        Assert.Equal(200, reply.Status);
        Assert.Null(reply.Header("Idempotent-Replayed"));
    }

    [Fact]
    public async Task A_server_error_after_the_effect_is_kept_too()
    {
        await _sandbox.Host.AddFault(
            new FaultOrder
            {
                Vendor = "stripe",
                Kind = FaultKind.ErrorAfter,
                Next = 1,
            }
        );

        Assert.Equal(500, (await _sandbox.Post("/v1/customers", "name=Ada", "k")).Status);
        var again = await _sandbox.Post("/v1/customers", "name=Ada", "k");

        Assert.Equal(500, again.Status);
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        Assert.Single(_sandbox.Host.Stripe.All());
    }

    [Fact]
    public async Task A_key_whose_first_request_still_runs_is_in_use()
    {
        await _sandbox.Host.AddFault(
            new FaultOrder
            {
                Vendor = "stripe",
                Kind = FaultKind.Late,
                Next = 1,
            }
        );
        using var giveUp = new CancellationTokenSource();
        using var first = new HttpRequestMessage(HttpMethod.Post, "/v1/customers")
        {
            Content = TestSandbox.Form("name=Ada"),
            Headers = { { "Idempotency-Key", "k" } },
        };
        var running = _sandbox.Stripe.SendAsync(first, giveUp.Token);
        await Eventually.Is(() => _sandbox.Host.StripeKeys.InUse == 1, "the first request has the key");

        var reply = await _sandbox.Post("/v1/customers", "name=Ada", "k");

        Assert.Equal(409, reply.Status);
        Assert.Equal("idempotency_key_in_use", (string?)reply.Error["code"]);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        await Eventually.Is(
            async () => (await _sandbox.Post("/v1/customers", "name=Ada", "k")).Status == 200,
            "the late effect is kept under the key"
        );
        Assert.Single(_sandbox.Host.Stripe.All());
    }

    [Fact]
    public async Task A_key_has_at_most_255_characters()
    {
        Assert.Equal(200, (await _sandbox.Post("/v1/customers", "name=a", new string('k', 255))).Status);
        Assert.Equal(400, (await _sandbox.Post("/v1/customers", "name=a", new string('k', 256))).Status);
    }

    [Fact]
    public async Task Reads_and_deletions_know_no_key()
    {
        var id = await _sandbox.StripeCustomer();
        for (var i = 0; i < 2; i++)
        {
            await _sandbox.Post($"/v1/customers/{id}", $"name=N{i}");
            var read = await TestSandbox.Send(
                _sandbox.Stripe,
                HttpMethod.Get,
                $"/v1/customers/{id}",
                null,
                ("Idempotency-Key", "k")
            );
            Assert.Equal($"N{i}", (string?)read.Json!["name"]);
        }
    }

    [Fact]
    public async Task An_endpoint_takes_its_rate_and_the_account_its_own()
    {
        await using var limited = await TestSandbox.Start(
            TestSandbox.Quiet with
            {
                StripeCallsPerEndpointSecond = 3,
                StripeCallsPerSecond = 5,
            },
            frozen: true
        );
        var id = await limited.StripeCustomer();

        Assert.Equal([200, 200], await Statuses(() => limited.Post("/v1/customers", "name=x", "k"), 2));
        var endpoint = await limited.Post("/v1/customers", "name=y", "other");
        Assert.Equal("endpoint-rate", endpoint.Header("Stripe-Rate-Limited-Reason"));
        Assert.Equal("rate_limit", (string?)endpoint.Error["code"]);

        Assert.Equal([200, 200, 429], await Statuses(() => limited.Post($"/v1/customers/{id}", "name=z"), 3));
        var account = await limited.Post($"/v1/customers/{id}", "name=z");
        Assert.Equal("global-rate", account.Header("Stripe-Rate-Limited-Reason"));

        // The key of a call that was over the limit is still unused.
        limited.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(200, (await limited.Post("/v1/customers", "name=other", "other")).Status);
    }

    [Fact]
    public async Task Search_finds_a_change_only_after_its_lag()
    {
        await using var lagging = await TestSandbox.Start(
            TestSandbox.Quiet with
            {
                StripeSearchLagSeconds = 60,
            },
            frozen: true
        );
        await lagging.StripeCustomer("name=Ada");
        const string Ada = "/v1/customers/search?query=name:%27Ada%27";

        Assert.Empty((await TestSandbox.Send(lagging.Stripe, HttpMethod.Get, Ada)).Json!["data"]!.AsArray());
        lagging.Clock.Advance(TimeSpan.FromSeconds(60));

        Assert.Single((await TestSandbox.Send(lagging.Stripe, HttpMethod.Get, Ada)).Json!["data"]!.AsArray());
    }

    static async Task<List<int>> Statuses(Func<Task<Reply>> call, int count)
    {
        var statuses = new List<int>();
        for (var i = 0; i < count; i++)
            statuses.Add((await call()).Status);
        return statuses;
    }
}

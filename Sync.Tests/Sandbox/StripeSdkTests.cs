using Stripe;

namespace Sync.Tests.Sandbox;

/// <summary>Stripe's own client talks to this Stripe without noticing.</summary>
public sealed class StripeSdkTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;
    HttpClient _http = null!;
    StripeClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _sandbox = await TestSandbox.Start();
        _http = new HttpClient();
        _client = new StripeClient(
            new StripeClientOptions
            {
                ApiKey = "sk_test_sandbox",
                ApiBase = _sandbox.Host.StripeAddress.GetLeftPart(UriPartial.Authority),
                HttpClient = new SystemNetHttpClient(_http, maxNetworkRetries: 0, enableTelemetry: false),
            }
        );
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return _sandbox.DisposeAsync();
    }

    [Fact]
    public async Task A_customer_is_created_read_changed_and_deleted()
    {
        var created = await _client.V1.Customers.CreateAsync(
            new CustomerCreateOptions
            {
                Name = "Zoë 😀",
                Email = "zoe@x.org",
                Address = new AddressOptions { Line1 = "L & M = 1", PostalCode = "1+1" },
                Metadata = new() { ["customer_id"] = "c/1" },
                PreferredLocales = ["en", "de"],
            },
            new RequestOptions { IdempotencyKey = "k" }
        );
        Assert.Equal("Zoë 😀", created.Name);
        Assert.Equal("L & M = 1", created.Address.Line1);
        Assert.Equal("1+1", created.Address.PostalCode);

        var changed = await _client.V1.Customers.UpdateAsync(
            created.Id,
            new CustomerUpdateOptions { Email = "", Address = null }
        );
        Assert.Null(changed.Email);
        Assert.Null(changed.Address);
        Assert.Equal("c/1", changed.Metadata["customer_id"]);

        Assert.Equal("Zoë 😀", (await _client.V1.Customers.GetAsync(created.Id)).Name);
        Assert.True((await _client.V1.Customers.DeleteAsync(created.Id)).Deleted);
        Assert.True((await _client.V1.Customers.GetAsync(created.Id)).Deleted);
    }

    [Fact]
    public async Task A_replay_and_an_error_are_read_as_such()
    {
        var options = new CustomerCreateOptions { Name = "Ada" };
        var key = new RequestOptions { IdempotencyKey = "k" };
        var first = await _client.V1.Customers.CreateAsync(options, key);
        var again = await _client.V1.Customers.CreateAsync(options, key);

        Assert.Equal(first.Id, again.Id);
        Assert.Equal("true", again.StripeResponse.Headers.GetValues("Idempotent-Replayed").Single());

        var error = await Assert.ThrowsAsync<StripeException>(() => _client.V1.Customers.GetAsync("cus_none"));
        Assert.Equal("resource_missing", error.StripeError.Code);
        Assert.Equal("id", error.StripeError.Param);
        Assert.StartsWith("req_", error.StripeResponse.RequestId, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_search_and_subscriptions_are_read()
    {
        for (var i = 0; i < 3; i++)
            await _client.V1.Customers.CreateAsync(new CustomerCreateOptions { Name = $"C{i}" });
        var names = new List<string>();
        await foreach (var c in _client.V1.Customers.ListAutoPagingAsync(new CustomerListOptions { Limit = 2 }))
            names.Add(c.Name);
        Assert.Equal(["C2", "C1", "C0"], names);

        var found = await _client.V1.Customers.SearchAsync(new CustomerSearchOptions { Query = "name:'C1'" });
        var id = Assert.Single(found).Id;
        _sandbox.Host.Stripe.Subscribe(id, "trialing");
        var subscriptions = await _client.V1.Subscriptions.ListAsync(
            new SubscriptionListOptions { Customer = id, Status = "all" }
        );
        Assert.Equal("trialing", Assert.Single(subscriptions).Status);
    }
}

using Stripe;
using Sync.Adapter.Vendors;

namespace Sync.Stripe.Adapter.Client;

/// <summary>
/// The calls of Stripe's API that the adapter makes. The SDK repeats nothing by itself: whether a call may be repeated is
/// known to the ledger, not to a client.
/// </summary>
sealed class StripeApi : IDisposable
{
    /// <summary>A customer with full metadata is some 70 kB; a page of 100 stays below this.</summary>
    const int MaxAnswer = 16 * 1024 * 1024;

    readonly HttpClient _http;
    readonly StripeClient _client;
    readonly StripeLimits _limits;
    readonly StripeMapping _mapping;
    readonly ILogger<StripeApi> _log;

    public StripeApi(
        StripeOptions options,
        StripeLimits limits,
        StripeMapping mapping,
        ILogger<StripeApi> log,
        HttpMessageHandler? handler = null
    )
    {
        _limits = limits;
        _mapping = mapping;
        _log = log;
        _http = new(new BoundedBodies(MaxAnswer, handler ?? Transport.Handler(options.MaxConcurrent)))
        {
            Timeout = TimeSpan.FromSeconds(options.TimeoutSeconds),
        };
        _client = new(
            new StripeClientOptions
            {
                ApiKey = options.ApiKey,
                ApiBase = options.ApiBase,
                HttpClient = new SystemNetHttpClient(
                    _http,
                    maxNetworkRetries: 0,
                    appInfo: null,
                    enableTelemetry: false
                ),
            }
        );
    }

    public Task<Answer<Customer>> CreateCustomer(
        CustomerCreateOptions options,
        string key,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.CreateCustomer,
            writes: true,
            token => _client.V1.Customers.CreateAsync(options, new() { IdempotencyKey = key }, token),
            cancellationToken
        );

    public Task<Answer<Customer>> UpdateCustomer(
        string id,
        CustomerUpdateOptions options,
        string key,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.UpdateCustomer,
            writes: true,
            token => _client.V1.Customers.UpdateAsync(id, options, new() { IdempotencyKey = key }, token),
            cancellationToken
        );

    public Task<Answer<Customer>> DeleteCustomer(string id, CancellationToken cancellationToken) =>
        Call(
            StripeCall.DeleteCustomer,
            writes: true,
            token => _client.V1.Customers.DeleteAsync(id, null, null, token),
            cancellationToken
        );

    public Task<Answer<Customer>> GetCustomer(string id, CancellationToken cancellationToken) =>
        Call(
            StripeCall.RetrieveCustomer,
            writes: false,
            token => _client.V1.Customers.GetAsync(id, null, null, token),
            cancellationToken
        );

    public Task<Answer<StripeList<Customer>>> ListCustomers(
        CustomerListOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.ListCustomers,
            writes: false,
            token => _client.V1.Customers.ListAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<StripeSearchResult<Customer>>> SearchCustomers(
        CustomerSearchOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.SearchCustomers,
            writes: false,
            token => _client.V1.Customers.SearchAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<StripeList<Subscription>>> ListSubscriptions(
        SubscriptionListOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.ListSubscriptions,
            writes: false,
            token => _client.V1.Subscriptions.ListAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<StripeList<Event>>> ListEvents(EventListOptions options, CancellationToken cancellationToken) =>
        Call(
            StripeCall.ListEvents,
            writes: false,
            token => _client.V1.Events.ListAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<StripeList<WebhookEndpoint>>> ListWebhookEndpoints(
        WebhookEndpointListOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.WebhookEndpoints,
            writes: false,
            token => _client.V1.WebhookEndpoints.ListAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<WebhookEndpoint>> CreateWebhookEndpoint(
        WebhookEndpointCreateOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.WebhookEndpoints,
            writes: true,
            token => _client.V1.WebhookEndpoints.CreateAsync(options, null, token),
            cancellationToken
        );

    public Task<Answer<WebhookEndpoint>> UpdateWebhookEndpoint(
        string id,
        WebhookEndpointUpdateOptions options,
        CancellationToken cancellationToken
    ) =>
        Call(
            StripeCall.WebhookEndpoints,
            writes: true,
            token => _client.V1.WebhookEndpoints.UpdateAsync(id, options, null, token),
            cancellationToken
        );

    public void Dispose() => _http.Dispose();

    async Task<Answer<T>> Call<T>(
        StripeCall endpoint,
        bool writes,
        Func<CancellationToken, Task<T>> call,
        CancellationToken cancellationToken
    )
        where T : StripeEntity<T>
    {
        using var turn = await _limits.Turn(endpoint, cancellationToken);
        if (turn is null)
        {
            return new(
                null,
                false,
                null,
                new VendorResult.Failed(
                    FailureClass.SlowDown,
                    "own_limit",
                    $"no turn for {endpoint} within {_limits.MaxWait.TotalMilliseconds:0} milliseconds",
                    Definite: true
                ),
                Calls: 0
            );
        }

        try
        {
            var entity = await call(cancellationToken);
            var response = entity.StripeResponse;
            return new(entity, StripeErrors.Replayed(response), response?.RequestId, null, Calls: 1);
        }
        catch (StripeException answer)
        {
            var result = StripeErrors.Classify(answer, _mapping, writes);
            if (result is VendorResult.Failed failed)
                _log.CallFailed(endpoint, failed.Class, failed.Code, failed.Definite, result.RequestId);
            return new(null, false, result.RequestId, result, Calls: 1);
        }
        catch (Exception lost) when (!cancellationToken.IsCancellationRequested)
        {
            var failed = Transport.Failed(lost, writes);
            _log.CallFailed(endpoint, failed.Class, failed.Code, failed.Definite, null);
            return new(null, false, null, failed, Calls: 1);
        }
    }
}

/// <summary>What came of one call: a value, or what else it means.</summary>
/// <param name="Replayed">Stripe repeated the answer of an earlier execution.</param>
readonly record struct Answer<T>(T? Value, bool Replayed, string? RequestId, VendorResult? Error, double Calls)
    where T : class;

using Stripe;
using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter.Client;

namespace Sync.Stripe.Adapter;

/// <summary>
/// Stripe as the frame sees it. It has no batch calls: a list is as many single calls, side by side within the limits. The
/// answer of a write is the record right after it. It has no conditional writes and does not tell who changed a record
/// last, so only a fresh answer to a write of ours is known to be ours.
/// </summary>
sealed class StripeVendor(StripeApi api, StripeMapping mapping, TimeProvider time, ILogger<StripeVendor> log) : IVendor
{
    /// <summary>
    /// A list would be single calls side by side, and as slow as the slowest of them: the frame's workers are side by side
    /// already.
    /// </summary>
    const int MaxBatch = 1;

    const int PageSize = 100;

    /// <summary>Of the newest customers, looked through for one of ours.</summary>
    const int MaxPages = 50;

    /// <summary>Stripe's search runs behind: by a minute as a rule, by up to an hour when something is wrong there.</summary>
    static readonly TimeSpan SearchLag = TimeSpan.FromHours(2);

    public string Name => StripeMapping.System;

    /// <summary>Keys are kept for 24 hours at least; an hour of it is for requests that were long on their way.</summary>
    public VendorTraits Traits { get; } =
        new(
            MaxBatch,
            CreateKeyLifetime: TimeSpan.FromHours(23),
            SuspectWindow: TimeSpan.FromHours(24),
            AnswersWithRecord: true
        );

    public Task<IReadOnlyList<VendorResult>> Read(
        IReadOnlyList<string> externalIds,
        CancellationToken cancellationToken
    ) => Each(externalIds, id => Read(id, cancellationToken));

    public Task<IReadOnlyList<VendorResult>> Create(
        IReadOnlyList<CreateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Each(
            requests,
            async request =>
            {
                var answer = await api.CreateCustomer(mapping.ToCreate(request), request.Key, cancellationToken);
                return Written(answer, created: true);
            }
        );

    public Task<IReadOnlyList<VendorResult>> Update(
        IReadOnlyList<UpdateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Each(
            requests,
            async request =>
            {
                var options = mapping.ToUpdate(request);
                var answer = await api.UpdateCustomer(request.ExternalId, options, request.Key, cancellationToken);
                return Written(answer, created: false);
            }
        );

    public Task<IReadOnlyList<VendorResult>> Delete(
        IReadOnlyList<DeleteRequest> requests,
        CancellationToken cancellationToken
    ) => Each(requests, request => Delete(request, cancellationToken));

    /// <summary>
    /// The list is the one look-up that lags behind nothing: all customers made since the first attempt, once for the whole
    /// batch. An account that makes more of them than <see cref="MaxPages"/> hold is searched for what is older than
    /// <see cref="SearchLag"/>; where neither reaches, "not found" would be a guess, and the answer is a failure.
    /// </summary>
    public async Task<IReadOnlyList<FindResult>> Find(
        IReadOnlyList<FindRequest> requests,
        CancellationToken cancellationToken
    )
    {
        if (requests.Count == 0)
            return [];

        var recent = await List(
            new()
            {
                Created = new DateRangeOptions { GreaterThanOrEqual = requests.Min(r => r.CreatedAfter).UtcDateTime },
            },
            cancellationToken
        );
        if (recent.Failure is { } failure)
            return [.. requests.Select(_ => new FindResult([], failure))];

        var results = new FindResult[requests.Count];
        await Task.WhenAll(
            requests.Select(async (request, i) => results[i] = await Find(request, recent, cancellationToken))
        );
        log.LookedUp(requests.Count, recent.Pages, results.Sum(r => r.Objects.Count));
        return results;
    }

    async Task<FindResult> Find(FindRequest request, Listed recent, CancellationToken cancellationToken)
    {
        Dictionary<string, VendorObject> found = [];
        Keep(recent.Customers);

        if (found.Count == 0 && !string.IsNullOrEmpty(request.Email))
        {
            // Exact and case-sensitive at Stripe: it finds ours while nobody has changed the e-mail, and proves no absence.
            var byEmail = await List(new() { Email = request.Email }, cancellationToken);
            if (byEmail.Failure is { } failure)
                return new([], failure);
            Keep(byEmail.Customers);
        }

        if (found.Count > 0 || !recent.Cut)
            return new([.. found.Values], null);

        if (recent.Customers[^1].Created > (time.GetUtcNow() - SearchLag).UtcDateTime)
            return new([], TooMany());
        var search = await api.SearchCustomers(
            new()
            {
                Query = $"metadata['{StripeMapping.CustomerIdKey}']:'{Quote(request.CustomerId)}'",
                Limit = PageSize,
            },
            cancellationToken
        );
        if (search.Error is { } error)
            return new([], StripeErrors.AsFailure(error));
        Keep(search.Value!.Data);
        return new([.. found.Values], null);

        void Keep(IEnumerable<Customer> customers)
        {
            foreach (var customer in customers)
            {
                var item = mapping.ToObject(customer);
                if (item.CustomerId == request.CustomerId)
                    found[item.ExternalId] = item;
            }
        }
    }

    async Task<Listed> List(CustomerListOptions options, CancellationToken cancellationToken)
    {
        List<Customer> customers = [];
        options.Limit = PageSize;
        for (var page = 1; page <= MaxPages; page++)
        {
            var answer = await api.ListCustomers(options, cancellationToken);
            if (answer.Error is { } error)
                return new([], page, false, StripeErrors.AsFailure(error));

            customers.AddRange(answer.Value!.Data);
            if (!answer.Value.HasMore || answer.Value.Data.Count == 0)
                return new(customers, page, false, null);
            options.StartingAfter = answer.Value.Data[^1].Id;
        }

        return new(customers, MaxPages, true, null);
    }

    async Task<VendorResult> Read(string id, CancellationToken cancellationToken)
    {
        var answer = await api.GetCustomer(id, cancellationToken);
        if (answer.Error is { } error)
            return error with { Calls = answer.Calls };

        // A deleted customer answers 200 with a stub.
        VendorResult result =
            answer.Value!.Deleted == true
                ? new VendorResult.Gone()
                : new VendorResult.Ok(mapping.ToObject(answer.Value));
        return result with { RequestId = answer.RequestId, Calls = answer.Calls };
    }

    VendorResult Written(Answer<Customer> answer, bool created)
    {
        var result = answer.Error switch
        {
            null => new VendorResult.Ok(
                mapping.ToObject(answer.Value!, fresh: !answer.Replayed, created && !answer.Replayed),
                answer.Replayed
            ),
            // A create names no object that could be missing.
            VendorResult.Gone gone when created => StripeErrors.AsFailure(gone),
            var error => error,
        };
        return result with { RequestId = answer.RequestId, Calls = answer.Calls };
    }

    async Task<VendorResult> Delete(DeleteRequest request, CancellationToken cancellationToken)
    {
        var calls = 0.0;
        if (request.UnlessSubscribed)
        {
            var (subscribed, asked) = await Subscribed(request.ExternalId, cancellationToken);
            if (subscribed is not null)
                return subscribed with { Calls = asked };
            calls = asked;
        }

        var answer = await api.DeleteCustomer(request.ExternalId, cancellationToken);
        var result = answer.Error ?? new VendorResult.Ok(null);
        return result with { RequestId = answer.RequestId, Calls = calls + answer.Calls };
    }

    /// <summary>What speaks against a deletion, or null. Subscriptions that ended are not listed, or have ended statuses.</summary>
    async Task<(VendorResult? Result, double Calls)> Subscribed(string id, CancellationToken cancellationToken)
    {
        var options = new SubscriptionListOptions { Customer = id, Limit = PageSize };
        var calls = 0.0;
        for (var page = 1; page <= MaxPages; page++)
        {
            var answer = await api.ListSubscriptions(options, cancellationToken);
            calls += answer.Calls;
            if (answer.Error is { } error)
                return (error, calls);

            var subscriptions = answer.Value!;
            if (subscriptions.Data.Exists(s => s.Status is not ("canceled" or "incomplete_expired")))
            {
                log.Subscribed(id);
                return (
                    new VendorResult.Refused(
                        new Dictionary<string, string>(),
                        "subscribed",
                        "the customer has a live subscription, which the deletion would cancel for good"
                    )
                    {
                        RequestId = answer.RequestId,
                    },
                    calls
                );
            }

            if (!subscriptions.HasMore || subscriptions.Data.Count == 0)
                return (null, calls);
            options.StartingAfter = subscriptions.Data[^1].Id;
        }

        return (TooMany(), calls);
    }

    static async Task<IReadOnlyList<VendorResult>> Each<T>(IReadOnlyList<T> items, Func<T, Task<VendorResult>> act) =>
        await Task.WhenAll(items.Select(act));

    static VendorResult.Failed TooMany() =>
        new(
            FailureClass.Retry,
            "too_many_pages",
            $"the list is longer than {MaxPages} pages of {PageSize}",
            Definite: true
        );

    static string Quote(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal);

    /// <param name="Cut">There are more.</param>
    sealed record Listed(IReadOnlyList<Customer> Customers, int Pages, bool Cut, VendorResult.Failed? Failure);
}

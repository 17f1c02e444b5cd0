using System.Globalization;
using System.Runtime.CompilerServices;
using Stripe;
using Sync.Adapter.Following;
using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter.Client;

namespace Sync.Stripe.Adapter.Events;

/// <summary>
/// All customers, the newest first, as Stripe lists them; deleted ones are not listed. Where to go on is a second and no
/// id: the customer whose id it would be may be gone by then.
/// </summary>
sealed class CustomerListing(StripeApi api, StripeMapping mapping) : IListing
{
    const int PageSize = 100;

    public async IAsyncEnumerable<ListingPage> List(
        string? after,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        CustomerListOptions query = new() { Limit = PageSize };
        if (long.TryParse(after, NumberStyles.None, CultureInfo.InvariantCulture, out var second))
            query.Created = Until(DateTimeOffset.FromUnixTimeSeconds(second).UtcDateTime);

        DateTime? last = null;
        while (true)
        {
            var answer = await api.ListCustomers(query, cancellationToken);
            if (answer.Error is { } error)
            {
                if (query.StartingAfter is null || !StripeErrors.IsUnknownId(error))
                    throw new FeedException(StripeErrors.AsFailure(error));
                // Deleted since the page before: by its second, which tells some twice.
                query.StartingAfter = null;
                query.Created = Until(last!.Value);
                continue;
            }

            var customers = answer.Value!.Data;
            if (customers.Count == 0)
                yield break;
            last = customers[^1].Created;
            query.StartingAfter = customers[^1].Id;
            yield return new(
                customers.ConvertAll(c => mapping.ToObject(c)),
                new DateTimeOffset(DateTime.SpecifyKind(last.Value, DateTimeKind.Utc))
                    .ToUnixTimeSeconds()
                    .ToString(CultureInfo.InvariantCulture)
            );
            if (!answer.Value.HasMore)
                yield break;
        }
    }

    static DateRangeOptions Until(DateTime created) => new() { LessThanOrEqual = created };
}

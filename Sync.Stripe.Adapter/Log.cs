using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter.Client;

namespace Sync.Stripe.Adapter;

/// <summary>Identifiers only: ids, paths, codes, counts.</summary>
static partial class Log
{
    [LoggerMessage(
        2001,
        LogLevel.Warning,
        "Stripe call {Call} failed: {FailureClass}, {Code}, definite {Definite}, request {RequestId}"
    )]
    public static partial void CallFailed(
        this ILogger logger,
        StripeCall call,
        FailureClass failureClass,
        string code,
        bool definite,
        string? requestId
    );

    [LoggerMessage(
        2002,
        LogLevel.Information,
        "Looked for {Customers} customers in {Pages} pages of Stripe's list, found {Found}"
    )]
    public static partial void LookedUp(this ILogger logger, int customers, int pages, int found);

    [LoggerMessage(
        2003,
        LogLevel.Information,
        "Stripe customer {ExternalId} has a live subscription and is not deleted"
    )]
    public static partial void Subscribed(this ILogger logger, string externalId);
}

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

    [LoggerMessage(2010, LogLevel.Information, "Webhooks come in at {Address}; {Secrets} secrets are known")]
    public static partial void DoorOpen(this ILogger logger, string address, int secrets);

    [LoggerMessage(
        2011,
        LogLevel.Warning,
        "The door for webhooks is closed: STRIPE__WEBHOOKSECRETS is not set. Changes in Stripe are seen by the catch-up with its events alone"
    )]
    public static partial void DoorClosed(this ILogger logger);

    [LoggerMessage(2012, LogLevel.Warning, "{Count} webhooks refused since the last such line; the newest: {Outcome}")]
    public static partial void WebhooksRefused(this ILogger logger, long count, string outcome);

    [LoggerMessage(2013, LogLevel.Error, "A webhook could not be stored and was answered 503; Stripe sends it again")]
    public static partial void WebhookNotStored(this ILogger logger, Exception exception);

    [LoggerMessage(2014, LogLevel.Error, "{Count} webhooks cannot be read and are dead letters")]
    public static partial void WebhooksUnreadable(this ILogger logger, int count);

    [LoggerMessage(2015, LogLevel.Warning, "Stored webhooks could not be read; again in {Delay}")]
    public static partial void WebhooksNotRead(this ILogger logger, TimeSpan delay, Exception exception);

    [LoggerMessage(
        2016,
        LogLevel.Error,
        "Event {EventId} of Stripe's list cannot be read and is passed over: {Reason}"
    )]
    public static partial void EventUnreadable(this ILogger logger, string eventId, string reason);
}

using System.Net;
using Stripe;
using Sync.Adapter.Vendors;

namespace Sync.Stripe.Adapter;

/// <summary>
/// What Stripe's errors mean. Stripe's messages quote what was sent, so they are never repeated: a reason is made of code and
/// field.
/// </summary>
static class StripeErrors
{
    const string LimitHeader = "Stripe-Rate-Limited-Reason";
    const string ReplayHeader = "Idempotent-Replayed";

    static readonly ErrorRow IdempotencyMismatch = new(
        "idempotency_error",
        "400",
        ErrorAction.Retry,
        "the key was used with other parameters before"
    )
    {
        Definite = false,
        KeySpent = true,
    };
    static readonly ErrorRow KeyInUse = new(
        "idempotency_key_in_use",
        "409",
        ErrorAction.Retry,
        "an earlier request with the same key is still being executed"
    )
    {
        Definite = false,
    };
    static readonly ErrorRow Conflict = new("409", "409", ErrorAction.Retry, "the object was busy")
    {
        Definite = false,
    };
    static readonly ErrorRow LockTimeout = new(
        "lock_timeout",
        $"429 without {LimitHeader}",
        ErrorAction.Retry,
        "another request held the object's lock"
    );
    static readonly ErrorRow RateLimit = new(
        "rate_limit",
        "429",
        ErrorAction.SlowDown,
        "Stripe limits the rate of calls",
        "lower STRIPE__WRITESPERSECOND and STRIPE__READSPERSECOND where this lasts"
    );
    static readonly ErrorRow Unauthorized = new(
        "401",
        "401",
        ErrorAction.PauseAll,
        "Stripe does not accept the API key",
        "set STRIPE__APIKEY to a valid key of the account"
    );
    static readonly ErrorRow KeyExpired = new(
        "api_key_expired",
        "any status",
        ErrorAction.PauseAll,
        "the API key has expired",
        "set STRIPE__APIKEY to a valid key of the account"
    );
    static readonly ErrorRow SecretKeyRequired = new(
        "secret_key_required",
        "any status",
        ErrorAction.PauseAll,
        "a publishable key cannot do this",
        "set STRIPE__APIKEY to a secret or restricted key"
    );
    static readonly ErrorRow Forbidden = new(
        "403",
        "403",
        ErrorAction.PauseAll,
        "the API key may not do this",
        "give the key read and write permission for customers, and read for subscriptions and events"
    );
    static readonly ErrorRow Blocked = new(
        "request_blocked",
        "any status",
        ErrorAction.PauseAll,
        "Stripe blocks the requests of this account",
        "see the account's dashboard"
    );
    static readonly ErrorRow OtherMode = new(
        "resource_missing",
        "404, and the object exists in the other mode",
        ErrorAction.PauseAll,
        "the API key is of the other mode (test or live) than the customers",
        "set STRIPE__APIKEY to a key of the mode that the customers were made in"
    );
    static readonly ErrorRow Missing = new("resource_missing", "404", ErrorAction.Gone, "there is no such customer");
    static readonly ErrorRow NoSuchCall = new(
        "404",
        "404 without resource_missing",
        ErrorAction.PauseAll,
        "there is no such call at this address",
        "check STRIPE__APIBASE"
    );
    static readonly ErrorRow UnknownParameter = new(
        "parameter_unknown",
        "400",
        ErrorAction.PauseAll,
        "Stripe does not know a parameter that the mapping uses",
        "check the \"to\" names of stripe in systems.json"
    );
    static readonly ErrorRow PaymentRequired = new("402", "402", ErrorAction.Refused, "Stripe refused the request");
    static readonly ErrorRow Dependency = new(
        "424",
        "424",
        ErrorAction.Retry,
        "a server that Stripe depends on did not answer"
    )
    {
        Definite = false,
    };
    static readonly ErrorRow ReplayedServerError = new(
        "5xx",
        $"5xx with {ReplayHeader}",
        ErrorAction.Retry,
        "Stripe repeats the server error that it kept for this key"
    )
    {
        Definite = false,
        KeySpent = true,
    };
    static readonly ErrorRow ServerError = new("5xx", "5xx", ErrorAction.Retry, "Stripe answered with a server error")
    {
        Definite = false,
    };
    static readonly ErrorRow Redirect = new(
        "3xx",
        "3xx",
        ErrorAction.PauseAll,
        "the address answers with a redirect, which Stripe's API never does",
        "check STRIPE__APIBASE"
    );
    static readonly ErrorRow Unreadable = new(
        "unreadable",
        "an answer that is not Stripe's JSON",
        ErrorAction.Retry,
        "the answer is not Stripe's"
    )
    {
        Definite = false,
    };
    static readonly ErrorRow Invalid = new("400", "400", ErrorAction.Refused, "Stripe does not take the value");

    /// <summary>Every row, the more special ones first.</summary>
    public static IReadOnlyList<ErrorRow> Table { get; } =
    [
        OtherMode,
        Missing,
        NoSuchCall,
        KeyExpired,
        SecretKeyRequired,
        Blocked,
        Unauthorized,
        Forbidden,
        PaymentRequired,
        IdempotencyMismatch,
        UnknownParameter,
        Invalid,
        KeyInUse,
        Conflict,
        Dependency,
        LockTimeout,
        RateLimit,
        ReplayedServerError,
        ServerError,
        Redirect,
        Unreadable,
    ];

    /// <summary>For calls whose refusal says nothing about a customer.</summary>
    public static VendorResult.Failed AsFailure(VendorResult error) =>
        error switch
        {
            VendorResult.Failed failed => failed,
            VendorResult.Refused refused => new(FailureClass.PauseAll, refused.Code, refused.Reason, Definite: true)
            {
                RequestId = error.RequestId,
            },
            _ => new(FailureClass.PauseAll, "404", "there is no such call at this address; check STRIPE__APIBASE", true)
            {
                RequestId = error.RequestId,
            },
        };

    /// <summary>Whether a list was asked to go on from something that Stripe does not know.</summary>
    public static bool IsUnknownId(VendorResult error) => error is VendorResult.Gone;

    /// <summary>An answer of 200 that lacks what every such answer has.</summary>
    public static VendorResult.Failed Nonsense { get; } = Unreadable.AsFailure(writes: false);

    /// <param name="writes">Whether the request could have had an effect.</param>
    public static VendorResult Classify(StripeException exception, StripeMapping mapping, bool writes)
    {
        var row = Row(exception);
        var code = exception.StripeError?.Code;
        VendorResult result = row.Action switch
        {
            ErrorAction.Gone => new VendorResult.Gone(),
            ErrorAction.Refused => Refused(row, exception.StripeError, mapping),
            _ => row.AsFailure(writes, code ?? (row.Code == "5xx" ? Status(exception) : null)),
        };
        return result with { RequestId = exception.StripeResponse?.RequestId };
    }

    static ErrorRow Row(StripeException exception)
    {
        var status = (int)exception.HttpStatusCode;

        // An answer that the SDK could not read: a proxy's page, or a success other than 200.
        if (exception.StripeError is not { } error)
        {
            return status switch
            {
                >= 300 and < 400 => Redirect,
                401 => Unauthorized,
                429 => RateLimit,
                >= 500 => ServerError,
                _ => Unreadable,
            };
        }

        return (status, error.Code) switch
        {
            (_, "api_key_expired") => KeyExpired,
            (_, "secret_key_required") => SecretKeyRequired,
            (_, "request_blocked") => Blocked,
            (401, _) => Unauthorized,
            (403, _) => Forbidden,
            (404 or 400, "resource_missing") => Says(error, "a similar object exists in") ? OtherMode : Missing,
            (404, _) => NoSuchCall,
            (402, _) => PaymentRequired,
            (409, "idempotency_key_in_use") => KeyInUse,
            (409, _) => Conflict,
            (424, _) => Dependency,
            (429, "lock_timeout") when !Has(exception, LimitHeader) => LockTimeout,
            (429, _) => RateLimit,
            (400, _) when error.Type == "idempotency_error" => IdempotencyMismatch,
            (400, "parameter_unknown") => UnknownParameter,
            (400, _) => Invalid,
            (>= 500, _) => Replayed(exception.StripeResponse) ? ReplayedServerError : ServerError,
            (>= 300 and < 400, _) => Redirect,
            _ => Unreadable,
        };
    }

    static VendorResult.Refused Refused(ErrorRow row, StripeError? error, StripeMapping mapping)
    {
        var code = error?.Code ?? row.Code;
        var path = mapping.PathOf(error?.Param);
        Dictionary<string, string> fields = [];
        if (path is not null)
            fields[path] = code;
        var where = path ?? (error?.Param is null ? "the request" : "a parameter that no path maps to");
        return new(fields, code, $"{row.Meaning} ({code}): {where}");
    }

    static string Status(StripeException exception) =>
        ((int)exception.HttpStatusCode).ToString(global::System.Globalization.CultureInfo.InvariantCulture);

    static bool Says(StripeError error, string text) =>
        error.Message?.Contains(text, StringComparison.OrdinalIgnoreCase) == true;

    static bool Has(StripeException exception, string header) =>
        exception.StripeResponse?.Headers?.Contains(header) == true;

    /// <summary>Whether the answer is one that Stripe kept from an earlier execution.</summary>
    public static bool Replayed(StripeResponse? response) =>
        response?.Headers is { } headers
        && headers.TryGetValues(ReplayHeader, out var values)
        && values.Any(v => v.Equals("true", StringComparison.OrdinalIgnoreCase));
}

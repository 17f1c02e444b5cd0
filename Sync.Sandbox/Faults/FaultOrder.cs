using System.Text.Json.Serialization;

namespace Sync.Sandbox.Faults;

/// <summary>What can be made to go wrong at a vendor.</summary>
[JsonConverter(typeof(FaultKindConverter))]
enum FaultKind
{
    /// <summary>Refused before anything happens: Stripe 429 <c>rate_limit</c>, Salesforce 403 <c>REQUEST_LIMIT_EXCEEDED</c>.</summary>
    RateLimit,

    /// <summary>Stripe 429 <c>lock_timeout</c>, Salesforce <c>UNABLE_TO_LOCK_ROW</c>; nothing was written.</summary>
    LockTimeout,

    /// <summary>500 before the effect.</summary>
    ErrorBefore,

    /// <summary>500 after the effect; Stripe saves that answer under the idempotency key.</summary>
    ErrorAfter,

    /// <summary>The effect happens, then the connection is cut without an answer.</summary>
    DropAfter,

    /// <summary>The effect happens, then the answer is withheld until the caller gives up.</summary>
    HangAfter,

    /// <summary>The answer is withheld until the caller gives up, and only then the effect happens.</summary>
    Late,

    /// <summary>Works, but takes <see cref="FaultOrder.DelayMs"/>.</summary>
    Slow,

    /// <summary>Connections are refused until the fault is taken back.</summary>
    Down,

    /// <summary>503 in the vendor's own form.</summary>
    Unavailable,

    /// <summary>The credentials are not accepted.</summary>
    Credentials,

    /// <summary>502 with an HTML page, as a proxy in between would answer.</summary>
    Html,

    /// <summary>200 with an HTML page, as a proxy that asks for a sign-in would answer; nothing happened.</summary>
    Nonsense,
}

sealed class FaultKindConverter()
    : JsonStringEnumConverter<FaultKind>(System.Text.Json.JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false);

/// <summary>
/// One fault, switched on: for the next <see cref="Next"/> calls, or by chance with <see cref="Rate"/> and
/// <see cref="Seed"/>; for every call when neither is said.
/// </summary>
sealed record FaultOrder
{
    /// <summary><c>stripe</c> or <c>salesforce</c>.</summary>
    public required string Vendor { get; init; }
    public required FaultKind Kind { get; init; }

    /// <summary>The operation that it hits; all when it is not said.</summary>
    public string? Operation { get; init; }
    public int? Next { get; init; }
    public double? Rate { get; init; }
    public int? Seed { get; init; }

    /// <summary>For <see cref="FaultKind.Slow"/>; 1 to 600,000.</summary>
    public int? DelayMs { get; init; }

    /// <summary>Whether Stripe's 429 names its reason in a header; it does unless this is false.</summary>
    public bool? Header { get; init; }

    /// <summary>What is wrong with the order; null when nothing is.</summary>
    public string? Problem(IReadOnlyDictionary<string, IReadOnlyList<string>> vendors)
    {
        if (!vendors.TryGetValue(Vendor, out var operations))
            return $"vendor: must be one of {string.Join(", ", vendors.Keys)}";
        if (Operation is not null && !operations.Contains(Operation))
            return $"operation: must be one of {string.Join(", ", operations)}";
        if (Next is not null && Rate is not null)
            return "next, rate: only one of both can be said";
        if (Next is < 1 or > 1_000_000)
            return "next: must be 1 to 1,000,000";
        if (Rate is not null && Rate is not (> 0 and <= 1))
            return "rate: must be above 0 and at most 1";
        if (DelayMs is < 1 or > 600_000)
            return "delayMs: must be 1 to 600,000";
        if (Kind is FaultKind.Slow != DelayMs is not null)
            return "delayMs: belongs to kind slow, and slow needs it";
        if (Kind is FaultKind.Down && (Operation ?? (object?)Next ?? Rate) is not null)
            return "kind: down hits every call until it is taken back; operation, next and rate cannot be said";
        return null;
    }
}

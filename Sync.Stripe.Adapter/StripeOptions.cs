using System.ComponentModel.DataAnnotations;
using System.Net;

namespace Sync.Stripe.Adapter;

/// <summary>How to reach Stripe, and how fast. The key is a secret: it is shown nowhere.</summary>
sealed class StripeOptions : IValidatableObject
{
    public const string Section = "Stripe";

    /// <summary>Each costs a hash of the whole body; a rotation needs two.</summary>
    const int MaxSecrets = 8;

    public const string PublicApi = "https://api.stripe.com";

    /// <summary>A secret or restricted key.</summary>
    [Required(ErrorMessage = "is not set; it is the secret key of the account (sk_... or rk_...)")]
    public string ApiKey { get; set; } = "";

    public string ApiBase { get; set; } = PublicApi;

    /// <summary>Writes a second of all replicas together, for each of create, update and delete; Stripe allows 25 per endpoint.</summary>
    [Range(1, 1_000, ErrorMessage = "must be 1 to 1000")]
    public int WritesPerSecond { get; set; } = 20;

    /// <summary>Reads a second of all replicas together, for each of retrieve, list and the look at subscriptions.</summary>
    [Range(1, 1_000, ErrorMessage = "must be 1 to 1000")]
    public int ReadsPerSecond { get; set; } = 20;

    /// <summary>
    /// Calls a second over all endpoints. Unset: four times the larger of the two rates, which stays below the 100 of a live
    /// account; with a test key at Stripe itself 20, since a test account has 25 in all.
    /// </summary>
    [Range(1, 5_000, ErrorMessage = "must be 1 to 5000")]
    public int? CallsPerSecond { get; set; }

    /// <summary>Calls on the way at once.</summary>
    [Range(1, 256, ErrorMessage = "must be 1 to 256")]
    public int MaxConcurrent { get; set; } = 16;

    /// <summary>For one call, with its answer. The frame waits ADAPTER__CALLTIMEOUTSECONDS for turn and call together.</summary>
    [Range(1, 40, ErrorMessage = "must be 1 to 40")]
    public int TimeoutSeconds { get; set; } = 15;

    /// <summary>
    /// Signing secrets of the webhook endpoint, with commas between: while one is rolled there are two. Without any the
    /// door for webhooks stays closed, and changes are seen by the catch-up alone.
    /// </summary>
    public string WebhookSecrets { get; set; } = "";

    /// <summary>Where webhooks come in; 0 takes any free port, and the start log names it.</summary>
    [Range(0, 65_535, ErrorMessage = "must be a port, 0 to 65535")]
    public int WebhookPort { get; set; }

    /// <summary>Loopback unless set: what is reached from outside is a proxy that ends TLS.</summary>
    public string WebhookAddress { get; set; } = "127.0.0.1";

    /// <summary>From one catch-up with Stripe's list of events to the next.</summary>
    [Range(1, 86_400, ErrorMessage = "must be 1 to 86400")]
    public int EventsSeconds { get; set; } = 60;

    public IReadOnlyList<string> Secrets =>
        WebhookSecrets.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    public int TotalPerSecond =>
        CallsPerSecond
        ?? (
            ApiBase == PublicApi && ApiKey.Contains("_test_", StringComparison.Ordinal)
                ? 20
                : 4 * Math.Max(WritesPerSecond, ReadsPerSecond)
        );

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (ApiKey.Any(c => c is <= ' ' or > '~'))
            yield return new("contains white space or characters that no key has", [nameof(ApiKey)]);
        if (Secrets.Any(s => !s.StartsWith("whsec_", StringComparison.Ordinal) || s.Any(c => c is <= ' ' or > '~')))
            yield return new("must be signing secrets (whsec_...), with commas between", [nameof(WebhookSecrets)]);
        else if (Secrets.Count > MaxSecrets)
            yield return new($"has more than {MaxSecrets} secrets", [nameof(WebhookSecrets)]);
        if (!IPAddress.TryParse(WebhookAddress, out _))
            yield return new("must be an IP address, such as 127.0.0.1 or 0.0.0.0", [nameof(WebhookAddress)]);
        if (!Uri.TryCreate(ApiBase, UriKind.Absolute, out var api) || api.Scheme is not ("http" or "https"))
            yield return new("is no http or https address", [nameof(ApiBase)]);
        else if (ApiBase.EndsWith('/') || api.PathAndQuery is not "/" || api.UserInfo.Length > 0)
            yield return new("must be scheme, host and port only, without a slash at its end", [nameof(ApiBase)]);
    }
}

using Microsoft.Extensions.Options;
using Sync.Mapping;

namespace Sync.Stripe.Adapter;

/// <summary>How to reach Stripe, and how fast. The key is a secret: it is shown nowhere.</summary>
sealed class StripeOptions
{
    public const string Section = "Stripe";
    public const string PublicApi = "https://api.stripe.com";

    /// <summary>A secret or restricted key.</summary>
    public string ApiKey { get; set; } = "";

    public string ApiBase { get; set; } = PublicApi;

    /// <summary>Writes a second, for each of create, update and delete; Stripe allows 25 per endpoint.</summary>
    public int WritesPerSecond { get; set; } = 20;

    /// <summary>Reads a second, for each of retrieve, list and the look at subscriptions.</summary>
    public int ReadsPerSecond { get; set; } = 20;

    /// <summary>
    /// Calls a second over all endpoints. Unset: four times the larger of the two rates, which stays below the 100 of a live
    /// account; with a test key at Stripe itself 20, since a test account has 25 in all.
    /// </summary>
    public int? CallsPerSecond { get; set; }

    /// <summary>Calls on the way at once.</summary>
    public int MaxConcurrent { get; set; } = 16;

    /// <summary>For one call, with its answer. The frame waits ADAPTER__CALLTIMEOUTSECONDS for turn and call together.</summary>
    public int TimeoutSeconds { get; set; } = 15;

    public int TotalPerSecond =>
        CallsPerSecond
        ?? (
            ApiBase == PublicApi && ApiKey.Contains("_test_", StringComparison.Ordinal)
                ? 20
                : 4 * Math.Max(WritesPerSecond, ReadsPerSecond)
        );
}

/// <summary>Names every fault of settings and mapping at once.</summary>
sealed class StripeOptionsValidator(SyncConfig config) : IValidateOptions<StripeOptions>
{
    public ValidateOptionsResult Validate(string? name, StripeOptions options)
    {
        List<string> faults = [];
        if (string.IsNullOrWhiteSpace(options.ApiKey))
            faults.Add("STRIPE__APIKEY is not set; it is the secret key of the account (sk_… or rk_…)");
        else if (options.ApiKey.Any(c => char.IsWhiteSpace(c) || char.IsControl(c) || c > 0x7E))
            faults.Add("STRIPE__APIKEY contains white space or characters that no key has");

        if (!Uri.TryCreate(options.ApiBase, UriKind.Absolute, out var api) || api.Scheme is not ("http" or "https"))
            faults.Add("STRIPE__APIBASE is no http or https address");
        else if (options.ApiBase.EndsWith('/') || api.Query.Length > 0 || api.UserInfo.Length > 0)
            faults.Add("STRIPE__APIBASE must be scheme, host and port only, without a slash at its end");

        Range(faults, "STRIPE__WRITESPERSECOND", options.WritesPerSecond, 1, 1_000);
        Range(faults, "STRIPE__READSPERSECOND", options.ReadsPerSecond, 1, 1_000);
        Range(faults, "STRIPE__CALLSPERSECOND", options.CallsPerSecond ?? 1, 1, 5_000);
        Range(faults, "STRIPE__MAXCONCURRENT", options.MaxConcurrent, 1, 256);
        Range(faults, "STRIPE__TIMEOUTSECONDS", options.TimeoutSeconds, 1, 40);

        faults.AddRange(StripeMapping.Faults(config));
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    static void Range(List<string> faults, string name, int value, int min, int max)
    {
        if (value < min || value > max)
            faults.Add($"{name} is {value}; it must be {min} to {max}");
    }
}

using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using Sync.Mapping;

namespace Sync.Salesforce.Adapter;

/// <summary>How to reach Salesforce, and how fast. The secret is shown nowhere.</summary>
sealed class SalesforceOptions
{
    public const string Section = "Salesforce";

    /// <summary>The org's My Domain, <c>https://….my.salesforce.com</c>: the client credentials flow works nowhere else.</summary>
    public string LoginUrl { get; set; } = "";

    public string ClientId { get; set; } = "";

    public string ClientSecret { get; set; } = "";

    public string ApiVersion { get; set; } = "v66.0";

    /// <summary>Calls on the way at once.</summary>
    public int MaxConcurrent { get; set; } = 8;

    /// <summary>For one call, with its answer. The frame waits ADAPTER__CALLTIMEOUTSECONDS for turn and call together.</summary>
    public int TimeoutSeconds { get; set; } = 15;

    /// <summary>Whether records that Salesforce's duplicate rules only warn about are saved all the same.</summary>
    public bool AllowDuplicates { get; set; }
}

/// <summary>Names every fault of settings and mapping at once.</summary>
sealed partial class SalesforceOptionsValidator(SyncConfig config) : IValidateOptions<SalesforceOptions>
{
    public ValidateOptionsResult Validate(string? name, SalesforceOptions options)
    {
        List<string> faults = [];
        if (
            !Uri.TryCreate(options.LoginUrl, UriKind.Absolute, out var login) || login.Scheme is not ("http" or "https")
        )
            faults.Add("SALESFORCE__LOGINURL is no http or https address; it is the org's https://….my.salesforce.com");
        else if (login.Host is "login.salesforce.com" or "test.salesforce.com")
            faults.Add(
                $"SALESFORCE__LOGINURL is {login.Host}, where the client credentials flow does not work; set the org's https://….my.salesforce.com"
            );
        else if (login.AbsolutePath is not "/" || login.Query.Length > 0 || login.UserInfo.Length > 0)
            faults.Add("SALESFORCE__LOGINURL must be scheme and host only");

        if (string.IsNullOrWhiteSpace(options.ClientId))
            faults.Add("SALESFORCE__CLIENTID is not set; it is the consumer key of the external client app");
        if (string.IsNullOrWhiteSpace(options.ClientSecret))
            faults.Add("SALESFORCE__CLIENTSECRET is not set; it is the consumer secret of the external client app");
        if (!Version().IsMatch(options.ApiVersion))
            faults.Add("SALESFORCE__APIVERSION must look like v66.0");
        if (options.MaxConcurrent is < 1 or > 25)
            faults.Add($"SALESFORCE__MAXCONCURRENT is {options.MaxConcurrent}; it must be 1 to 25");
        if (options.TimeoutSeconds is < 1 or > 40)
            faults.Add($"SALESFORCE__TIMEOUTSECONDS is {options.TimeoutSeconds}; it must be 1 to 40");

        faults.AddRange(SalesforceMapping.Faults(config));
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    [GeneratedRegex(@"\Av[1-9][0-9]{1,2}\.0\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Version();
}

using System.ComponentModel.DataAnnotations;

namespace Sync.Salesforce.Adapter;

/// <summary>How to reach Salesforce, and how fast. The secret is shown nowhere.</summary>
sealed class SalesforceOptions : IValidatableObject
{
    public const string Section = "Salesforce";

    /// <summary>The org's My Domain, <c>https://….my.salesforce.com</c>: the client credentials flow works nowhere else.</summary>
    [Required(ErrorMessage = "is not set; it is the address of the org itself, https://<org>.my.salesforce.com")]
    public string LoginUrl { get; set; } = "";

    [Required(ErrorMessage = "is not set; it is the consumer key of the external client app")]
    public string ClientId { get; set; } = "";

    [Required(ErrorMessage = "is not set; it is the consumer secret of the external client app")]
    public string ClientSecret { get; set; } = "";

    [RegularExpression("v[1-9][0-9]{1,2}[.]0", ErrorMessage = "must look like v66.0")]
    public string ApiVersion { get; set; } = "v66.0";

    /// <summary>Calls on the way at once.</summary>
    [Range(1, 25, ErrorMessage = "must be 1 to 25")]
    public int MaxConcurrent { get; set; } = 8;

    /// <summary>For one call, with its answer. The frame waits ADAPTER__CALLTIMEOUTSECONDS for turn and call together.</summary>
    [Range(1, 40, ErrorMessage = "must be 1 to 40")]
    public int TimeoutSeconds { get; set; } = 15;

    /// <summary>Whether records that Salesforce's duplicate rules only warn about are saved all the same.</summary>
    public bool AllowDuplicates { get; set; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (LoginUrl.Length == 0)
            yield break;
        if (!Uri.TryCreate(LoginUrl, UriKind.Absolute, out var login) || login.Scheme is not ("http" or "https"))
            yield return new("is no http or https address", [nameof(LoginUrl)]);
        else if (login.Host is "login.salesforce.com" or "test.salesforce.com")
            yield return new(
                $"is {login.Host}, where the client credentials flow does not work; set the address of the org itself, https://<org>.my.salesforce.com",
                [nameof(LoginUrl)]
            );
        else if (login.PathAndQuery is not "/" || login.UserInfo.Length > 0)
            yield return new("must be scheme and host only", [nameof(LoginUrl)]);
    }
}

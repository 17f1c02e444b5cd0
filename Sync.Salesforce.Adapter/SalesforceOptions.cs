using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Sync.Salesforce.Adapter.Client;

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

    /// <summary>For the client credentials flow; the JWT bearer flow has a key instead.</summary>
    public string ClientSecret { get; set; } = "";

    /// <summary>A PEM file with the private RSA key whose certificate stands in the app: signing in by JWT bearer, without a secret.</summary>
    public string JwtKeyFile { get; set; } = "";

    /// <summary>Who the JWT bearer flow signs in as.</summary>
    public string UserName { get; set; } = "";

    /// <summary>Whom the assertion is for: <c>https://test.salesforce.com</c> for a sandbox of Salesforce's.</summary>
    public string JwtAudience { get; set; } = "https://login.salesforce.com";

    /// <summary>Of the org's daily API calls, how many are left to other apps.</summary>
    [Range(0, 90, ErrorMessage = "must be 0 to 90")]
    public int ReservePercent { get; set; } = 10;

    [RegularExpression("v[1-9][0-9]{1,2}[.]0", ErrorMessage = "must look like v66.0")]
    public string ApiVersion { get; set; } = "v66.0";

    /// <summary>Calls on the way at once.</summary>
    [Range(1, 25, ErrorMessage = "must be 1 to 25")]
    public int MaxConcurrent { get; set; } = 8;

    /// <summary>Records written in one call; less than 200 where the org's own triggers and flows meet limits with so many.</summary>
    [Range(1, SalesforceClient.MaxWrites, ErrorMessage = "must be 1 to 200")]
    public int WriteBatch { get; set; } = SalesforceClient.MaxWrites;

    /// <summary>For one call, with its answer. The frame waits ADAPTER__CALLTIMEOUTSECONDS for turn and call together.</summary>
    [Range(1, 40, ErrorMessage = "must be 1 to 40")]
    public int TimeoutSeconds { get; set; } = 15;

    /// <summary>Whether records that Salesforce's duplicate rules only warn about are saved all the same.</summary>
    public bool AllowDuplicates { get; set; }

    /// <summary>Where changes are learned from: <c>pubsub</c> for change events with a sweep beside them, <c>sweep</c> for orgs without events.</summary>
    [RegularExpression("pubsub|sweep", ErrorMessage = "must be pubsub or sweep")]
    public string Feed { get; set; } = "pubsub";

    /// <summary>Salesforce's Pub/Sub API; orgs in the EU may use <c>https://api.deu.pubsub.salesforce.com:7443</c>.</summary>
    [Required(ErrorMessage = "must be the https address of Salesforce's Pub/Sub API")]
    public string PubSubUrl { get; set; } = "https://api.pubsub.salesforce.com:7443";

    /// <summary>A PEM file with the one certificate authority to trust there; empty for the system's.</summary>
    public string PubSubCa { get; set; } = "";

    /// <summary>The channel with Account's change events: its own, <c>/data/ChangeEvents</c>, or a custom one.</summary>
    [RegularExpression(
        "/data/[A-Za-z][A-Za-z0-9_]{0,79}",
        ErrorMessage = "must look like /data/AccountChangeEvent, or /data/…__chn for a channel of your own"
    )]
    public string Channel { get; set; } = "/data/AccountChangeEvent";

    /// <summary>A stream that says nothing for so long is opened anew; Salesforce says at least every 270 seconds that it lives.</summary>
    [Range(10, 3_600, ErrorMessage = "must be 10 to 3600")]
    public int SilenceSeconds { get; set; } = 300;

    /// <summary>From one sweep to the next; 900 beside change events and 60 without when it is not set.</summary>
    [Range(1, 86_400, ErrorMessage = "must be 1 to 86400")]
    public int? SweepSeconds { get; set; }

    /// <summary>
    /// How far a sweep begins before the end of the last one, for transactions that were open then: a call may run ten
    /// minutes in Salesforce, and what it wrote shows only then, with the time at which it was written.
    /// </summary>
    [Range(0, 86_400, ErrorMessage = "must be 0 to 86400")]
    public int SweepOverlapSeconds { get; set; } = 900;

    public bool UsesJwt => JwtKeyFile.Length > 0;

    public bool UsesEvents => Feed == "pubsub";

    public int SweepEverySeconds => SweepSeconds ?? (UsesEvents ? 900 : 60);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (UsesJwt)
        {
            if (JwtBearer.Problem(JwtKeyFile) is { } key)
                yield return new(key, [nameof(JwtKeyFile)]);
            if (UserName.Length == 0)
                yield return new("is not set; it is the user that SALESFORCE__JWTKEYFILE signs in", [nameof(UserName)]);
            if (ClientSecret.Length > 0)
                yield return new("is set beside SALESFORCE__JWTKEYFILE; set one of the two", [nameof(ClientSecret)]);
            if (!Uri.TryCreate(JwtAudience, UriKind.Absolute, out _))
                yield return new("is no address", [nameof(JwtAudience)]);
        }
        else if (ClientSecret.Length == 0)
        {
            yield return new(
                "is not set; it is the consumer secret of the external client app, unless SALESFORCE__JWTKEYFILE signs in",
                [nameof(ClientSecret)]
            );
        }

        if (PubSubUrl.Length > 0)
        {
            if (!Uri.TryCreate(PubSubUrl, UriKind.Absolute, out var events) || events.Scheme != "https")
                yield return new("is no https address", [nameof(PubSubUrl)]);
            else if (events.PathAndQuery is not "/" || events.UserInfo.Length > 0)
                yield return new("must be scheme, host and port only", [nameof(PubSubUrl)]);
        }

        if (PubSubCa.Length > 0 && PemFault(PubSubCa) is { } fault)
            yield return new(fault, [nameof(PubSubCa)]);
        if (LoginUrl.Length == 0)
            yield break;
        if (!Uri.TryCreate(LoginUrl, UriKind.Absolute, out var login) || login.Scheme is not ("http" or "https"))
            yield return new("is no http or https address", [nameof(LoginUrl)]);
        else if (!UsesJwt && login.Host is ("login.salesforce.com" or "test.salesforce.com"))
            yield return new(
                $"is {login.Host}, where the client credentials flow does not work; set the address of the org itself, https://<org>.my.salesforce.com",
                [nameof(LoginUrl)]
            );
        else if (login.PathAndQuery is not "/" || login.UserInfo.Length > 0)
            yield return new("must be scheme and host only", [nameof(LoginUrl)]);
    }

    static string? PemFault(string path)
    {
        try
        {
            X509Certificate2Collection found = [];
            found.ImportFromPemFile(path);
            return found.Count > 0 ? null : "is a file without a certificate";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "is no file that can be read";
        }
        catch (CryptographicException)
        {
            return "is no PEM file with a certificate";
        }
    }
}

using System.ComponentModel.DataAnnotations;

namespace Sync.Sandbox;

/// <summary>Settings of the sandbox, <c>SANDBOX__…</c> in the environment.</summary>
sealed record SandboxOptions
{
    public const string Section = "Sandbox";

    /// <summary>0 picks a free port; so for all five.</summary>
    [Range(0, 65_535)]
    public int ProductPort { get; init; }

    [Range(0, 65_535)]
    public int StripePort { get; init; }

    [Range(0, 65_535)]
    public int SalesforcePort { get; init; }

    /// <summary>Of Salesforce's Pub/Sub API: gRPC over TLS.</summary>
    [Range(0, 65_535)]
    public int SalesforceEventsPort { get; init; }

    [Range(0, 65_535)]
    public int KafkaPort { get; init; }

    /// <summary>Decides every id and every fault by chance.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Whether Kafka, and with it the product's events, is there at all.</summary>
    public bool Kafka { get; init; } = true;

    [Range(1, 1_024)]
    public int Partitions { get; init; } = Contracts.Topics.Partitions;

    /// <summary>Systems that have topics beside the product, separated by commas.</summary>
    [RegularExpression("^[a-z0-9-]+(,[a-z0-9-]+)*$")]
    public string Systems { get; init; } = "stripe,salesforce";

    /// <summary>Attributes that every customer of the product has, separated by commas.</summary>
    public string ProductAttributes { get; init; } = "tier";

    [MinLength(1)]
    public string StripeApiKey { get; init; } = "sk_test_sandbox";

    /// <summary>Calls a second that Stripe takes from an account; 25 in test mode.</summary>
    [Range(1, 100_000)]
    public int StripeCallsPerSecond { get; init; } = 25;

    /// <summary>Calls a second that each endpoint takes; 25 unless Stripe agrees to more.</summary>
    [Range(1, 100_000)]
    public int StripeCallsPerEndpointSecond { get; init; } = 25;

    /// <summary>Seconds until a change is found by Stripe's search.</summary>
    [Range(0, 3_600)]
    public int StripeSearchLagSeconds { get; init; } = 60;

    [MinLength(1)]
    public string SalesforceClientId { get; init; } = "sandbox-client";

    [MinLength(1)]
    public string SalesforceClientSecret { get; init; } = "sandbox-secret";

    /// <summary>A PEM file with the app's certificate: with one, the holder of its key signs in by JWT bearer as well.</summary>
    public string SalesforceCertificateFile { get; init; } = "";

    /// <summary>Minutes without use after which a session ends.</summary>
    [Range(1, 1_440)]
    public int SalesforceSessionMinutes { get; init; } = 120;

    /// <summary>API requests that the org takes in 24 hours.</summary>
    [Range(1, 100_000_000)]
    public int SalesforceDailyRequests { get; init; } = 100_000;

    /// <summary>Seconds after which a stream without events says that it lives; Salesforce takes up to 270.</summary>
    [Range(1, 3_600)]
    public int SalesforceKeepaliveSeconds { get; init; } = 270;

    /// <summary>Everything that is wrong, each with the setting's name.</summary>
    public IReadOnlyList<string> Problems()
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(this, new ValidationContext(this), results, validateAllProperties: true);
        return
        [
            .. results.Select(result =>
                $"SANDBOX__{string.Join('/', result.MemberNames).ToUpperInvariant()}: {result.ErrorMessage}"
            ),
        ];
    }
}

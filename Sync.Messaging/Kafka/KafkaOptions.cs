using System.ComponentModel.DataAnnotations;
using Confluent.Kafka;

namespace Sync.Messaging.Kafka;

/// <summary>Where Kafka is, and how this process talks to it.</summary>
public sealed class KafkaOptions : IValidatableObject
{
    public const string Section = "Kafka";

    /// <summary><c>host:port</c> of one or more brokers, with commas between.</summary>
    [Required(ErrorMessage = "is missing; give host:port of a broker")]
    public string Bootstrap { get; init; } = "";

    /// <summary>Only for a cluster that does not tell its id; stored offsets belong to it.</summary>
    public string? ClusterId { get; init; }

    /// <summary>Kafka is the sandbox's: fetches wait 5 ms, since it does not wake them, and sessions end after 6 s.</summary>
    public bool Embedded { get; init; }

    /// <summary>Partitions of each of our topics. A customer's key moves when it changes.</summary>
    [Range(1, 10_000, ErrorMessage = "must be 1 to 10000")]
    public int Partitions { get; init; } = 32;

    /// <summary>Copies of each partition that the verb <c>topics</c> asks for.</summary>
    [Range(1, 10, ErrorMessage = "must be 1 to 10")]
    public short Replication { get; init; } = 3;

    public SecurityProtocol SecurityProtocol { get; init; } = SecurityProtocol.Plaintext;

    public SaslMechanism? SaslMechanism { get; init; }

    public string? SaslUsername { get; init; }

    public string? SaslPassword { get; init; }

    /// <summary>A file or folder of certificate authorities; the system's where it is not set.</summary>
    public string? SslCaLocation { get; init; }

    /// <summary>Further librdkafka settings of every client, by upper-case name: <c>KAFKA__CLIENT__SOCKET_TIMEOUT_MS</c>.</summary>
    public Dictionary<string, string> Client { get; init; } = [];

    /// <summary>Further settings of the consumer.</summary>
    public Dictionary<string, string> Consumer { get; init; } = [];

    /// <summary>Further settings of the producer.</summary>
    public Dictionary<string, string> Producer { get; init; } = [];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (SecurityProtocol is SecurityProtocol.SaslPlaintext or SecurityProtocol.SaslSsl)
        {
            if (SaslMechanism is null)
                yield return new("is missing; KAFKA__SECURITYPROTOCOL asks for it", [nameof(SaslMechanism)]);
            if (
                SaslMechanism
                is not (null or Confluent.Kafka.SaslMechanism.Gssapi or Confluent.Kafka.SaslMechanism.OAuthBearer)
            )
            {
                if (string.IsNullOrEmpty(SaslUsername))
                    yield return new("is missing; KAFKA__SASLMECHANISM asks for it", [nameof(SaslUsername)]);
                if (string.IsNullOrEmpty(SaslPassword))
                    yield return new("is missing; KAFKA__SASLMECHANISM asks for it", [nameof(SaslPassword)]);
            }
        }

        foreach (
            var result in Overrides(
                nameof(Client),
                Client,
                [.. KafkaClients.FixedForConsumer, .. KafkaClients.FixedForProducer]
            )
        )
            yield return result;
        foreach (var result in Overrides(nameof(Consumer), Consumer, KafkaClients.FixedForConsumer))
            yield return result;
        foreach (var result in Overrides(nameof(Producer), Producer, KafkaClients.FixedForProducer))
            yield return result;
    }

    /// <summary>An environment variable has no dots in its name: <c>FETCH_WAIT_MAX_MS</c> is <c>fetch.wait.max.ms</c>.</summary>
    internal static string PropertyName(string setting) => setting.Replace('_', '.').ToLowerInvariant();

    static IEnumerable<ValidationResult> Overrides(
        string kind,
        Dictionary<string, string> overrides,
        IReadOnlyList<FixedProperty> fixedProperties
    )
    {
        foreach (var (setting, value) in overrides)
        {
            var name = PropertyName(setting);
            var member = $"{kind}__{setting}";
            if (fixedProperties.FirstOrDefault(f => f.Name == name) is { } kept)
            {
                if (!string.Equals(kept.Value, value, StringComparison.OrdinalIgnoreCase))
                    yield return new($"{name} must stay {kept.Value}: {kept.Reason}", [member]);
            }
            else if (LibRdKafka.Problem(name, value) is { } problem)
            {
                yield return new(problem, [member]);
            }
        }
    }
}

/// <summary>A setting of librdkafka that the promises rest on.</summary>
sealed record FixedProperty(string Name, string Value, string Reason);

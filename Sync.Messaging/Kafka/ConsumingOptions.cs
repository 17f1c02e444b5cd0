using System.ComponentModel.DataAnnotations;

namespace Sync.Messaging.Kafka;

/// <summary>How records are consumed. The limits that promises rest on are no settings.</summary>
public sealed class ConsumingOptions
{
    public const string Section = "Consuming";

    /// <summary>The topic that gets a copy of every dead letter; the table is the truth.</summary>
    [Required(ErrorMessage = "is missing; give the name of a topic")]
    public string DeadLetterTopic { get; init; } = "sync.dead-letters.v1";
}

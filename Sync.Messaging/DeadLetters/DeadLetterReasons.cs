namespace Sync.Messaging.DeadLetters;

/// <summary>
/// The kernel's own reasons of the dead-letter table. Pinned: operators' queries and alerts name them. A behaviour may
/// refuse with a reason of its own, see <see cref="RefusedMessageException"/>.
/// </summary>
static class DeadLetterReasons
{
    /// <summary>The header that names the type is missing.</summary>
    public const string NoType = "no-type";

    /// <summary>A header of CloudEvents is missing or wrong.</summary>
    public const string BadCloudEvent = "bad-cloudevent";

    /// <summary>This version knows no such type.</summary>
    public const string UnknownType = "unknown-type";

    /// <summary>The key is empty, or not the one that the message names as its own.</summary>
    public const string BadKey = "bad-key";

    /// <summary>The record has no value.</summary>
    public const string NoValue = "no-value";

    /// <summary>The value is not UTF-8, or no JSON.</summary>
    public const string BadJson = "bad-json";

    /// <summary>The JSON is not what its type says.</summary>
    public const string Schema = "schema";

    /// <summary>Larger than is read here, or than Kafka takes.</summary>
    public const string TooLarge = "too-large";

    /// <summary>The code that handles it failed.</summary>
    public const string Handler = "handler";

    /// <summary>Its handling took longer than a batch has.</summary>
    public const string HandlerTimeout = "handler-timeout";

    /// <summary>PostgreSQL refused what it wrote.</summary>
    public const string Commit = "commit";

    /// <summary>Kafka refused what we sent.</summary>
    public const string RefusedByKafka = "refused-by-kafka";
}

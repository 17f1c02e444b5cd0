using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sync.Messaging.DeadLetters;

namespace Sync.Messaging.Wire;

/// <summary>Why a record cannot be read: one of the reasons of the dead-letter table, and where the fault is. Never a value.</summary>
public sealed record Refusal(string Code, string Reason);

/// <summary>A decoded message, or why there is none. <see cref="TypeName"/> is known as soon as the header says it.</summary>
/// <param name="Headers">What the event says of itself, whichever way it travelled.</param>
public readonly record struct Decoded(object? Message, string? TypeName, Refusal? Refusal, MessageHeaders Headers)
{
    /// <summary>The record is about something else: neither a message nor a dead letter.</summary>
    public bool IsPassed { get; init; }
}

/// <summary>
/// Turns a record into a message of the catalog: CloudEvents 1.0, binary or structured mode, strict UTF-8; on a topic with a
/// reader of its own, whatever that one reads. Whatever is wrong gets a reason from the dead-letter table's list.
/// </summary>
public sealed class MessageDecoder(MessageCatalog catalog, IEnumerable<IRecordReader>? readers = null)
{
    /// <summary>A larger value is not parsed. Our own producers stop at <see cref="MessageEncoder.MaxBodyBytes"/>.</summary>
    public const int MaxValueBytes = 1024 * 1024;

    /// <summary>JSON nested deeper is refused.</summary>
    public const int MaxDepth = 32;

    /// <summary>A reason is cut here: a path may hold a name that a stranger chose.</summary>
    const int MaxReasonLength = 300;

    readonly Dictionary<string, IRecordReader> _readers = (readers ?? []).ToDictionary(
        r => r.Topic,
        StringComparer.Ordinal
    );

    public Decoded Decode(string topic, byte[]? key, byte[]? value, MessageHeaders headers)
    {
        var typeName = headers.Text(CloudEventNames.Type);
        if (value is null)
            return Refuse(
                typeName,
                DeadLetterReasons.NoValue,
                "the record has no value; a tombstone means nothing on this topic"
            );
        if (value.Length > MaxValueBytes)
            return Refuse(
                typeName,
                DeadLetterReasons.TooLarge,
                $"the value has {value.Length} bytes; at most {MaxValueBytes} are read"
            );
        if (_readers.TryGetValue(topic, out var reader))
            return Decode(key, reader.Read(key, value, headers));
        if (StructuredMode.IsSaidBy(headers.Text(CloudEventNames.ContentType)))
            return Decode(key, StructuredMode.Read(value, headers));
        return Decode(key, value, headers, anyKey: false);
    }

    Decoded Decode(byte[]? key, ReadRecord read) =>
        read.IsPassed ? new(null, null, null, []) { IsPassed = true }
        : read.Refusal is { } refusal ? Refuse(read.TypeName, refusal.Code, refusal.Reason)
        : Decode(key, read.Value, read.Headers, read.AnyKey);

    Decoded Decode(byte[]? key, byte[] value, MessageHeaders headers, bool anyKey)
    {
        var typeName = headers.Text(CloudEventNames.Type);
        if (headers.FindIndex(h => h.Key == CloudEventNames.Type) < 0)
            return Refuse(
                null,
                DeadLetterReasons.NoType,
                $"the header {CloudEventNames.Type} is missing; it names the type of the event"
            );
        if (EnvelopeProblem(headers, typeName) is { } problem)
            return Refuse(typeName, DeadLetterReasons.BadCloudEvent, problem);
        if (catalog.Find(typeName!) is not { } kind)
            return Refuse(
                typeName,
                DeadLetterReasons.UnknownType,
                "this version knows no such type; it is read again when a version does"
            );
        if (!anyKey && (key is null || key.Length == 0))
            return Refuse(
                typeName,
                DeadLetterReasons.BadKey,
                "the key is empty; it orders the messages of one subject"
            );
        if (!System.Text.Unicode.Utf8.IsValid(value))
            return Refuse(typeName, DeadLetterReasons.BadJson, "the value is not UTF-8");

        object message;
        try
        {
            if (JsonSerializer.Deserialize(value, kind.Json) is not { } read)
                return Refuse(typeName, DeadLetterReasons.Schema, "$: null is no message");
            message = read;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NotSupportedException)
        {
            return JsonProblem(value) is { } broken
                ? Refuse(typeName, DeadLetterReasons.BadJson, broken)
                : Refuse(typeName, DeadLetterReasons.Schema, SchemaProblem(value, kind.Json, e as JsonException));
        }

        if (kind.Problem(message) is { } wrong)
            return Refuse(typeName, DeadLetterReasons.Schema, wrong);
        if (!anyKey && !Encoding.UTF8.GetBytes(kind.Key(message)).AsSpan().SequenceEqual(key))
            return Refuse(
                typeName,
                DeadLetterReasons.BadKey,
                "the key is not the one that the message names as its own"
            );

        return new(message, typeName, null, headers);
    }

    static string? EnvelopeProblem(MessageHeaders headers, string? typeName)
    {
        if (string.IsNullOrEmpty(typeName))
            return $"{CloudEventNames.Type} is empty or not UTF-8";
        if (headers.Text(CloudEventNames.SpecVersion) != "1.0")
            return $"{CloudEventNames.SpecVersion} is not 1.0";
        foreach (var required in (ReadOnlySpan<string>)[CloudEventNames.Id, CloudEventNames.Source])
        {
            if (string.IsNullOrEmpty(headers.Text(required)))
                return $"{required} is missing, empty or not UTF-8";
        }

        var contentType = headers.Text(CloudEventNames.ContentType);
        return contentType is null || IsJson(contentType)
            ? null
            : $"{CloudEventNames.ContentType} is not application/json";
    }

    static bool IsJson(string contentType)
    {
        var type = contentType.AsSpan();
        if (type.IndexOf(';') is var end and >= 0)
            type = type[..end];
        type = type.Trim();
        return type.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Where the JSON itself is broken; null when it is well-formed. The parser's own text would quote the body.</summary>
    static string? JsonProblem(byte[] value)
    {
        var reader = new Utf8JsonReader(value, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            while (reader.Read()) { }

            return null;
        }
        catch (JsonException e)
        {
            return $"the value is no JSON of at most {MaxDepth} levels: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}";
        }
    }

    static string SchemaProblem(byte[] value, JsonTypeInfo json, JsonException? fault)
    {
        if (fault is { TargetSite.DeclaringType: { } thrower } && thrower.Assembly != typeof(JsonSerializer).Assembly)
            // A converter of the contract says what is wrong without repeating the value.
            return fault.Message;
        if (fault?.Path is null or "$" && MissingMember(value, json) is { } missing)
            return $"$.{missing}: a required member is missing";

        return $"{fault?.Path ?? "$"}: is missing a required member, stands twice, or has the wrong type";
    }

    static string? MissingMember(byte[] value, JsonTypeInfo json)
    {
        try
        {
            using var document = JsonDocument.Parse(value, new JsonDocumentOptions { MaxDepth = MaxDepth });
            return document.RootElement.ValueKind != JsonValueKind.Object
                ? null
                : json
                    .Properties.FirstOrDefault(p => p.IsRequired && !document.RootElement.TryGetProperty(p.Name, out _))
                    ?.Name;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static Decoded Refuse(string? typeName, string code, string reason) =>
        new(null, typeName, new(code, reason.Length <= MaxReasonLength ? reason : reason[..MaxReasonLength]), []);
}

using System.Text;
using System.Text.Json;
using Sync.Messaging.DeadLetters;

namespace Sync.Messaging.Wire;

/// <summary>
/// CloudEvents 1.0 in structured mode (<c>application/cloudevents+json</c>): attributes and message stand in one JSON object.
/// It is turned into the binary mode that everything behind it reads, with the attributes as headers.
/// </summary>
static class StructuredMode
{
    const string MediaType = "application/cloudevents";
    const string Prefix = "ce_";
    const string Data = "data";
    const string DataBase64 = "data_base64";

    /// <summary>Attributes with a meaning of their own; all others are extensions, which are passed on.</summary>
    const string DataContentType = "datacontenttype";

    /// <summary>Attributes of one event; a bound against hostile input.</summary>
    const int MaxAttributes = 100;

    static readonly JsonDocumentOptions Strict = new()
    {
        // The envelope is one level around the message.
        MaxDepth = MessageDecoder.MaxDepth + 1,
        AllowDuplicateProperties = false,
    };

    /// <summary>Whether the header says so; the record has no <c>ce_</c> headers then.</summary>
    public static bool IsSaidBy(string? contentType) =>
        contentType is not null
        && contentType.AsSpan().TrimStart().StartsWith(MediaType, StringComparison.OrdinalIgnoreCase);

    /// <summary>The same event in binary mode, or why it cannot be read.</summary>
    public static ReadRecord Read(byte[] value, MessageHeaders headers)
    {
        var type = headers.Text(CloudEventNames.ContentType).AsSpan();
        if (type.IndexOf(';') is var end and >= 0)
            type = type[..end];
        if (!type.Trim().Equals("application/cloudevents+json", StringComparison.OrdinalIgnoreCase))
            return Bad("of the structured mode only application/cloudevents+json is read, one event a record");
        if (!System.Text.Unicode.Utf8.IsValid(value))
            return ReadRecord.Refused(DeadLetterReasons.BadJson, "the value is not UTF-8");

        try
        {
            using var document = JsonDocument.Parse(value, Strict);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? Read(document.RootElement, headers)
                : Bad("the value is no JSON object with the attributes of an event");
        }
        catch (JsonException e)
        {
            return ReadRecord.Refused(
                DeadLetterReasons.BadJson,
                $"the value is no JSON of at most {Strict.MaxDepth} levels without doubles: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}"
            );
        }
    }

    static ReadRecord Read(JsonElement envelope, MessageHeaders headers)
    {
        MessageHeaders binary = [.. headers.Where(IsNoAttribute)];
        byte[]? body = null;
        var count = 0;
        foreach (var member in envelope.EnumerateObject())
        {
            if (++count > MaxAttributes)
                return Bad($"an event has at most {MaxAttributes} attributes");
            if (member.NameEquals(Data) || member.NameEquals(DataBase64))
            {
                if (body is not null)
                    return Bad($"{Data} and {DataBase64} exclude each other");
                if (member.NameEquals(Data))
                    body = Encoding.UTF8.GetBytes(member.Value.GetRawText());
                else if (
                    member.Value.ValueKind != JsonValueKind.String
                    || !member.Value.TryGetBytesFromBase64(out body)
                )
                    return Bad($"{DataBase64} is not base64");
            }
            else if (!IsName(member.Name))
            {
                return Bad("an attribute's name has other characters than lower-case letters and digits");
            }
            else if (Text(member.Value) is { } text)
            {
                // A trace travels under its own name, in both modes.
                var name = member.Name switch
                {
                    DataContentType => CloudEventNames.ContentType,
                    CloudEventNames.TraceParent or CloudEventNames.TraceState => member.Name,
                    _ => Prefix + member.Name,
                };
                binary.Add(name, text);
            }
            else if (member.Value.ValueKind != JsonValueKind.Null)
            {
                return Bad($"the attribute {member.Name} is no text, number or boolean");
            }
        }

        return body is null ? Bad($"{Data} is missing") : new(binary, body);
    }

    /// <summary>A record in structured mode may repeat attributes as headers; its body is what counts.</summary>
    static bool IsNoAttribute(KeyValuePair<string, byte[]?> header) =>
        header.Key != CloudEventNames.ContentType && !header.Key.StartsWith(Prefix, StringComparison.Ordinal);

    static bool IsName(string name) =>
        name.Length is > 0 and <= 100 && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c));

    static string? Text(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => TextOf(value),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => null,
        };

    /// <summary>Null where an escaped half of a surrogate pair makes it no text.</summary>
    static string? TextOf(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    static ReadRecord Bad(string reason) => ReadRecord.Refused(DeadLetterReasons.BadCloudEvent, reason);
}

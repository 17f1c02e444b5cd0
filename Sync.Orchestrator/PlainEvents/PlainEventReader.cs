using System.Globalization;
using System.Text.Json;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Messaging.Wire;

namespace Sync.Orchestrator.PlainEvents;

/// <summary>
/// Makes of a product's own JSON the event that the contract has for it. What such an event cannot say, a command applied
/// and a customer that exists, it never says: that is why such a product is only read.
/// </summary>
sealed class PlainEventReader(PlainEventMap map) : IRecordReader
{
    const string Created = "product.customer.created.v1";
    const string Updated = "product.customer.updated.v1";
    const string Deleted = "product.customer.deleted.v1";

    static readonly Guid Namespace = new("b1f1c7c2-6f0e-4a3b-9c57-27d4a5f3a9d0");

    static readonly JsonDocumentOptions Strict = new() { MaxDepth = 32, AllowDuplicateProperties = false };

    /// <summary>RFC 3339; what has no zone is UTC.</summary>
    static readonly string[] Times = ["yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd HH:mm:ss.FFFFFFFK"];

    public string Topic => map.Topic;

    public ReadRecord Read(byte[]? key, byte[] value, MessageHeaders headers)
    {
        try
        {
            using var document = JsonDocument.Parse(value, Strict);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? Read(document.RootElement, key, headers)
                : Schema("$", "is no object");
        }
        catch (JsonException e)
        {
            return ReadRecord.Refused(
                "bad-json",
                $"the value is no JSON of at most 32 levels without doubles: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}"
            );
        }
    }

    ReadRecord Read(JsonElement body, byte[]? key, MessageHeaders headers)
    {
        var said = Place.Find(map.Type.From, body, key, headers);
        if (said.Problem is not null)
            return Schema($"type ({map.Type.From})", said.Problem);
        if (string.IsNullOrEmpty(said.Text))
            return ReadRecord.Refused("no-type", $"type ({map.Type.From}): is missing");
        if (TypeOf(said.Text) is not { } type)
            return map.Type.Otherwise == OtherTypes.Ignored || map.Type.Ignored.Contains(said.Text)
                ? ReadRecord.Passed
                : ReadRecord.Refused(
                    "unknown-type",
                    $"type ({map.Type.From}): {PlainEventMap.File} names no such event; list it there, under \"ignored\" if it says nothing of a customer"
                );

        var id = Place.Find(map.Id, body, key, headers);
        if (id.Problem is not null || id.Text is null)
            return Schema($"id ({map.Id})", id.Problem ?? "is missing", type);
        var number = Place.Find(map.Revision, body, key, headers);
        if (number.Problem is not null || number.Text is null)
            return Schema($"revision ({map.Revision})", number.Problem ?? "is missing", type);
        if (Revision(number.Text) is not { } revision)
            return Schema($"revision ({map.Revision})", "is neither a whole number nor a time as in RFC 3339", type);

        var fields = new CustomerFields();
        foreach (var (path, place) in type == Deleted ? [] : map.Fields)
        {
            var found = Place.Find(place, body, key, headers);
            if (found.Problem is not null)
                return Schema($"{path} ({place})", found.Problem, type);
            if (found.IsThere || map.Absent == AbsentRule.Empty)
                fields[path] = found.Text;
            fields.HasAttributes |= path.StartsWith(Paths.AttributesPrefix, StringComparison.Ordinal);
        }

        return new(
            Envelope(type, id.Text, revision, headers),
            Message(id.Text, revision, type == Deleted ? null : fields)
        )
        {
            AnyKey = map.Key == KeyRule.Any,
        };
    }

    string? TypeOf(string name) =>
        map.Type.Created.Contains(name) ? Created
        : map.Type.Updated.Contains(name) ? Updated
        : map.Type.Deleted.Contains(name) ? Deleted
        : map.Type.Ignored.Contains(name) ? null
        : map.Type.Otherwise == OtherTypes.Updated ? Updated
        : null;

    /// <summary>A time counts in microseconds since 1970.</summary>
    static long? Revision(string text)
    {
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return number;
        return DateTimeOffset.TryParseExact(
            text,
            Times,
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal,
            out var time
        )
            ? (time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond
            : null;
    }

    static MessageHeaders Envelope(string type, string id, long revision, MessageHeaders headers) =>
        [
            .. headers.Where(h =>
                h.Key != CloudEventNames.ContentType && !h.Key.StartsWith("ce_", StringComparison.Ordinal)
            ),
            Header(CloudEventNames.SpecVersion, "1.0"),
            // A second copy has the same id.
            Header(
                CloudEventNames.Id,
                CustomerIds
                    .Version5(Namespace, string.Create(CultureInfo.InvariantCulture, $"{type}\n{revision}\n{id}"))
                    .ToString()
            ),
            Header(CloudEventNames.Type, type),
            Header(CloudEventNames.Source, SystemNames.Product),
        ];

    static KeyValuePair<string, byte[]?> Header(string name, string value) =>
        new(name, global::System.Text.Encoding.UTF8.GetBytes(value));

    static byte[] Message(string id, long revision, CustomerFields? fields)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("customerId", id);
            writer.WriteNumber("revision", revision);
            if (fields is not null)
            {
                writer.WritePropertyName("customer");
                JsonSerializer.Serialize(writer, fields, Contracts.Json.ContractsJson.Default.CustomerFields);
            }

            writer.WriteEndObject();
        }

        return stream.ToArray();
    }

    static ReadRecord Schema(string place, string problem, string? type = null) =>
        ReadRecord.Refused("schema", $"{place}: {problem}", type);
}

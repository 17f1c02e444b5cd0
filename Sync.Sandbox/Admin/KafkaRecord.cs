using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Sync.Contracts;

namespace Sync.Sandbox.Admin;

/// <summary>
/// A record to be put onto Kafka as it is, however wrong: <c>{topic?, partition?, key? | keyBase64?, value? | valueBase64?,
/// headers?: {name: text|null}, headersBase64?: {name: base64}}</c>. A <c>value</c> that is no text is sent as its JSON.
/// </summary>
sealed record KafkaRecord(string Topic, int? Partition, Message<byte[]?, byte[]?> Message)
{
    static readonly HashSet<string> Members = new(StringComparer.Ordinal)
    {
        "topic",
        "partition",
        "key",
        "keyBase64",
        "value",
        "valueBase64",
        "headers",
        "headersBase64",
    };

    /// <exception cref="FormatException">What is wrong with it.</exception>
    public static KafkaRecord Read(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw new FormatException("a record must be an object");
        foreach (var member in json.EnumerateObject())
        {
            if (!Members.Contains(member.Name))
                throw new FormatException($"{member.Name}: is none of {string.Join(", ", Members)}");
        }

        var headers = new Headers();
        foreach (var header in Map(json, "headers"))
        {
            headers.Add(
                header.Name,
                header.Value.ValueKind == JsonValueKind.Null
                    ? null
                    : Encoding.UTF8.GetBytes(Text(header.Value, "headers"))
            );
        }

        foreach (var header in Map(json, "headersBase64"))
            headers.Add(header.Name, Convert.FromBase64String(Text(header.Value, "headersBase64")));
        return new KafkaRecord(
            json.TryGetProperty("topic", out var topic) ? Text(topic, "topic") : Topics.Customers,
            json.TryGetProperty("partition", out var partition) ? partition.GetInt32() : null,
            new Message<byte[]?, byte[]?>
            {
                Key = Bytes(json, "key"),
                Value = Bytes(json, "value"),
                Headers = headers,
            }
        );
    }

    static byte[]? Bytes(JsonElement json, string name)
    {
        if (json.TryGetProperty(name + "Base64", out var encoded))
            return Convert.FromBase64String(Text(encoded, name + "Base64"));
        if (!json.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return Encoding.UTF8.GetBytes(
            value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()
        );
    }

    static JsonElement.ObjectEnumerator Map(JsonElement json, string name)
    {
        if (!json.TryGetProperty(name, out var map))
            return default;
        return map.ValueKind == JsonValueKind.Object
            ? map.EnumerateObject()
            : throw new FormatException($"{name}: must be an object");
    }

    static string Text(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : throw new FormatException($"{name}: must be text");
}

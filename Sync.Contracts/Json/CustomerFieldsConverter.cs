using System.Text.Json;
using System.Text.Json.Serialization;
using Sync.Contracts.Customers;

namespace Sync.Contracts.Json;

/// <summary>Nested object on the wire, flat paths in memory. Errors name the path and never the value.</summary>
public sealed class CustomerFieldsConverter : JsonConverter<CustomerFields>
{
    /// <summary>More attributes than any vendor stores: a bound against hostile input.</summary>
    public const int MaxAttributes = 200;

    public override CustomerFields Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("customer: must be an object");

        var fields = new CustomerFields();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case Paths.Name or Paths.Email or Paths.Phone:
                    Add(fields, name, Text(ref reader, name));
                    break;
                case "address":
                    ReadMap(ref reader, fields, "address", Paths.AddressMembers.Contains);
                    break;
                case "attributes":
                    fields.HasAttributes = reader.TokenType == JsonTokenType.StartObject;
                    ReadMap(ref reader, fields, "attributes", static _ => true);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return fields;
    }

    public override void Write(Utf8JsonWriter writer, CustomerFields value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var path in (ReadOnlySpan<string>)[Paths.Name, Paths.Email, Paths.Phone])
        {
            if (value.TryGetValue(path, out var text))
                writer.WriteString(path, text);
        }

        WriteMap(writer, value, "address");
        WriteMap(writer, value, "attributes");
        writer.WriteEndObject();
    }

    static void WriteMap(Utf8JsonWriter writer, CustomerFields fields, string map)
    {
        var prefix = map + ".";
        var members = fields.Where(f => f.Key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
        if (members.Count == 0 && !(map == "attributes" && fields.HasAttributes))
            return;

        writer.WriteStartObject(map);
        foreach (var (path, text) in members)
            writer.WriteString(path[prefix.Length..], text);
        writer.WriteEndObject();
    }

    static void ReadMap(ref Utf8JsonReader reader, CustomerFields fields, string map, Func<string, bool> known)
    {
        if (reader.TokenType == JsonTokenType.Null)
            return;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException($"customer.{map}: must be an object or null");

        var count = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (!known(name))
            {
                reader.Skip();
                continue;
            }

            if (name.Length is 0 or > CustomerIds.MaxLength || ++count > MaxAttributes)
                throw new JsonException(
                    $"customer.{map}: at most {MaxAttributes} members with names of 1 to {CustomerIds.MaxLength} characters"
                );
            Add(fields, $"{map}.{name}", Text(ref reader, map));
        }
    }

    static void Add(CustomerFields fields, string path, string? value)
    {
        if (!fields.TryAdd(path, value))
            throw new JsonException("customer: a member stands there twice");
    }

    static string? Text(ref Utf8JsonReader reader, string path)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return null;
            case JsonTokenType.String:
                string text;
                try
                {
                    text = reader.GetString()!;
                }
                catch (InvalidOperationException broken)
                {
                    throw new JsonException($"customer.{path}: is not valid text", broken);
                }

                return text.Length <= CustomerFields.MaxValueLength
                    ? text
                    : throw new JsonException(
                        $"customer.{path}: has more than {CustomerFields.MaxValueLength} characters"
                    );
            default:
                throw new JsonException($"customer.{path}: must be text or null");
        }
    }
}

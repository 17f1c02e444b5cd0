using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sync.Contracts.Json;

/// <summary>camelCase names; a name that a later version added reads as the member that is 0, <c>Unknown</c>.</summary>
public sealed class WireEnumConverter<T> : JsonConverter<T>
    where T : struct, Enum
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String)
            throw new JsonException("must be text");

        var text = reader.GetString()!;
        return Enum.GetValues<T>().FirstOrDefault(value => Name(value) == text);
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(Name(value));

    static string Name(T value) => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}

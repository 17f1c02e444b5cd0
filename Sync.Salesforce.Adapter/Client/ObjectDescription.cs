using System.Text.Json;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>An object of the org as the integration user sees it: what is hidden from that user is not there.</summary>
sealed record ObjectDescription(
    string Name,
    bool Createable,
    bool Updateable,
    bool Deletable,
    IReadOnlyDictionary<string, FieldDescription> Fields
)
{
    public static ObjectDescription Parse(JsonElement json)
    {
        Dictionary<string, FieldDescription> fields = new(StringComparer.OrdinalIgnoreCase);
        foreach (var field in json.GetProperty("fields").EnumerateArray())
        {
            var name = field.GetProperty("name").GetString() ?? throw new JsonException("a field without name");
            fields[name] = new(
                name,
                field.TryGetProperty("length", out var length) && length.TryGetInt32(out var characters)
                    ? characters
                    : 0,
                Says(field, "createable"),
                Says(field, "updateable"),
                Says(field, "externalId"),
                Says(field, "unique"),
                Says(field, "caseSensitive"),
                Required: Says(field, "createable") && !Says(field, "nillable") && !Says(field, "defaultedOnCreate")
            );
        }

        return new(
            json.GetProperty("name").GetString() ?? "",
            Says(json, "createable"),
            Says(json, "updateable"),
            Says(json, "deletable"),
            fields
        );
    }

    static bool Says(JsonElement json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;
}

/// <param name="Length">In characters; 0 where it has none.</param>
/// <param name="Required">A create without it is refused.</param>
sealed record FieldDescription(
    string Name,
    int Length,
    bool Createable,
    bool Updateable,
    bool ExternalId,
    bool Unique,
    bool CaseSensitive,
    bool Required
);

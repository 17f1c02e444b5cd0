using System.Text.Json;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>A record as Salesforce answered it.</summary>
sealed record SObject(string Id, IReadOnlyDictionary<string, string?> Fields, string? ETag)
{
    public string? Text(string field) => Fields.GetValueOrDefault(field);

    /// <summary>Numbers and truth values as their JSON text; nested values are no fields of ours.</summary>
    public static SObject Parse(JsonElement json, string? etag)
    {
        Dictionary<string, string?> fields = new(StringComparer.OrdinalIgnoreCase);
        foreach (var member in json.EnumerateObject())
        {
            fields[member.Name] = member.Value.ValueKind switch
            {
                JsonValueKind.String => member.Value.GetString(),
                JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => member.Value.GetRawText(),
                _ => null,
            };
        }

        return fields.GetValueOrDefault("Id") is { } id
            ? new(id, fields, etag)
            : throw new JsonException("a record without Id");
    }
}

/// <summary>What became of one record of a collection.</summary>
sealed record SaveResult(string? Id, bool Success, IReadOnlyList<SalesforceError> Errors);

/// <param name="Message">Of Salesforce, and may quote values: it is read, never shown.</param>
sealed record SalesforceError(string Code, string Message, IReadOnlyList<string> Fields)
{
    /// <summary>A single call says <c>errorCode</c>, a collection <c>statusCode</c>. Anything else is no error of Salesforce.</summary>
    public static IReadOnlyList<SalesforceError> Parse(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Array)
            return [];

        List<SalesforceError> errors = [];
        foreach (var item in json.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object)
                continue;
            var code = Text(item, "errorCode") ?? Text(item, "statusCode");
            if (code is null)
                continue;
            List<string> fields = [];
            if (item.TryGetProperty("fields", out var names) && names.ValueKind == JsonValueKind.Array)
            {
                foreach (var name in names.EnumerateArray())
                {
                    if (name.ValueKind == JsonValueKind.String)
                        fields.Add(name.GetString()!);
                }
            }

            errors.Add(new(code, Text(item, "message") ?? "", fields));
        }

        return errors;
    }

    static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>An answer of Salesforce that is no success. Its message holds codes only.</summary>
sealed class SalesforceException(int status, IReadOnlyList<SalesforceError> errors, string? requestId, int calls)
    : Exception($"Salesforce answered {status} {string.Join(", ", errors.Select(e => e.Code))}")
{
    public int Status => status;

    /// <summary>Empty when the body was not Salesforce's: a proxy's page, for instance.</summary>
    public IReadOnlyList<SalesforceError> Errors => errors;

    public string? RequestId => requestId;

    /// <summary>That the answer took: two where the session ran out in between.</summary>
    public int Calls => calls;
}

/// <summary>The token endpoint did not give a token. Nothing was sent to the API.</summary>
/// <param name="configuration">Whether asking again is of no use until somebody changes a setting.</param>
sealed class SalesforceSignInException(string code, bool configuration, Exception? inner = null)
    : Exception($"Salesforce gives no access token: {code}", inner)
{
    public string Code => code;
    public bool Configuration => configuration;
}

using System.Globalization;
using System.Text.Json;
using Sync.Messaging.Wire;

namespace Sync.Orchestrator.PlainEvents;

/// <summary>
/// A place in a record: <c>customer.contact.email</c> in its JSON, where a number counts the items of a list from 0;
/// <c>header:event-type</c>, a header; <c>key</c>, the record's key.
/// </summary>
static class Place
{
    const string Header = "header:";
    const string Key = "key";

    /// <summary>Steps of a place; JSON is read as deep as that.</summary>
    const int MaxSteps = 16;

    /// <summary>What is wrong with how a place is written; null when nothing is.</summary>
    public static string? Problem(string place) =>
        place.Length is 0 or > 400 ? "is empty or longer than 400 characters"
        : place == Header ? "names no header"
        : place.StartsWith(Header, StringComparison.Ordinal) ? null
        : place.Split('.') is var steps && (steps.Length > MaxSteps || steps.Any(step => step.Length == 0))
            ? $"must be 1 to {MaxSteps} names with dots between"
        : null;

    public static Found Find(string place, JsonElement body, byte[]? key, MessageHeaders headers)
    {
        if (place == Key)
            return OfBytes(key);
        if (place.StartsWith(Header, StringComparison.Ordinal))
        {
            var name = place[Header.Length..];
            var index = headers.FindLastIndex(h => h.Key == name);
            return index < 0 ? Found.Absent : OfBytes(headers[index].Value);
        }

        var at = body;
        foreach (var step in place.Split('.'))
        {
            if (at.ValueKind == JsonValueKind.Null)
                return Found.Null;
            if (at.ValueKind == JsonValueKind.Array)
            {
                if (!int.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out var item))
                    return Found.Unreadable("a list stands on the way");
                if (item >= at.GetArrayLength())
                    return Found.Absent;
                at = at[item];
            }
            else if (at.ValueKind != JsonValueKind.Object)
            {
                return Found.Unreadable("a plain value stands on the way");
            }
            else if (!at.TryGetProperty(step, out at))
            {
                return Found.Absent;
            }
        }

        return Of(at);
    }

    static Found Of(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return Found.Null;
            case JsonValueKind.String:
                try
                {
                    return new(value.GetString());
                }
                catch (InvalidOperationException)
                {
                    return Found.Unreadable("is not valid text");
                }
            case JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                return new(value.GetRawText());
            default:
                return Found.Unreadable("is an object or a list");
        }
    }

    static Found OfBytes(byte[]? value) =>
        value is null ? Found.Absent
        : Utf8.Decode(value) is { } text ? new(text)
        : Found.Unreadable("is not UTF-8");
}

/// <summary>What stands at a place: a text, null, nothing, or what cannot be read.</summary>
readonly record struct Found(string? Text, bool IsThere = true, string? Problem = null)
{
    public static readonly Found Null = new(null);
    public static readonly Found Absent = new(null, IsThere: false);

    public static Found Unreadable(string problem) => new(null, Problem: problem);
}

using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// How far the change events were read. A replay id means something in its own org and channel only, so both stand beside
/// it: after a move to another org it would name another event.
/// </summary>
/// <param name="Replay">Salesforce's own bytes, never looked into; null to begin at the oldest event that is kept.</param>
/// <param name="At">Until when nothing is missing, as far as known.</param>
sealed record EventCursor(string Channel, string Organization, byte[]? Replay, DateTimeOffset? At)
{
    public string Write() => JsonSerializer.Serialize(this, CursorJson.Default.EventCursor);

    /// <summary>Null when it is none.</summary>
    public static EventCursor? Read(string text)
    {
        try
        {
            return
                JsonSerializer.Deserialize(text, CursorJson.Default.EventCursor)
                    is { Channel: not null, Organization: not null } cursor
                ? cursor
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How far the sweep has come.</summary>
/// <param name="At">Of the newest change that was read, by Salesforce's clock.</param>
/// <param name="Begun">
/// Where the sweep began; null in a cursor that is older than this member, and where the begin is not known. What happened
/// before it is a scan's, and the overlap does not reach back there: who filled an org just before Sync came wants no
/// customers of it.
/// </param>
/// <param name="Checked">
/// By our clock: a sweep that began then came to its end. The newest change says nothing of that, since an org may be quiet
/// for months. Null in a cursor that is older than this member.
/// </param>
sealed record SweepCursor(DateTimeOffset At, DateTimeOffset? Begun = null, DateTimeOffset? Checked = null)
{
    public string Write() => JsonSerializer.Serialize(this, CursorJson.Default.SweepCursor);

    /// <summary>Null when it is none.</summary>
    public static SweepCursor? Read(string text)
    {
        try
        {
            return
                JsonSerializer.Deserialize(text, CursorJson.Default.SweepCursor) is { } cursor && cursor.At != default
                ? cursor
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(EventCursor))]
[JsonSerializable(typeof(SweepCursor))]
sealed partial class CursorJson : JsonSerializerContext;

using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sync.Contracts.Json;
using Sync.Contracts.Systems;

namespace Sync.Adapter.Links;

/// <summary>Something to do in a lane: a row of <c>work</c>. Older rows of a lane come first.</summary>
/// <param name="Id">A command's own id, or an id of the hint: taken in once.</param>
sealed record WorkItem(Guid Id, string Lane, PushCustomer? Command, Hint? Hint)
{
    /// <summary>W3C trace context of whatever caused it.</summary>
    public string? TraceParent { get; init; }
    public string? TraceState { get; init; }
}

/// <summary>
/// "Look at this object": a webhook, a change event, a row of a sweep. Its payload is never trusted as the state of the
/// object; it only spares the look when it says nothing that was not reported.
/// </summary>
public sealed record Hint
{
    public required string ExternalId { get; init; }
    public required HintKind Kind { get; init; }

    /// <summary>Our customer id, where the payload carries one.</summary>
    public string? CustomerId { get; init; }

    /// <summary>Mapped values that the payload carries, in the vendor's form: the whole record, or what changed. Null when it carries none, so that only a look can tell.</summary>
    public Dictionary<string, string?>? Fields { get; init; }

    /// <summary>What the changed fields held before, as far as the vendor tells.</summary>
    public Dictionary<string, string?>? Previous { get; init; }

    /// <summary>The command of ours that made the change, known by its key or its stamp; null for everybody else's.</summary>
    public Guid? CommandId { get; init; }

    /// <summary>Report even if nothing differs: somebody asked.</summary>
    public bool Always { get; init; }

    /// <summary>Who asked, as far as it was said.</summary>
    public string? RequestedBy { get; init; }

    /// <summary>The span in which the vendor told of it, such as its webhook's; none where it begins a trace of its own.</summary>
    [JsonIgnore]
    public ActivityContext Cause { get; init; }
}

[JsonConverter(typeof(WireEnumConverter<HintKind>))]
public enum HintKind
{
    Unknown,
    Created,
    Updated,
    Deleted,
    Undeleted,

    /// <summary>Nothing is known but that something may have changed: a gap, a sweep, an operator.</summary>
    Look,
}

/// <summary>JSON of rows. Values stand in <c>link.last</c>, <c>work.body</c> and open ledger entries, and nowhere else.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(Hint))]
[JsonSerializable(typeof(Dictionary<string, string?>))]
[JsonSerializable(typeof(Dictionary<string, ValueHashes>))]
[JsonSerializable(typeof(List<string>))]
sealed partial class RowJson : JsonSerializerContext
{
    public static string? Write<T>(
        IEnumerable<KeyValuePair<string, T>>? map,
        JsonTypeInfo<Dictionary<string, T>> type
    ) => map is null ? null : JsonSerializer.Serialize(new Dictionary<string, T>(map), type);

    public static Dictionary<string, T>? Read<T>(string? json, JsonTypeInfo<Dictionary<string, T>> type) =>
        json is null ? null : JsonSerializer.Deserialize(json, type);
}

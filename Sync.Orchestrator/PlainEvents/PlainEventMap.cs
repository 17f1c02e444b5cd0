using System.Text.Json;
using System.Text.Json.Serialization;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Mapping;

namespace Sync.Orchestrator.PlainEvents;

/// <summary>
/// <c>product.json</c>: where in the product's own JSON stands what Sync has to know. It is read only with
/// <c>PRODUCT__FORMAT=plain</c>.
/// </summary>
sealed class PlainEventMap
{
    public const string File = "product.json";

    // Source-generated JSON sets an absent init-only member to null: those with a default are settable.

    /// <summary>The product's topic.</summary>
    public string Topic { get; set; } = Topics.Customers;

    /// <summary>Whether a record's key must be the customer's id, which keeps one customer's events in order.</summary>
    public KeyRule Key { get; set; } = KeyRule.Id;

    /// <summary>Where the customer's id stands.</summary>
    public required string Id { get; init; }

    /// <summary>Where the number stands that rises with every change of a customer: an integer, or a time.</summary>
    public required string Revision { get; init; }

    /// <summary>Which event it is.</summary>
    public required TypeMap Type { get; init; }

    /// <summary>What a member means that is not there.</summary>
    public AbsentRule Absent { get; set; } = AbsentRule.Refused;

    /// <summary>By path of the customer: where the value stands.</summary>
    public required Dictionary<string, string> Fields { get; init; }

    /// <exception cref="SyncConfigException">Names every fault at once.</exception>
    public static PlainEventMap Load(string folder, SyncConfig config)
    {
        byte[] bytes;
        try
        {
            bytes = global::System.IO.File.ReadAllBytes(Path.Combine(folder, File));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SyncConfigException([
                $"{Path.Combine(folder, File)}: cannot be read ({e.GetType().Name}); PRODUCT__FORMAT=plain needs it beside systems.json",
            ]);
        }

        return Parse(bytes, config);
    }

    /// <inheritdoc cref="Load"/>
    public static PlainEventMap Parse(ReadOnlySpan<byte> json, SyncConfig config)
    {
        PlainEventMap map;
        try
        {
            map =
                JsonSerializer.Deserialize(json, PlainEventJson.Default.PlainEventMap)
                ?? throw new JsonException("null is no map");
        }
        catch (JsonException e)
        {
            throw new SyncConfigException([$"{File}: {e.Message}"]);
        }

        List<string> faults = [.. map.Faults(config).Select(fault => $"{File}: {fault}")];
        return faults.Count == 0 ? map : throw new SyncConfigException(faults);
    }

    IEnumerable<string> Faults(SyncConfig config)
    {
        if (Topic.Length is 0 or > 249 || !Topic.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
            yield return "topic: is no name of a Kafka topic";
        if (Place.Problem(Id) is { } id)
            yield return $"id: {id}";
        if (Place.Problem(Revision) is { } revision)
            yield return $"revision: {revision}";
        if (Place.Problem(Type.From) is { } from)
            yield return $"type: from: {from}";
        if (Type.Created.Count + Type.Updated.Count == 0 && Type.Otherwise != OtherTypes.Updated)
            yield return "type: names no event that brings a customer; list it under \"created\" or \"updated\"";
        foreach (var twice in Type.Names.GroupBy(name => name).Where(g => g.Count() > 1))
            yield return $"type: \"{twice.Key}\" stands there {twice.Count()} times; name it once";
        if (Fields.Count == 0)
            yield return "fields: maps no field";
        foreach (var (path, place) in Fields)
        {
            if (!config.System(SystemNames.Product).Maps(path))
                yield return $"fields: \"{path}\" is no field of the product in systems.json";
            if (Place.Problem(place) is { } problem)
                yield return $"fields: {path}: {problem}";
        }
    }
}

/// <summary>The product's names for what happened to a customer.</summary>
sealed class TypeMap
{
    /// <summary>Where the name stands.</summary>
    public required string From { get; init; }
    public List<string> Created { get; set; } = [];
    public List<string> Updated { get; set; } = [];
    public List<string> Deleted { get; set; } = [];

    /// <summary>Events about something else, which are passed over.</summary>
    public List<string> Ignored { get; set; } = [];

    /// <summary>What a name means that stands in no list.</summary>
    public OtherTypes Otherwise { get; set; } = OtherTypes.Refused;

    [JsonIgnore]
    public IEnumerable<string> Names => [.. Created, .. Updated, .. Deleted, .. Ignored];
}

enum KeyRule
{
    /// <summary>The customer's id as UTF-8.</summary>
    Id,

    /// <summary>Anything, or none.</summary>
    Any,
}

enum AbsentRule
{
    /// <summary>The product does not have the field: a snapshot that lacks what earlier ones had is refused.</summary>
    Refused,

    /// <summary>The field is empty: many products leave out what is null.</summary>
    Empty,
}

enum OtherTypes
{
    Refused,
    Ignored,
    Updated,
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    AllowDuplicateProperties = false,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true
)]
[JsonSerializable(typeof(PlainEventMap))]
sealed partial class PlainEventJson : JsonSerializerContext;

using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sync.Contracts;
using Sync.Contracts.Customers;

namespace Sync.Mapping;

/// <summary>
/// The mapping files, <c>systems.json</c> and <c>fields.json</c>: shared data, read by orchestrator and adapters alike,
/// so that both mean the same by "the same value".
/// </summary>
public sealed class SyncConfig
{
    SyncConfig(
        IReadOnlyDictionary<string, SystemMap> systems,
        IReadOnlyDictionary<string, FieldPolicy> fields,
        string hash
    )
    {
        Systems = systems;
        Fields = fields;
        Hash = hash;
    }

    /// <summary>By name, in the order of the file; the product is always among them.</summary>
    public IReadOnlyDictionary<string, SystemMap> Systems { get; }

    /// <summary>Authority by path; a path without a row belongs to the product.</summary>
    public IReadOnlyDictionary<string, FieldPolicy> Fields { get; }

    /// <summary>Of both files: two processes that show different hashes disagree about the mapping.</summary>
    public string Hash { get; }

    public SystemMap System(string name) => Systems[name];

    public FieldPolicy Policy(string path) => Fields.GetValueOrDefault(path) ?? FieldPolicy.Default(path);

    /// <exception cref="SyncConfigException">Names every fault of both files at once.</exception>
    public static SyncConfig Load(string folder)
    {
        List<string> faults = [];
        var systemsBytes = Read(Path.Combine(folder, "systems.json"), faults);
        var fieldsBytes = Read(Path.Combine(folder, "fields.json"), faults);
        if (faults.Count > 0)
            throw new SyncConfigException(faults);

        return Parse(systemsBytes, fieldsBytes);
    }

    /// <inheritdoc cref="Load"/>
    public static SyncConfig Parse(ReadOnlySpan<byte> systemsJson, ReadOnlySpan<byte> fieldsJson)
    {
        List<string> faults = [];
        var systems = Deserialize(systemsJson, ConfigJson.Default.ListSystemMap, "systems.json", faults) ?? [];
        var fields = Deserialize(fieldsJson, ConfigJson.Default.ListFieldPolicy, "fields.json", faults) ?? [];

        foreach (var twice in systems.GroupBy(s => s.Name).Where(g => g.Count() > 1))
            faults.Add($"systems.json: system \"{twice.Key}\" stands there {twice.Count()} times; name it once");
        if (faults.Count == 0 && systems.TrueForAll(s => s.Name != SystemNames.Product))
            faults.Add("systems.json: system \"product\" is missing; it is where customers come from");

        foreach (var system in systems)
        {
            if (
                string.IsNullOrEmpty(system.Name)
                || !system.Name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))
            )
                faults.Add(
                    $"systems.json: name \"{system.Name}\" must be lower-case letters and digits; topics are named after it"
                );
            if (system.Fields.Count == 0)
                faults.Add($"systems.json: system \"{system.Name}\" maps no field");
            foreach (var (path, map) in system.Fields)
            {
                map.Path = path;
                if (!Paths.IsKnown(path))
                    faults.Add($"systems.json: {system.Name}: \"{path}\" is no path of a customer");
                if (string.IsNullOrEmpty(map.To))
                    faults.Add($"systems.json: {system.Name}: {path}: \"to\" is missing");
                if (map.Max is <= 0)
                    faults.Add($"systems.json: {system.Name}: {path}: \"max\" must be 1 or more");
                if (map.Form.Contains(Form.Cut) && map.Max is null)
                    faults.Add($"systems.json: {system.Name}: {path}: form \"cut\" needs \"max\"");
            }

            foreach (var to in system.Fields.Values.GroupBy(f => f.To).Where(g => g.Count() > 1))
                faults.Add(
                    $"systems.json: {system.Name}: \"{to.Key}\" is the target of {string.Join(", ", to.Select(f => f.Path))}; one only"
                );
        }

        var names = systems.Select(s => s.Name).Append("any").ToHashSet();
        foreach (var twice in fields.GroupBy(f => f.Path).Where(g => g.Count() > 1))
            faults.Add($"fields.json: path \"{twice.Key}\" stands there {twice.Count()} times; name it once");
        foreach (var field in fields)
        {
            if (!Paths.IsKnown(field.Path))
                faults.Add($"fields.json: \"{field.Path}\" is no path of a customer");
            if (!names.Contains(field.Owner))
                faults.Add(
                    $"fields.json: {field.Path}: owner \"{field.Owner}\" is no system of systems.json, nor \"any\""
                );
            if (field is { Write: WriteRule.Only, Owner: "any" })
                faults.Add($"fields.json: {field.Path}: \"write\": \"only\" needs an owner");
        }

        if (faults.Count > 0)
            throw new SyncConfigException(faults);

        var hash = SHA256.HashData([.. SHA256.HashData(systemsJson), .. SHA256.HashData(fieldsJson)]);
        return new SyncConfig(
            new OrderedDictionary<string, SystemMap>(systems.Select(s => KeyValuePair.Create(s.Name, s))),
            fields.ToDictionary(f => f.Path),
            Convert.ToHexStringLower(hash)[..12]
        );
    }

    static byte[] Read(string path, List<string> faults)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            faults.Add($"{path}: cannot be read ({e.GetType().Name}); SYNC__CONFIG names its folder");
            return [];
        }
    }

    static T? Deserialize<T>(
        ReadOnlySpan<byte> json,
        global::System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type,
        string file,
        List<string> faults
    )
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(json, type);
        }
        catch (JsonException e)
        {
            faults.Add($"{file}: {e.Message}");
            return null;
        }
    }
}

/// <summary>Every fault of the mapping files at once.</summary>
public sealed class SyncConfigException(IReadOnlyList<string> faults)
    : Exception("The mapping files have faults:\n  " + string.Join("\n  ", faults))
{
    public IReadOnlyList<string> Faults => faults;
}

// Optional members below have setters: source-generated JSON sets every init-only member, an absent one to nothing, and
// their defaults would be lost.

/// <summary>One system: which fields it has, under which names, and what it does to what is written.</summary>
public sealed class SystemMap
{
    public required string Name { get; init; }
    public required Dictionary<string, FieldMap> Fields { get; init; }

    public DeletionRule OnDelete { get; set; } = DeletionRule.Delete;

    /// <summary>Whether an update reads the object first.</summary>
    public Guard Guard { get; set; } = Guard.Read;

    public bool Maps(string path) => Fields.ContainsKey(path);
}

/// <summary>One field of one system.</summary>
public sealed class FieldMap
{
    [JsonIgnore]
    public string Path { get; internal set; } = "";

    /// <summary>The vendor's name of the field; dots are nesting.</summary>
    public required string To { get; init; }

    /// <summary>The vendor's limit, in UTF-16 characters; longer values are refused before the call.</summary>
    public int? Max { get; init; }

    /// <summary>What the vendor does to a value when it stores it, in this order.</summary>
    public List<Form> Form { get; set; } = [];
}

/// <summary>Who may change a field, and who wins.</summary>
public sealed record FieldPolicy
{
    public required string Path { get; init; }

    /// <summary>A system, or <c>any</c>.</summary>
    public required string Owner { get; init; }
    public ConflictRule OnConflict { get; set; } = ConflictRule.Owner;
    public WriteRule Write { get; set; } = WriteRule.Any;

    /// <summary>Whether a value may identify a person.</summary>
    public bool Pii { get; set; } = true;

    public static FieldPolicy Default(string path) => new() { Path = path, Owner = SystemNames.Product };
}

public enum ConflictRule
{
    Owner,
    Latest,
    Hold,
}

public enum WriteRule
{
    Any,
    Only,
}

public enum Guard
{
    Read,
    None,
}

public enum DeletionRule
{
    Delete,

    [JsonStringEnumMemberName("delete-unless-subscribed")]
    DeleteUnlessSubscribed,
    Keep,
}

public enum Form
{
    Trim,
    Lower,
    Upper,
    Digits,
    E164,
    Cut,
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    AllowDuplicateProperties = false,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true
)]
[JsonSerializable(typeof(List<SystemMap>))]
[JsonSerializable(typeof(List<FieldPolicy>))]
sealed partial class ConfigJson : JsonSerializerContext;

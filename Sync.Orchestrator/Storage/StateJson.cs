using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.Storage;

/// <summary>
/// State in jsonb columns, <c>{"v": 1, …}</c>. Each document carries the version of its form: what an older process wrote is
/// read, what is written is new, and a form of the future is refused instead of being half understood.
/// </summary>
static class StateJson
{
    public const int Version = 1;

    public static string Fields(Values values) =>
        JsonSerializer.Serialize(new FieldsDocument { Fields = values }, StateJsonContext.Default.FieldsDocument);

    public static Values Fields(string json) => Read(json, StateJsonContext.Default.FieldsDocument).Fields;

    public static string Held(SortedDictionary<string, Values> held) =>
        JsonSerializer.Serialize(new HeldDocument { Fields = held }, StateJsonContext.Default.HeldDocument);

    public static SortedDictionary<string, Values> Held(string json) =>
        new(Read(json, StateJsonContext.Default.HeldDocument).Fields, StringComparer.Ordinal);

    public static string Systems(SortedDictionary<string, SystemState> systems) =>
        JsonSerializer.Serialize(new SystemsDocument { Systems = systems }, StateJsonContext.Default.SystemsDocument);

    public static SortedDictionary<string, SystemState> Systems(string json) =>
        new(Read(json, StateJsonContext.Default.SystemsDocument).Systems, StringComparer.Ordinal);

    public static string Pace(Pace? pace) =>
        JsonSerializer.Serialize(new PaceDocument { Pace = pace! }, StateJsonContext.Default.PaceDocument);

    public static Pace? Pace(string json) => Read(json, StateJsonContext.Default.PaceDocument).Pace;

    /// <summary>How EF, and the kernel, which reads EF's model, see such a column.</summary>
    public static ValueConverter<T, string> Converter<T>(Func<T, string> write, Func<string, T> read) =>
        new(value => write(value), text => read(text));

    public static ValueComparer<T> Comparer<T>(Func<T, string> write, Func<string, T> read) =>
        new(
            (a, b) => (a == null && b == null) || (a != null && b != null && write(a) == write(b)),
            value => StringComparer.Ordinal.GetHashCode(write(value)),
            value => read(write(value))
        );

    static T Read<T>(string json, JsonTypeInfo<T> type)
        where T : StateDocument
    {
        var document = JsonSerializer.Deserialize(json, type)!;
        return document.V == Version
            ? document
            : throw new InvalidOperationException(
                $"a state of version {document.V} was read, and this process knows {Version}: start the version that wrote it"
            );
    }
}

abstract class StateDocument
{
    public int V { get; set; } = StateJson.Version;
}

sealed class FieldsDocument : StateDocument
{
    public Values Fields { get; set; } = [];
}

sealed class HeldDocument : StateDocument
{
    public SortedDictionary<string, Values> Fields { get; set; } = [];
}

sealed class SystemsDocument : StateDocument
{
    public SortedDictionary<string, SystemState> Systems { get; set; } = [];
}

sealed class PaceDocument : StateDocument
{
    public Pace? Pace { get; set; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(FieldsDocument))]
[JsonSerializable(typeof(HeldDocument))]
[JsonSerializable(typeof(SystemsDocument))]
[JsonSerializable(typeof(PaceDocument))]
sealed partial class StateJsonContext : JsonSerializerContext;

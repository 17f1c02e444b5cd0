using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>The event that every contender consumes.</summary>
public sealed record Happened
{
    public required string Key { get; init; }

    /// <summary>The row that it changes, one a key.</summary>
    public required Guid Subject { get; init; }

    /// <summary>1, 2, 3 … in each key: what is lost, doubled or out of order shows.</summary>
    public required long Value { get; init; }

    /// <summary>When it was due to be produced, a timestamp of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public required long At { get; init; }

    /// <summary>Ballast, so that a record is as large as a customer's.</summary>
    public required string Text { get; init; }
}

/// <summary>What every contender sends, once on each of two topics, for each event.</summary>
public sealed record Told
{
    public required string Key { get; init; }
    public required long Value { get; init; }
    public required long At { get; init; }
    public required string Text { get; init; }

    [JsonIgnore]
    public string Topic { get; init; } = "";
}

/// <summary>What the checker reads of a <see cref="Told"/>.</summary>
sealed record Seen(string Key, long Value, long At);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(Happened))]
[JsonSerializable(typeof(Told))]
[JsonSerializable(typeof(Seen))]
sealed partial class BenchJson : JsonSerializerContext
{
    public const string Events = "bench.events.v1";
    public const string FirstCommands = "bench.first-commands.v1";
    public const string SecondCommands = "bench.second-commands.v1";

    public static readonly string[] Commands = [FirstCommands, SecondCommands];

    public static void Fill(MessageCatalog catalog)
    {
        catalog.Add(Kind("bench.happened.v1", Default.Happened, _ => Events, m => m.Key));
        catalog.Add(Kind("bench.told.v1", Default.Told, m => m.Topic, m => m.Key));
    }

    public static MessageCatalog Catalog()
    {
        var catalog = new MessageCatalog();
        Fill(catalog);
        return catalog;
    }

    /// <summary>The two answers to an event.</summary>
    public static Told Answer(Happened happened, string topic) =>
        new()
        {
            Key = happened.Key,
            Value = happened.Value,
            At = happened.At,
            Text = happened.Text,
            Topic = topic,
        };

    static MessageKind Kind<T>(string name, JsonTypeInfo<T> json, Func<T, string> topic, Func<T, string> key)
        where T : class => new(name, json, m => topic((T)m), m => key((T)m), _ => null, _ => null);
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Sync.Contracts.Json;
using Sync.Mapping;

namespace Sync.Adapter.Links;

/// <summary>
/// What the adapter wrote down before it called the vendor for a command, so that a repeat is the same request, and what it
/// still needs to know afterwards: that the command was answered, and which values were its own. An open entry, and one of
/// which a request may still land, keeps the values; any other keeps hashes.
/// </summary>
sealed record LedgerEntry
{
    public required Guid CommandId { get; init; }
    public required string Lane { get; init; }
    public required int Generation { get; init; }

    /// <summary>Golden values; null once they were dropped.</summary>
    public IReadOnlyDictionary<string, string?>? Write { get; init; }

    /// <summary>What the saga believed the vendor to hold; null for a create, which replaces nothing.</summary>
    public IReadOnlyDictionary<string, string?>? Expect { get; init; }

    public IReadOnlyDictionary<string, ValueHashes> Hashes { get; init; } = NoHashes;

    /// <summary>The vendor's version of the record at the first look; frozen with the request.</summary>
    public string? Guard { get; init; }

    public required LedgerState State { get; init; }

    /// <summary>Until then a request of this command may still land; null when every attempt had a definite outcome.</summary>
    public DateTimeOffset? SuspectUntil { get; init; }

    /// <summary>Idempotency keys used up before the present one.</summary>
    public int KeysSpent { get; init; }

    public DateTimeOffset OpenedAt { get; init; }

    public bool IsOpen => State == LedgerState.Open;

    /// <summary>It asked for a record to be made, which is known also when the values are dropped.</summary>
    public bool IsCreate => Hashes.Count > 0 && Hashes.Values.All(h => h.Expected is null);

    public bool IsSuspect(DateTimeOffset now) => SuspectUntil > now;

    /// <summary>Whether <paramref name="held"/> is what the system holds once this command has written the field.</summary>
    public bool Wrote(FieldMap field, string? held) =>
        Hashes.TryGetValue(field.Path, out var hashes) && hashes.Written == Hash(CommandId, field, held);

    /// <summary>Whether the command expected the field to hold <paramref name="held"/>.</summary>
    public bool Expected(FieldMap field, string? held) =>
        Hashes.TryGetValue(field.Path, out var hashes) && hashes.Expected == Hash(CommandId, field, held);

    public static IReadOnlyDictionary<string, ValueHashes> HashesOf(
        Guid commandId,
        SystemMap map,
        IReadOnlyDictionary<string, string?> write,
        IReadOnlyDictionary<string, string?>? expect
    ) =>
        write
            .Where(w => map.Maps(w.Key))
            .ToDictionary(
                w => w.Key,
                w => new ValueHashes(
                    Hash(commandId, map.Fields[w.Key], w.Value),
                    expect is null ? null : Hash(commandId, map.Fields[w.Key], expect.GetValueOrDefault(w.Key))
                )
            );

    // Equal for values that are the same one in this system; salted, so that equal values of two commands differ.
    static string Hash(Guid commandId, FieldMap field, string? value)
    {
        var key = Normaliser.Key(field.Path, Normaliser.Stored(field, value));
        var text = key is null ? $"{commandId}" : $"{commandId}\n{key}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 12));
    }

    static readonly Dictionary<string, ValueHashes> NoHashes = [];
}

/// <param name="Written">Of the value written.</param>
/// <param name="Expected">Of the value expected; null for a create.</param>
sealed record ValueHashes(
    [property: JsonPropertyName("w")] string Written,
    [property: JsonPropertyName("e")] string? Expected
);

[JsonConverter(typeof(WireEnumConverter<LedgerState>))]
enum LedgerState
{
    Unknown,
    Open,

    /// <summary>Answered; its request took effect, or there was nothing to ask for.</summary>
    Done,

    /// <summary>Answered; its request was given up, since the record had moved on.</summary>
    Abandoned,
}

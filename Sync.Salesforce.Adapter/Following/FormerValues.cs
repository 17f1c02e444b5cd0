using Sync.Adapter.Links;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// What a write of ours replaced, as the stream itself tells it. A change event says what a field became and never what it
/// was; but events come in the order of the commits, so what it was is what the last event before ours made of it. This is
/// how an edit is noticed that fell between our read and a write that no If-Match guards, since a list has none.
/// </summary>
/// <remarks>
/// It lives as long as one stream, in memory and bounded. What it does not know it does not claim: after a gap, an event
/// without values, or some minutes, a value may have changed without a word.
/// </remarks>
sealed class FormerValues
{
    /// <summary>With more records on its way at once it begins anew.</summary>
    const int MaxRecords = 10_000;

    /// <summary>By Salesforce's clock, between the edit and our write: longer than any read and write of ours lie apart.</summary>
    static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);

    readonly Dictionary<string, Dictionary<string, (string? Value, DateTimeOffset At)>> _records = new(
        StringComparer.Ordinal
    );

    /// <summary>Something was not told.</summary>
    public void Forget() => _records.Clear();

    /// <summary>Of a change of ours: the same hint with what its fields held before.</summary>
    /// <param name="at">When the change was committed.</param>
    public Hint Tell(Hint hint, DateTimeOffset? at)
    {
        if (hint is not { Kind: HintKind.Created or HintKind.Updated, Fields: { } fields } || at is not { } now)
        {
            _records.Remove(hint.ExternalId);
            return hint;
        }

        if (!_records.TryGetValue(hint.ExternalId, out var held))
        {
            if (_records.Count >= MaxRecords)
                _records.Clear();
            _records[hint.ExternalId] = held = new(StringComparer.Ordinal);
        }

        Dictionary<string, string?> previous = new(StringComparer.Ordinal);
        foreach (var (path, value) in fields)
        {
            if (
                hint.CommandId is not null
                && held.TryGetValue(path, out var before)
                && before.Value != value
                && now - before.At <= MaxAge
            )
                previous[path] = before.Value;
            held[path] = (value, now);
        }

        return previous.Count > 0 ? hint with { Previous = previous } : hint;
    }
}

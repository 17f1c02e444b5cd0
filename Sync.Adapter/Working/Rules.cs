using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Mapping;

namespace Sync.Adapter.Working;

/// <summary>What every round of a process has in common: the system's mapping, what its vendor can do, how keys are named.</summary>
/// <param name="Environment">Part of every idempotency key, so that two installations on one vendor account stay apart.</param>
sealed record Rules(SystemMap Map, VendorTraits Traits, string Environment, string ConfigHash)
{
    /// <summary>A create's key may be about to expire, and clocks differ.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    /// <summary>A backup that is restored is not older: what was created after it is looked for this far back.</summary>
    public static readonly TimeSpan OldestBackup = TimeSpan.FromDays(30);

    /// <summary>
    /// An adapter is not further behind with its events: a write that lands at the end of the vendor's window is seen by then.
    /// </summary>
    public static readonly TimeSpan ReadingLag = TimeSpan.FromHours(1);

    /// <summary>How long a value that appears may be a late write of ours.</summary>
    public TimeSpan Suspicion => Traits.SuspectWindow + ReadingLag;

    public string System => Map.Name;

    /// <summary>The key of the first execution; a spent one is followed by the next number.</summary>
    public string CreateKey(string customerId, int generation, int keysSpent) =>
        Numbered($"csync:{Environment}:create:{CustomerIds.CorrelationId(customerId)}:{generation}", keysSpent);

    public string UpdateKey(Guid commandId, int keysSpent) =>
        Numbered($"csync:{Environment}:upd:{commandId}", keysSpent);

    static string Numbered(string key, int keysSpent) => keysSpent == 0 ? key : $"{key}:{keysSpent + 1}";

    /// <summary>Whether a repeated create must look first: the vendor has no key, or may have forgotten it.</summary>
    public bool LooksBeforeRepeatedCreate(LedgerEntry entry, DateTimeOffset now) =>
        entry.KeysSpent > 0
        || Traits.CreateKeyLifetime is not { } lifetime
        || now >= entry.OpenedAt + lifetime - Margin;

    public bool Same(string path, string? golden, string? held) => Normaliser.Same(Map.Fields[path], golden, held);

    /// <summary>
    /// What cannot be written, by path, with the reason and without the value: a field that is not mapped, a value longer
    /// than the system holds. The vendor is not asked for these.
    /// </summary>
    public SortedDictionary<string, string> Unwritable(IReadOnlyDictionary<string, string?> write)
    {
        var problems = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (path, value) in write)
        {
            if (!Map.Fields.TryGetValue(path, out var field))
                problems[path] = "is not mapped";
            else if (field.Max is { } max && value?.Length > max && !field.Form.Contains(Form.Cut))
                problems[path] = $"has {value.Length} characters, the limit is {max}";
        }

        return problems;
    }
}

namespace Sync.Orchestrator.Customers;

/// <summary>Values by path, in one fixed order, so that equal states are equal text.</summary>
sealed class Values : SortedDictionary<string, string?>
{
    public Values()
        : base(StringComparer.Ordinal) { }

    public Values(IEnumerable<KeyValuePair<string, string?>> values)
        : this()
    {
        foreach (var (path, value) in values)
            this[path] = value;
    }

    /// <summary>The value, null where there is none: an absent value and an empty one are the same to a decision.</summary>
    public string? At(string path) => TryGetValue(path, out var value) ? value : null;

    public Dictionary<string, string?> ToWire() => new(this, StringComparer.Ordinal);
}

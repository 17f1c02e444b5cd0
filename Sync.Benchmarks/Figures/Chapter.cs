namespace Sync.Benchmarks.Figures;

/// <summary>What one benchmark has to say: tables, how they were measured, and the raw numbers.</summary>
/// <param name="Name">Of the verb.</param>
/// <param name="Raw">Goes into the JSON as it is.</param>
sealed record Chapter(string Name, string Title, string Method, IReadOnlyList<Table> Tables, object Raw)
{
    /// <summary>Gates that did not hold, and figures that have none because their proof failed.</summary>
    public IReadOnlyList<string> Failures { get; init; } = [];
}

sealed record Table(string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    public IReadOnlyList<string> Notes { get; init; } = [];
}

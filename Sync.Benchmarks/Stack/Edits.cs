using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Sync.Contracts;
using Sync.Sandbox;

namespace Sync.Benchmarks.Stack;

/// <summary>
/// Follows edits by the name that each gives to its customer: when it was made, and when each of the three strangers was
/// written. It is told by them at the moment of the write, so nothing is polled.
/// </summary>
sealed class Edits
{
    const string Prefix = "Edit ";
    readonly ConcurrentDictionary<int, Edit> _edits = new();
    int _last;

    public Edits(SandboxHost sandbox)
    {
        sandbox.Product.Written = customer => Written(SystemNames.Product, customer.Fields.GetValueOrDefault("name"));
        sandbox.Stripe.Written = customer => Written(SystemNames.Stripe, (string?)customer["name"]);
        sandbox.Salesforce.Written = account =>
            Written(SystemNames.Salesforce, account.Values.GetValueOrDefault("Name"));
    }

    /// <summary>Makes an edit in one system.</summary>
    /// <param name="due">When it should have begun: one that comes late has waited.</param>
    /// <param name="act">Gets the new name.</param>
    public Edit Make(string origin, long due, Action<string> act)
    {
        var number = Interlocked.Increment(ref _last);
        var edit = _edits[number] = new(origin, due);
        act($"{Prefix}{number}");
        return edit;
    }

    void Written(string system, string? name)
    {
        if (
            name is not null
            && name.StartsWith(Prefix, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && _edits.TryGetValue(number, out var edit)
        )
            edit.At.TryAdd(system, Stopwatch.GetTimestamp());
    }
}

/// <param name="Due">A timestamp of <see cref="Stopwatch"/>.</param>
sealed record Edit(string Origin, long Due)
{
    static readonly string[] Systems = [SystemNames.Product, SystemNames.Stripe, SystemNames.Salesforce];

    /// <summary>First write of each system.</summary>
    public ConcurrentDictionary<string, long> At { get; } = new(StringComparer.Ordinal);

    IEnumerable<string> Others => Systems.Where(system => system != Origin);

    public bool IsEverywhere => Others.All(At.ContainsKey);

    /// <summary>Until one system was written.</summary>
    public double Ms(string system) => Stopwatch.GetElapsedTime(Due, At[system]).TotalMilliseconds;

    /// <summary>Until the last of the others was written.</summary>
    public double LastMs => Others.Max(Ms);
}

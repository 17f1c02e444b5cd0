using Sync.Contracts;
using Sync.Mapping;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// What a report's fields mean for golden. Two values stand for each system and field: <c>base</c>, what the system holds
/// in its own form, and <c>at</c>, the golden value that this stands for. News is a value that differs from <c>base</c>, so
/// our own write coming back is no news and a loop ends by construction, also when a vendor trims or re-cases; golden has
/// not moved since as long as it equals <c>at</c>, and then an edit is simply taken.
/// </summary>
static class Observing
{
    public static Decision Observe(CustomerSync sync, Report report, Rules rules)
    {
        var decision = new Decision();
        if (report.Fields is null)
            return decision;

        var before = new Values(sync.Golden);
        foreach (var (path, field) in rules.Config.System(report.System).Fields)
        {
            if (report.Fields.TryGetValue(path, out var value))
                ObserveField(sync, report, field, value, rules, decision);
        }

        foreach (var (path, over) in report.Over)
        {
            if (rules.Config.System(report.System).Fields.TryGetValue(path, out var field))
                Overwritten(sync, report.System, field, over.Value, over.Written, rules, decision);
        }

        Count(sync, before, decision);
        return decision;
    }

    /// <summary>
    /// Ends a held conflict: <paramref name="value"/> becomes golden, and every system that holds it already stands for it.
    /// What a system held when the conflict began does not count, only what it holds now.
    /// </summary>
    public static Decision Choose(CustomerSync sync, string path, string? value, Rules rules)
    {
        var decision = new Decision();
        var before = new Values(sync.Golden);
        Choose(sync, path, value, rules, decision);
        Count(sync, before, decision);
        return decision;
    }

    /// <summary>Whether the value that stands in a system is the golden one, by normaliser and declared form.</summary>
    public static bool Same(FieldMap field, string? golden, string? held) => Normaliser.Same(field, golden, held);

    static void ObserveField(
        CustomerSync sync,
        Report report,
        FieldMap field,
        string? value,
        Rules rules,
        Decision decision
    )
    {
        var path = field.Path;
        var system = sync.System(report.System);
        var firstContact = !system.Base.TryGetValue(path, out var held);
        if (!firstContact && held == value)
            return;

        var golden = sync.Golden.At(path);
        if (report.Own.TryGetValue(path, out var own))
        {
            Set(system, path, value, at: own);
        }
        else if (sync.Held.TryGetValue(path, out var sides))
        {
            Set(system, path, value, at: Normaliser.Clean(value));
            // This side has spoken for itself now; golden no longer speaks for it.
            if (!sides.ContainsKey(report.System))
                sides.Remove(CustomerSync.GoldenSide);
            sides[report.System] = value;
            if (AllSame(sides, path, rules))
                Choose(sync, path, value, rules, decision);
        }
        else if (Same(field, golden, value))
        {
            Set(system, path, value, at: golden);
        }
        else
        {
            bool take;
            if (!MayChange(sync, report.System, path, rules))
                take = false;
            else if (firstContact)
                take = golden is null;
            else if (report.InDoubt)
                // Nobody can say whose value it is, and an old one of ours must not come back: golden stays.
                take = false;
            else
                take = golden == system.At.At(path) || Resolve(sync, report.System, path, value, rules, decision);

            Set(system, path, value, at: Normaliser.Clean(value));
            if (take)
                sync.Golden[path] = Normaliser.Clean(value);
            else if (!sync.Held.ContainsKey(path))
                decision.Notes.Add(new Note(Codes.Overruled, report.System) { Paths = [path] });
        }
    }

    /// <summary>A write of ours replaced a value it did not expect there: an edit that nobody would see otherwise.</summary>
    static void Overwritten(
        CustomerSync sync,
        string name,
        FieldMap field,
        string? value,
        string? written,
        Rules rules,
        Decision decision
    )
    {
        decision.Notes.Add(new Note(Codes.Overwritten, name) { Paths = [field.Path] });
        if (sync.Held.TryGetValue(field.Path, out var sides))
        {
            sides[name] = value;
            return;
        }

        // Only while golden still is what that write wrote. Later values of golden are somebody's newer decision.
        if (
            sync.Golden.At(field.Path) == written
            && !Same(field, written, value)
            && MayChange(sync, name, field.Path, rules)
            && Resolve(sync, name, field.Path, value, rules, decision)
        )
            sync.Golden[field.Path] = Normaliser.Clean(value);
    }

    /// <summary>Who wins where golden has moved since the system last agreed with it.</summary>
    static bool Resolve(CustomerSync sync, string name, string path, string? value, Rules rules, Decision decision)
    {
        var policy = rules.Config.Policy(path);
        switch (policy.OnConflict)
        {
            case ConflictRule.Hold:
                sync.Held[path] = new Values { [CustomerSync.GoldenSide] = sync.Golden.At(path), [name] = value };
                decision.Notes.Add(new Note(Codes.Held, name) { Paths = [path] });
                return false;
            case ConflictRule.Owner when policy.Owner != "any" && policy.Owner != name:
                return false;
            default:
                decision.Notes.Add(new Note(Codes.Overruled, CustomerSync.GoldenSide) { Paths = [path] });
                return true;
        }
    }

    /// <summary>
    /// Whether a system's edit of the field can count at all. A product that is only read cannot be told, so what it has
    /// is its own alone; what it does not have is for the vendors to agree on.
    /// </summary>
    static bool MayChange(CustomerSync sync, string name, string path, Rules rules)
    {
        var policy = rules.Config.Policy(path);
        if (policy.Write == WriteRule.Only && policy.Owner != name)
            return false;
        return !rules.OneWay || name == SystemNames.Product || !sync.System(SystemNames.Product).Base.ContainsKey(path);
    }

    static void Choose(CustomerSync sync, string path, string? value, Rules rules, Decision decision)
    {
        var golden = Normaliser.Clean(value);
        sync.Golden[path] = golden;
        sync.Held.Remove(path);
        foreach (var (name, system) in rules.Config.Systems)
        {
            var state = sync.System(name);
            if (
                system.Fields.TryGetValue(path, out var field)
                && state.Base.TryGetValue(path, out var held)
                && Same(field, golden, held)
            )
                state.At[path] = golden;
        }

        decision.Changed.Add(path);
        decision.Notes.Add(new Note(Codes.Released, System: null) { Paths = [path] });
    }

    static bool AllSame(Values sides, string path, Rules rules)
    {
        var (firstSide, first) = sides.First();
        return sides.Skip(1).All(side => SameAcross(firstSide, first, side.Key, side.Value, path, rules));
    }

    /// <summary>Two sides agree when one holds what it would hold if the other's value were written to it.</summary>
    static bool SameAcross(string sideA, string? a, string sideB, string? b, string path, Rules rules) =>
        Normaliser.Equal(path, a, b)
        || (Field(sideA, path, rules) is { } fieldA && Same(fieldA, b, a))
        || (Field(sideB, path, rules) is { } fieldB && Same(fieldB, a, b));

    static FieldMap? Field(string side, string path, Rules rules) =>
        rules.Config.Systems.GetValueOrDefault(side)?.Fields.GetValueOrDefault(path);

    static void Set(SystemState system, string path, string? value, string? at)
    {
        system.Base[path] = value;
        system.At[path] = at;
    }

    /// <summary>One message is at most one revision, however many fields it changed.</summary>
    static void Count(CustomerSync sync, Values before, Decision decision)
    {
        foreach (var (path, value) in sync.Golden)
        {
            if (before.At(path) != value)
                decision.Changed.Add(path);
        }

        if (decision.Changed.Count > 0)
            sync.Revision++;
    }
}

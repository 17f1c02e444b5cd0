using Sync.Contracts.Customers;
using Sync.Mapping;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// The plain columns by which dashboards see a customer. In step, catching up and needs attention are no states of the
/// machine but what this says, in one place, after every message.
/// </summary>
static class Standing
{
    public static void Describe(CustomerSync sync, Rules rules, Moment moment)
    {
        var behind = rules.Config.Systems.Keys.Where(name => IsBehind(sync, name, rules)).ToArray();
        var attention = Attention(sync, rules);
        if (attention != sync.Ignored)
            sync.Ignored = null;
        else
            attention = null;

        if (sync.Since == default || attention != sync.Attention || behind.Length > 0 != sync.Behind.Length > 0)
            sync.Since = moment.Now;
        if (!behind.AsSpan().SequenceEqual(sync.Behind))
            sync.Behind = behind;
        sync.Attention = attention;
        sync.EmailKey = EmailKey(sync.Golden.At(Paths.Email));
    }

    /// <summary>A hash, so that a search for the same person needs no e-mail outside the golden record.</summary>
    public static byte[]? EmailKey(string? email) => Normaliser.EmailKey(email);

    static bool IsBehind(CustomerSync sync, string name, Rules rules)
    {
        var system = sync.System(name);
        return system.Sent is not null
            || Pumping.Next(sync, name, rules.Config.System(name), system, rules) is not null;
    }

    /// <summary>The first reason that waits for a person, by system in the order of the mapping file.</summary>
    static string? Attention(CustomerSync sync, Rules rules)
    {
        var stage = sync.Stage();
        if (sync.Pace is { Tripped: true } pace && stage is Stage.Live or Stage.Proposed)
            return $"{AttentionReasons.Loop} {CustomerSync.GoldenSide} {string.Join(',', pace.Alternating)}";
        foreach (var (name, map) in rules.Config.Systems)
        {
            var system = sync.System(name);
            switch (system.Brake)
            {
                case BrakeReasons.Held when stage is Stage.Live or Stage.Proposed:
                    return $"{AttentionReasons.DeletionHeld} {name}";
                case BrakeReasons.Undeleted:
                    return $"{AttentionReasons.Undeleted} {name}";
                case BrakeReasons.Recreated:
                    return $"{AttentionReasons.Recreated} {name}";
                case { } brake when BrakeReasons.IsRefusal(brake) && !system.Gone:
                    return $"{AttentionReasons.DeletionRefused} {name}";
            }

            if (stage is not (Stage.Live or Stage.Proposed) || system.Gone)
                continue;
            if (Pumping.IsRefused(sync, system))
                return $"{AttentionReasons.CommandRefused} {name}";
            var refused = map
                .Fields.Keys.Where(path =>
                    Pumping.IsRefused(sync, system, path) && !Pumping.IsInStep(sync, system, path)
                )
                .ToList();
            if (refused.Count > 0)
                return $"{AttentionReasons.ValueRefused} {name} {string.Join(',', refused)}";
        }

        return sync.Held.Count > 0
            ? $"{AttentionReasons.ConflictHeld} {CustomerSync.GoldenSide} {string.Join(',', sync.Held.Keys)}"
            : null;
    }
}

/// <summary>The reasons of <c>dashboard.attention</c>. Pinned: operators' queries and alerts name them.</summary>
static class AttentionReasons
{
    public const string DeletionHeld = "deletion-held";
    public const string DeletionRefused = "deletion-refused";
    public const string Undeleted = "undeleted";
    public const string Recreated = "recreated";
    public const string CommandRefused = "command-refused";
    public const string ValueRefused = "value-refused";
    public const string ConflictHeld = "conflict-held";
    public const string Loop = "loop";
}

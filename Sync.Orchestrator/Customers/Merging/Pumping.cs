using System.Globalization;
using Sync.Contracts;
using Sync.Contracts.Systems;
using Sync.Mapping;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// Asks each system for the difference to golden, at most one command at a time: a burst of changes while one is in flight
/// becomes one more command.
/// </summary>
static class Pumping
{
    public static Decision Pump(CustomerSync sync, Rules rules, Moment moment)
    {
        var decision = new Decision();
        if (sync.Stage() == Stage.Merged)
            return decision;

        foreach (var (name, map) in rules.Config.Systems)
        {
            var system = sync.System(name);
            if (IsKept(sync, name, map, system, rules))
                system.Brake = BrakeReasons.Kept;
            else if (system.Sent is null && Next(sync, name, map, system, rules) is { } next)
                Send(sync, name, system, next, moment, decision);
        }

        if (decision.Messages.Count > 0 && sync.Stage() == Stage.Removed && sync.EraseAskedAt is not null)
            decision.Facts |= Facts.Forget;
        if (sync.Stage() == Stage.Removing && AllGone(sync, rules))
            decision.Facts |= Facts.AllGone;
        return decision;
    }

    /// <summary>
    /// Sends again, unchanged, what has waited long enough in case a message was lost. Waiting for a vendor is the
    /// adapter's; it answers a repeat of what it has done without doing it again.
    /// </summary>
    public static Decision Repeat(CustomerSync sync, Rules rules, Moment moment)
    {
        var decision = new Decision();
        // The timer's own time counts where this host's clock is behind the one that fired it.
        var now = sync.DueAt > moment.Now ? sync.DueAt.Value : moment.Now;
        sync.DueAt = null;
        foreach (var name in rules.Config.Systems.Keys)
        {
            if (sync.System(name).Sent is not { } sent || sent.DueAt > now)
                continue;
            sent.Attempt++;
            sent.DueAt = now + Rules.RepeatAfter(sent.Attempt);
            decision.Messages.Add(sent.ToMessage(sync.CustomerId, name));
            decision.Notes.Add(
                new Note(Codes.CommandRepeated, name, Direction.Out)
                {
                    Paths = [.. sent.Write.Keys],
                    Reason = string.Create(CultureInfo.InvariantCulture, $"attempt {sent.Attempt}"),
                }
            );
        }

        return decision;
    }

    /// <summary>Fields that a system is to be asked for: different, not held, not refused as they are.</summary>
    public static IEnumerable<string> Difference(CustomerSync sync, string name, SystemMap map, SystemState system) =>
        map.Fields.Keys.Where(path =>
            !IsInStep(sync, system, path)
            && !sync.Held.ContainsKey(path)
            && !IsRefused(sync, system, path)
            // A field that no snapshot ever showed is one that this product does not have.
            && (name != SystemNames.Product || system.Base.ContainsKey(path))
        );

    /// <summary>What the system holds, in whatever form, stands for the golden value.</summary>
    public static bool IsInStep(CustomerSync sync, SystemState system, string path) =>
        sync.Golden.At(path) == system.At.At(path);

    public static bool IsRefused(CustomerSync sync, SystemState system, string path) =>
        system.Refused.TryGetValue(path, out var refused) && refused == sync.Golden.At(path);

    /// <summary>A whole command was refused at this revision of golden.</summary>
    public static bool IsRefused(CustomerSync sync, SystemState system) =>
        system.Refused.At(SystemState.WholeCommand) == sync.Revision.ToString(CultureInfo.InvariantCulture);

    /// <summary>What a system is to be asked for, or null where it is in step, or must not be asked.</summary>
    public static (Operation Op, List<string> Paths)? Next(
        CustomerSync sync,
        string name,
        SystemMap map,
        SystemState system,
        Rules rules
    )
    {
        var isProduct = name == SystemNames.Product;
        switch (sync.Stage())
        {
            case Stage.Removing or Stage.Removed:
                if (IsDoomed(name, system) && rules.Commands(name))
                    return (Operation.Delete, []);
                return sync.Stage() == Stage.Removed && IsToForget(sync, name, system) ? (Operation.Erase, []) : null;
            case Stage.Proposed when !isProduct:
                return null;
            case Stage.Proposed or Stage.Live:
                break;
            default:
                return null;
        }

        // Never create, nor update, while a deletion is undecided, or while vendors undo each other.
        if (system.Gone || sync.Pace is { Tripped: true } || !rules.Commands(name) || IsRefused(sync, system))
            return null;

        List<string> paths;
        if (system.Linked)
        {
            paths = [.. Difference(sync, name, map, system)];
            // A product whose record was never seen, in a new life, is asked to show it: a command without a field does.
            var unseen = isProduct && system.Base.Count == 0;
            return paths.Count > 0 || unseen || (!isProduct && !system.IdOnObject) ? (Operation.Update, paths) : null;
        }

        paths = [.. map.Fields.Keys.Where(path => sync.Golden.At(path) is not null)];
        var values = paths.Count;
        paths.RemoveAll(path => IsRefused(sync, system, path));
        // Where every value was refused, an object without any would be nobody's wish.
        return paths.Count > 0 || values == 0 ? (Operation.Create, paths) : null;
    }

    /// <summary>A removal wants this object gone.</summary>
    static bool IsDoomed(string name, SystemState system) =>
        (name == SystemNames.Product ? system.Linked : system.Ext is not null) && !system.Gone && system.Brake is null;

    /// <summary>An erased customer's adapter has not said yet that it forgot.</summary>
    static bool IsToForget(CustomerSync sync, string name, SystemState system) =>
        sync.EraseAskedAt is not null && name != SystemNames.Product && system.ErasedAt is null;

    public static IEnumerable<string> Vendors(Rules rules) =>
        rules.Config.Systems.Keys.Where(name => name != SystemNames.Product);

    /// <summary>It stays by configuration, or because a product that is only read cannot be told.</summary>
    static bool IsKept(CustomerSync sync, string name, SystemMap map, SystemState system, Rules rules) =>
        sync.Stage() is Stage.Removing or Stage.Removed
        && IsDoomed(name, system)
        && (map.OnDelete == DeletionRule.Keep || !rules.Commands(name));

    static void Send(
        CustomerSync sync,
        string name,
        SystemState system,
        (Operation Op, List<string> Paths) next,
        Moment moment,
        Decision decision
    )
    {
        var update = next.Op == Operation.Update;
        system.Sent = new SentCommand
        {
            Id = moment.NextId(),
            Gen = system.Gen,
            Rev = sync.Revision,
            Op = next.Op,
            Ext = name == SystemNames.Product ? null : system.Ext,
            Write = new Values(next.Paths.Select(path => KeyValuePair.Create(path, sync.Golden.At(path)))),
            Expect = new Values(
                update ? next.Paths.Select(path => KeyValuePair.Create(path, system.Base.At(path))) : []
            ),
            DueAt = moment.Now + Rules.FirstRepeat,
            ChangedAt = sync.MovedAt,
        };
        decision.Messages.Add(system.Sent.ToMessage(sync.CustomerId, name));
        decision.Notes.Add(
            new Note(
                next.Op switch
                {
                    Operation.Create => Codes.CommandCreate,
                    Operation.Update => Codes.CommandUpdate,
                    Operation.Erase => Codes.CommandErase,
                    _ => Codes.CommandDelete,
                },
                name,
                Direction.Out
            )
            {
                Paths = next.Paths,
            }
        );
    }

    /// <summary>
    /// Every system is gone, stays on purpose, or never had this customer, and nothing is in flight that could still make
    /// one: a tombstone holds no personal data, also not in a command.
    /// </summary>
    static bool AllGone(CustomerSync sync, Rules rules) =>
        rules.Config.Systems.Keys.All(name =>
        {
            var system = sync.System(name);
            if (system.Sent is not null)
                return false;
            var never = name == SystemNames.Product ? !system.Linked : system.Ext is null;
            return never
                || system.Gone
                || system.Brake is BrakeReasons.Kept or BrakeReasons.Undeleted or BrakeReasons.Recreated;
        });
}

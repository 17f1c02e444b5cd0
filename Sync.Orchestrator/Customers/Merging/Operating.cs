using Sync.Contracts.Requests;
using Sync.Contracts.Systems;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>What an operator decides. Each request is a row of the timeline, also when there was nothing to decide.</summary>
static class Operating
{
    /// <summary>Asks again for what was refused, deletions too, in one system or in all.</summary>
    public static Decision Retry(CustomerSync sync, Retry retry, Rules rules)
    {
        foreach (var name in Named(retry.System, rules))
        {
            var system = sync.System(name);
            system.Refused.Clear();
            if (BrakeReasons.IsRefusal(system.Brake))
                system.Brake = null;
        }

        return Noted(Codes.Retry, retry.System);
    }

    /// <summary>Resolves a held conflict.</summary>
    public static Decision TakeSide(CustomerSync sync, TakeSide take, Rules rules)
    {
        if (!sync.Held.TryGetValue(take.Field, out var sides) || !sides.TryGetValue(take.Side, out var value))
            return Noted(Codes.TakeSide, take.Side, "nothing is held there; the request changed nothing", take.Field);

        return Noted(Codes.TakeSide, take.Side, reason: null, take.Field)
            .With(Observing.Choose(sync, take.Field, value, rules));
    }

    /// <summary>Resolves a held deletion: it spreads to all systems, or the object is created anew as another generation.</summary>
    public static Decision Release(CustomerSync sync, Release release)
    {
        var system = sync.System(release.System);
        if (system.Brake != BrakeReasons.Held)
            return Noted(
                Codes.Release,
                release.System,
                "no deletion is held in that system; the request changed nothing"
            );

        if (release.Spread)
        {
            system.Brake = null;
            var spread = Noted(Codes.Release, release.System, "spread");
            spread.Facts = Facts.Spread;
            return spread;
        }

        system.BeginLife(ext: null);
        return Noted(Codes.Release, release.System, "restore");
    }

    /// <summary>A parked deletion stays undone and counts as gone; elsewhere the reason is hidden until it changes.</summary>
    public static Decision Ignore(CustomerSync sync)
    {
        if (sync.Stage() == Stage.Removing)
        {
            foreach (var system in sync.Systems.Values.Where(s => BrakeReasons.IsRefusal(s.Brake)))
                system.Brake = BrakeReasons.Kept;
        }
        else
        {
            sync.Ignored = sync.Attention ?? sync.Ignored;
        }

        return Noted(Codes.Ignore, system: null);
    }

    /// <summary>Opens the loop brake: the count begins anew, and what differs is asked for.</summary>
    public static Decision ReleaseLoop(CustomerSync sync)
    {
        if (sync.Pace is not { Tripped: true } pace)
            return Noted(Codes.ReleaseLoop, system: null, "the loop brake is not on; the request changed nothing");

        var paths = pace.Alternating.ToArray();
        sync.Pace = null;
        return Noted(Codes.ReleaseLoop, system: null, reason: null, paths);
    }

    /// <summary>Follows a removed id that the product created again.</summary>
    public static Decision AllowRecreate(CustomerSync sync, Rules rules)
    {
        if (sync.EraseAskedAt is not null)
            return Noted(
                Codes.AllowRecreate,
                Contracts.SystemNames.Product,
                "the customer was erased and nothing brings it back; the request changed nothing"
            );
        if (sync.System(Contracts.SystemNames.Product).Brake != BrakeReasons.Recreated)
            return Noted(
                Codes.AllowRecreate,
                Contracts.SystemNames.Product,
                "the product has not created this id again; the request changed nothing"
            );

        var decision = Noted(Codes.AllowRecreate, Contracts.SystemNames.Product);
        Removing.Revive(sync, rules);
        decision.Facts = Facts.Reborn;
        return decision;
    }

    /// <summary>
    /// Erases the person: systems delete by their policy, then they and our own tables forget. Objects found in vendors that
    /// name the customer forget at once; they stay where they are, as far as nobody deletes them.
    /// </summary>
    public static Decision Erase(CustomerSync sync, IReadOnlyList<ObjectName> objects, Moment moment)
    {
        if (sync.EraseAskedAt is not null)
            return Noted(Codes.Erase, system: null, "it was asked for before; the request changed nothing");

        sync.EraseAskedAt = moment.Now;
        var decision = Noted(Codes.Erase, system: null);
        decision.Facts = Facts.Spread;
        foreach (
            var (system, ext) in sync
                .Systems.Where(s => s.Key != Contracts.SystemNames.Product && s.Value.Ext is not null)
                .Select(s => new ObjectName(s.Key, s.Value.Ext!))
                .Union(objects)
        )
            decision.Messages.Add(
                new ForgetObject
                {
                    CustomerId = sync.CustomerId,
                    System = system,
                    ExternalId = ext,
                }
            );
        // A deletion that waited for a person has its answer.
        foreach (var system in sync.Systems.Values.Where(s => s.Brake == BrakeReasons.Held))
            system.Brake = null;
        return decision;
    }

    /// <summary>Has every linked object read again and reported as it is. No state is changed.</summary>
    public static Decision Resync(CustomerSync sync, Resync resync, Rules rules, Moment moment)
    {
        var decision = Noted(Codes.Resync, resync.System);
        foreach (var name in Named(resync.System, rules))
        {
            var system = sync.System(name);
            if (name == Contracts.SystemNames.Product || system.Ext is null)
                continue;
            decision.Messages.Add(
                new PushCustomer
                {
                    CommandId = moment.NextId(),
                    System = name,
                    CustomerId = sync.CustomerId,
                    Generation = system.Gen,
                    Operation = Operation.Read,
                    ExternalId = system.Ext,
                    Revision = sync.Revision,
                }
            );
            decision.Notes.Add(new Note(Codes.CommandRead, name, Direction.Out) { ExternalId = system.Ext });
        }

        return decision;
    }

    static IEnumerable<string> Named(string? system, Rules rules) =>
        system is null ? rules.Config.Systems.Keys : [system];

    static Decision Noted(string code, string? system, string? reason = null, params string[] paths)
    {
        var decision = new Decision();
        decision.Notes.Add(new Note(code, system) { Reason = reason, Paths = paths });
        return decision;
    }
}

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

        system.Brake = null;
        if (release.Spread)
        {
            var spread = Noted(Codes.Release, release.System, "spread");
            spread.Facts = Facts.Spread;
            return spread;
        }

        system.Gen++;
        system.Gone = false;
        system.Linked = false;
        system.IdOnObject = false;
        system.Ext = null;
        system.Sent = null;
        system.Base.Clear();
        system.At.Clear();
        system.Refused.Clear();
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

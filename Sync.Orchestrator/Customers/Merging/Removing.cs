namespace Sync.Orchestrator.Customers.Merging;

/// <summary>What a tombstone forgets, and how one ends.</summary>
static class Removing
{
    /// <summary>A tombstone keeps ids, generations and observation numbers, and no personal data.</summary>
    public static void Forget(CustomerSync sync)
    {
        sync.Golden.Clear();
        sync.Held.Clear();
        foreach (var system in sync.Systems.Values)
        {
            system.Base.Clear();
            system.At.Clear();
            system.Refused.Clear();
        }

        sync.Pace = null;
    }

    /// <summary>
    /// The product has the id again, and that counts. Where an object of the former life stays it is this customer's still;
    /// everywhere else the next object is a new one.
    /// </summary>
    public static void Revive(CustomerSync sync, Rules rules)
    {
        foreach (var name in rules.Config.Systems.Keys)
        {
            var system = sync.System(name);
            if (name == Contracts.SystemNames.Product)
            {
                system.Linked = true;
                system.Gone = false;
                system.Brake = null;
                system.Sent = null;
            }
            else if (system.Brake is BrakeReasons.Kept or BrakeReasons.Undeleted && system.Ext is not null)
            {
                system.Gone = false;
                system.Brake = null;
                system.Linked = true;
                system.IdOnObject = false;
            }
            else
            {
                system.BeginLife(ext: null);
            }
        }
    }
}

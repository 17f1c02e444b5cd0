namespace Sync.Orchestrator.Customers.Merging;

/// <summary>What a tombstone forgets.</summary>
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
    }
}

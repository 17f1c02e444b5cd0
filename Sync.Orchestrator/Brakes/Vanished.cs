namespace Sync.Orchestrator.Brakes;

/// <summary>
/// What speaks against spreading a deletion that a system reports: too many at once, or another object that may have taken
/// the place. Read once a batch; the count goes on within the batch.
/// </summary>
sealed class Vanished(DeletionCount count, bool hasDuplicate)
{
    /// <summary>An object parked as this customer's second one is still there: the two may have been merged.</summary>
    public bool HasDuplicate => hasDuplicate;

    /// <summary>Counts this deletion; true when it is one too many.</summary>
    public bool IsTooMany() => count.Add();
}

/// <summary>Deletions seen in one system: those of the window that are committed, and this batch's.</summary>
sealed class DeletionCount(long committed, int limit)
{
    long _seen = committed;

    /// <summary>Messages of a batch may be handled side by side.</summary>
    public bool Add() => Interlocked.Increment(ref _seen) > limit;
}

namespace Sync.Orchestrator.Brakes;

/// <summary>Whether deletions seen in a system are held until a person releases them.</summary>
interface IDeletionBrake
{
    bool Holds(string system, DateTimeOffset now);
}

/// <summary>No deletion is held: each one spreads as it is seen.</summary>
sealed class OpenDeletionBrake : IDeletionBrake
{
    public bool Holds(string system, DateTimeOffset now) => false;
}

namespace Sync.Messaging.Hosting;

/// <summary>What the consuming half tells the health page. The endpoint's loop implements it; it is read at any time.</summary>
public interface IConsumerHealth
{
    ConsumerState State { get; }
}

/// <summary>Where a consumer stands with its partitions.</summary>
public enum ConsumerPhase
{
    /// <summary>The group has given it no assignment since the start: not ready.</summary>
    NeverAssigned,

    /// <summary>Partitions are assigned, but PostgreSQL has not confirmed the claim: not ready after 30 s.</summary>
    Assigned,

    /// <summary>
    /// Claimed, but PostgreSQL was restored from a backup, and the restore hook is not done yet: nothing is consumed, and
    /// nothing may be done that rests on the tables. Not ready.
    /// </summary>
    Restoring,

    /// <summary>Every assigned partition is claimed, or halted.</summary>
    Claimed,

    /// <summary>The group has more members than partitions and gave it none: ready, with nothing to do.</summary>
    Idle,
}

/// <param name="Since">When <paramref name="Phase"/> began.</param>
/// <param name="LastPollAt">When the loop last called <c>Consume</c>; null before the first time.</param>
/// <param name="FatalCode">The client's fatal error, which only a restart ends; null while there is none.</param>
/// <param name="Brake">Why the whole endpoint halted; null while it does not.</param>
/// <param name="Halted">Partitions that stopped, each with its reason, such as <c>topic[3]: stored offset beyond the log</c>.</param>
public sealed record ConsumerState(
    ConsumerPhase Phase,
    DateTimeOffset Since,
    DateTimeOffset? LastPollAt,
    string? FatalCode,
    string? Brake,
    IReadOnlyList<string> Halted
);

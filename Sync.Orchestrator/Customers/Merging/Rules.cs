using Sync.Contracts;
using Sync.Mapping;
using Sync.Orchestrator.Brakes;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>What decisions depend on beside state and message. Systems are configuration: no decision names a vendor.</summary>
/// <param name="OneWay">
/// The product is only read: it never gets a command, its fields are not changed by others, and a deletion seen elsewhere
/// waits for a person.
/// </param>
/// <param name="DeletionBrake">Whether deletions seen in a system are held at that moment.</param>
sealed record Rules(SyncConfig Config, bool OneWay, Func<string, DateTimeOffset, bool> DeletionBrake)
{
    /// <summary>Null follows all news.</summary>
    public LoopBudget? Loop { get; init; }

    /// <summary>A removed id that the product creates again begins a new life.</summary>
    public bool AllowRecreate { get; init; }

    /// <summary>A command is repeated after this time in case a message was lost, and then after twice as long.</summary>
    public static readonly TimeSpan FirstRepeat = TimeSpan.FromMinutes(10);

    /// <summary>The longest time between two repeats.</summary>
    public static readonly TimeSpan LastRepeat = TimeSpan.FromHours(6);

    public static TimeSpan RepeatAfter(int attempt)
    {
        // 2^6 × 10 minutes is beyond the last: the shift stays small whatever the attempt.
        var delay = FirstRepeat * (1 << Math.Min(attempt - 1, 6));
        return delay < LastRepeat ? delay : LastRepeat;
    }

    public bool Knows(string system) => Config.Systems.ContainsKey(system);

    /// <summary>Whether a system is asked for anything at all.</summary>
    public bool Commands(string system) => !OneWay || system != SystemNames.Product;
}

/// <summary>Time and ids, handed in: a decision has neither clock nor chance.</summary>
readonly record struct Moment(DateTimeOffset Now, Func<Guid> NextId);

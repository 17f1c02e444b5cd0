using MassTransit;
using Sync.Orchestrator.Brakes;

namespace Sync.Orchestrator.Customers;

/// <summary>
/// One customer: the golden record, and per system what it holds and how far it is. One row, one saga instance; a new
/// system is no schema change.
/// </summary>
sealed class CustomerSync : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public string CustomerId { get; set; } = "";
    public string CurrentState { get; set; } = "";

    /// <summary>The store's own; means nothing here.</summary>
    public long Version { get; set; }

    /// <summary>Rises when golden changes.</summary>
    public long Revision { get; set; }
    public Values Golden { get; set; } = [];

    /// <summary>Conflicts that wait for a person: path, then side (<c>golden</c> or a system), then value.</summary>
    public SortedDictionary<string, Values> Held { get; set; } = new(StringComparer.Ordinal);
    public SortedDictionary<string, SystemState> Systems { get; set; } = new(StringComparer.Ordinal);

    /// <summary>Systems with a difference or a command in flight.</summary>
    public string[] Behind { get; set; } = [];

    /// <summary>The first reason that waits for a person: <c>reason system path,path</c>.</summary>
    public string? Attention { get; set; }

    /// <summary>Since when <see cref="Behind"/> and <see cref="Attention"/> say what kind of thing they say.</summary>
    public DateTimeOffset Since { get; set; }

    /// <summary>Hash of the normalised e-mail; not unique.</summary>
    public byte[]? EmailKey { get; set; }

    /// <summary>The attention that an operator chose not to see; it counts again when the reason changes.</summary>
    public string? Ignored { get; set; }

    /// <summary>When the newest change of golden happened in the system it came from.</summary>
    public DateTimeOffset? MovedAt { get; set; }

    /// <summary>How fast vendors bring news; null until one did.</summary>
    public Pace? Pace { get; set; }

    /// <summary>When a person asked to erase the customer. From then on nothing brings it back.</summary>
    public DateTimeOffset? EraseAskedAt { get; set; }

    /// <summary>When everybody had forgotten it.</summary>
    public DateTimeOffset? ErasedAt { get; set; }

    /// <summary>The one timer of this customer, MassTransit's token, and the time it was set for.</summary>
    public Guid? DueToken { get; set; }
    public DateTimeOffset? DueAt { get; set; }

    /// <summary>The side of a held conflict that golden speaks for.</summary>
    public const string GoldenSide = "golden";

    public SystemState System(string name)
    {
        if (!Systems.TryGetValue(name, out var system))
            Systems[name] = system = new SystemState();
        return system;
    }

    /// <summary>Where the customer stands in its life. The machine owns it; decisions only read it.</summary>
    public Stage Stage() => Enum.TryParse<Stage>(CurrentState, out var stage) ? stage : Customers.Stage.None;
}

/// <summary>The states of the machine, by name.</summary>
enum Stage
{
    None,
    Proposed,
    Live,
    Removing,
    Removed,
    Merged,
}

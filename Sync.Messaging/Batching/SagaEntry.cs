using Sync.Messaging.Sagas;

namespace Sync.Messaging.Batching;

/// <summary>
/// One saga instance in one batch. It belongs to one message at a time (the instance gate), keeps the column values of the
/// last staged message, and is made anew from them after a fault: half a mutation never survives.
/// </summary>
/// <remarks>All members are guarded by the batch's lock, but for <see cref="Instance"/>, which belongs to the holder.</remarks>
sealed class SagaEntry(SagaTable table, Guid id)
{
    public SagaTable Table => table;

    public Guid Id => id;

    public bool IsLoaded { get; private set; }

    /// <summary>The message that has it until it is staged or faulted.</summary>
    public MessageSlot? Holder { get; set; }

    /// <summary>Which handling of the holder's message works on the instance.</summary>
    public MessageBuffer? Buffer { get; set; }

    public Queue<GateWaiter> Waiters { get; } = new();

    public object? Instance { get; private set; }

    public SagaChange Change { get; set; }

    /// <summary>Values as loaded, in the form in which they are written; null where there is no row.</summary>
    object?[]? Loaded { get; set; }

    long LoadedVersion { get; set; }

    /// <summary>Values of the last staged message; null where no instance is left.</summary>
    object?[]? Staged { get; set; }

    object?[]? Prepared { get; set; }

    public void Load(SagaRow? row)
    {
        IsLoaded = true;
        if (row is not { } found)
            return;

        LoadedVersion = found.Version;
        Instance = table.Materialize(id, found.Columns);
        // PostgreSQL hands jsonb back in a spelling of its own. What counts as unchanged is told from our own spelling.
        Staged = Loaded = table.Read(Instance);
    }

    /// <summary>The object for the next message; null where there is none.</summary>
    public object? Take() => Staged is null ? null : Instance ??= table.Materialize(id, Staged);

    public void Add(object instance)
    {
        Instance = instance;
        Change = SagaChange.Kept;
    }

    /// <summary>The message failed, or must not have changed anything: the object is made anew when it is next needed.</summary>
    public void Restore()
    {
        Instance = null;
        Change = SagaChange.None;
        Buffer = null;
    }

    /// <summary>Takes the values of the instance, where a row cannot be made of them with the message's own exception.</summary>
    public void Prepare() => Prepared = Change is SagaChange.Kept ? table.Read(Instance!) : null;

    public void Stage()
    {
        if (Change is not SagaChange.None)
            Staged = Prepared;
        // An instance that was only looked at may have been changed all the same.
        if (Change is not SagaChange.Kept)
            Instance = null;
        Prepared = null;
        Change = SagaChange.None;
        Buffer = null;
    }

    /// <summary>What the table of the kernel's section 4.2 says for this instance.</summary>
    public (SagaStatement Statement, SagaRow Row) Statement() =>
        (Loaded, Staged) switch
        {
            (null, null) => (SagaStatement.None, default),
            (null, { } created) => (SagaStatement.Insert, new(id, created, 1)),
            ({ } loaded, null) => (SagaStatement.Delete, new(id, loaded, LoadedVersion)),
            ({ } loaded, { } staged) => table.Same(loaded, staged)
                ? (SagaStatement.None, default)
                : (SagaStatement.Update, new(id, staged, LoadedVersion)),
        };
}

/// <summary>What the message in hand did to the instance.</summary>
enum SagaChange
{
    None,
    Kept,
    Gone,
}

enum SagaStatement
{
    None,
    Delete,
    Insert,
    Update,
}

sealed record GateWaiter(MessageSlot Slot, MessageBuffer Buffer, TaskCompletionSource Granted);

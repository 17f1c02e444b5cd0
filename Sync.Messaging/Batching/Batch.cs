using System.Diagnostics;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Sagas;
using Sync.Messaging.Scheduling;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>
/// One try of many messages in one transaction: the instances they share, what they staged, and the barrier at which their
/// loads wait for each other, so that a round of loads is one statement.
/// </summary>
/// <remarks>
/// The barrier opens when every chain is parked, staged, faulted or finished, or 5 ms after the last change while at least
/// one is parked: a filter may hold a chain back before it loads, and without the timer both would wait for ever.
/// </remarks>
sealed class Batch : IAsyncDisposable
{
    /// <summary>How long the barrier waits, after the last change, for chains that have not come to it.</summary>
    public static readonly TimeSpan BarrierPatience = TimeSpan.FromMilliseconds(5);

    readonly Lock _lock = new();
    readonly CancellationTokenSource _abort = new();
    readonly TaskCompletionSource _committed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Dictionary<(SagaTable Table, Guid Id), SagaEntry> _entries = [];
    readonly List<ParkedLoad> _parkedLoads = [];
    readonly List<ParkedRead> _parkedReads = [];
    readonly BatchTransaction _transaction;
    readonly CrashPoints _crash;
    readonly ConsumingMetrics _metrics;
    readonly IReadOnlySet<Type> _rowTypes;
    readonly TimeSpan _budget;
    readonly ITimer _barrier;
    readonly ITimer _deadline;
    readonly bool _solo;
    int _active;
    bool _round;
    Task _lastRound = Task.CompletedTask;
    bool _isOpening = true;
    bool _isClosed;

    public Batch(
        BatchTransaction transaction,
        IReadOnlySet<Type> rowTypes,
        TimeSpan budget,
        bool solo,
        CrashPoints crash,
        ConsumingMetrics metrics,
        TimeProvider time
    )
    {
        _transaction = transaction;
        _crash = crash;
        _metrics = metrics;
        _rowTypes = rowTypes;
        _budget = budget;
        _solo = solo;
        _barrier = time.CreateTimer(_ => OnPatienceEnded(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _deadline = time.CreateTimer(_ => OnBudgetEnded(), null, budget, Timeout.InfiniteTimeSpan);
        // Nobody may be left to see these.
        _ = _committed.Task.Exception;
    }

    public Guid Id { get; } = Guid.CreateVersion7();

    public bool IsSolo => _solo;

    public CancellationToken Token => _abort.Token;

    /// <summary>Ends with the commit, or with the reason why there was none.</summary>
    public Task Committed => _committed.Task;

    /// <summary>Ends as soon as the batch cannot commit any more.</summary>
    public Task Failed => _failed.Task;

    public Exception? Failure { get; private set; }

    /// <summary>The round that may still be asking PostgreSQL; the connection may not be closed under it.</summary>
    public Task LastRound => _lastRound;

    public int Rounds { get; private set; }

    /// <summary>How often the barrier opened because its patience ended.</summary>
    public int PatienceEnded { get; private set; }

    public List<OutgoingMessage> Messages { get; } = [];

    public List<object> Rows { get; } = [];

    public List<ScheduleOperation> Schedule { get; } = [];

    public List<DeadLetter> DeadLetters { get; } = [];

    public IEnumerable<SagaEntry> Entries => _entries.Values;

    public void Enter(int chains)
    {
        lock (_lock)
            _active += chains;
    }

    public void Leave()
    {
        lock (_lock)
        {
            _active--;
            Consider();
        }
    }

    /// <summary>The transaction is open and the offsets are advanced: what takes long from now on may be a behaviour.</summary>
    public void Opened()
    {
        lock (_lock)
            _isOpening = false;
    }

    /// <summary>The instance, loaded and for this message alone. Its values are those of the last staged message.</summary>
    public async Task<SagaEntry> Load(MessageBuffer buffer, SagaTable table, Guid id)
    {
        var (entry, granted) = Acquire(buffer, table, id);
        if (granted is not null)
            await granted.ConfigureAwait(false);
        await Park(buffer.Slot, entry).ConfigureAwait(false);
        return entry;
    }

    /// <summary>What a prefetch reads for the message, in the next round.</summary>
    public async Task<object?> Read(MessageSlot slot, PrefetchSource source, object message)
    {
        ParkedRead read;
        lock (_lock)
        {
            ThrowIfOver();
            read = new(slot, source, message);
            _parkedReads.Add(read);
            Wait(slot);
        }

        return await read.Result.Task.ConfigureAwait(false);
    }

    /// <summary>What a query needs to see: all that was staged before. Only a transaction of one message has nothing staged.</summary>
    public async Task<T> Query<T>(MessageSlot slot, Func<BatchTransaction, CancellationToken, Task<T>> query)
    {
        if (!_solo)
            throw new NeedsSoloException(slot.TypeName, "it is correlated by a query");

        await _transaction.Opened.WaitAsync(Token).ConfigureAwait(false);
        return await query(_transaction, Token).ConfigureAwait(false);
    }

    public void CheckRow(Type row)
    {
        if (!_rowTypes.Contains(row))
            throw new InvalidOperationException($"no writer is registered for {row.Name}; call AddBatchRows at start");
    }

    /// <summary>Merges what the message wrote, in the order of staging, and hands its instances to the next in line.</summary>
    public void Stage(MessageSlot slot)
    {
        lock (_lock)
        {
            if (slot.IsSettled || _isClosed || Failure is not null)
                return;

            foreach (var entry in slot.Held)
                entry.Prepare();
            foreach (var entry in slot.Held)
                entry.Stage();
            foreach (var buffer in slot.Accepted)
            {
                Messages.AddRange(buffer.Messages);
                Rows.AddRange(buffer.Rows);
                Schedule.AddRange(buffer.Schedule);
            }

            Release(slot);
        }
    }

    /// <summary>Drops what the message wrote. Whether the message or the batch is to blame tells the exception.</summary>
    public void Fault(MessageSlot slot, Exception exception)
    {
        if (Failures.OfInfrastructure(exception) is not null)
            Fail(exception);
        lock (_lock)
        {
            if (slot.IsSettled || _isClosed || Failure is not null)
                return;

            DeadLetters.Add(DeadLetter.FromHandler(slot, exception));
            foreach (var entry in slot.Held)
                entry.Restore();
            Release(slot);
        }
    }

    /// <summary>A record that cannot be read.</summary>
    public void Refuse(DeadLetter deadLetter)
    {
        lock (_lock)
        {
            if (!_isClosed && Failure is null)
                DeadLetters.Add(deadLetter);
        }
    }

    /// <summary>One handling of a message succeeded; what it wrote counts once the whole message does.</summary>
    public void Accept(MessageBuffer buffer)
    {
        lock (_lock)
        {
            foreach (var entry in buffer.Entries)
                entry.Buffer = null;
            buffer.Slot.Accepted.Add(buffer);
        }
    }

    /// <summary>One handling failed; a retry starts from the last staged values. The message keeps its instances.</summary>
    public void Discard(MessageBuffer buffer)
    {
        lock (_lock)
        {
            foreach (var entry in buffer.Entries)
            {
                if (entry.Buffer == buffer)
                    entry.Restore();
            }
        }
    }

    /// <summary>
    /// The batch cannot commit. Every message that waits is cancelled with the token of its context, which no retry filter
    /// handles.
    /// </summary>
    public void Fail(Exception exception)
    {
        List<TaskCompletionSource> waiters = [];
        List<ParkedRead> reads = [];
        lock (_lock)
        {
            if (Failure is not null || _isClosed)
                return;

            Failure = exception;
            foreach (var parked in _parkedLoads)
                waiters.Add(parked.Loaded);
            foreach (var entry in _entries.Values)
            {
                while (entry.Waiters.TryDequeue(out var waiter))
                    waiters.Add(waiter.Granted);
            }

            reads.AddRange(_parkedReads);
            _parkedLoads.Clear();
            _parkedReads.Clear();
        }

        _abort.Cancel();
        foreach (var waiter in waiters)
            waiter.TrySetCanceled(Token);
        foreach (var read in reads)
            read.Result.TrySetCanceled(Token);
        _failed.TrySetResult();
    }

    /// <summary>From here on nothing is staged any more; what is there is what will be written.</summary>
    public void Seal()
    {
        lock (_lock)
            _isClosed = true;
        _deadline.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void SetCommitted() => _committed.TrySetResult();

    public void SetRolledBack(Exception exception)
    {
        Fail(exception);
        lock (_lock)
        {
            Failure ??= exception;
            _isClosed = true;
        }

        _committed.TrySetException(exception);
        _ = _committed.Task.Exception;
    }

    public async ValueTask DisposeAsync()
    {
        await _barrier.DisposeAsync().ConfigureAwait(false);
        await _deadline.DisposeAsync().ConfigureAwait(false);
        // The token may still be in the hands of a behaviour that did not stop: the source is left to the collector.
    }

    (SagaEntry Entry, Task? Granted) Acquire(MessageBuffer buffer, SagaTable table, Guid id)
    {
        var slot = buffer.Slot;
        lock (_lock)
        {
            ThrowIfOver();
            if (!_entries.TryGetValue((table, id), out var entry))
                _entries.Add((table, id), entry = new(table, id));

            if (entry.Holder is null || entry.Holder == slot)
            {
                if (entry.Buffer is { } other && other != buffer)
                    throw new InvalidOperationException(
                        $"two handlers of one {slot.TypeName} load the same {table.SagaType.Name}; give the message one event"
                    );
                Hold(entry, slot, buffer);
                return (entry, null);
            }

            if (IsWaitedForBy(entry.Holder, slot, depth: 0))
                throw new NeedsSoloException(
                    slot.TypeName,
                    "two messages of the batch wait for each other's instances"
                );

            var waiter = new GateWaiter(
                slot,
                buffer,
                new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
            );
            entry.Waiters.Enqueue(waiter);
            slot.WaitingFor.Add(entry);
            Wait(slot);
            return (entry, waiter.Granted.Task);
        }
    }

    Task Park(MessageSlot slot, SagaEntry entry)
    {
        lock (_lock)
        {
            if (entry.IsLoaded)
                return Task.CompletedTask;

            ThrowIfOver();
            var parked = new ParkedLoad(
                slot,
                entry,
                new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
            );
            _parkedLoads.Add(parked);
            Wait(slot);
            return parked.Loaded.Task;
        }
    }

    static void Hold(SagaEntry entry, MessageSlot slot, MessageBuffer buffer)
    {
        if (entry.Holder is null)
            slot.Held.Add(entry);
        entry.Holder = slot;
        entry.Buffer = buffer;
        if (!buffer.Entries.Contains(entry))
            buffer.Entries.Add(entry);
    }

    void Release(MessageSlot slot)
    {
        slot.IsSettled = true;
        foreach (var entry in slot.Held)
        {
            entry.Holder = null;
            if (!entry.Waiters.TryDequeue(out var next))
                continue;

            Hold(entry, next.Slot, next.Buffer);
            next.Slot.WaitingFor.Remove(entry);
            Resume(next.Slot);
            next.Granted.TrySetResult();
        }

        slot.Held.Clear();
        Consider();
    }

    static bool IsWaitedForBy(MessageSlot holder, MessageSlot slot, int depth) =>
        holder == slot
        || (depth < 64 && holder.WaitingFor.Any(e => e.Holder is { } next && IsWaitedForBy(next, slot, depth + 1)));

    void Wait(MessageSlot slot)
    {
        if (slot.Waits++ == 0)
            _active--;
        Consider();
    }

    void Resume(MessageSlot slot)
    {
        if (--slot.Waits == 0)
            _active++;
    }

    void Consider()
    {
        if (_round || _isClosed || Failure is not null || _parkedLoads.Count + _parkedReads.Count == 0)
            return;

        if (_active <= 0)
            BeginRound();
        else
            _barrier.Change(BarrierPatience, Timeout.InfiniteTimeSpan);
    }

    void OnPatienceEnded()
    {
        lock (_lock)
        {
            if (_round || _isClosed || Failure is not null || _parkedLoads.Count + _parkedReads.Count == 0)
                return;

            PatienceEnded++;
            BeginRound();
        }
    }

    void BeginRound()
    {
        _round = true;
        Rounds++;
        ParkedLoad[] loads = [.. _parkedLoads];
        ParkedRead[] reads = [.. _parkedReads];
        _parkedLoads.Clear();
        _parkedReads.Clear();
        _lastRound = Task.Run(() => Round(loads, reads));
    }

    async Task Round(ParkedLoad[] loads, ParkedRead[] reads)
    {
        // The round belongs to all who wait for it, not to the trace of the message that came last.
        Activity.Current = null;
        try
        {
            await _transaction.Opened.WaitAsync(Token).ConfigureAwait(false);
            var began = _metrics.Now;
            var rows =
                loads.Length == 0
                    ? []
                    : await _transaction.Load(loads.Select(l => l.Entry), Token).ConfigureAwait(false);
            _metrics.Phase(_transaction.Group, "load", began);
            await _crash.Pass("after-load").ConfigureAwait(false);
            foreach (var group in reads.GroupBy(r => r.Source))
            {
                var asked = group.ToList();
                var found = await group
                    .Key.Read([.. asked.Select(r => r.Message)], _transaction.Connection, Token)
                    .ConfigureAwait(false);
                for (var i = 0; i < asked.Count; i++)
                    asked[i].Found = found[i];
            }

            lock (_lock)
            {
                foreach (var load in loads)
                {
                    load.Entry.Load(rows.TryGetValue((load.Entry.Table, load.Entry.Id), out var row) ? row : null);
                    Resume(load.Slot);
                }

                foreach (var read in reads)
                    Resume(read.Slot);
                _round = false;
                Consider();
            }

            foreach (var load in loads)
                load.Loaded.TrySetResult();
            foreach (var read in reads)
                read.Result.TrySetResult(read.Found);
        }
        catch (Exception e)
        {
            lock (_lock)
                _round = false;
            Fail(e);
            foreach (var load in loads)
                load.Loaded.TrySetCanceled(Token);
            foreach (var read in reads)
                read.Result.TrySetCanceled(Token);
        }
    }

    void OnBudgetEnded()
    {
        bool handler;
        lock (_lock)
            handler = !_round && !_isOpening;
        Fail(new BatchTimeoutException(_budget, handler));
    }

    void ThrowIfOver()
    {
        if (Failure is not null || _isClosed)
            throw new OperationCanceledException("the batch is over", Token);
    }

    sealed record ParkedLoad(MessageSlot Slot, SagaEntry Entry, TaskCompletionSource Loaded);

    sealed class ParkedRead(MessageSlot slot, PrefetchSource source, object message)
    {
        public MessageSlot Slot => slot;

        public PrefetchSource Source => source;

        public object Message => message;

        public object? Found { get; set; }

        public TaskCompletionSource<object?> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

namespace Sync.Adapter.Working;

/// <summary>
/// Gathers what many lanes want of the vendor into few calls. A lone request goes at once; while calls of its kind are under
/// way, or came in numbers just now, it waits a moment for company, so that a burst costs a few full calls.
/// </summary>
sealed class CallQueue<TItem, TResult> : IDisposable
{
    /// <summary>Lanes that were taken together ask within this time.</summary>
    static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(3);

    /// <summary>How long a burst is remembered.</summary>
    static readonly TimeSpan Busy = TimeSpan.FromSeconds(1);

    readonly Lock _lock = new();
    readonly Queue<Pending> _pending = new();
    readonly int _max;
    readonly SemaphoreSlim _slots;
    readonly TimeSpan _gather;
    readonly TimeProvider _time;
    readonly Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> _call;
    readonly SemaphoreSlim _arrived = new(0);
    int _running;
    int _lastBatch;
    long _lastAt;

    public CallQueue(
        int max,
        SemaphoreSlim slots,
        TimeSpan gather,
        TimeProvider time,
        Func<IReadOnlyList<TItem>, CancellationToken, Task<IReadOnlyList<TResult>>> call
    ) => (_max, _slots, _gather, _time, _call) = (max, slots, gather, time, call);

    sealed record Pending(TItem Item, TaskCompletionSource<TResult> Answer);

    public async Task<TResult> Ask(TItem item, CancellationToken cancellationToken)
    {
        var pending = new Pending(item, new(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_lock)
            _pending.Enqueue(pending);
        _arrived.Release();
        return await pending.Answer.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Runs until it is stopped. Calls under way are given the same token.</summary>
    public async Task Run(CancellationToken stop)
    {
        while (true)
        {
            await _arrived.WaitAsync(stop);
            await Gather(stop);
            await _slots.WaitAsync(stop);

            List<Pending> batch = [];
            lock (_lock)
            {
                while (batch.Count < _max && _pending.TryDequeue(out var next))
                    batch.Add(next);
                _running++;
                _lastBatch = batch.Count;
                _lastAt = _time.GetTimestamp();
            }

            // One signal was taken; those of the others in the batch are spent here.
            for (var i = 1; i < batch.Count; i++)
                await _arrived.WaitAsync(stop);
            _ = Call(batch, stop);
        }
    }

    async Task Gather(CancellationToken stop)
    {
        if (_max == 1)
            return;

        TimeSpan window;
        lock (_lock)
        {
            var busy = _running > 0 || (_lastBatch > 1 && _time.GetElapsedTime(_lastAt) < Busy);
            window = busy && _gather > Linger ? _gather : Linger;
        }

        var began = _time.GetTimestamp();
        while (true)
        {
            int count;
            lock (_lock)
                count = _pending.Count;
            var left = window - _time.GetElapsedTime(began);
            if (count >= _max || left <= TimeSpan.Zero)
                return;
            await Task.Delay(left < Linger ? left : Linger, _time, stop);
        }
    }

    async Task Call(List<Pending> batch, CancellationToken stop)
    {
        try
        {
            var results = await _call(batch.ConvertAll(p => p.Item), stop);
            for (var i = 0; i < batch.Count; i++)
                batch[i].Answer.TrySetResult(results[i]);
        }
        catch (OperationCanceledException)
        {
            foreach (var pending in batch)
                pending.Answer.TrySetCanceled(stop);
        }
        catch (Exception e)
        {
            foreach (var pending in batch)
                pending.Answer.TrySetException(e);
        }
        finally
        {
            lock (_lock)
                _running--;
            _slots.Release();
        }
    }

    public void Dispose() => _arrived.Dispose();
}

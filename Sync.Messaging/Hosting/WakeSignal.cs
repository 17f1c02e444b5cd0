namespace Sync.Messaging.Hosting;

/// <summary>
/// Wakes one who waits in this process, with or without a signal within a time. Signals that nobody waits for collapse into
/// one. Waiting ends by a result and not by an exception, since it ends hundreds of times a second.
/// </summary>
public class WakeSignal(TimeProvider time)
{
    readonly Lock _gate = new();
    readonly List<TaskCompletionSource<bool>> _waiting = [];
    bool _set;

    public void Set()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                _set = true;
                return;
            }

            _waiting[0].SetResult(true);
            _waiting.RemoveAt(0);
        }
    }

    /// <summary>True when there was a signal, false when the time is up.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled; a signal that came meanwhile is kept for the next.</exception>
    public async Task<bool> Wait(TimeSpan atMost, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var waiting = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_set)
            {
                _set = false;
                return true;
            }

            _waiting.Add(waiting);
        }

        await using var limit = time.CreateTimer(_ => End(waiting), null, atMost, Timeout.InfiniteTimeSpan);
        await using var stop = cancellationToken.UnsafeRegister(_ => End(waiting), null);
        var signalled = await waiting.Task;
        if (!signalled)
            cancellationToken.ThrowIfCancellationRequested();
        return signalled;
    }

    void End(TaskCompletionSource<bool> waiting)
    {
        lock (_gate)
        {
            if (_waiting.Remove(waiting))
                waiting.SetResult(false);
        }
    }
}

namespace Sync.Adapter.Intake;

/// <summary>
/// Says in this process that there may be work: intake is about to commit some, a lane was given back with more, a slot is
/// free. It spares the wait for the next look and promises nothing; other processes' work is found by looking.
/// </summary>
sealed class WorkSignal : IDisposable
{
    readonly SemaphoreSlim _signal = new(0, 1);

    public void Set()
    {
        try
        {
            _signal.Release();
        }
        catch (SemaphoreFullException)
        {
            // Somebody has said so already.
        }
    }

    /// <summary>True when there was a signal, false when the time is up.</summary>
    public async Task<bool> Wait(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(longest, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await _signal.WaitAsync(both.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    public void Dispose() => _signal.Dispose();
}

using System.Threading.Channels;

namespace Sync.Messaging.Outbox;

/// <summary>Wakes the deliverer of this process after a commit. Signals that nobody waits for collapse into one.</summary>
public sealed class OutboxSignal(TimeProvider time)
{
    readonly Channel<bool> _pending = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }
    );

    public void Set() => _pending.Writer.TryWrite(true);

    /// <summary>True when a signal came within the time.</summary>
    public async Task<bool> Wait(TimeSpan atMost, CancellationToken cancellationToken)
    {
        if (_pending.Reader.TryRead(out _))
            return true;
        using var timeout = new CancellationTokenSource(atMost, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await _pending.Reader.ReadAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}

using MassTransit.Transports;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>
/// One message's place in a batch. MassTransit's dispatcher completes it when the whole consume pipe has ended: then the
/// message is staged, the next one of its key may start, and only the dispatcher waits for the commit. No filter does.
/// </summary>
sealed class MessageSlot(Batch batch, ConsumedRecord record, Decoded decoded) : ReceiveLockContext
{
    readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<MessageBuffer> _accepted = [];
    readonly HashSet<SagaEntry> _waitingFor = [];
    int _attempts;

    public Batch Batch => batch;

    public ConsumedRecord Record => record;

    public string TypeName => decoded.TypeName!;

    public object Message => decoded.Message!;

    /// <summary>What the event says of itself; the record's own headers where those are the same.</summary>
    public MessageHeaders Headers => decoded.Headers;

    public Guid? MessageId { get; } = Guid.TryParse(decoded.Headers.Text(CloudEventNames.Id), out var id) ? id : null;

    /// <summary>Handlings begun, retries included.</summary>
    public int Attempts => _attempts;

    /// <summary>Ends when the message is staged or faulted.</summary>
    public Task Done => _done.Task;

    /// <summary>Buffers of handlings that succeeded, in the order of their success. Guarded by the batch's lock.</summary>
    public List<MessageBuffer> Accepted => _accepted;

    /// <summary>Instances that this message holds. Guarded by the batch's lock.</summary>
    public List<SagaEntry> Held { get; } = [];

    /// <summary>Instances of other messages that this one waits for. Guarded by the batch's lock.</summary>
    public HashSet<SagaEntry> WaitingFor => _waitingFor;

    /// <summary>Waits at the barrier and at gates. Guarded by the batch's lock.</summary>
    public int Waits { get; set; }

    public bool IsSettled { get; set; }

    public bool IsFaulted { get; private set; }

    public MessageBuffer Begin(MessageEncoder encoder)
    {
        Interlocked.Increment(ref _attempts);
        return new(this, encoder);
    }

    /// <summary>The message has left the consume pipe: it is staged, and its dispatcher waits here for the commit.</summary>
    public Task Complete()
    {
        batch.Stage(this);
        _done.TrySetResult();
        return batch.Committed;
    }

    public Task Faulted(Exception exception)
    {
        IsFaulted = !_done.Task.IsCompleted;
        batch.Fault(this, exception);
        _done.TrySetResult();
        return Task.CompletedTask;
    }

    public Task ValidateLockStatus() => Task.CompletedTask;
}

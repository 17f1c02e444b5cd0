using System.Diagnostics;
using Sync.Messaging.Outbox;
using Sync.Messaging.Scheduling;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>
/// What one handling of one message has written so far: kept in memory, merged when the message is staged, dropped when the
/// handling fails. A retry starts with an empty one.
/// </summary>
sealed class MessageBuffer(MessageSlot slot, MessageEncoder encoder) : ITopicProducer, IBatchRows
{
    readonly Lock _lock = new();

    public MessageSlot Slot => slot;

    public Batch Batch => slot.Batch;

    public List<OutgoingMessage> Messages { get; } = [];

    public List<object> Rows { get; } = [];

    public List<ScheduleOperation> Schedule { get; } = [];

    /// <summary>Instances that this handling works on. Guarded by the batch's lock.</summary>
    public List<SagaEntry> Entries { get; } = [];

    public Task Produce<T>(T message, CancellationToken cancellationToken = default)
        where T : class
    {
        cancellationToken.ThrowIfCancellationRequested();
        var outgoing = Encode(message, schedulingToken: null);
        lock (_lock)
            Messages.Add(outgoing);
        return Task.CompletedTask;
    }

    public void Add<TRow>(TRow row)
        where TRow : class
    {
        Batch.CheckRow(row.GetType());
        lock (_lock)
            Rows.Add(row);
    }

    public void Set(Guid token, object message, TimeSpan delay)
    {
        var outgoing = Encode(message, token);
        lock (_lock)
            Schedule.Add(new(token, outgoing, delay));
    }

    public void Cancel(Guid token)
    {
        lock (_lock)
            Schedule.Add(new(token, null, default));
    }

    OutgoingMessage Encode(object message, Guid? schedulingToken)
    {
        // The span of the behaviour, whose context goes with the message.
        Activity.Current?.SetTag(BatchTrace.BatchId, Batch.Id.ToString());
        var outgoing = encoder.Encode(message, slot.MessageId, schedulingToken);
        // Where no one listens to activities, the trace of the cause goes on as it came.
        if (
            Activity.Current is null
            && outgoing.Headers.Text(CloudEventNames.TraceParent) is null
            && slot.Headers.Text(CloudEventNames.TraceParent) is { } parent
        )
            outgoing.Headers.Add(CloudEventNames.TraceParent, parent);
        return outgoing;
    }
}

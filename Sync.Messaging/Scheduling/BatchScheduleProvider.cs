using MassTransit;
using MassTransit.Scheduling;
using Sync.Messaging.Batching;

namespace Sync.Messaging.Scheduling;

/// <summary>
/// Behind MassTransit's own <c>Schedule</c>: timers become rows of <c>schedule</c> in the batch's transaction. Topic and key
/// come from the message catalog, so the destination that MassTransit names has no meaning here.
/// </summary>
sealed class BatchScheduleProvider(MessageBuffer buffer) : IScheduleMessageProvider
{
    public Task<ScheduledMessage<T>> ScheduleSend<T>(
        Uri destinationAddress,
        DateTime scheduledTime,
        T message,
        IPipe<SendContext<T>> pipe,
        CancellationToken cancellationToken
    )
        where T : class
    {
        // Always a fresh token: MassTransit sets the new timer first and cancels the previous token afterwards.
        var token = NewId.NextGuid();
        // MassTransit computed the time with this machine's clock; only its distance from now goes to the database.
        var delay = scheduledTime.ToUniversalTime() - TimeProvider.System.GetUtcNow().UtcDateTime;
        buffer.Set(token, message, delay > TimeSpan.Zero ? delay : TimeSpan.Zero);
        return Task.FromResult<ScheduledMessage<T>>(
            new ScheduledMessageHandle<T>(token, scheduledTime, destinationAddress, message)
        );
    }

    public Task CancelScheduledSend(Guid tokenId, CancellationToken cancellationToken)
    {
        buffer.Cancel(tokenId);
        return Task.CompletedTask;
    }

    public Task CancelScheduledSend(Uri destinationAddress, Guid tokenId, CancellationToken cancellationToken) =>
        CancelScheduledSend(tokenId, cancellationToken);
}

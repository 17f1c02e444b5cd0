using System.Diagnostics;
using MassTransit;
using MassTransit.Configuration;
using MassTransit.Context;
using MassTransit.Scheduling;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Scheduling;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>
/// The handlings of one message, at most one that succeeds: each gets an empty buffer to write into and begins at the last
/// staged state; what a failed one wrote is dropped.
/// </summary>
/// <remarks>
/// The retries are here, and not MassTransit's filter, because they may only ever speak of the message: what speaks of the
/// batch, such as a fenced partition, must not reach a retry, and no delay may hold the batch.
/// </remarks>
sealed class HandlingFilter<T>(Func<int> retries, MessageEncoder encoder, IBusTopology topology)
    : IFilter<ConsumeContext<T>>
    where T : class
{
    public async Task Send(ConsumeContext<T> context, IPipe<ConsumeContext<T>> next)
    {
        if (!context.ReceiveContext.TryGetPayload(out MessageSlot? slot))
            throw new InvalidOperationException("the message did not come from a batch");

        Activity.Current?.SetTag(BatchTrace.BatchId, slot.Batch.Id.ToString());
        for (var left = retries(); ; left--)
        {
            var buffer = slot.Begin(encoder);
            try
            {
                await next.Send(Scope(context, buffer)).ConfigureAwait(false);
                slot.Batch.Accept(buffer);
                return;
            }
            catch (Exception e)
            {
                slot.Batch.Discard(buffer);
                if (left <= 0 || !MayHelp(e, slot.Batch))
                    throw;
            }
        }
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("batch");

    /// <summary>Not after a verdict, and not where the batch is to blame.</summary>
    static bool MayHelp(Exception exception, Batch batch) =>
        batch.Failure is null
        && exception is not (RefusedMessageException or BatchException)
        && Failures.OfInfrastructure(exception) is null;

    ConsumeContextScope<T> Scope(ConsumeContext<T> context, MessageBuffer buffer)
    {
        var scope = new ConsumeContextScope<T>(context, buffer);
        scope.AddOrUpdatePayload<MessageSchedulerContext>(() => Scheduler(scope), _ => Scheduler(scope));
        return scope;
    }

    ConsumeMessageSchedulerContext Scheduler(ConsumeContext context) =>
        new(
            context,
            asked =>
                asked.TryGetPayload(out MessageBuffer? buffer)
                    ? new MessageScheduler(new BatchScheduleProvider(buffer), topology)
                    : throw new InvalidOperationException("timers are set on an endpoint of the Kafka rider")
        );
}

/// <summary>Puts the handling filter around every type of message on the endpoint.</summary>
sealed class HandlingConfiguration : ConfigurationObserver, IMessageConfigurationObserver
{
    readonly Func<int> _retries;
    readonly MessageEncoder _encoder;
    readonly IBusTopology _topology;

    public HandlingConfiguration(
        IConsumePipeConfigurator endpoint,
        Func<int> retries,
        MessageEncoder encoder,
        IBusTopology topology
    )
        : base(endpoint)
    {
        _retries = retries;
        _encoder = encoder;
        _topology = topology;
        Connect(this);
    }

    public void MessageConfigured<TMessage>(IConsumePipeConfigurator configurator)
        where TMessage : class =>
        configurator.AddPipeSpecification(
            new FilterPipeSpecification<ConsumeContext<TMessage>>(
                new HandlingFilter<TMessage>(_retries, _encoder, _topology)
            )
        );
}

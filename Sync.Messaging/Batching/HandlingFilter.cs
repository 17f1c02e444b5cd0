using MassTransit;
using MassTransit.Configuration;
using MassTransit.Context;
using MassTransit.RetryPolicies;
using MassTransit.Scheduling;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Scheduling;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Batching;

/// <summary>
/// One handling of a message: gives it an empty buffer to write into, keeps that when the handling succeeds, and drops it
/// when it fails. It stands inside the retries, so each try begins where the message began.
/// </summary>
sealed class HandlingFilter<T>(MessageEncoder encoder, IBusTopology topology) : IFilter<ConsumeContext<T>>
    where T : class
{
    public async Task Send(ConsumeContext<T> context, IPipe<ConsumeContext<T>> next)
    {
        if (!context.ReceiveContext.TryGetPayload(out MessageSlot? slot))
            throw new InvalidOperationException("the message did not come from a batch");

        var buffer = slot.Begin(encoder);
        var scope = new ConsumeContextScope<T>(context, buffer);
        scope.AddOrUpdatePayload<MessageSchedulerContext>(() => Scheduler(scope), _ => Scheduler(scope));
        try
        {
            await next.Send(scope).ConfigureAwait(false);
            // What the behaviour started and did not await belongs to it.
            await scope.ConsumeCompleted.ConfigureAwait(false);
        }
        catch
        {
            slot.Batch.Discard(buffer);
            throw;
        }

        slot.Batch.Accept(buffer);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("batch");

    ConsumeMessageSchedulerContext Scheduler(ConsumeContext context) =>
        new(
            context,
            asked =>
                asked.TryGetPayload(out MessageBuffer? buffer)
                    ? new MessageScheduler(new BatchScheduleProvider(buffer), topology)
                    : throw new InvalidOperationException("timers are set on an endpoint of the Kafka rider")
        );
}

/// <summary>Puts the handling filter, and outside of it the retries, around every type of message on the endpoint.</summary>
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
        where TMessage : class
    {
        var retries = _retries();
        if (retries > 0)
        {
            var specification = new ConsumeContextRetryPipeSpecification<
                ConsumeContext<TMessage>,
                RetryConsumeContext<TMessage>
            >((context, policy, retry) => new(context, policy, retry), CancellationToken.None);
            specification.Immediate(retries);
            // A verdict, and what speaks of the batch and not of the message.
            specification.Ignore<RefusedMessageException>();
            specification.Ignore<BatchException>();
            specification.Ignore<OperationCanceledException>();
            configurator.AddPipeSpecification(specification);
        }

        configurator.AddPipeSpecification(
            new FilterPipeSpecification<ConsumeContext<TMessage>>(new HandlingFilter<TMessage>(_encoder, _topology))
        );
    }
}

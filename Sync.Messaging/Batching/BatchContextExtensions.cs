using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Sync.Messaging.Outbox;

namespace Sync.Messaging.Batching;

/// <summary>
/// What a behaviour or consumer may write: messages through the outbox and append-only rows. In a batch both are payloads
/// of the message's context; outside of one, as in MassTransit's test harness, they come from the container.
/// </summary>
public static class BatchContextExtensions
{
    public static Task Produce<T>(this ConsumeContext context, T message)
        where T : class => context.Get<ITopicProducer>().Produce(message, context.CancellationToken);

    public static IBatchRows Rows(this ConsumeContext context) => context.Get<IBatchRows>();

    static T Get<T>(this ConsumeContext context)
        where T : class
    {
        if (context.TryGetPayload(out T? payload))
            return payload;
        if (context.TryGetPayload(out IServiceProvider? services) && services.GetService<T>() is { } service)
            return service;
        throw new InvalidOperationException(
            $"{typeof(T).Name} is reachable on an endpoint of the Kafka rider, or where the container has one"
        );
    }
}

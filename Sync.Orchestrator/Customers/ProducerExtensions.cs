using MassTransit;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;

namespace Sync.Orchestrator.Customers;

static class ProducerExtensions
{
    /// <summary>Produces what a decision holds as <see cref="object"/>: the producer finds topic and key by the type.</summary>
    public static Task ProduceAny(this ConsumeContext context, object message) =>
        message switch
        {
            PushCustomer m => context.Produce(m),
            CreateCustomer m => context.Produce(m),
            UpdateCustomer m => context.Produce(m),
            DeleteCustomer m => context.Produce(m),
            LinkObject m => context.Produce(m),
            ObjectLinked m => context.Produce(m),
            ObjectParked m => context.Produce(m),
            RelinkObject m => context.Produce(m),
            ForgetObject m => context.Produce(m),
            _ => throw new InvalidOperationException($"{message.GetType().Name} is nothing that the saga produces"),
        };
}

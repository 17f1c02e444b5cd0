using MassTransit;
using MassTransit.Transports;

namespace Sync.Messaging.Kafka;

/// <summary>Starts and stops the endpoint's loop with the bus.</summary>
sealed class KafkaReceiveTransport(KafkaEndpointContext context, Func<KafkaEndpointContext, ConsumerLoop> createLoop)
    : IReceiveTransport
{
    public ReceiveTransportHandle Start() => new Handle(context, createLoop(context));

    public void Probe(ProbeContext probe) => context.Probe(probe.CreateScope("kafka"));

    public ConnectHandle ConnectReceiveObserver(IReceiveObserver observer) => context.ConnectReceiveObserver(observer);

    public ConnectHandle ConnectReceiveTransportObserver(IReceiveTransportObserver observer) =>
        context.ConnectReceiveTransportObserver(observer);

    public ConnectHandle ConnectPublishObserver(IPublishObserver observer) => context.ConnectPublishObserver(observer);

    public ConnectHandle ConnectSendObserver(ISendObserver observer) => context.ConnectSendObserver(observer);

    sealed class Handle : ReceiveTransportHandle
    {
        readonly ConsumerLoop _loop;
        readonly Task _run;

        public Handle(KafkaEndpointContext context, ConsumerLoop loop)
        {
            _loop = loop;
            LogContext.SetCurrentIfNull(context.LogContext);
            _run = Run(context, loop);
        }

        /// <summary>The loop finishes the batch in hand, which its own budget bounds.</summary>
        public Task Stop(CancellationToken cancellationToken = default)
        {
            _loop.RequestStop();
            return _run;
        }

        static async Task Run(KafkaEndpointContext context, ConsumerLoop loop)
        {
            await context.DependenciesReady;
            var ended = loop.Start();
            // Kafka may be down: the process starts all the same, and is not ready until it has its partitions.
            await context.TransportObservers.NotifyReady(context.InputAddress);
            await ended;
            loop.Dispose();
            await context.TransportObservers.NotifyCompleted(context.InputAddress, new Metrics());
        }

        sealed class Metrics : DeliveryMetrics
        {
            public long DeliveryCount => 0;
            public int ConcurrentDeliveryCount => 0;
        }
    }
}

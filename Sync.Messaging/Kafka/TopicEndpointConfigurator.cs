using MassTransit;
using MassTransit.Configuration;
using MassTransit.Introspection;
using MassTransit.Transports;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

/// <summary>One endpoint: the sagas and consumers of one group, over all its topics.</summary>
public sealed class TopicEndpointConfigurator : ReceiveEndpointConfiguration, IReceiveEndpointConfigurator
{
    /// <summary>More tries than this hold 500 messages and a transaction without hope.</summary>
    public const int MaxRetries = 3;

    readonly IBusInstance _bus;
    readonly IReceiveEndpointConfiguration _endpoint;
    readonly IServiceProvider _services;
    readonly string _group;
    readonly string[] _topics;
    int _retries;

    internal TopicEndpointConfigurator(
        IBusInstance bus,
        IReceiveEndpointConfiguration endpoint,
        IServiceProvider services,
        string group,
        string[] topics
    )
        : base(bus.HostConfiguration, endpoint)
    {
        _bus = bus;
        _endpoint = endpoint;
        _services = services;
        _group = group;
        _topics = topics;
        PublishFaults = false;
        // Faults reach the loop, which dead-letters; a known message that nothing here handles is passed over.
        this.RethrowFaultedMessages();
        this.DiscardSkippedMessages();
        _ = new HandlingConfiguration(
            this,
            () => _retries,
            services.GetRequiredService<MessageEncoder>(),
            bus.HostConfiguration.Topology
        );
    }

    public override Uri HostAddress => _endpoint.HostAddress;

    public override Uri InputAddress => _endpoint.InputAddress;

    /// <summary>
    /// Tries again at once, in the batch, from the last staged state. There are no delays: one would hold the transaction and
    /// all its messages; a later try is a timer.
    /// </summary>
    public void UseMessageRetry(Action<ImmediateRetries> configure)
    {
        var retries = new ImmediateRetries();
        configure(retries);
        _retries = retries.Count;
    }

    public override ReceiveEndpointContext CreateReceiveEndpointContext() => CreateContext();

    internal ReceiveEndpoint Build()
    {
        var context = CreateContext();
        RefuseRetryFilters(context);
        return new ReceiveEndpoint(new KafkaReceiveTransport(context, c => CreateLoop(c)), context);
    }

    /// <summary>MassTransit's own retries may wait, and would run a message again while its batch is being given up.</summary>
    void RefuseRetryFilters(KafkaEndpointContext context)
    {
        var probe = new ProbeResultBuilder(Guid.Empty, CancellationToken.None);
        context.ReceivePipe.Probe(probe);
        if (Mentions(((IProbeResultBuilder)probe).Build().Results, "retry"))
            throw new ConfigurationException(
                $"The Kafka endpoint of group {_group} has a retry filter of MassTransit; "
                    + "use the endpoint's UseMessageRetry(r => r.Immediate(n)), and timers for later tries"
            );

        static bool Mentions(object? part, string filter) =>
            part switch
            {
                IDictionary<string, object> scope => scope.Any(p =>
                    (p.Key == "filterType" && filter.Equals(p.Value)) || Mentions(p.Value, filter)
                ),
                System.Collections.IEnumerable parts and not string => parts
                    .Cast<object?>()
                    .Any(p => Mentions(p, filter)),
                _ => false,
            };
    }

    KafkaEndpointContext CreateContext()
    {
        var builder = new EndpointBuilder(_bus, this);
        ApplySpecifications(builder);
        return builder.CreateContext();
    }

    ConsumerLoop CreateLoop(KafkaEndpointContext context)
    {
        var identity = _services.GetRequiredService<ProcessIdentity>();
        var database = _services.GetRequiredService<NpgsqlDataSource>();
        var time = _services.GetRequiredService<TimeProvider>();
        var metrics = _services.GetRequiredService<ConsumingMetrics>();
        var crash = _services.GetRequiredService<CrashPoints>();
        var loggers = _services.GetRequiredService<ILoggerFactory>();
        var store = new BatchStore(
            database,
            identity.Schema,
            _group,
            _services.GetRequiredService<IOptions<ConsumingOptions>>().Value.DeadLetterTopic,
            _services.GetRequiredService<IOutbox>(),
            _services.GetServices<BatchRowsWriter>().ToDictionary(w => w.RowType)
        );
        var dispatcher = context.CreateReceivePipeDispatcher();
        var runner = new BatchRunner(
            store,
            new MessageDecoder(_services.GetRequiredService<MessageCatalog>(), _services.GetServices<IRecordReader>()),
            new DeadLetterBrake(time),
            async (record, slot) =>
            {
                using var received = new KafkaReceiveContext(record, slot, context);
                InsideBatch.Enter();
                await dispatcher.Dispatch(received, slot).ConfigureAwait(false);
            },
            crash,
            metrics,
            time
        );
        return new ConsumerLoop(
            _group,
            _topics,
            _services.GetRequiredService<IRecordSourceFactory>(),
            new OffsetStore(
                database,
                identity.Schema,
                _group,
                _services.GetRequiredService<IOptions<ReplicaOptions>>().Value.Replica
            ),
            runner,
            crash,
            _services.GetRequiredService<ConsumerBoard>(),
            metrics,
            _services.GetService<IBackPressure>(),
            [.. _services.GetServices<IRestoreHook>()],
            _services.GetRequiredService<IOptions<KafkaOptions>>().Value.Partitions,
            time,
            loggers.CreateLogger("Sync.Messaging.Consuming")
        )
        {
            BatchRecords = _services.GetService<BatchSize>()?.Records ?? ConsumerLoop.MaxRecords,
        };
    }

    sealed class EndpointBuilder(IBusInstance bus, IReceiveEndpointConfiguration configuration)
        : ReceiveEndpointBuilder(configuration)
    {
        public KafkaEndpointContext CreateContext()
        {
            var context = new KafkaEndpointContext(bus, configuration);
            context.GetOrAddPayload(() => bus.HostConfiguration.Topology);
            return context;
        }

        readonly IReceiveEndpointConfiguration configuration = configuration;
    }
}

/// <summary>How often a message is tried again at once.</summary>
public sealed class ImmediateRetries
{
    internal int Count { get; private set; }

    public void Immediate(int retries)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(retries);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(retries, TopicEndpointConfigurator.MaxRetries);
        Count = retries;
    }
}

/// <summary>The endpoint as a receive context sees it. What would go to the bus is refused: it would escape the transaction.</summary>
sealed class KafkaEndpointContext(IBusInstance bus, IReceiveEndpointConfiguration configuration)
    : BaseReceiveEndpointContext(bus.HostConfiguration, configuration)
{
    public override void AddSendAgent(IAgent agent) { }

    public override void AddConsumeAgent(IAgent agent) { }

    public override Exception ConvertException(Exception exception, string message) =>
        new ConnectionException(message, exception);

    protected override ISendTransportProvider CreateSendTransportProvider() => throw RefusingEndpoints.Refusal("Send");

    protected override IPublishTransportProvider CreatePublishTransportProvider() =>
        throw RefusingEndpoints.Refusal("Publish");

    protected override IPublishEndpointProvider CreatePublishEndpointProvider() => RefusingEndpoints.Instance;

    protected override ISendEndpointProvider CreateSendEndpointProvider() => RefusingEndpoints.Instance;
}

/// <summary>Publish, Send and Respond of a batch's behaviours.</summary>
sealed class RefusingEndpoints : IPublishEndpointProvider, ISendEndpointProvider, IPublishObserver, ISendObserver
{
    public static readonly RefusingEndpoints Instance = new();

    public static InvalidOperationException Refusal(string verb) =>
        new(
            $"{verb} would leave the transaction of the batch: a message must go if and only if it commits. "
                + "Use context.Produce(message)"
        );

    public Task<ISendEndpoint> GetPublishSendEndpoint<T>()
        where T : class => throw Refusal("Publish");

    public Task<ISendEndpoint> GetSendEndpoint(Uri address) => throw Refusal("Send");

    public ConnectHandle ConnectPublishObserver(IPublishObserver observer) => EmptyHandle.Instance;

    public ConnectHandle ConnectSendObserver(ISendObserver observer) => EmptyHandle.Instance;

    public Task PrePublish<T>(PublishContext<T> context)
        where T : class => InsideBatch.IsTrue ? throw Refusal("Publish") : Task.CompletedTask;

    public Task PostPublish<T>(PublishContext<T> context)
        where T : class => Task.CompletedTask;

    public Task PublishFault<T>(PublishContext<T> context, Exception exception)
        where T : class => Task.CompletedTask;

    public Task PreSend<T>(SendContext<T> context)
        where T : class => InsideBatch.IsTrue ? throw Refusal("Send") : Task.CompletedTask;

    public Task PostSend<T>(SendContext<T> context)
        where T : class => Task.CompletedTask;

    public Task SendFault<T>(SendContext<T> context, Exception exception)
        where T : class => Task.CompletedTask;

    sealed class EmptyHandle : ConnectHandle
    {
        public static readonly EmptyHandle Instance = new();

        public void Disconnect() { }

        public void Dispose() { }
    }
}

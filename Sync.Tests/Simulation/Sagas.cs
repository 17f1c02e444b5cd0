using System.Reflection;
using MassTransit;
using MassTransit.Context;
using MassTransit.Middleware;
using MassTransit.Payloads;
using MassTransit.Scheduling;
using Sync.Messaging.Batching;
using Sync.Messaging.Outbox;

namespace Sync.Tests.Simulation;

/// <summary>
/// A shipped state machine without a bus: its own correlations, its own policies for a missing instance and MassTransit's own
/// filter that raises the event, over instances in a dictionary. What the endpoint and the transport would do is left out,
/// so a message costs some ten microseconds, and the machine cannot tell the difference.
/// </summary>
sealed class Sagas<TSaga> : ISagaRepository<TSaga>
    where TSaga : class, SagaStateMachineInstance
{
    readonly Dictionary<Type, object> _filters = [];

    public Sagas(SagaStateMachine<TSaga> machine)
    {
        foreach (var correlation in machine.Correlations)
            Add.MakeGenericMethod(correlation.DataType).Invoke(null, [this, machine, correlation]);
    }

    /// <summary>Not null while an instance exists, in the order in which they came.</summary>
    public OrderedDictionary<Guid, TSaga> All { get; } = [];

    /// <summary>Raises the event of this type, as the endpoint would for a message of it; false when the machine has none.</summary>
    public bool Raise<T>(MessageScope scope, T message)
        where T : class
    {
        if (!_filters.TryGetValue(typeof(T), out var filters))
            return false;
        var (first, second) = ((IFilter<ConsumeContext<T>>?, IFilter<ConsumeContext<T>>))filters;
        var context = new MessageConsumeContext<T>(scope, message);
        var last = new Last<T>(second);
        var task = first is null ? last.Send(context) : first.Send(context, last);
        // Nothing in here waits for anything, so it is done.
        if (!task.IsCompleted)
            throw new InvalidOperationException($"{typeof(T).Name} made the machine wait; a decision awaits nothing");
        task.GetAwaiter().GetResult();
        return true;
    }

    public async Task Send<T>(
        ConsumeContext<T> context,
        ISagaPolicy<TSaga, T> policy,
        IPipe<SagaConsumeContext<TSaga, T>> next
    )
        where T : class
    {
        if (All.TryGetValue(context.CorrelationId!.Value, out var saga))
        {
            var existing = new DefaultSagaConsumeContext<TSaga, T>(context, saga);
            await policy.Existing(existing, next);
            if (existing.IsCompleted)
                All.Remove(saga.CorrelationId);
        }
        else
        {
            await policy.Missing(context, new Keep<T>(this, next));
        }
    }

    public Task SendQuery<T>(
        ConsumeContext<T> context,
        ISagaQuery<TSaga> query,
        ISagaPolicy<TSaga, T> policy,
        IPipe<SagaConsumeContext<TSaga, T>> next
    )
        where T : class => throw new NotSupportedException("every event finds its instance by its id");

    public void Probe(ProbeContext context) { }

    static readonly MethodInfo Add = typeof(Sagas<TSaga>).GetMethod(
        nameof(AddFilters),
        BindingFlags.NonPublic | BindingFlags.Static
    )!;

    static void AddFilters<T>(
        Sagas<TSaga> sagas,
        SagaStateMachine<TSaga> machine,
        EventCorrelation<TSaga, T> correlation
    )
        where T : class
    {
        var raise = Pipe.New<SagaConsumeContext<TSaga, T>>(p =>
            p.UseFilter(new StateMachineSagaMessageFilter<TSaga, T>(machine, correlation.Event))
        );
        IFilter<ConsumeContext<T>>? first = correlation.MessageFilter;
        sagas._filters.Add(typeof(T), (first, correlation.FilterFactory(sagas, correlation.Policy, raise)));
    }

    sealed class Last<T>(IFilter<ConsumeContext<T>> filter) : IPipe<ConsumeContext<T>>
        where T : class
    {
        public Task Send(ConsumeContext<T> context) => filter.Send(context, Pipe.Empty<ConsumeContext<T>>());

        public void Probe(ProbeContext context) { }
    }

    /// <summary>A new instance is kept once its first event is through, unless that ended it.</summary>
    sealed class Keep<T>(Sagas<TSaga> sagas, IPipe<SagaConsumeContext<TSaga, T>> next)
        : IPipe<SagaConsumeContext<TSaga, T>>
        where T : class
    {
        public async Task Send(SagaConsumeContext<TSaga, T> context)
        {
            await next.Send(context);
            if (!context.IsCompleted)
                sagas.All.Add(context.Saga.CorrelationId, context.Saga);
        }

        public void Probe(ProbeContext context) { }
    }
}

/// <summary>The context of one message: where what it produces goes, and its timers.</summary>
sealed class MessageScope : BaseConsumeContext
{
    static readonly ReceiveContext NoTransport = DispatchProxy.Create<ReceiveContext, Nothing>();

    readonly ListPayloadCache _payloads = new();
    readonly DateTime _sentAt;

    public MessageScope(
        ITopicProducer producer,
        IBatchRows rows,
        IScheduleMessageProvider timers,
        DateTimeOffset sentAt
    )
        : base(NoTransport, null!)
    {
        _sentAt = sentAt.UtcDateTime;
        _payloads.GetOrAddPayload(() => producer);
        _payloads.GetOrAddPayload(() => rows);
        _payloads.GetOrAddPayload<MessageSchedulerContext>(() =>
            new ConsumeMessageSchedulerContext(this, _ => new MessageScheduler(timers, null!))
        );
    }

    public override bool HasPayloadType(Type payloadType) => _payloads.HasPayloadType(payloadType);

    public override bool TryGetPayload<T>(out T payload) => _payloads.TryGetPayload(out payload!);

    public override T GetOrAddPayload<T>(PayloadFactory<T> payloadFactory) => _payloads.GetOrAddPayload(payloadFactory);

    public override T AddOrUpdatePayload<T>(PayloadFactory<T> addFactory, UpdatePayloadFactory<T> updateFactory) =>
        _payloads.AddOrUpdatePayload(addFactory, updateFactory);

    public override Task ConsumeCompleted => Task.CompletedTask;
    public override Guid? MessageId => null;
    public override Guid? RequestId => null;
    public override Guid? CorrelationId => null;
    public override Guid? ConversationId => null;
    public override Guid? InitiatorId => null;
    public override DateTime? ExpirationTime => null;
    public override Uri SourceAddress => null!;
    public override Uri DestinationAddress => null!;
    public override Uri ResponseAddress => null!;
    public override Uri FaultAddress => null!;
    public override DateTime? SentTime => _sentAt;
    public override Headers Headers => NoHeaders.Instance;
    public override HostInfo Host => null!;
    public override IEnumerable<string> SupportedMessageTypes => [];

    public override bool HasMessageType(Type messageType) => false;

    public override bool TryGetMessage<T>(out ConsumeContext<T> consumeContext)
    {
        consumeContext = null!;
        return false;
    }

    public override void AddConsumeTask(Task task) { }

    protected override Task GenerateFault<T>(ConsumeContext<T> context, Exception exception) => Task.CompletedTask;

    /// <summary>A transport that is not there.</summary>
    class Nothing : DispatchProxy
    {
        static readonly Uri Address = new("loopback://simulation/");

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod!.ReturnType == typeof(Uri) ? Address
            : targetMethod.ReturnType == typeof(Task) ? Task.CompletedTask
            : targetMethod.ReturnType.IsValueType && targetMethod.ReturnType != typeof(void)
                ? Activator.CreateInstance(targetMethod.ReturnType)
            : null;
    }

    sealed class NoHeaders : Headers
    {
        public static readonly NoHeaders Instance = new();

        public IEnumerable<KeyValuePair<string, object>> GetAll() => [];

        public bool TryGetHeader(string key, out object value)
        {
            value = null!;
            return false;
        }

        public T? Get<T>(string key, T? defaultValue = default)
            where T : class => defaultValue;

        public T? Get<T>(string key, T? defaultValue = default)
            where T : struct => defaultValue;

        public IEnumerator<HeaderValue> GetEnumerator() => Enumerable.Empty<HeaderValue>().GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

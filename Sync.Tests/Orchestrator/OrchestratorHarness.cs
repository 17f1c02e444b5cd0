using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using MassTransit;
using MassTransit.Context;
using MassTransit.Saga;
using MassTransit.Scheduling;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.Outbox;
using Sync.Orchestrator;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.Storage;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// The state machine in MassTransit's own test harness: messages go in one by one, and what it would write is caught. Time
/// stands still until it is moved, and timers ring when they are told to.
/// </summary>
sealed class OrchestratorHarness : IAsyncDisposable
{
    /// <summary>A bound against hanging; nothing is measured by it.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    readonly ServiceProvider _services;
    readonly ITestHarness _harness;
    readonly Completion _completion = new();

    OrchestratorHarness(Rules rules)
    {
        Rules = rules;
        Surroundings = new TestSurroundings(this);
        _services = new ServiceCollection()
            .AddLogging(l => l.AddProvider(new CapturingLogs(Logs)))
            .AddMetrics()
            .AddSingleton<TimeProvider>(Time)
            .AddSingleton(rules)
            .AddSingleton<Telemetry>()
            .AddSingleton(p => new Orchestration(
                rules,
                Time,
                p.GetRequiredService<Telemetry>(),
                p.GetRequiredService<ILogger<Orchestration>>()
            )
            {
                Surroundings = Surroundings,
            })
            .AddSingleton<ITopicProducer>(Caught)
            .AddSingleton<IBatchRows>(Caught)
            .AddMassTransitTestHarness(x =>
            {
                x.DisableUsageTelemetry();
                x.AddSagaStateMachine<CustomerSyncStateMachine, CustomerSync>().InMemoryRepository();
                x.AddSagaStateMachine<FoundObjectStateMachine, FoundObject>().InMemoryRepository();
                x.UsingInMemory(
                    (context, bus) =>
                    {
                        // The harness' bus carries JSON; only the rider hands over what was decoded already.
                        bus.ConfigureJsonSerializerOptions(json =>
                        {
                            json.Converters.Add(new SnapshotConverter());
                            return json;
                        });
                        bus.UseExecute(message =>
                            message.AddOrUpdatePayload<MessageSchedulerContext>(
                                () => Scheduler(message, context),
                                _ => Scheduler(message, context)
                            )
                        );
                        bus.ConfigureEndpoints(context);
                    }
                );
            })
            .BuildServiceProvider(validateScopes: true);
        _harness = _services.GetRequiredService<ITestHarness>();
        _harness.TestTimeout = Patience;
        _harness.TestInactivityTimeout = Patience;
    }

    public Rules Rules { get; }
    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
    public Caught Caught { get; } = new();
    public TestSurroundings Surroundings { get; }

    /// <summary>Everybody, as the saga's store has them.</summary>
    public IReadOnlyList<CustomerSync> Customers => All<CustomerSync>();

    public IReadOnlyList<FoundObject> Objects => All<FoundObject>();
    public ConcurrentQueue<string> Logs { get; } = new();

    public static async Task<OrchestratorHarness> Start(Rules? rules = null)
    {
        var harness = new OrchestratorHarness(rules ?? TestRules.TwoWay);
        await harness._harness.Start();
        harness._services.GetRequiredService<IBus>().ConnectReceiveObserver(harness._completion);
        harness._services.GetRequiredService<IBus>().ConnectConsumeObserver(harness._completion);
        return harness;
    }

    public async Task<CustomerSync?> Find(string customerId) =>
        await _services
            .GetRequiredService<ILoadSagaRepository<CustomerSync>>()
            .Load(CustomerIds.CorrelationId(customerId));

    public async Task<FoundObject?> FindObject(string system, string externalId) =>
        await _services
            .GetRequiredService<ILoadSagaRepository<FoundObject>>()
            .Load(CustomerIds.ObjectId(system, externalId));

    /// <summary>Hands over one message and waits until it has been handled; answers what went wrong, if anything.</summary>
    public async Task<Exception?> Send(object message, Guid? schedulingToken = null)
    {
        var id = NewId.NextGuid();
        var done = _completion.Await(id);
        await _services
            .GetRequiredService<IBus>()
            .Publish(
                message,
                message.GetType(),
                context =>
                {
                    context.MessageId = id;
                    if (schedulingToken is { } token)
                        context.Headers.Set(MessageHeaders.SchedulingTokenId, token.ToString());
                }
            );
        var fault = await done.WaitAsync(Patience);
        return fault is EventExecutionException { InnerException: { } cause } ? cause : fault;
    }

    /// <summary>Moves time to the timer that is set, and lets it ring.</summary>
    public async Task Ring()
    {
        var timer = Caught.Timers.Values.OrderBy(t => t.At).First();
        if (timer.At > Time.GetUtcNow())
            Time.SetUtcNow(timer.At);
        Caught.Timers.TryRemove(timer.Token, out _);
        Assert.Null(await Send(timer.Message, timer.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _harness.Stop();
        await _services.DisposeAsync();
    }

    List<T> All<T>()
        where T : class, SagaStateMachineInstance =>
        [
            .. _services
                .GetRequiredService<IndexedSagaDictionary<T>>()
                .Select(saga => saga)
                .OrderBy(saga => saga.CorrelationId),
        ];

    ConsumeMessageSchedulerContext Scheduler(ConsumeContext message, IServiceProvider services) =>
        new(message, _ => new MessageScheduler(Caught, services.GetRequiredService<IBus>().Topology));

    sealed class Completion : IReceiveObserver, IConsumeObserver
    {
        readonly ConcurrentDictionary<Guid, TaskCompletionSource<Exception?>> _waiting = new();
        readonly ConcurrentDictionary<Guid, Exception> _faults = new();

        public Task<Exception?> Await(Guid id) =>
            _waiting
                .GetOrAdd(
                    id,
                    _ => new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously)
                )
                .Task;

        public Task PostReceive(ReceiveContext context)
        {
            if (context.GetMessageId() is { } id && _waiting.TryGetValue(id, out var waiting))
                waiting.TrySetResult(_faults.GetValueOrDefault(id));
            return Task.CompletedTask;
        }

        public Task ConsumeFault<T>(ConsumeContext<T> context, Exception exception)
            where T : class
        {
            if (context.MessageId is { } id)
                _faults[id] = exception;
            return Task.CompletedTask;
        }

        public Task ReceiveFault(ReceiveContext context, Exception exception)
        {
            if (context.GetMessageId() is { } id && _waiting.TryGetValue(id, out var waiting))
                waiting.TrySetResult(exception);
            return Task.CompletedTask;
        }

        public Task ConsumeFault<T>(
            ConsumeContext<T> context,
            TimeSpan duration,
            string consumerType,
            Exception exception
        )
            where T : class => Task.CompletedTask;

        public Task PreReceive(ReceiveContext context) => Task.CompletedTask;

        public Task PostConsume<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType)
            where T : class => Task.CompletedTask;

        public Task PreConsume<T>(ConsumeContext<T> context)
            where T : class => Task.CompletedTask;

        public Task PostConsume<T>(ConsumeContext<T> context)
            where T : class => Task.CompletedTask;
    }

    sealed class SnapshotConverter : JsonConverter<CustomerSnapshot>
    {
        public override CustomerSnapshot? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<CustomerUpdated>(ref reader, options);

        public override void Write(Utf8JsonWriter writer, CustomerSnapshot value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value, value.GetType(), options);
    }
}

/// <summary>
/// What the database would answer, from the harness' own store; a test may hold answers back to make them stale. Deletions are
/// counted in the timeline that was caught.
/// </summary>
sealed class TestSurroundings(OrchestratorHarness harness) : ISurroundings
{
    /// <summary>How many deletions of one system spread by themselves; what was seen before counts as committed.</summary>
    public int DeletionBrake { get; set; } = int.MaxValue;
    public TimeSpan DeletionWindow { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Answers of an earlier moment, by external id; null asks the store.</summary>
    public Func<ObjectFound, IReadOnlyList<string>?> Stale { get; set; } = _ => null;

    public Task<IReadOnlyList<string>> Candidates(ConsumeContext<ObjectFound> context) =>
        Task.FromResult(Stale(context.Message) ?? Candidates(context.Message));

    public IReadOnlyList<string> Candidates(ObjectFound found) =>
        Standing.EmailKey(found.Fields.GetValueOrDefault(Paths.Email)) is { } key
            ?
            [
                .. harness
                    .Customers.Where(c =>
                        c.CurrentState is "Live" or "Proposed" && c.EmailKey?.AsSpan().SequenceEqual(key) == true
                    )
                    .Select(c => c.CustomerId)
                    .Order(StringComparer.Ordinal),
            ]
            : [];

    public Task<Vanished?> Vanished(ConsumeContext<CustomerReported> context)
    {
        var report = context.Message;
        var since = harness.Time.GetUtcNow() - DeletionWindow;
        return Task.FromResult<Vanished?>(
            new(
                new DeletionCount(
                    harness.Caught.Timeline.Count(t =>
                        t.Code == Codes.DeletionSeen && t.System == report.System && t.At > since
                    ),
                    DeletionBrake
                ),
                harness.Objects.Any(o =>
                    o.CurrentState == "Parked" && o.CustomerId == report.CustomerId && o.System == report.System
                )
            )
        );
    }

    public Task<IReadOnlyList<ObjectName>> ObjectsOf(ConsumeContext<Erase> context) =>
        Task.FromResult<IReadOnlyList<ObjectName>>([
            .. harness
                .Objects.Where(o => o.CustomerId == context.Message.CustomerId)
                .Select(o => new ObjectName(o.System, o.Ext)),
        ]);
}

/// <summary>What the machine wrote: messages, timeline rows, timers.</summary>
sealed class Caught : ITopicProducer, IBatchRows, IScheduleMessageProvider
{
    readonly ConcurrentQueue<object> _messages = new();
    readonly ConcurrentQueue<TimelineEntry> _timeline = new();

    readonly ConcurrentQueue<Erasure> _erasures = new();

    /// <summary>What our own tables were told to forget.</summary>
    public IReadOnlyList<Erasure> Erasures => [.. _erasures];

    /// <summary>A failure to raise at the next message produced.</summary>
    public Exception? FailNext { get; set; }

    public ConcurrentDictionary<Guid, Timer> Timers { get; } = new();

    public IReadOnlyList<object> Messages => [.. _messages];
    public IReadOnlyList<TimelineEntry> Timeline => [.. _timeline];

    public Task Produce<T>(T message, CancellationToken cancellationToken = default)
        where T : class
    {
        if (FailNext is { } failure)
        {
            FailNext = null;
            throw failure;
        }

        _messages.Enqueue(message);
        return Task.CompletedTask;
    }

    public void Add<TRow>(TRow row)
        where TRow : class
    {
        if (row is Erasure erasure)
            _erasures.Enqueue(erasure);
        else
            _timeline.Enqueue(Assert.IsType<TimelineEntry>(row));
    }

    public Task<ScheduledMessage<T>> ScheduleSend<T>(
        Uri destinationAddress,
        DateTime scheduledTime,
        T message,
        IPipe<SendContext<T>> pipe,
        CancellationToken cancellationToken
    )
        where T : class
    {
        var timer = new Timer(NewId.NextGuid(), new DateTimeOffset(scheduledTime, TimeSpan.Zero), message);
        Timers[timer.Token] = timer;
        return Task.FromResult<ScheduledMessage<T>>(
            new ScheduledMessageHandle<T>(timer.Token, scheduledTime, destinationAddress, message)
        );
    }

    public Task CancelScheduledSend(Guid tokenId, CancellationToken cancellationToken)
    {
        Timers.TryRemove(tokenId, out _);
        return Task.CompletedTask;
    }

    public Task CancelScheduledSend(Uri destinationAddress, Guid tokenId, CancellationToken cancellationToken) =>
        CancelScheduledSend(tokenId, cancellationToken);
}

sealed record Timer(Guid Token, DateTimeOffset At, object Message);

/// <summary>Log lines as written, for tests of what they say and of what they must not say.</summary>
sealed class CapturingLogs(ConcurrentQueue<string> lines) : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => new Logger(lines);

    public void Dispose() { }

    sealed class Logger(ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => lines.Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)}");
    }
}

using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Orchestrator;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Tests.Simulation;

/// <summary>
/// The shipped machines for one mapping. They are expensive to build and have no state of their own, so all worlds share
/// them; a world is the one whose step runs on this thread.
/// </summary>
sealed class Machines
{
    static readonly ConcurrentDictionary<(SyncConfig, bool, bool), Lazy<Machines>> Built = new();

    static readonly Telemetry Telemetry = new(
        new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>()
    );

    readonly CustomerSyncStateMachine _customers;
    readonly FoundObjectStateMachine _objects;

    [ThreadStatic]
    static World? current;

    Machines(SyncConfig config, bool oneWay, bool allowRecreate)
    {
        var options = new CustomersOptions();
        Rules = new Rules(config, oneWay, (system, _) => current!.Brakes(system))
        {
            Loop = new LoopBudget(options.LoopBrake, options.LoopWindow),
            AllowRecreate = allowRecreate,
        };
        var orchestration = new Orchestration(Rules, new WorldTime(), Telemetry, NullLogger<Orchestration>.Instance)
        {
            NextId = () => current!.NextId(),
            Surroundings = new WorldSurroundings(),
        };
        _customers = new CustomerSyncStateMachine(orchestration);
        _objects = new FoundObjectStateMachine(orchestration, Telemetry, NullLogger<FoundObjectStateMachine>.Instance);
    }

    public Rules Rules { get; }

    public static Machines Of(SyncConfig config, Profile profile) =>
        Built
            .GetOrAdd(
                (config, profile.OneWay, profile.AllowRecreate),
                key => new(() => new Machines(key.Item1, key.Item2, key.Item3))
            )
            .Value;

    public static World? Current
    {
        get => current;
        set => current = value;
    }

    public (Sagas<CustomerSync> Customers, Sagas<FoundObject> Objects) Sagas() => (new(_customers), new(_objects));

    /// <summary>What the orchestrator's tables say, candidates now and then as they stood some steps ago.</summary>
    sealed class WorldSurroundings : ISurroundings
    {
        public Task<IReadOnlyList<string>> Candidates(ConsumeContext<ObjectFound> context) =>
            Task.FromResult(current!.Candidates(context.Message.Fields.GetValueOrDefault("email")));

        public Task<Vanished?> Vanished(ConsumeContext<CustomerReported> context)
        {
            var m = context.Message;
            if (!m.Gone)
                return Task.FromResult<Vanished?>(null);
            // How many deletions are too many is chance here: see Rules.DeletionBrake.
            var none = new DeletionCount(0, int.MaxValue);
            var duplicate = current!.Objects.Any(o =>
                o.CustomerId == m.CustomerId && o.System == m.System && o.CurrentState == "Parked"
            );
            return Task.FromResult<Vanished?>(new(none, duplicate));
        }

        public Task<IReadOnlyList<ObjectName>> ObjectsOf(ConsumeContext<Erase> context) =>
            Task.FromResult<IReadOnlyList<ObjectName>>([
                .. current!
                    .Objects.Where(o => o.CustomerId == context.Message.CustomerId)
                    .Select(o => new ObjectName(o.System, o.Ext)),
            ]);
    }

    sealed class WorldTime : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => current!.OrchestratorNow;
    }
}

/// <summary>Both machines over the instances of one world.</summary>
sealed class Orchestrators(Machines machines)
{
    readonly (Sagas<CustomerSync> Customers, Sagas<FoundObject> Objects) _sagas = machines.Sagas();

    public Rules Rules => machines.Rules;
    public OrderedDictionary<Guid, CustomerSync> Customers => _sagas.Customers.All;
    public OrderedDictionary<Guid, FoundObject> Objects => _sagas.Objects.All;

    /// <summary>The same customers under another mapping: a restart with other files.</summary>
    public Orchestrators With(Machines other)
    {
        var next = new Orchestrators(other);
        foreach (var (id, customer) in Customers)
            next.Customers.Add(id, customer);
        foreach (var (id, found) in Objects)
            next.Objects.Add(id, found);
        return next;
    }

    public void Raise(object message, MessageScope scope)
    {
        var (customers, objects) = _sagas;
        switch (message)
        {
            case CustomerSnapshot m:
                customers.Raise(scope, m);
                break;
            case CustomerDeleted m:
                customers.Raise(scope, m);
                break;
            case CustomerExists m:
                customers.Raise(scope, m);
                break;
            case CustomerReported m:
                customers.Raise(scope, m);
                break;
            case LinkObject m:
                customers.Raise(scope, m);
                break;
            case ObjectDuplicated m:
                customers.Raise(scope, m);
                break;
            case Due m:
                customers.Raise(scope, m);
                break;
            case Retry m:
                customers.Raise(scope, m);
                break;
            case TakeSide m:
                customers.Raise(scope, m);
                break;
            case Release m:
                customers.Raise(scope, m);
                break;
            case Sync.Contracts.Requests.Ignore m:
                customers.Raise(scope, m);
                break;
            case Resync m:
                customers.Raise(scope, m);
                break;
            case ReleaseLoop m:
                customers.Raise(scope, m);
                break;
            case AllowRecreate m:
                customers.Raise(scope, m);
                break;
            case Erase m:
                customers.Raise(scope, m);
                break;
            case ObjectFound m:
                objects.Raise(scope, m);
                break;
            case ObjectLinked m:
                objects.Raise(scope, m);
                break;
            case ObjectParked m:
                objects.Raise(scope, m);
                break;
            case RelinkObject m:
                objects.Raise(scope, m);
                break;
            case ObjectDue m:
                objects.Raise(scope, m);
                break;
            case LinkTo m:
                objects.Raise(scope, m);
                break;
            case RetryObject m:
                objects.Raise(scope, m);
                break;
            case IgnoreObject m:
                objects.Raise(scope, m);
                break;
            case ForgetObject m:
                objects.Raise(scope, m);
                break;
            default:
                throw new InvalidOperationException($"nobody consumes {message.GetType().Name}");
        }
    }
}

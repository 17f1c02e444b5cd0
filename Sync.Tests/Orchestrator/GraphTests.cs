using MassTransit;
using MassTransit.SagaStateMachine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Orchestrator;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.FoundObjects;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>The machines as diagrams: every transition is declared, so what is approved is all that can happen.</summary>
public sealed class GraphTests
{
    static readonly Orchestration Orchestration = Make();

    [Fact]
    public void The_customer_s_life_is_the_approved_diagram() =>
        Approve("customer-sync.mmd", new CustomerSyncStateMachine(Orchestration));

    [Fact]
    public void The_found_object_s_life_is_the_approved_diagram() =>
        Approve(
            "found-object.mmd",
            new FoundObjectStateMachine(Orchestration, MakeTelemetry(), NullLogger<FoundObjectStateMachine>.Instance)
        );

    [Fact]
    public void Every_state_answers_or_ignores_every_message()
    {
        var machine = new CustomerSyncStateMachine(Orchestration);
        var events = machine.Events.Where(e => e.Name != machine.Due.AnyReceived.Name).ToList();

        foreach (
            var state in (State<CustomerSync>[])
                [
                    (State<CustomerSync>)machine.Proposed,
                    (State<CustomerSync>)machine.Live,
                    (State<CustomerSync>)machine.Removing,
                    (State<CustomerSync>)machine.Removed,
                    (State<CustomerSync>)machine.Merged,
                ]
        )
            Assert.Empty(
                events.Except(state.Events).Select(e => $"{state.Name}: {e.Name} is neither handled nor ignored")
            );
    }

    static void Approve<T>(string file, MassTransitStateMachine<T> machine)
        where T : class, SagaStateMachineInstance
    {
        var transitions = new Transitions();
        machine.Accept(transitions);
        Approved.Matches(
            file,
            "stateDiagram-v2\n" + string.Join('\n', transitions.Found.Distinct().Order(StringComparer.Ordinal))
        );

        // MassTransit's own graph knows the same transitions; it only does not say from where.
        var graph = machine.GetGraph();
        var own = graph
            .Edges.Where(e => e.From.VertexType == typeof(Event) && e.To.VertexType == typeof(State))
            .Select(e => (e.From.Title, e.To.Title))
            .ToHashSet();
        Assert.All(transitions.Targets, t => Assert.Contains(t, own));
    }

    static Orchestration Make() =>
        new(TestRules.TwoWay, TimeProvider.System, MakeTelemetry(), NullLogger<Orchestration>.Instance);

    static Telemetry MakeTelemetry() =>
        new(
            new ServiceCollection()
                .AddMetrics()
                .BuildServiceProvider()
                .GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>()
        );

    /// <summary>Reads a machine as "from this state, by this message, to that state".</summary>
    sealed class Transitions : StateMachineVisitor
    {
        readonly HashSet<(string State, string Event)> _handled = [];
        readonly HashSet<(string State, string Event)> _moveAlways = [];
        readonly HashSet<(string From, string To, string Event)> _moves = [];
        string _state = "";
        string _event = "";
        int _conditions;

        /// <summary>A message that need not move the customer also leads from a state to itself.</summary>
        public IEnumerable<string> Found =>
            _moves
                .Select(m => $"    {m.From} --> {m.To} : {m.Event}")
                .Concat(_handled.Except(_moveAlways).Select(h => $"    {h.State} --> {h.State} : {h.Event}"));
        public HashSet<(string Event, string State)> Targets { get; } = [];

        public void Visit(State state, Action<State> next)
        {
            _state = state.Name is "Initial" or "Final" ? "[*]" : state.Name;
            next(state);
        }

        public void Visit(Event @event, Action<Event> next) => Walk(@event.Name, () => next(@event));

        public void Visit<TData>(Event<TData> @event, Action<Event<TData>> next)
            where TData : class => Walk(@event.Name, () => next(@event));

        public void Visit(IStateMachineActivity activity) => Visit(activity, _ => { });

        public void Visit(IStateMachineActivity activity, Action<IStateMachineActivity> next)
        {
            var type = activity.GetType();
            if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(TransitionActivity<>))
            {
                var to = ((State)type.GetProperty("ToState")!.GetValue(activity)!).Name;
                _moves.Add((_state, to == "Final" ? "[*]" : to, _event));
                Targets.Add((_event, to));
                if (_conditions == 0)
                    _moveAlways.Add((_state, _event));
            }

            var conditional = type.Name.StartsWith("Condition", StringComparison.Ordinal);
            _conditions += conditional ? 1 : 0;
            next(activity);
            _conditions -= conditional ? 1 : 0;
        }

        public void Visit<T>(IBehavior<T> behavior)
            where T : class, SagaStateMachineInstance => Visit(behavior, _ => { });

        public void Visit<T>(IBehavior<T> behavior, Action<IBehavior<T>> next)
            where T : class, SagaStateMachineInstance => next(behavior);

        public void Visit<T, TData>(IBehavior<T, TData> behavior)
            where T : class, SagaStateMachineInstance
            where TData : class => Visit(behavior, _ => { });

        public void Visit<T, TData>(IBehavior<T, TData> behavior, Action<IBehavior<T, TData>> next)
            where T : class, SagaStateMachineInstance
            where TData : class => next(behavior);

        void Walk(string name, Action next)
        {
            // MassTransit's own filter in front of every timer.
            if (name.EndsWith(".AnyReceived", StringComparison.Ordinal))
                return;
            _event = name;
            _handled.Add((_state, name));
            next();
        }
    }
}

using MassTransit;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.FoundObjects;

/// <summary>
/// What becomes of an object found in a vendor. The messages between object and customer are levels: repeating them changes
/// nothing. An object found without our id is parked with its reason until somebody says whose it is: nothing is lost, and
/// nobody is joined by a guess.
/// </summary>
sealed class FoundObjectStateMachine : MassTransitStateMachine<FoundObject>
{
    readonly Orchestration _orchestration;
    readonly Telemetry _telemetry;
    readonly ILogger<FoundObjectStateMachine> _log;

    public FoundObjectStateMachine(
        Orchestration orchestration,
        Telemetry telemetry,
        ILogger<FoundObjectStateMachine> log
    )
    {
        _orchestration = orchestration;
        _telemetry = telemetry;
        _log = log;
        InstanceState(x => x.CurrentState);
        DeclareEvents();

        Initially(
            When(Found).Then(Keep).TransitionTo(Parked).Then(TellParked),
            // A second object with a customer's id: seen first by the customer, not by a search.
            When(ParkedByCustomer).Then(Park).TransitionTo(Parked).Then(TellParked)
        );

        During(
            Asking,
            When(LinkedByCustomer).Then(Link).TransitionTo(Linked),
            When(ParkedByCustomer, OfTheCustomerAsked).Then(Park).TransitionTo(Parked).Then(TellParked),
            When(Relinked).Then(Turn).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            When(Due.Received).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            // It is known and being decided.
            Ignore(Found)
        );

        During(
            Linked,
            When(LinkedByCustomer).Then(Link),
            // Its customer has another object now.
            When(ParkedByCustomer, OfTheCustomerAsked).Then(Park).TransitionTo(Parked).Then(TellParked),
            When(Relinked).Then(Turn).TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            // It is somebody's; the adapter had not heard of it yet.
            Ignore(Found),
            // The answer came before the timer.
            Ignore(Due.Received)
        );

        During(
            Parked,
            When(LinkedByCustomer).Then(Link).TransitionTo(Linked),
            When(ParkedByCustomer).Then(Park),
            When(Relinked).Then(Turn).TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            // It is known and waits for a person.
            Ignore(Found),
            // The answer came before the timer.
            Ignore(Due.Received)
        );
    }

    public State Asking { get; private set; } = null!;
    public State Linked { get; private set; } = null!;
    public State Parked { get; private set; } = null!;

    public Event<ObjectFound> Found { get; private set; } = null!;
    public Event<ObjectLinked> LinkedByCustomer { get; private set; } = null!;
    public Event<ObjectParked> ParkedByCustomer { get; private set; } = null!;
    public Event<RelinkObject> Relinked { get; private set; } = null!;

    /// <summary>An asked customer that is not there yet does not answer: ask again.</summary>
    public Schedule<FoundObject, ObjectDue> Due { get; private set; } = null!;

    void DeclareEvents()
    {
        Event(
            () => Found,
            e =>
                e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                    .SetSagaFactory(c => New(c.Message.System, c.Message.ExternalId))
        );
        Event(
            () => ParkedByCustomer,
            e =>
                e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                    .SetSagaFactory(c => New(c.Message.System, c.Message.ExternalId))
        );
        // Most objects were never found: we made them. Only a found one has a row.
        Event(
            () => LinkedByCustomer,
            e =>
                e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                    .OnMissingInstance(m => m.Discard())
        );
        Event(
            () => Relinked,
            e =>
                e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                    .OnMissingInstance(m => m.Discard())
        );
        Schedule(
            () => Due,
            x => x.DueToken,
            s =>
                s.Received = e =>
                    e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                        .OnMissingInstance(m => m.Discard())
        );
    }

    static FoundObject New(string system, string externalId) =>
        new()
        {
            CorrelationId = CustomerIds.ObjectId(system, externalId),
            System = system,
            Ext = externalId,
        };

    static bool OfTheCustomerAsked(BehaviorContext<FoundObject, ObjectParked> context) =>
        context.Saga.CustomerId == context.Message.CustomerId;

    void Keep(BehaviorContext<FoundObject, ObjectFound> context)
    {
        _orchestration.Check(context.Message);
        Unstorable.Refuse(context.Message.Fields);
        context.Saga.Fields = new Values(context.Message.Fields);
        context.Saga.Reason = _orchestration.Rules.OneWay ? ParkedReasons.OneWay : ParkedReasons.Unmatched;
        context.Saga.Since = _orchestration.Moment().Now;
        _telemetry.Found(context.Saga.System);
    }

    void Park(BehaviorContext<FoundObject, ObjectParked> context)
    {
        if (context.Saga.CurrentState != nameof(Parked))
            context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.CustomerId = context.Message.CustomerId;
        context.Saga.Reason = context.Message.Reason;
    }

    void Link(BehaviorContext<FoundObject, ObjectLinked> context)
    {
        // A level that was told before is no row.
        if (context.Saga.CurrentState == nameof(Linked) && context.Saga.CustomerId == context.Message.CustomerId)
            return;
        context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.CustomerId = context.Message.CustomerId;
        context.Saga.Reason = null;
        Note(context, Codes.Linked, reason: null);
    }

    void Turn(BehaviorContext<FoundObject, RelinkObject> context)
    {
        context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.CustomerId = context.Message.To;
        context.Saga.Minted = false;
        context.Saga.Reason = null;
        context.Saga.Attempt = 0;
    }

    static Task Ask<T>(BehaviorContext<FoundObject, T> context)
        where T : class
    {
        var found = context.Saga;
        found.Attempt++;
        return context.Produce(
            new LinkObject
            {
                CustomerId = found.CustomerId!,
                System = found.System,
                ExternalId = found.Ext,
                Fields = found.Fields.ToWire(),
                Minted = found.Minted,
            }
        );
    }

    static ObjectDue DueMessage<T>(BehaviorContext<FoundObject, T> context)
        where T : class => new() { System = context.Saga.System, ExternalId = context.Saga.Ext };

    DateTime DueTime<T>(BehaviorContext<FoundObject, T> context)
        where T : class => (_orchestration.Moment().Now + Rules.RepeatAfter(context.Saga.Attempt)).UtcDateTime;

    void TellParked<T>(BehaviorContext<FoundObject, T> context)
        where T : class
    {
        _log.ObjectParked(context.Saga.System, context.Saga.Ext, context.Saga.Reason!);
        Note(context, Codes.Parked, context.Saga.Reason);
    }

    void Note<T>(BehaviorContext<FoundObject, T> context, string code, string? reason)
        where T : class =>
        context
            .Rows()
            .Add(
                new TimelineEntry
                {
                    At = _orchestration.Moment().Now,
                    CorrelationId = context.Saga.CorrelationId,
                    CustomerId = context.Saga.CustomerId,
                    Revision = 0,
                    Code = code,
                    System = context.Saga.System,
                    Direction = Direction.In,
                    Paths = [],
                    ExternalId = context.Saga.Ext,
                    Reason = reason,
                    MessageId = context.MessageId,
                    CausationId = context.InitiatorId,
                    TraceId = TimelineEntry.CurrentTrace(),
                }
            );
}

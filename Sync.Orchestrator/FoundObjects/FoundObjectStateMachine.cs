using MassTransit;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.FoundObjects;

/// <summary>
/// What becomes of an object found in a vendor. One customer has its e-mail: that one is asked to take it. Nobody has: a
/// customer is made for it, and the product decides whether that is a new person. Several have: a person decides. The
/// messages between object and customer are levels: repeating them changes nothing, and the slot in the customer's row alone
/// says who is linked.
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
            When(Found, IsGone).Finalize(),
            When(Found, IsThere)
                .ThenAsync(Decide)
                .IfElse(
                    IsDecided,
                    decided => decided.TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
                    parked => parked.TransitionTo(Parked).Then(TellParked)
                ),
            // A second object with a customer's id: seen first by the customer, not by a search.
            When(ParkedByCustomer).Then(Park).TransitionTo(Parked).Then(TellParked),
            // A customer's object was merged into this one before it was found. Others send on only what they know.
            When(Relinked)
                .IfElse(
                    context => context.Message.Claims,
                    claimed =>
                        claimed.Then(Turn).TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
                    unknown => unknown.Finalize()
                )
        );

        During(
            Asking,
            When(Found, IsGone).Then(TellGone).Finalize(),
            // It is being decided; what it looks like now is what the customer will be told.
            When(Found, IsThere).Then(Keep),
            // A late copy from the customer that it was sent on by would end the asking.
            When(LinkedByCustomer, OfTheCustomerAsked).Then(Link).TransitionTo(Linked),
            When(ParkedByCustomer, OfTheCustomerAsked).Then(Park).TransitionTo(Parked).Then(TellParked),
            When(Relinked, ByTheCustomerAsked).Then(Turn).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            // Whom it asks may be taking it at this moment; two customers with one object would never end.
            When(LinkToAsked).Then(context => Request(context, Codes.LinkTo, IsAsking)),
            When(Due.Received)
                .IfElse(
                    IsUnanswered,
                    silence => silence.Then(GiveUp).TransitionTo(Parked).Then(TellParked),
                    again => again.ThenAsync(Ask).Schedule(Due, DueMessage, DueTime)
                ),
            When(RetryAsked).ThenAsync(Ask).Then(context => Request(context, Codes.RetryObject)),
            When(IgnoreAsked).Then(context => Request(context, Codes.IgnoreObject, NotParked)),
            When(Forgotten).Then(Forget)
        );

        During(
            Linked,
            When(LinkedByCustomer, NotOfTheFormer).Then(Link),
            // Its customer has another object now.
            When(ParkedByCustomer, OfTheCustomerAsked).Then(Park).TransitionTo(Parked).Then(TellParked),
            When(Relinked, ByTheCustomerAsked)
                .Then(Turn)
                .TransitionTo(Asking)
                .ThenAsync(Ask)
                .Schedule(Due, DueMessage, DueTime),
            // A slot names it; two customers with one object would never end.
            When(LinkToAsked).Then(context => Request(context, Codes.LinkTo, IsLinked)),
            When(RetryAsked).Then(context => Request(context, Codes.RetryObject, NotParked)),
            When(IgnoreAsked).Then(context => Request(context, Codes.IgnoreObject, NotParked)),
            When(Forgotten).Then(Forget),
            // It is somebody's; the adapter had not heard of it yet. Its customer hears of its end.
            Ignore(Found),
            // The answer came before the timer.
            Ignore(Due.Received)
        );

        During(
            Parked,
            When(Found, IsGone).Then(TellGone).Finalize(),
            When(Found, IsThere)
                .IfElse(
                    context => context.Saga.Rereading,
                    anew =>
                        anew.ThenAsync(Decide)
                            .IfElse(
                                IsDecided,
                                decided =>
                                    decided.TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
                                parked => parked.Then(TellParked)
                            ),
                    known => known.Then(Keep)
                ),
            When(LinkedByCustomer, NotOfTheFormer).Then(Link).TransitionTo(Linked),
            When(ParkedByCustomer).Then(Park),
            When(Relinked, ByTheCustomerAskedOrAClaim)
                .Then(Turn)
                .TransitionTo(Asking)
                .ThenAsync(Ask)
                .Schedule(Due, DueMessage, DueTime),
            When(LinkToAsked).Then(TurnTo).TransitionTo(Asking).ThenAsync(Ask).Schedule(Due, DueMessage, DueTime),
            When(RetryAsked).ThenAsync(Reread).Then(context => Request(context, Codes.RetryObject)),
            When(IgnoreAsked).Then(Hide).Then(context => Request(context, Codes.IgnoreObject)),
            When(Forgotten).Then(Forget),
            // The answer came before the timer.
            Ignore(Due.Received)
        );

        SetCompletedWhenFinalized();
    }

    public State Asking { get; private set; } = null!;
    public State Linked { get; private set; } = null!;
    public State Parked { get; private set; } = null!;

    public Event<ObjectFound> Found { get; private set; } = null!;
    public Event<ObjectLinked> LinkedByCustomer { get; private set; } = null!;
    public Event<ObjectParked> ParkedByCustomer { get; private set; } = null!;
    public Event<RelinkObject> Relinked { get; private set; } = null!;
    public Event<LinkTo> LinkToAsked { get; private set; } = null!;
    public Event<RetryObject> RetryAsked { get; private set; } = null!;
    public Event<IgnoreObject> IgnoreAsked { get; private set; } = null!;
    public Event<ForgetObject> Forgotten { get; private set; } = null!;

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
                    .SetSagaFactory(c => New(c.Message.System, c.Message.ExternalId))
        );
        Event(
            () => Forgotten,
            e =>
                e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                    .OnMissingInstance(m => m.Discard())
        );
        Event(() => LinkToAsked, Asked);
        Event(() => RetryAsked, Asked);
        Event(() => IgnoreAsked, Asked);
        Schedule(
            () => Due,
            x => x.DueToken,
            s =>
                s.Received = e =>
                    e.CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
                        .OnMissingInstance(m => m.Discard())
        );
    }

    static void Asked<T>(IEventCorrelationConfigurator<FoundObject, T> correlation)
        where T : ObjectRequest =>
        correlation
            .CorrelateById(c => CustomerIds.ObjectId(c.Message.System, c.Message.ExternalId))
            .OnMissingInstance(m =>
                m.Execute(_ =>
                    throw new RefusedMessageException(
                        "unknown-object",
                        "externalId: no found object of this system has this id; look it up in dashboard.attention and ask again"
                    )
                )
            );

    static FoundObject New(string system, string externalId) =>
        new()
        {
            CorrelationId = CustomerIds.ObjectId(system, externalId),
            System = system,
            Ext = externalId,
        };

    static bool OfTheCustomerAsked(BehaviorContext<FoundObject, ObjectParked> context) =>
        context.Saga.CustomerId == context.Message.CustomerId;

    static bool OfTheCustomerAsked(BehaviorContext<FoundObject, ObjectLinked> context) =>
        context.Saga.CustomerId == context.Message.CustomerId;

    static bool NotOfTheFormer(BehaviorContext<FoundObject, ObjectLinked> context) =>
        context.Saga.Former != context.Message.CustomerId;

    static bool ByTheCustomerAsked(BehaviorContext<FoundObject, RelinkObject> context) =>
        context.Saga.CustomerId == context.Message.CustomerId;

    /// <summary>Nobody has an object that is parked, so who claims it is asked to take it.</summary>
    static bool ByTheCustomerAskedOrAClaim(BehaviorContext<FoundObject, RelinkObject> context) =>
        context.Message.Claims || ByTheCustomerAsked(context);

    static bool IsGone(BehaviorContext<FoundObject, ObjectFound> context) => context.Message.Gone;

    static bool IsThere(BehaviorContext<FoundObject, ObjectFound> context) => !context.Message.Gone;

    static bool IsDecided(BehaviorContext<FoundObject, ObjectFound> context) => context.Saga.Reason is null;

    static bool IsUnanswered(BehaviorContext<FoundObject, ObjectDue> context) => context.Saga.Attempt >= MaxAttempts;

    void Keep(BehaviorContext<FoundObject, ObjectFound> context)
    {
        _orchestration.Check(context.Message);
        Unstorable.Refuse(context.Message.Fields);
        context.Saga.Fields = new Values(context.Message.Fields);
    }

    /// <summary>Whose it is: by its e-mail, and never by a guess.</summary>
    async Task Decide(BehaviorContext<FoundObject, ObjectFound> context)
    {
        Keep(context);
        var found = context.Saga;
        found.Since = _orchestration.Moment().Now;
        found.Candidates = [];
        found.CustomerId = null;
        found.Minted = false;
        found.Decided = false;
        found.Reason = null;
        found.Ignored = null;
        found.Rereading = false;
        found.Attempt = 0;
        _telemetry.Found(found.System);
        if (_orchestration.Rules.OneWay)
        {
            found.Reason = ParkedReasons.OneWay;
            return;
        }

        var candidates = await _orchestration.Surroundings.Candidates(context);
        switch (candidates)
        {
            case []:
                found.CustomerId = CustomerIds.Minted(found.System, found.Ext);
                found.Minted = true;
                break;
            case [var only]:
                found.CustomerId = only;
                break;
            default:
                found.Candidates = [.. candidates];
                found.Reason = ParkedReasons.Ambiguous;
                break;
        }

        if (found.CustomerId is not null)
            Note(context, Codes.Asked, found.Minted ? "nobody has its e-mail" : "one customer has its e-mail");
    }

    void Park(BehaviorContext<FoundObject, ObjectParked> context)
    {
        if (context.Saga.CurrentState != nameof(Parked))
            context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.CustomerId = context.Message.CustomerId;
        context.Saga.Reason = context.Message.Reason;
        context.Saga.Candidates = [];
    }

    void GiveUp(BehaviorContext<FoundObject, ObjectDue> context)
    {
        context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.Reason = ParkedReasons.Unanswered;
    }

    static void Hide(BehaviorContext<FoundObject, IgnoreObject> context) => context.Saga.Ignored = context.Saga.Reason;

    /// <summary>Has the adapter read it again; it is decided when the answer comes.</summary>
    static Task Reread(BehaviorContext<FoundObject, RetryObject> context)
    {
        context.Saga.Rereading = true;
        return context.Produce(
            new ReadObject
            {
                System = context.Saga.System,
                ExternalId = context.Saga.Ext,
                RequestedBy = context.Message.RequestedBy,
            }
        );
    }

    /// <summary>Its customer was erased: the id stays, so that it is not found anew.</summary>
    void Forget(BehaviorContext<FoundObject, ForgetObject> context)
    {
        context.Saga.Fields = [];
        Note(context, Codes.Erased, reason: null);
    }

    void TellGone(BehaviorContext<FoundObject, ObjectFound> context) => Note(context, Codes.ObjectGone, reason: null);

    void Link(BehaviorContext<FoundObject, ObjectLinked> context)
    {
        // A level that was told before is no row.
        if (context.Saga.CurrentState == nameof(Linked) && context.Saga.CustomerId == context.Message.CustomerId)
            return;
        context.Saga.Since = _orchestration.Moment().Now;
        context.Saga.CustomerId = context.Message.CustomerId;
        context.Saga.Reason = null;
        context.Saga.Candidates = [];
        context.Saga.Rereading = false;
        Note(context, Codes.Linked, reason: null);
    }

    void Turn(BehaviorContext<FoundObject, RelinkObject> context)
    {
        Turn(context.Saga, context.Message.To);
        if (context.Message.Claims)
            // The deletion of its former object is held, and this one takes the place.
            context.Saga.Decided = true;
        else
            context.Saga.Former = context.Message.CustomerId;
    }

    void TurnTo(BehaviorContext<FoundObject, LinkTo> context)
    {
        Turn(context.Saga, context.Message.CustomerId);
        context.Saga.Decided = true;
        Request(context, Codes.LinkTo);
    }

    void Turn(FoundObject found, string to)
    {
        found.Since = _orchestration.Moment().Now;
        found.CustomerId = to;
        found.Minted = false;
        found.Decided = false;
        found.Reason = null;
        found.Candidates = [];
        found.Rereading = false;
        found.Attempt = 0;
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
                Decided = found.Decided,
            }
        );
    }

    static ObjectDue DueMessage<T>(BehaviorContext<FoundObject, T> context)
        where T : class => new() { System = context.Saga.System, ExternalId = context.Saga.Ext };

    DateTime DueTime<T>(BehaviorContext<FoundObject, T> context)
        where T : class => (_orchestration.Moment().Now + AskAgainAfter(context.Saga.Attempt)).UtcDateTime;

    /// <summary>
    /// A customer whose first snapshot is on the way does not answer yet, and that takes a moment, so the first repeat comes
    /// soon: after 5 s, then after twice as long.
    /// </summary>
    static TimeSpan AskAgainAfter(int attempt) => TimeSpan.FromSeconds(5) * (1 << Math.Min(attempt - 1, 12));

    /// <summary>Some three hours. By then no first snapshot is on the way: the id is nobody's.</summary>
    const int MaxAttempts = 12;

    const string IsAsking = "it asks a customer already; the request changed nothing";
    const string IsLinked = "it is linked to the customer that is named; the request changed nothing";
    const string NotParked = "it is not parked; the request changed nothing";

    void TellParked<T>(BehaviorContext<FoundObject, T> context)
        where T : class
    {
        _log.ObjectParked(context.Saga.System, context.Saga.Ext, context.Saga.Reason!);
        Note(
            context,
            Codes.Parked,
            context.Saga.Candidates is { Length: > 0 } candidates
                ? $"{context.Saga.Reason}: {string.Join(", ", candidates)}"
                : context.Saga.Reason
        );
    }

    void Request<T>(BehaviorContext<FoundObject, T> context, string code, string? reason = null)
        where T : ObjectRequest
    {
        _orchestration.Check(context.Message);
        Note(context, code, reason, context.Message.RequestedBy);
    }

    void Note<T>(BehaviorContext<FoundObject, T> context, string code, string? reason, string? requestedBy = null)
        where T : class =>
        context
            .Rows()
            .Add(
                _orchestration.Happened(
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
                        // What was read because an import or an operator asked is theirs; what a vendor told, nobody's.
                        RequestedBy = requestedBy ?? (context.Message as ObjectFound)?.RequestedBy,
                        MessageId = context.MessageId,
                        CausationId = context.InitiatorId,
                        TraceId = TimelineEntry.CurrentTrace(),
                    }
                )
            );
}

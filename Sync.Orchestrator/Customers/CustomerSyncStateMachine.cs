using MassTransit;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers.Merging;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Orchestrator.Customers;

/// <summary>
/// A customer's life as a table: in this state, this message does that, and leads there. The machine owns states and
/// transitions, all declared, so its graph is the approved diagram; what happens to fields is pure functions
/// (<c>Merging/</c>) that find out facts and never name a state. <em>In step</em>, <em>catching up</em> and <em>needs
/// attention</em> are columns, not states.
/// <para>
/// Systems are configuration: nothing here names a vendor. The product is one system among others; its snapshots are its
/// reports, and it is asked with commands like any vendor.
/// </para>
/// </summary>
sealed class CustomerSyncStateMachine : MassTransitStateMachine<CustomerSync>
{
    public CustomerSyncStateMachine(Orchestration orchestration)
    {
        Orchestration = orchestration;
        InstanceState(x => x.CurrentState);
        DeclareEvents();
        SetCompletedWhenFinalized();

        // ---- nobody knows this customer yet
        Initially(
            When(Snapshot).Settle().Observe().TransitionTo(Live).Pump().Conclude(Due),
            When(Deleted).Settle().TransitionTo(Removing).Pump().Close(Removed).Conclude(Due),
            // Not minted: its first snapshot is on the way, and the object asks again. Nothing is kept meanwhile.
            When(LinkAsked)
                .IfElse(
                    context => context.Message.Minted,
                    minted => minted.Link().TransitionTo(Proposed).Pump().Conclude(Due),
                    early => early.Finalize()
                )
        );

        // ---- minted for an object found in a vendor; only the product is asked
        During(
            Proposed,
            When(Snapshot)
                .Settle()
                .Observe()
                .Where(Facts.ProductAgreed, agreed => agreed.TransitionTo(Live))
                .Pump()
                .Conclude(Due),
            When(Deleted)
                .Settle()
                .Where(Facts.SomebodyDeleted, gone => gone.TransitionTo(Removing).Pump().Close(Removed))
                .Conclude(Due),
            When(Exists).Join().Where(Facts.Joined, joined => joined.TransitionTo(Merged)).Conclude(Due),
            When(LinkAsked).Link().Pump().Conclude(Due),
            When(Duplicated).Duplicate().Conclude(Due),
            When(Due.Received).Repeat().Conclude(Due),
            When(RetryAsked).Operate().Pump().Conclude(Due),
            When(IgnoreAsked).Operate().Conclude(Due),
            When(LoopReleased).Operate().Pump().Conclude(Due),
            When(EraseAsked)
                .Operate()
                .Where(Facts.Spread, erase => erase.TransitionTo(Removing).Pump().Close(Removed))
                .Conclude(Due),
            // No vendor was told of this customer yet, so a report cannot be about it.
            Ignore(Reported),
            // Nothing is held, no deletion is parked, and no adapter knows the customer before the product agreed; who asks is told.
            When(SideTaken).Decline().Conclude(Due),
            When(ReleaseAsked).Decline().Conclude(Due),
            When(ResyncAsked).Decline().Conclude(Due),
            When(RecreateAllowed).Decline().Conclude(Due)
        );

        // ---- everybody is asked for what differs
        During(
            Live,
            When(Snapshot).Settle().Observe().Pump().Conclude(Due),
            When(Deleted)
                .Settle()
                .Where(Facts.SomebodyDeleted, gone => gone.TransitionTo(Removing).Pump().Close(Removed))
                .Conclude(Due),
            When(Reported)
                .Settle()
                .Observe()
                .Where(Facts.SomebodyDeleted, gone => gone.TransitionTo(Removing))
                .Pump()
                .Close(Removed)
                .Conclude(Due),
            When(LinkAsked).Link().Pump().Conclude(Due),
            When(Duplicated).Duplicate().Conclude(Due),
            When(Due.Received).Repeat().Conclude(Due),
            When(RetryAsked).Operate().Pump().Conclude(Due),
            When(SideTaken).Operate().Pump().Conclude(Due),
            When(ReleaseAsked)
                .Operate()
                .Where(Facts.Spread, spread => spread.TransitionTo(Removing))
                .Pump()
                .Close(Removed)
                .Conclude(Due),
            When(IgnoreAsked).Operate().Conclude(Due),
            When(ResyncAsked).Operate().Conclude(Due),
            When(LoopReleased).Operate().Pump().Conclude(Due),
            When(EraseAsked)
                .Operate()
                .Where(Facts.Spread, erase => erase.TransitionTo(Removing).Pump().Close(Removed))
                .Conclude(Due),
            // The late answer to a create that a snapshot has settled.
            Ignore(Exists),
            When(RecreateAllowed).Decline().Conclude(Due)
        );

        // ---- every system is asked to delete, and says so
        During(
            Removing,
            When(Snapshot).Settle().Pump().Close(Removed).Conclude(Due),
            When(Deleted).Settle().Pump().Close(Removed).Conclude(Due),
            When(Reported).Settle().Pump().Close(Removed).Conclude(Due),
            When(LinkAsked).ParkAsker().Conclude(Due),
            When(Duplicated).Duplicate().Conclude(Due),
            When(Due.Received).Repeat().Conclude(Due),
            When(RetryAsked).Operate().Pump().Close(Removed).Conclude(Due),
            When(IgnoreAsked).Operate().Pump().Close(Removed).Conclude(Due),
            When(EraseAsked).Operate().Pump().Close(Removed).Conclude(Due),
            // Erased before the product had answered: it made nobody, and there is nobody there to delete.
            When(Exists).NeverMade().Pump().Close(Removed).Conclude(Due),
            // A customer on its way out has no field to decide, no deletion to hold, nothing to read.
            When(SideTaken).Decline().Conclude(Due),
            When(ReleaseAsked).Decline().Conclude(Due),
            When(ResyncAsked).Decline().Conclude(Due),
            When(LoopReleased).Decline().Conclude(Due),
            // A new life begins where the former one has ended.
            When(RecreateAllowed).Decline().Conclude(Due)
        );

        // ---- a tombstone: it looks at no field, but a late create of ours is answered with a delete
        During(
            Removed,
            When(Snapshot)
                .Settle()
                .Where(Facts.OursIsBack, back => back.TransitionTo(Removing).Pump().Close(Removed))
                .Where(Facts.Reborn, reborn => reborn.Observe().TransitionTo(Live).Pump())
                .Conclude(Due),
            When(Deleted).Settle().Conclude(Due),
            When(Reported)
                .Settle()
                .Where(Facts.OursIsBack, back => back.TransitionTo(Removing).Pump().Close(Removed))
                .Conclude(Due),
            When(LinkAsked).ParkAsker().Conclude(Due),
            When(Duplicated).Duplicate().Conclude(Due),
            When(Due.Received).Repeat().Conclude(Due),
            When(IgnoreAsked).Operate().Conclude(Due),
            When(EraseAsked).Operate().Pump().Conclude(Due),
            // The product is asked to show what it has; until then nobody else is asked for anything.
            When(RecreateAllowed)
                .Operate()
                .Where(Facts.Reborn, reborn => reborn.TransitionTo(Proposed).Pump())
                .Conclude(Due),
            // Nothing is refused, held or linked in a tombstone.
            Ignore(Exists),
            When(RetryAsked).Decline().Conclude(Due),
            When(SideTaken).Decline().Conclude(Due),
            When(ReleaseAsked).Decline().Conclude(Due),
            When(ResyncAsked).Decline().Conclude(Due),
            When(LoopReleased).Decline().Conclude(Due)
        );

        // ---- it became another customer, named in the product's slot
        During(
            Merged,
            When(LinkAsked).RelinkAsker().Conclude(Due),
            // Nobody else ever knew this customer: only our own rows forget.
            When(EraseAsked).Operate().Wipe().Conclude(Due),
            // Everything else is about a customer that the product never had.
            Ignore(Snapshot),
            Ignore(Deleted),
            Ignore(Exists),
            Ignore(Reported),
            Ignore(Duplicated),
            Ignore(Due.Received),
            When(RetryAsked).Decline().Conclude(Due),
            When(SideTaken).Decline().Conclude(Due),
            When(ReleaseAsked).Decline().Conclude(Due),
            When(IgnoreAsked).Decline().Conclude(Due),
            When(ResyncAsked).Decline().Conclude(Due),
            When(LoopReleased).Decline().Conclude(Due),
            When(RecreateAllowed).Decline().Conclude(Due)
        );
    }

    /// <summary>What the verbs work with.</summary>
    public Orchestration Orchestration { get; }

    public State Proposed { get; private set; } = null!;
    public State Live { get; private set; } = null!;
    public State Removing { get; private set; } = null!;
    public State Removed { get; private set; } = null!;
    public State Merged { get; private set; } = null!;

    /// <summary>Created and updated alike: a snapshot says how things stand, not what happened.</summary>
    public Event<CustomerSnapshot> Snapshot { get; private set; } = null!;
    public Event<CustomerDeleted> Deleted { get; private set; } = null!;
    public Event<CustomerExists> Exists { get; private set; } = null!;
    public Event<CustomerReported> Reported { get; private set; } = null!;
    public Event<LinkObject> LinkAsked { get; private set; } = null!;
    public Event<ObjectDuplicated> Duplicated { get; private set; } = null!;
    public Event<Retry> RetryAsked { get; private set; } = null!;
    public Event<TakeSide> SideTaken { get; private set; } = null!;
    public Event<Release> ReleaseAsked { get; private set; } = null!;
    public Event<Ignore> IgnoreAsked { get; private set; } = null!;
    public Event<Resync> ResyncAsked { get; private set; } = null!;
    public Event<ReleaseLoop> LoopReleased { get; private set; } = null!;
    public Event<AllowRecreate> RecreateAllowed { get; private set; } = null!;
    public Event<Erase> EraseAsked { get; private set; } = null!;

    /// <summary>The customer's one timer; what is due is read from the row.</summary>
    public Schedule<CustomerSync, Due> Due { get; private set; } = null!;

    void DeclareEvents()
    {
        Event(() => Snapshot, e => Of(e, m => m.CustomerId).SetSagaFactory(c => New(c.Message.CustomerId)));
        Event(() => Deleted, e => Of(e, m => m.CustomerId).SetSagaFactory(c => New(c.Message.CustomerId)));
        Event(() => LinkAsked, e => Of(e, m => m.CustomerId).SetSagaFactory(c => New(c.Message.CustomerId)));
        // The answer to a command of a customer that is not there any more.
        Event(() => Exists, e => Of(e, m => m.CustomerId).OnMissingInstance(m => m.Discard()));
        // About nobody: the object that it names must not look linked.
        Event(
            () => Reported,
            e =>
                Of(e, m => m.CustomerId)
                    .OnMissingInstance(m =>
                        m.ExecuteAsync(c =>
                            TellUnknown(c, c.Message.System, c.Message.CustomerId, c.Message.ExternalId)
                        )
                    )
        );
        Event(
            () => Duplicated,
            e =>
                Of(e, m => m.CustomerId)
                    .OnMissingInstance(m =>
                        m.ExecuteAsync(c =>
                            TellUnknown(c, c.Message.System, c.Message.CustomerId, c.Message.ExternalId)
                        )
                    )
        );
        Event(() => RetryAsked, Asked);
        Event(() => SideTaken, Asked);
        Event(() => ReleaseAsked, Asked);
        Event(() => IgnoreAsked, Asked);
        Event(() => ResyncAsked, Asked);
        Event(() => LoopReleased, Asked);
        Event(() => RecreateAllowed, Asked);
        Event(() => EraseAsked, Asked);
        // The timer of a tombstone that was purged meanwhile.
        Schedule(
            () => Due,
            x => x.DueToken,
            s => s.Received = e => Of(e, m => m.CustomerId).OnMissingInstance(m => m.Discard())
        );
    }

    static IEventCorrelationConfigurator<CustomerSync, T> Of<T>(
        IEventCorrelationConfigurator<CustomerSync, T> correlation,
        Func<T, string> customerId
    )
        where T : class => correlation.CorrelateById(c => CustomerIds.CorrelationId(customerId(c.Message)));

    static void Asked<T>(IEventCorrelationConfigurator<CustomerSync, T> correlation)
        where T : OperatorRequest =>
        Of(correlation, m => m.CustomerId)
            .OnMissingInstance(m =>
                m.Execute(_ =>
                    throw new RefusedMessageException(
                        "unknown-customer",
                        "customerId: no customer has this id; look it up in dashboard.customers and ask again"
                    )
                )
            );

    static CustomerSync New(string customerId) =>
        new() { CorrelationId = CustomerIds.CorrelationId(customerId), CustomerId = customerId };

    async Task TellUnknown<T>(ConsumeContext<T> context, string system, string customerId, string? externalId)
        where T : class
    {
        Orchestration.Check(context.Message);
        if (externalId is null)
            return;
        await context.Produce(
            new ObjectParked
            {
                CustomerId = customerId,
                System = system,
                ExternalId = externalId,
                Reason = "unknown customer",
            }
        );
    }
}

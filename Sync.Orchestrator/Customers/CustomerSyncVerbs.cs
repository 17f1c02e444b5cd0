using MassTransit;
using Sync.Contracts.Requests;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Customers;

/// <summary>The words in which the machine is written. A verb does one thing and chooses nothing.</summary>
static class CustomerSyncVerbs
{
    /// <summary>Numbers, links, answers and deletions of a report.</summary>
    public static EventActivityBinder<CustomerSync, T> Settle<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class =>
        binder.ThenAsync(async context =>
        {
            var turn = Turn.Of(context);
            await turn.LookAround(context);
            turn.Settle();
        });

    /// <summary>The fields of a report.</summary>
    public static EventActivityBinder<CustomerSync, T> Observe<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Observe());

    /// <summary>Asks each system for what it lacks.</summary>
    public static EventActivityBinder<CustomerSync, T> Pump<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Pump());

    /// <summary>Sends again what has waited long enough.</summary>
    public static EventActivityBinder<CustomerSync, T> Repeat<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Repeat());

    /// <summary>Checks the slot for the object that asks.</summary>
    public static EventActivityBinder<CustomerSync, T> Link<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Link());

    /// <summary>Hands all objects to the customer that the product has already.</summary>
    public static EventActivityBinder<CustomerSync, T> Join<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Join());

    /// <summary>The product made nobody of the customer that is to go.</summary>
    public static EventActivityBinder<CustomerSync, T> NeverMade<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).NeverMade());

    /// <summary>A second object with our id: parked, or deleted where a create of ours made it.</summary>
    public static EventActivityBinder<CustomerSync, T> Duplicate<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Duplicate());

    /// <summary>Tells the object that asks that there is no slot for it.</summary>
    public static EventActivityBinder<CustomerSync, T> ParkAsker<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).ParkAsker());

    /// <summary>Tells the object that asks whom to ask instead.</summary>
    public static EventActivityBinder<CustomerSync, T> RelinkAsker<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).RelinkAsker());

    /// <summary>Does what an operator asks.</summary>
    public static EventActivityBinder<CustomerSync, T> Operate<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class =>
        binder.ThenAsync(async context =>
        {
            var turn = Turn.Of(context);
            await turn.LookAround(context);
            turn.Operate();
        });

    /// <summary>Drops all personal data: what is left is a tombstone.</summary>
    public static EventActivityBinder<CustomerSync, T> Forget<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Forget());

    /// <summary>Tells the operator that in this state there is nothing to do.</summary>
    public static EventActivityBinder<CustomerSync, T> Decline<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : OperatorRequest => binder.Then(context => Turn.Of(context).Decline());

    /// <summary>Our own tables forget a customer that no system knows.</summary>
    public static EventActivityBinder<CustomerSync, T> Wipe<T>(this EventActivityBinder<CustomerSync, T> binder)
        where T : class => binder.Then(context => Turn.Of(context).Wipe());

    /// <summary>One branch for a fact that the verbs before it found out.</summary>
    public static EventActivityBinder<CustomerSync, T> Where<T>(
        this EventActivityBinder<CustomerSync, T> binder,
        Facts fact,
        Func<EventActivityBinder<CustomerSync, T>, EventActivityBinder<CustomerSync, T>> then
    )
        where T : class => binder.If(context => Turn.Of(context).Decision.Has(fact), then);

    /// <summary>The end of a removal, once everybody is gone.</summary>
    public static EventActivityBinder<CustomerSync, T> Close<T>(
        this EventActivityBinder<CustomerSync, T> binder,
        State removed
    )
        where T : class => binder.Where(Facts.AllGone, gone => gone.TransitionTo(removed).Forget());

    /// <summary>
    /// The last verb of every row: the columns for dashboards, the timer if it must ring earlier than it would, messages
    /// and timeline.
    /// </summary>
    public static EventActivityBinder<CustomerSync, T> Conclude<T>(
        this EventActivityBinder<CustomerSync, T> binder,
        Schedule<CustomerSync, Due> timer
    )
        where T : class =>
        binder
            .Then(context => Turn.Of(context).Describe())
            .If(
                context => Turn.Of(context).Ring is not null,
                ring =>
                    ring.Schedule(
                        timer,
                        context => new Due { CustomerId = context.Saga.CustomerId },
                        context => Turn.Of(context).Ring!.Value.UtcDateTime
                    )
            )
            .ThenAsync(context => Turn.Of(context).Write(context));
}

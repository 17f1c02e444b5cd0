using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>Which object of a vendor is this customer's. Only the saga says so: the slot in its row alone is the truth.</summary>
static class Linking
{
    /// <summary>An object asks to be this customer's. Asking again changes nothing.</summary>
    public static Decision Link(CustomerSync sync, LinkObject ask, Rules rules)
    {
        var decision = new Decision();
        var system = sync.System(ask.System);
        if (system.Ext == ask.ExternalId)
        {
            decision.Messages.Add(Linked(sync, ask.System, ask.ExternalId));
            return decision;
        }

        // The deletion of its object is held, and a person, or the vendor's merge, says that this one takes the place: nothing
        // is deleted.
        var replaces = ask.Decided && system.Gone && system.Brake == BrakeReasons.Held;
        if (!replaces && (system.Ext is not null || system.Sent is not null || system.Gone))
        {
            decision.Messages.Add(Parked(sync, ask.System, ask.ExternalId, $"duplicate of customer {sync.CustomerId}"));
            decision.Notes.Add(new Note(Codes.Parked, ask.System) { ExternalId = ask.ExternalId });
            return decision;
        }

        if (replaces)
        {
            system.BeginLife(ask.ExternalId);
        }
        else
        {
            system.Ext = ask.ExternalId;
            system.Linked = true;
            system.IdOnObject = false;
        }

        decision.Messages.Add(Linked(sync, ask.System, ask.ExternalId));
        decision.Notes.Add(
            new Note(replaces ? Codes.Replaced : Codes.Linked, ask.System) { ExternalId = ask.ExternalId }
        );
        return decision.With(
            Observing.Observe(
                sync,
                new Report
                {
                    System = ask.System,
                    Obs = system.Obs,
                    Fields = ask.Fields,
                },
                rules
            )
        );
    }

    /// <summary>The product has this person already: every object goes there, and this customer becomes that one.</summary>
    public static Decision Join(CustomerSync sync, CustomerExists exists, Rules rules)
    {
        var decision = new Decision();
        var product = sync.System(Contracts.SystemNames.Product);
        if (product.Sent?.Id != exists.CommandId)
        {
            decision.Facts = Facts.Dropped;
            return decision;
        }

        decision.Facts = Facts.Joined;
        decision.Notes.Add(new Note(Codes.ProductExists, Contracts.SystemNames.Product));
        foreach (var name in rules.Config.Systems.Keys)
        {
            var system = sync.System(name);
            if (name == Contracts.SystemNames.Product || system.Ext is null)
                continue;
            decision.Messages.Add(Relink(sync, name, system.Ext, exists.Existing));
            system.Ext = null;
            system.Linked = false;
        }

        product.Sent = null;
        product.Ext = exists.Existing;
        Removing.Forget(sync);
        return decision;
    }

    /// <summary>A second object carries this customer's id. It is never linked; it goes only if we made it and the customer is gone.</summary>
    public static Decision Duplicate(CustomerSync sync, ObjectDuplicated duplicate, Moment moment)
    {
        var decision = new Decision();
        decision.Notes.Add(new Note(Codes.Duplicate, duplicate.System) { ExternalId = duplicate.ExternalId });
        if (duplicate.Ours && sync.Stage() is Stage.Removing or Stage.Removed)
        {
            decision.Messages.Add(
                new PushCustomer
                {
                    CommandId = moment.NextId(),
                    System = duplicate.System,
                    CustomerId = sync.CustomerId,
                    Generation = sync.System(duplicate.System).Gen,
                    Operation = Operation.DeleteObject,
                    ExternalId = duplicate.ExternalId,
                    Revision = sync.Revision,
                }
            );
            decision.Notes.Add(
                new Note(Codes.CommandDeleteObject, duplicate.System, Direction.Out)
                {
                    ExternalId = duplicate.ExternalId,
                }
            );
            return decision;
        }

        decision.Messages.Add(
            Parked(sync, duplicate.System, duplicate.ExternalId, $"duplicate of customer {sync.CustomerId}")
        );
        return decision;
    }

    public static ObjectParked Parked(CustomerSync sync, string system, string externalId, string reason) =>
        new()
        {
            CustomerId = sync.CustomerId,
            System = system,
            ExternalId = externalId,
            Reason = reason,
        };

    public static RelinkObject Relink(CustomerSync sync, string system, string externalId, string to) =>
        new()
        {
            CustomerId = sync.CustomerId,
            System = system,
            ExternalId = externalId,
            To = to,
        };

    /// <summary>The vendor merged the customer's object into this one, which nobody is known to have.</summary>
    public static RelinkObject Claim(CustomerSync sync, string system, string externalId) =>
        Relink(sync, system, externalId, sync.CustomerId) with
        {
            Claims = true,
        };

    public static ObjectLinked Linked(CustomerSync sync, string system, string externalId) =>
        new()
        {
            CustomerId = sync.CustomerId,
            System = system,
            ExternalId = externalId,
        };
}

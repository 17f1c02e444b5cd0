using MassTransit;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;

namespace Sync.Adapter.Intake;

/// <summary>Takes commands in, and is done: they become rows in the transaction that advances the offsets.</summary>
sealed class PushCustomerConsumer(AdapterSystem system) : IConsumer<PushCustomer>
{
    public Task Consume(ConsumeContext<PushCustomer> context)
    {
        var command = context.Message;
        if (command.System != system.Name)
            throw new RefusedMessageException(
                "schema",
                $"system: this adapter is \"{system.Name}\"; the command names another system"
            );
        if (command.Operation == Operation.Unknown)
            throw new RefusedMessageException(
                "schema",
                "operation: is none of create, update, delete, deleteObject, read, erase; a newer version may know it"
            );
        if (command.CommandId == Guid.Empty)
            throw new RefusedMessageException("schema", "commandId: is empty; a command is settled by its id");
        if (command.Operation == Operation.DeleteObject && string.IsNullOrEmpty(command.ExternalId))
            throw new RefusedMessageException("schema", "externalId: is missing; deleteObject names the object");

        context.Rows().Add(WorkRow.Of(command));
        return Task.CompletedTask;
    }
}

/// <summary>An operator wants an object looked at that is no customer's yet.</summary>
sealed class ReadObjectConsumer(AdapterSystem system) : IConsumer<ReadObject>
{
    public Task Consume(ConsumeContext<ReadObject> context)
    {
        if (context.Message.System != system.Name)
            throw new RefusedMessageException(
                "schema",
                $"system: this adapter is \"{system.Name}\"; the request names another system"
            );
        if (string.IsNullOrEmpty(context.Message.ExternalId))
            throw new RefusedMessageException("schema", "externalId: is missing; the request names the object");

        // Should a customer have it meanwhile, the round finds out and begins again there.
        context
            .Rows()
            .Add(
                WorkRow.Of(
                    context.MessageId ?? NewId.NextGuid(),
                    Lanes.Object(context.Message.ExternalId),
                    new Hint
                    {
                        ExternalId = context.Message.ExternalId,
                        Kind = HintKind.Look,
                        Always = true,
                        RequestedBy = context.Message.RequestedBy,
                    }
                )
            );
        return Task.CompletedTask;
    }
}

/// <summary>Somebody wants to know of every object what it is.</summary>
sealed class RequestScanConsumer(AdapterSystem system) : IConsumer<RequestScan>
{
    public Task Consume(ConsumeContext<RequestScan> context)
    {
        if (context.Message.System != system.Name)
            throw new RefusedMessageException(
                "schema",
                $"system: this adapter is \"{system.Name}\"; the request names another system"
            );
        if (context.Message.RequestId == Guid.Empty)
            throw new RefusedMessageException("schema", "requestId: is empty; what is listed is told under it");

        context.Rows().Add(new ScanAsked(context.Message.RequestId));
        return Task.CompletedTask;
    }
}

/// <summary>Name of the system that this adapter serves.</summary>
sealed record AdapterSystem(string Name);

using MassTransit;
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
                "operation: is none of create, update, delete, deleteObject, read; a newer version may know it"
            );
        if (command.CommandId == Guid.Empty)
            throw new RefusedMessageException("schema", "commandId: is empty; a command is settled by its id");
        if (command.Operation == Operation.DeleteObject && string.IsNullOrEmpty(command.ExternalId))
            throw new RefusedMessageException("schema", "externalId: is missing; deleteObject names the object");

        context.Rows().Add(WorkRow.Of(command));
        return Task.CompletedTask;
    }
}

/// <summary>Name of the system that this adapter serves.</summary>
sealed record AdapterSystem(string Name);

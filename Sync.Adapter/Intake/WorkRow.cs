using System.Diagnostics;
using System.Text.Json;
using Sync.Adapter.Links;
using Sync.Contracts.Json;
using Sync.Contracts.Systems;

namespace Sync.Adapter.Intake;

/// <summary>A row of <c>work</c> as intake adds it.</summary>
sealed record WorkRow(Guid Id, string Lane, string Kind, string Body, string? TraceParent, string? TraceState)
{
    public static WorkRow Of(PushCustomer command) =>
        New(
            command.CommandId,
            Lanes.Customer(command.CustomerId),
            "command",
            JsonSerializer.Serialize(command, ContractsJson.Default.PushCustomer)
        );

    public static WorkRow Of(Guid id, string lane, Hint hint) =>
        New(id, lane, hint.Always ? "request" : "hint", JsonSerializer.Serialize(hint, RowJson.Default.Hint));

    // What is in force when the work comes in is what its vendor calls belong to.
    static WorkRow New(Guid id, string lane, string kind, string body) =>
        new(
            id,
            lane,
            kind,
            body,
            Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity ? activity.Id : null,
            Activity.Current?.TraceStateString
        );
}

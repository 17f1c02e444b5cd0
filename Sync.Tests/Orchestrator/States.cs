using System.Text.Json;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Storage;

namespace Sync.Tests.Orchestrator;

/// <summary>A customer's whole state as text, for "nothing has changed".</summary>
static class States
{
    public static string Text(CustomerSync sync) =>
        string.Join(
            '\n',
            sync.CustomerId,
            sync.CurrentState,
            sync.Revision,
            StateJson.Fields(sync.Golden),
            StateJson.Held(sync.Held),
            StateJson.Systems(sync.Systems),
            JsonSerializer.Serialize(sync.Behind),
            sync.Attention,
            sync.Since,
            sync.Ignored,
            sync.DueAt
        );
}

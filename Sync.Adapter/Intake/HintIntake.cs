using Npgsql;
using Sync.Adapter.Links;

namespace Sync.Adapter.Intake;

/// <summary>
/// Takes hints in: webhooks before they are answered 200, change events and sweep rows in the transaction that stores their
/// cursor. A hint goes to the lane that has its object, else to the customer whose id its payload carries, else to the
/// object's own; the round decides whether it belongs elsewhere.
/// </summary>
sealed class HintIntake(AdapterSchema schema, WorkWriter writer)
{
    /// <summary>The connection has the caller's transaction open. An id that was taken in before is not taken in again while its work waits.</summary>
    public async Task Take(
        NpgsqlConnection connection,
        IReadOnlyList<(Guid Id, Hint Hint)> hints,
        CancellationToken cancellationToken
    )
    {
        if (hints.Count == 0)
            return;

        Dictionary<string, string> lanes = [];
        await using (
            var command = LinkStore.Command(
                connection,
                $"select ext, lane from {schema.Quoted}.link where ext = any($1)",
                [hints.Select(h => h.Hint.ExternalId).Distinct().ToArray()]
            )
        )
        {
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                lanes[rows.GetString(0)] = rows.GetString(1);
        }

        var work = hints.Select(h => WorkRow.Of(h.Id, Lane(h.Hint), h.Hint)).ToList();
        await writer.Write(work, connection, cancellationToken);

        string Lane(Hint hint) =>
            lanes.TryGetValue(hint.ExternalId, out var lane) ? lane
            : string.IsNullOrEmpty(hint.CustomerId) ? Lanes.Object(hint.ExternalId)
            : Lanes.Customer(hint.CustomerId);
    }
}

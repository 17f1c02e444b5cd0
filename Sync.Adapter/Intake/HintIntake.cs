using System.Diagnostics;
using Npgsql;
using Sync.Adapter.Hosting;
using Sync.Adapter.Links;

namespace Sync.Adapter.Intake;

/// <summary>
/// Takes hints in: webhooks before they are answered 200, change events and sweep rows in the transaction that stores their
/// cursor. A hint goes to the lane that has its object, else to the customer whose id its payload carries, else to the
/// object's own; the round decides whether it belongs elsewhere. Each is taken in once: a late second copy of an event
/// would tell again which values a write replaced, and what a person has done since would be undone.
/// </summary>
sealed class HintIntake(AdapterSchema schema, WorkWriter writer) : IHintIntake
{
    /// <summary>The connection has the caller's transaction open. An id that was taken in before is not taken in again for 35 days.</summary>
    public async Task Take(
        NpgsqlConnection connection,
        IReadOnlyList<(Guid Id, Hint Hint)> hints,
        CancellationToken cancellationToken
    )
    {
        if (hints.Count == 0)
            return;
        hints = await New(connection, hints, cancellationToken);
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

        var work = hints.Select(h => Row(h.Id, h.Hint)).ToList();
        await writer.Write(work, connection, cancellationToken);

        // Here a person's edit comes in: its trace runs from the vendor's word, to the last vendor written. A look of our
        // own, of which a scan takes thousands, has a trace only once somebody looks.
        WorkRow Row(Guid id, Hint hint)
        {
            using var span =
                hint.Kind == HintKind.Look
                    ? null
                    : AdapterTelemetry.Source.StartActivity("adapter intake", ActivityKind.Consumer, hint.Cause);
            return WorkRow.Of(id, Lane(hint), hint);
        }

        string Lane(Hint hint) =>
            lanes.TryGetValue(hint.ExternalId, out var lane) ? lane
            : string.IsNullOrEmpty(hint.CustomerId) ? Lanes.Object(hint.ExternalId)
            : Lanes.Customer(hint.CustomerId);
    }

    public void Committed() => writer.Committed();

    async Task<IReadOnlyList<(Guid Id, Hint Hint)>> New(
        NpgsqlConnection connection,
        IReadOnlyList<(Guid Id, Hint Hint)> hints,
        CancellationToken cancellationToken
    )
    {
        // In the order of ids, so that two replicas with the same events wait for each other and not in a circle.
        HashSet<Guid> fresh = [];
        await using (
            var command = LinkStore.Command(
                connection,
                $"""
                insert into {schema.Quoted}.hint_seen (id) select id from unnest($1) u(id) order by id
                on conflict do nothing returning id
                """,
                [hints.Select(h => h.Id).Distinct().ToArray()]
            )
        )
        {
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                fresh.Add(rows.GetGuid(0));
        }

        return fresh.Count == hints.Count ? hints : [.. hints.Where(h => fresh.Contains(h.Id)).DistinctBy(h => h.Id)];
    }
}

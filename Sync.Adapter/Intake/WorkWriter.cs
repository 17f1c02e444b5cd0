using Npgsql;
using Sync.Adapter.Links;
using Sync.Messaging.Batching;

namespace Sync.Adapter.Intake;

/// <summary>
/// Writes work and wakes its lanes: the one way in, for commands in the transaction that advances the offsets, for hints in
/// the one that stores their cursor. Nothing is looked up and no vendor is called.
/// </summary>
sealed class WorkWriter(AdapterSchema schema, WorkSignal signal) : IBatchRowWriter<WorkRow>
{
    public async Task Write(
        IReadOnlyList<WorkRow> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        if (rows.Count == 0)
            return;

        // seq rises in the order of the batch. An id that is there already was taken in before.
        await using (
            var insert = LinkStore.Command(
                connection,
                $"""
                insert into {schema.Quoted}.work (id, lane, kind, body, traceparent, tracestate)
                select id, lane, kind, body::jsonb, traceparent, tracestate
                  from unnest($1, $2, $3, $4, $5, $6) with ordinality
                       u(id, lane, kind, body, traceparent, tracestate, n) order by n
                on conflict (id) do nothing
                """,
                [
                    rows.Select(r => r.Id).ToArray(),
                    rows.Select(r => r.Lane).ToArray(),
                    rows.Select(r => r.Kind).ToArray(),
                    rows.Select(r => r.Body).ToArray(),
                    rows.Select(r => r.TraceParent).ToArray(),
                    rows.Select(r => r.TraceState).ToArray(),
                ]
            )
        )
            await insert.ExecuteNonQueryAsync(cancellationToken);

        // After the insert: a worker that holds one of these lanes finishes first, or sees the new row.
        await LinkStore.Ensure(connection, schema.Quoted, rows.Select(r => r.Lane), wake: true, cancellationToken);
    }

    /// <summary>The lanes can be taken.</summary>
    public void Committed() => signal.Set();
}

/// <summary>Name of the schema that holds this adapter's tables.</summary>
sealed record AdapterSchema(string Name)
{
    public string Quoted { get; } = AdapterTables.Quoted(Name);
}

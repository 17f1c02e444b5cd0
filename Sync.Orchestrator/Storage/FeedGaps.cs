using MassTransit;
using Npgsql;
using NpgsqlTypes;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;

namespace Sync.Orchestrator.Storage;

/// <summary>Keeps what adapters say of windows in which a feed may have lost changes, beside the kernel's own gaps.</summary>
sealed class FeedGapConsumer : IConsumer<FeedGapReported>
{
    public Task Consume(ConsumeContext<FeedGapReported> context)
    {
        context.Rows().Add(context.Message);
        return Task.CompletedTask;
    }
}

/// <summary>One row a gap, whichever of its reports comes first and however often: what is closed stays closed.</summary>
sealed class FeedGapWriter : IBatchRowWriter<FeedGapReported>
{
    const string Sql = $"""
        insert into {OrchestratorDb.Schema}.feed_gap as g
          (gap_id, system, feed, reason, from_time, to_time, found_at, state, closed_by, closed_at)
        values ($1, $2, $3, $4, $5, $6, $7, case when $8 is null then 'open' else 'closed' end,
                case when $8 is null then null else 'scan' end, $8)
        on conflict (gap_id) do update set
          state = case when excluded.closed_at is null then g.state else excluded.state end,
          closed_by = coalesce(g.closed_by, excluded.closed_by),
          closed_at = coalesce(g.closed_at, excluded.closed_at)
        """;

    public async Task Write(
        IReadOnlyList<FeedGapReported> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var batch = new NpgsqlBatch(connection);
        foreach (var row in rows.OrderBy(r => r.GapId))
        {
            var command = new NpgsqlBatchCommand(Sql);
            void Add(object? value, NpgsqlDbType type) =>
                command.Parameters.Add(new() { Value = value ?? DBNull.Value, NpgsqlDbType = type });
            Add(row.GapId, NpgsqlDbType.Uuid);
            Add(row.System, NpgsqlDbType.Text);
            Add(row.Feed, NpgsqlDbType.Text);
            Add(row.Reason, NpgsqlDbType.Text);
            Add(row.From?.ToUniversalTime(), NpgsqlDbType.TimestampTz);
            Add(row.To?.ToUniversalTime(), NpgsqlDbType.TimestampTz);
            Add(row.OpenedAt.ToUniversalTime(), NpgsqlDbType.TimestampTz);
            Add(row.ClosedAt?.ToUniversalTime(), NpgsqlDbType.TimestampTz);
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}

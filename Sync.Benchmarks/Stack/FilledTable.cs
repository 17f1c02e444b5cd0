using Npgsql;
using NpgsqlTypes;
using Sync.Contracts;

namespace Sync.Benchmarks.Stack;

/// <summary>
/// Rows of one real customer that is in step, its state and its history, from which as many others as wanted are made. Their
/// identifiers are what the product's ids make them, so that events of the product find them.
/// </summary>
sealed record CustomerTemplate(string CustomerJson, IReadOnlyList<string> TimelineJson)
{
    /// <summary>Of the history; more would measure the disk.</summary>
    const int MaxTimelineRows = 3;

    public static async Task<CustomerTemplate> Take(
        NpgsqlDataSource database,
        string customerId,
        CancellationToken cancellationToken
    )
    {
        return new(
            (await Texts("select to_jsonb(c)::text from sync.customer c where customer_id = $1"))[0],
            await Texts(
                $"select (to_jsonb(t) - 'id')::text from sync.timeline t where customer_id = $1 order by id limit {MaxTimelineRows}"
            )
        );

        async Task<List<string>> Texts(string sql)
        {
            await using var command = database.CreateCommand(sql);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = customerId });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            var texts = new List<string>();
            while (await rows.ReadAsync(cancellationToken))
                texts.Add(rows.GetString(0));
            return texts;
        }
    }

    /// <summary>Fills the orchestrator's tables, which must be there, and lets PostgreSQL look at them.</summary>
    public async Task Fill(
        NpgsqlDataSource database,
        IEnumerable<string> customerIds,
        CancellationToken cancellationToken
    )
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await Execute("create temp table made (correlation_id uuid, customer_id text)");
        await using (
            var copy = await connection.BeginBinaryImportAsync(
                "copy made from stdin (format binary)",
                cancellationToken
            )
        )
        {
            foreach (var id in customerIds)
            {
                await copy.StartRowAsync(cancellationToken);
                await copy.WriteAsync(CustomerIds.CorrelationId(id), NpgsqlDbType.Uuid, cancellationToken);
                await copy.WriteAsync(id, NpgsqlDbType.Text, cancellationToken);
            }

            await copy.CompleteAsync(cancellationToken);
        }

        await Copies("sync.customer", CustomerJson, ("email_key", "sha256(made.customer_id::bytea)"));
        foreach (var row in TimelineJson)
            await Copies("sync.timeline", row);
        await Execute("drop table made");
        await Execute("vacuum (analyze) sync.customer");
        await Execute("vacuum (analyze) sync.timeline");
        await Execute("checkpoint");

        async Task Copies(string table, string json, params (string Column, string Value)[] changed)
        {
            var columns = await Columns(table);
            var values = columns.Select(column =>
                column is "correlation_id" or "customer_id"
                    ? $"made.{column}"
                    : changed.FirstOrDefault(c => c.Column == column).Value ?? $"one.{column}"
            );
            await Execute(
                $"""
                insert into {table} ({string.Join(", ", columns)})
                select {string.Join(", ", values)} from made, jsonb_populate_record(null::{table}, $1::jsonb) one
                """,
                json
            );
        }

        // Those that may be written: not the ones that PostgreSQL numbers itself.
        async Task<List<string>> Columns(string table)
        {
            await using var command = new NpgsqlCommand(
                "select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = ''",
                connection
            );
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            var columns = new List<string>();
            while (await rows.ReadAsync(cancellationToken))
                columns.Add(rows.GetString(0));
            return columns;
        }

        async Task Execute(string sql, string? parameter = null)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 3_600 };
            if (parameter is not null)
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = parameter });
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}

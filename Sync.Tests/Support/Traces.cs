using Npgsql;

namespace Sync.Tests.Support;

/// <summary>Where a person is found in a schema, whatever its tables are: every column that can hold a text or bytes.</summary>
static class Traces
{
    /// <summary>As <c>table.column</c>, in order. Letter case does not count, and no value is said.</summary>
    /// <param name="hash">Searched as bytes, and as their hexadecimal text.</param>
    public static async Task<List<string>> Of(
        NpgsqlDataSource database,
        string schema,
        byte[] hash,
        params string[] values
    )
    {
        List<(string Table, string Column, string Type)> columns = [];
        await using (
            var command = database.CreateCommand(
                """
                select c.table_name, c.column_name, c.data_type
                  from information_schema.columns c
                  join information_schema.tables t using (table_schema, table_name)
                 where c.table_schema = $1 and t.table_type = 'BASE TABLE'
                   and c.data_type in ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
                 order by 1, 2
                """
            )
        )
        {
            command.Parameters.Add(new() { Value = schema });
            await using var rows = await command.ExecuteReaderAsync();
            while (await rows.ReadAsync())
                columns.Add((rows.GetString(0), rows.GetString(1), rows.GetString(2)));
        }

        List<string> found = [];
        foreach (var (table, column, type) in columns)
        {
            // Bytes as escaped text: what is ASCII in them stands there as it is.
            var cell = $"held.\"{column}\"";
            var text = type == "bytea" ? $"encode({cell}, 'escape')" : $"{cell}::text";
            var bytes = type == "bytea" ? $"position($2 in {cell}) > 0" : "$2::bytea is null";
            await using var command = database.CreateCommand(
                $"""
                select exists (select from "{schema}"."{table}" held cross join unnest($1) sought (word)
                                where position(lower(sought.word) in lower({text})) > 0 or {bytes})
                """
            );
            command.Parameters.Add(new() { Value = (string[])[.. values, Convert.ToHexStringLower(hash)] });
            command.Parameters.Add(new() { Value = hash });
            if ((bool)(await command.ExecuteScalarAsync())!)
                found.Add($"{table}.{column}");
        }

        return found;
    }
}

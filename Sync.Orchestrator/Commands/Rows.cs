using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;

namespace Sync.Orchestrator.Commands;

/// <summary>Rows of a view or table as they come, by column name.</summary>
sealed class Rows(IReadOnlyList<string> names, IReadOnlyList<object?[]> items, bool more)
{
    public IReadOnlyList<object?[]> Items => items;

    /// <summary>Whether there are more than were asked for.</summary>
    public bool More => more;

    public object? Value(object?[] row, string column) => row[Index(column)];

    /// <param name="limit">At most so many rows; one more is read to know whether there are more.</param>
    public static async Task<Rows> Read(
        NpgsqlDataSource database,
        string sql,
        int limit,
        CancellationToken cancellationToken,
        params object?[] parameters
    )
    {
        await using var command = database.CreateCommand($"select * from ({sql}) q limit {limit + 1}");
        foreach (var parameter in parameters)
            command.Parameters.Add(
                parameter is null
                    ? new() { Value = DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text }
                    : new NpgsqlParameter { Value = parameter }
            );
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var names = Enumerable.Range(0, reader.FieldCount).Select(reader.GetName).ToList();
        var items = new List<object?[]>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var row = new object?[reader.FieldCount];
            for (var i = 0; i < row.Length; i++)
            {
                row[i] =
                    reader.IsDBNull(i) ? null
                    : reader.GetDataTypeName(i) is "jsonb" or "json" ? JsonNode.Parse(reader.GetString(i))
                    : reader.GetValue(i);
            }

            items.Add(row);
        }

        var more = items.Count > limit;
        return new(names, more ? items[..limit] : items, more);
    }

    /// <summary>Rows of several reads with the same columns, one after the other.</summary>
    public static Rows Join(IReadOnlyList<Rows> parts) =>
        parts.Count == 0
            ? new([], [], more: false)
            : new(parts[0].Names, [.. parts.SelectMany(p => p.Items)], parts.Any(p => p.More));

    public IReadOnlyList<string> Names => names;

    public JsonArray ToJson() => new([.. items.Select(row => (JsonNode?)ToJson(row))]);

    public JsonObject ToJson(object?[] row)
    {
        var document = new JsonObject();
        for (var i = 0; i < row.Length; i++)
            document[Member(names[i])] = Output.Node(row[i] is JsonNode node ? node.DeepClone() : row[i]);
        return document;
    }

    /// <summary>A table of these columns; a title is the column's name in words unless one is given.</summary>
    public void Print(Output output, params string[] columns) =>
        output.Table(
            [.. columns.Select(c => c.Replace('_', ' '))],
            items.Select(row =>
                (IReadOnlyList<string>)
                    [
                        .. columns.Select(c =>
                            Value(row, c) is JsonNode node ? node.ToJsonString() : Output.Text(Value(row, c))
                        ),
                    ]
            )
        );

    int Index(string column)
    {
        for (var i = 0; i < names.Count; i++)
        {
            if (names[i] == column)
                return i;
        }

        throw new ArgumentException($"no column {column}", nameof(column));
    }

    static string Member(string column) =>
        JsonNamingPolicy.CamelCase.ConvertName(
            string.Concat(column.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..]))
        );
}

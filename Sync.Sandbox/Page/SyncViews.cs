using System.Text.Json.Nodes;
using Npgsql;
using Sync.Contracts;

namespace Sync.Sandbox.Page;

/// <summary>
/// What Sync says of customers, by its published views of schema <c>dashboard</c>: a stranger may read them as any operator
/// may, over a connection that can do nothing else. They hold identifiers, paths and reasons, never a value.
/// </summary>
sealed class SyncViews : IAsyncDisposable
{
    /// <summary>Of one customer, the newest.</summary>
    const int MaxSteps = 60;

    /// <summary>More objects than a page shows people.</summary>
    const int MaxWaiting = 500;

    readonly NpgsqlDataSource _database;

    /// <param name="databaseUrl">A connection string of Npgsql or a <c>postgresql://</c> URL.</param>
    public SyncViews(string databaseUrl)
    {
        var builder = new NpgsqlConnectionStringBuilder(StartGuard.ConnectionString(databaseUrl))
        {
            ApplicationName = "sync-sandbox-page",
            MaxPoolSize = 2,
            Timeout = 3,
            CommandTimeout = 3,
        };
        builder.Options = $"{builder.Options} -c default_transaction_read_only=on".Trim();
        _database = NpgsqlDataSource.Create(builder.ConnectionString);
    }

    /// <summary>State, revision, and how far each system is, by customer; null while the database cannot be asked.</summary>
    public Task<Dictionary<string, JsonObject>?> Customers(
        IReadOnlyCollection<string> ids,
        CancellationToken cancellationToken
    ) =>
        Ask(
            """
            select customer_id, state, revision, behind, attention, systems::text
              from dashboard.customers where customer_id = any($1)
            """,
            new NpgsqlParameter { Value = ids.ToArray() },
            rows =>
                KeyValuePair.Create(
                    rows.GetString(0),
                    new JsonObject
                    {
                        ["state"] = rows.GetString(1),
                        ["revision"] = rows.GetInt64(2),
                        ["behind"] = Texts(rows, 3),
                        ["attention"] = Text(rows, 4),
                        ["systems"] = JsonNode.Parse(rows.GetString(5)),
                    }
                ),
            rows => rows.ToDictionary(StringComparer.Ordinal),
            cancellationToken
        );

    /// <summary>
    /// What happened to a customer, the newest last, with what happened to its objects before they were linked; null while the
    /// database cannot be asked.
    /// </summary>
    public Task<JsonArray?> Steps(string id, CancellationToken cancellationToken) =>
        // The customer says itself that an object was linked.
        Steps(
            """
            select id, at, revision, code, system, direction, paths, external_id, reason, requested_by, calls, duration_ms
              from dashboard.timeline where customer_id = $1
            union all
            select id, at, 0, code, system, direction, '{}', external_id, reason, requested_by, null, null
              from dashboard.object_timeline where customer_id = $1 and code <> 'object.linked'
            """,
            new NpgsqlParameter { Value = id },
            cancellationToken
        );

    /// <summary>What happened to an object that is no customer's yet, as <see cref="Steps(string, CancellationToken)"/>.</summary>
    public Task<JsonArray?> Steps(string system, string externalId, CancellationToken cancellationToken) =>
        Steps(
            """
            select id, at, 0::bigint, code, system, direction, '{}'::text[], external_id, reason, requested_by,
                   null::double precision, null::bigint
              from dashboard.object_timeline where object_id = $1
            """,
            new NpgsqlParameter { Value = CustomerIds.ObjectId(system, externalId) },
            cancellationToken
        );

    /// <summary>Why objects that are no customer's wait for a person, by <c>system:external id</c>; null while the database cannot be asked.</summary>
    public Task<Dictionary<string, string>?> Waiting(CancellationToken cancellationToken) =>
        Ask(
            $"""
            select system || ':' || external_id, reason from dashboard.attention where kind = 'object' limit {MaxWaiting}
            """,
            parameter: null,
            rows => KeyValuePair.Create(rows.GetString(0), rows.GetString(1)),
            rows => rows.ToDictionary(StringComparer.Ordinal),
            cancellationToken
        );

    Task<JsonArray?> Steps(string sql, NpgsqlParameter parameter, CancellationToken cancellationToken) =>
        Ask(
            $"select * from ({sql}) t order by id desc limit {MaxSteps}",
            parameter,
            rows =>
                (JsonNode)
                    new JsonObject
                    {
                        ["id"] = rows.GetInt64(0),
                        ["at"] = rows.GetFieldValue<DateTimeOffset>(1),
                        ["revision"] = rows.GetInt64(2),
                        ["code"] = rows.GetString(3),
                        ["system"] = Text(rows, 4),
                        ["direction"] = rows.GetValue(5).ToString(),
                        ["paths"] = Texts(rows, 6),
                        ["externalId"] = Text(rows, 7),
                        ["reason"] = Text(rows, 8),
                        ["requestedBy"] = Text(rows, 9),
                        ["calls"] = rows.IsDBNull(10) ? null : Math.Round(rows.GetDouble(10), 2),
                        ["durationMs"] = rows.IsDBNull(11) ? null : rows.GetInt64(11),
                    },
            rows => new JsonArray([.. rows.AsEnumerable().Reverse()]),
            cancellationToken
        );

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    /// <summary>A database that is away, or that has no views yet, is nothing that the page could do anything about.</summary>
    async Task<TResult?> Ask<TRow, TResult>(
        string sql,
        NpgsqlParameter? parameter,
        Func<NpgsqlDataReader, TRow> read,
        Func<List<TRow>, TResult> all,
        CancellationToken cancellationToken
    )
        where TResult : class
    {
        try
        {
            await using var command = _database.CreateCommand(sql);
            if (parameter is not null)
                command.Parameters.Add(parameter);
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            var found = new List<TRow>();
            while (await rows.ReadAsync(cancellationToken))
                found.Add(read(rows));
            return all(found);
        }
        catch (NpgsqlException)
        {
            return null;
        }
    }

    static string? Text(NpgsqlDataReader rows, int column) => rows.IsDBNull(column) ? null : rows.GetString(column);

    static JsonArray Texts(NpgsqlDataReader rows, int column) =>
        rows.IsDBNull(column)
            ? []
            : new JsonArray([.. rows.GetFieldValue<string[]>(column).Select(text => (JsonNode)text)]);
}

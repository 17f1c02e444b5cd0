using Npgsql;
using NpgsqlTypes;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Comparing;

/// <summary>A customer as its row says; every judgement gets a copy of its own.</summary>
sealed record StoredCustomer(string CustomerId, string State, long Revision, string Golden, string Held, string Systems)
{
    public CustomerSync Copy() =>
        new()
        {
            CustomerId = CustomerId,
            CorrelationId = CustomerIds.CorrelationId(CustomerId),
            CurrentState = State,
            Revision = Revision,
            Golden = StateJson.Fields(Golden),
            Held = StateJson.Held(Held),
            Systems = StateJson.Systems(Systems),
        };
}

/// <summary>What is known of the customers that one part of a list may speak of.</summary>
sealed record Listed(IReadOnlyDictionary<string, StoredCustomer> ById, ILookup<string, StoredCustomer> ByEmail)
{
    public (byte[]? EmailKey, CustomerSync? Carried, IReadOnlyList<CustomerSync> Candidates) About(ListedObject o)
    {
        var key = Standing.EmailKey(o.Fields.GetValueOrDefault(Paths.Email));
        return o.CustomerId is { } id
            ? (key, ById.GetValueOrDefault(id)?.Copy(), [])
            : (key, null, key is null ? [] : [.. ByEmail[Convert.ToHexString(key)].Select(c => c.Copy())]);
    }
}

/// <summary>Reads, for all parts of a batch, the comparisons that they belong to and the customers that they speak of.</summary>
sealed class ListedSurroundings : IBatchPrefetch<ObjectsListed, Listed>
{
    const string S = OrchestratorDb.Schema;
    const string Columns = "c.customer_id, c.current_state, c.revision, c.golden::text, c.held::text, c.systems::text";

    const string Carried = $"select {Columns} from {S}.customer c where c.correlation_id = any($1)";

    // A bound for each key: a shared mailbox may have thousands of customers.
    static readonly string Candidates = $"""
        select {Columns}, encode(k.key, 'hex')
          from unnest($1::bytea[]) k(key)
         cross join lateral (
               select * from {S}.customer
                where email_key = k.key and current_state in ('{nameof(Stage.Proposed)}', '{nameof(Stage.Live)}')
                order by customer_id collate "C" limit {ISurroundings.MaxCandidates}) c
        """;

    public async Task<IReadOnlyList<Listed?>> Read(
        IReadOnlyList<ObjectsListed> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        HashSet<Guid> known = [];
        await using (
            var command = new NpgsqlCommand(
                $"select id from {S}.comparison where id = any($1) and state = 'listing'",
                connection
            )
        )
        {
            command.Parameters.Add(new() { Value = messages.Select(m => m.RequestId).Distinct().ToArray() });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                known.Add(rows.GetGuid(0));
        }

        if (known.Count == 0)
            return new Listed?[messages.Count];

        var objects = messages.Where(m => known.Contains(m.RequestId)).SelectMany(m => m.Objects).ToList();
        Dictionary<string, StoredCustomer> byId = new(StringComparer.Ordinal);
        await using (var command = new NpgsqlCommand(Carried, connection))
        {
            command.Parameters.Add(
                new()
                {
                    Value = objects
                        .Where(o => o.CustomerId is { } id && CustomerIds.Problem(id) is null)
                        .Select(o => CustomerIds.CorrelationId(o.CustomerId!))
                        .Distinct()
                        .ToArray(),
                }
            );
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
            {
                var customer = Customer(rows);
                byId[customer.CustomerId] = customer;
            }
        }

        List<(string Key, StoredCustomer Customer)> byEmail = [];
        await using (var command = new NpgsqlCommand(Candidates, connection))
        {
            command.Parameters.Add(
                new()
                {
                    Value = objects
                        .Where(o => o.CustomerId is null)
                        .Select(o => Standing.EmailKey(o.Fields.GetValueOrDefault(Paths.Email)))
                        .OfType<byte[]>()
                        .DistinctBy(Convert.ToHexString)
                        .ToArray(),
                    NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea,
                }
            );
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                byEmail.Add((rows.GetString(6).ToUpperInvariant(), Customer(rows)));
        }

        var lookup = byEmail.ToLookup(c => c.Key, c => c.Customer, StringComparer.Ordinal);
        return [.. messages.Select(m => known.Contains(m.RequestId) ? new Listed(byId, lookup) : null)];
    }

    static StoredCustomer Customer(NpgsqlDataReader row) =>
        new(row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetString(3), row.GetString(4), row.GetString(5));
}

/// <param name="IsLinked">The customer has it; otherwise it is looked at as found.</param>
sealed record PieceOfFindings(string Subject, string? ExternalId, string? CustomerId, bool IsLinked);

/// <summary>The next findings that are to be acted on.</summary>
sealed record Piece(string System, string RequestedBy, IReadOnlyList<PieceOfFindings> Findings, bool More);

sealed class NextPiece : IBatchPrefetch<ApplyFindings, Piece>
{
    /// <summary>Findings of one message: each becomes a message of its own.</summary>
    internal const int Size = 500;

    /// <summary>
    /// What an import acts on: all that is nobody's. What cannot be linked is parked then, where a person sees it. An object of
    /// a customer that was removed is left alone: looking at it would delete it.
    /// </summary>
    internal static readonly string[] OfImport =
    [
        FindingClasses.Create,
        FindingClasses.Link,
        FindingClasses.Ambiguous,
        FindingClasses.Duplicate,
        FindingClasses.UnknownCustomer,
        FindingClasses.OneWay,
    ];

    internal static readonly string[] OfLinked =
    [
        FindingClasses.Differs,
        FindingClasses.IdLacking,
        FindingClasses.Missing,
    ];

    const string Sql = $"""
        select f.subject, f.external_id, f.customer_id, f.class = any($3)
          from {OrchestratorDb.Schema}.comparison_finding f
         where f.comparison_id = $1 and f.subject > $2 collate "C" and not f.applied
           and case $5 when 'import' then f.class = any($4)
                       else f.class = any($3) or (f.class = '{FindingClasses.Link}' and f.carries_id) end
         order by f.subject collate "C" limit $6
        """;

    public async Task<IReadOnlyList<Piece?>> Read(
        IReadOnlyList<ApplyFindings> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        // One or two at a time: each is produced by the one before.
        List<Piece?> pieces = [];
        foreach (var message in messages)
            pieces.Add(
                await IsFirst(message.ComparisonId, connection, cancellationToken)
                    ? await Read(message, connection, cancellationToken)
                    : null
            );
        return pieces;
    }

    /// <summary>
    /// What was sent again after a crash may be in one batch with its copy, where what the first does is not written yet. So
    /// the transaction remembers which runs it acts for, by a setting that ends with it.
    /// </summary>
    static async Task<bool> IsFirst(Guid id, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select set_config('sync.comparisons', concat(was, $1, ' '), true), position($1 in was) = 0
              from (select coalesce(current_setting('sync.comparisons', true), '') as was offset 0) setting
            """,
            connection
        );
        command.Parameters.Add(new() { Value = $"{id}" });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return row.GetBoolean(1);
    }

    static async Task<Piece?> Read(
        ApplyFindings message,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        string system;
        string kind;
        string by;
        await using (
            var head = new NpgsqlCommand(
                $"select system, kind, requested_by from {OrchestratorDb.Schema}.comparison where id = $1 and state = 'applying'",
                connection
            )
        )
        {
            head.Parameters.Add(new() { Value = message.ComparisonId });
            await using var row = await head.ExecuteReaderAsync(cancellationToken);
            if (!await row.ReadAsync(cancellationToken))
                return null;
            (system, kind, by) = (row.GetString(0), row.GetString(1), row.GetString(2));
        }

        await using var command = new NpgsqlCommand(Sql, connection);
        command.Parameters.Add(new() { Value = message.ComparisonId });
        command.Parameters.Add(new() { Value = message.After ?? "" });
        command.Parameters.Add(new() { Value = OfLinked });
        command.Parameters.Add(new() { Value = OfImport });
        command.Parameters.Add(new() { Value = kind });
        command.Parameters.Add(new() { Value = Size + 1 });
        List<PieceOfFindings> findings = [];
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            findings.Add(
                new(
                    rows.GetString(0),
                    rows.IsDBNull(1) ? null : rows.GetString(1),
                    rows.IsDBNull(2) ? null : rows.GetString(2),
                    rows.GetBoolean(3)
                )
            );
        var more = findings.Count > Size;
        return new(system, by, more ? findings[..Size] : findings, more);
    }
}

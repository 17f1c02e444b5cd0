using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using NpgsqlTypes;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Comparing;

/// <summary>What a message writes about a comparison, in the transaction of its batch.</summary>
abstract record ComparisonRow
{
    internal sealed record Begin(Compare Ask) : ComparisonRow;

    internal sealed record Judged(
        Guid Id,
        string System,
        IReadOnlyList<(ListedObject Object, byte[]? EmailKey, Finding Finding)> Findings
    ) : ComparisonRow;

    internal sealed record Close(Guid Id) : ComparisonRow;

    internal sealed record Applied(Guid Id, string[] Subjects, bool Finished) : ComparisonRow;
}

/// <summary>As a batch keeps it: one type for all of them, so that they are written in the order of the messages.</summary>
sealed record ComparisonWrite(ComparisonRow Row);

/// <summary>The SQL of comparisons. All of it may be repeated: a copy of a message changes nothing.</summary>
sealed class ComparisonStore(ComparisonSignal signal) : IBatchRowWriter<ComparisonWrite>
{
    const string S = OrchestratorDb.Schema;

    /// <summary>Comparisons of a kind and system that are kept, with what they found.</summary>
    const int Kept = 3;

    /// <summary>
    /// Under way, of a row of the table: one of which nothing was heard for so long makes way for the next. Whoever asks
    /// whether one is under way asks with these words; with others, one that cannot end is waited for for ever.
    /// </summary>
    public const string UnderWay = "(state <> 'done' and coalesce(heard_at, asked_at) >= now() - interval '6 hours')";

    // A statement of its own, since the insert would not see what it did. One that is being ended at this moment is locked,
    // and is heard of.
    const string StaleSql = $"""
        update {S}.comparison set state = 'done', finished_at = now() where id in (
          select id from {S}.comparison where system = $1 and id <> $2 and state <> 'done' and not {UnderWay}
           order by id for no key update skip locked)
        """;

    const string BeginSql = $"""
        with old as (
               delete from {S}.comparison where id in (
                 select id from {S}.comparison where system = $2 and kind = $3 and state = 'done'
                  order by asked_at desc offset $7))
        insert into {S}.comparison (id, system, kind, apply, requested_by, asked_at) values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing
        """;

    const string JudgedSql = $$"""
        insert into {{S}}.comparison_finding
          (comparison_id, subject, correlation_id, external_id, customer_id, carries_id, email_key, class, paths, costs)
        select $1, 'object:' || ext, correlation_id, ext, customer_id, carries_id, email_key, class,
               coalesce(string_to_array(nullif(paths, ''), ','), '{}'), costs::jsonb
          from unnest($2, $3, $4, $5, $6, $7, $8, $9) u(ext, correlation_id, customer_id, carries_id, email_key, class, paths, costs)
         where exists (select from {{S}}.comparison where id = $1 and state = 'listing')
        on conflict (comparison_id, subject) do update set
          customer_id = excluded.customer_id, carries_id = excluded.carries_id, email_key = excluded.email_key,
          class = excluded.class, paths = excluded.paths, costs = excluded.costs
        """;

    const string SeenSql =
        $"update {S}.comparison set seen = seen + $2, heard_at = now() where id = $1 and state = 'listing'";

    const string ClosingSql =
        $"update {S}.comparison set state = 'closing', heard_at = now() where id = $1 and state = 'listing'";

    const string AppliedSql = $"""
        with acted as (
               update {S}.comparison_finding set applied = true
                where comparison_id = $1 and subject = any($2) and not applied
               returning 1)
        update {S}.comparison
           set applied = applied + (select count(*) from acted), heard_at = now(),
               state = case when $3 then 'done' else state end,
               finished_at = case when $3 then now() else finished_at end
         where id = $1 and state = 'applying'
        """;

    public async Task Write(
        IReadOnlyList<ComparisonWrite> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        // In the order of the messages: a list ends after its last part.
        foreach (var write in rows)
        {
            switch (write.Row)
            {
                case ComparisonRow.Begin { Ask: var ask }:
                    await Execute(connection, StaleSql, cancellationToken, ask.System, ask.ComparisonId);
                    await Execute(
                        connection,
                        BeginSql,
                        cancellationToken,
                        ask.ComparisonId,
                        ask.System,
                        NameOf(ask.Kind),
                        ask.Apply,
                        ask.RequestedBy,
                        ask.RequestedAt.ToUniversalTime(),
                        Kept
                    );
                    break;
                case ComparisonRow.Judged judged:
                    await Judged(judged, connection, cancellationToken);
                    break;
                case ComparisonRow.Close close:
                    await Execute(connection, ClosingSql, cancellationToken, close.Id);
                    break;
                case ComparisonRow.Applied applied:
                    await Execute(
                        connection,
                        AppliedSql,
                        cancellationToken,
                        applied.Id,
                        applied.Subjects,
                        applied.Finished
                    );
                    break;
            }
        }
    }

    public void Committed() => signal.Set();

    static async Task Judged(
        ComparisonRow.Judged judged,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        // A list may show an object twice; the later one counts.
        var findings = judged
            .Findings.GroupBy(f => f.Object.ExternalId, StringComparer.Ordinal)
            .Select(g => g.Last())
            .OrderBy(f => f.Object.ExternalId, StringComparer.Ordinal)
            .ToList();
        await using var command = new NpgsqlCommand(JudgedSql, connection);
        command.Parameters.Add(new() { Value = judged.Id });
        void Add(object value, NpgsqlDbType type) =>
            command.Parameters.Add(new() { Value = value, NpgsqlDbType = NpgsqlDbType.Array | type });
        Add(findings.ConvertAll(f => f.Object.ExternalId).ToArray(), NpgsqlDbType.Text);
        Add(
            findings.ConvertAll(f => CustomerIds.ObjectId(judged.System, f.Object.ExternalId)).ToArray(),
            NpgsqlDbType.Uuid
        );
        Add(findings.ConvertAll(f => f.Finding.CustomerId).ToArray(), NpgsqlDbType.Text);
        Add(findings.ConvertAll(f => f.Object.CustomerId is not null).ToArray(), NpgsqlDbType.Boolean);
        Add(findings.ConvertAll(f => f.EmailKey).ToArray(), NpgsqlDbType.Bytea);
        Add(findings.ConvertAll(f => f.Finding.Class).ToArray(), NpgsqlDbType.Text);
        Add(findings.ConvertAll(f => string.Join(',', f.Finding.Paths)).ToArray(), NpgsqlDbType.Text);
        Add(findings.ConvertAll(f => Costs(f.Finding)).ToArray(), NpgsqlDbType.Text);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await Execute(connection, SeenSql, cancellationToken, judged.Id, (long)judged.Findings.Count);
    }

    static string Costs(Finding finding) =>
        new JsonObject(finding.Costs.Select(c => KeyValuePair.Create(c.Key, (JsonNode?)c.Value))).ToJsonString();

    static async Task Execute(
        NpgsqlConnection connection,
        string sql,
        CancellationToken cancellationToken,
        params object[] parameters
    )
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
            command.Parameters.Add(new() { Value = parameter });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    internal static string NameOf(ComparisonKind kind) => kind.ToString().ToLower(CultureInfo.InvariantCulture);
}

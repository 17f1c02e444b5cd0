using Npgsql;
using Sync.Contracts.Requests;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Comparing;

/// <summary>Something of a comparison was committed in this process; perhaps the end of a list.</summary>
sealed class ComparisonSignal(TimeProvider time) : WakeSignal(time);

/// <summary>
/// Ends comparisons whose list is whole: finds what only a whole list tells, and lets the findings be acted on. Of a large
/// catalog that takes minutes, so it has a transaction of its own: in that of a batch it would hold up every customer, and
/// never end within a batch's time. In several replicas, whoever finds the row locked leaves it.
/// </summary>
sealed class ComparisonCloser(
    NpgsqlDataSource database,
    IOutbox outbox,
    ComparisonSignal signal,
    ILogger<ComparisonCloser> log
) : BackgroundService
{
    const string S = OrchestratorDb.Schema;

    /// <summary>For lists that ended in another replica, or before a restart.</summary>
    static readonly TimeSpan Look = TimeSpan.FromSeconds(5);

    /// <summary>Of one statement, far beyond what it takes: it only ends one that would never end.</summary>
    static readonly TimeSpan Bound = TimeSpan.FromHours(1);

    /// <summary>
    /// What only the whole list tells, one statement after the other. $1 the comparison, $2 the system. Whoever changed since
    /// the comparison began may have done so behind the list's back, and is not called missing.
    /// </summary>
    internal static readonly string[] CloseSql =
    [
            // Linked, without our id on it: found by the slot that names it.
            $"""
            update {S}.comparison_finding f
               set class = '{FindingClasses.IdLacking}', customer_id = c.customer_id, paths = array[]::text[],
                   costs = jsonb_build_object($2::text || ' read', 1, $2::text || ' update', 1)
              from {S}.customer c
             where f.comparison_id = $1 and not f.carries_id
               and c.current_state in ('{nameof(Stage.Proposed)}', '{nameof(Stage.Live)}')
               and c.systems #>> array['systems', $2::text, 'ext'] = f.external_id
            """,
            // Waits already: for a person, or for its customer's answer.
            $$"""
            update {{S}}.comparison_finding f
               set class = case o.current_state when 'Parked' then '{{FindingClasses.Parked}}' else '{{FindingClasses.Waiting}}' end,
                   customer_id = o.customer_id, costs = '{}'
              from {{S}}.found_object o
             where f.comparison_id = $1 and o.correlation_id = f.correlation_id and o.current_state in ('Parked', 'Asking')
               and f.class = any(array['{{FindingClasses.Create}}', '{{FindingClasses.Link}}', '{{FindingClasses.Ambiguous}}',
                                       '{{FindingClasses.Duplicate}}', '{{FindingClasses.UnknownCustomer}}', '{{FindingClasses.OneWay}}'])
            """,
            // Several objects of one person: the first becomes the customer's, the others are second objects.
            $"""
            update {S}.comparison_finding f
               set class = '{FindingClasses.Duplicate}', customer_id = first.customer_id, paths = array[]::text[],
                   costs = jsonb_build_object($2::text || ' read', case when f.carries_id then 2 else 1 end)
              from (select subject, customer_id, email_key, class,
                           min(subject) over by_customer as of_customer, min(subject) over by_email as of_email
                      from {S}.comparison_finding
                     where comparison_id = $1 and class in ('{FindingClasses.Create}', '{FindingClasses.Link}')
                    window by_customer as (partition by class, customer_id),
                           by_email as (partition by class, email_key)) o
              join {S}.comparison_finding first
                on first.comparison_id = $1
               and first.subject = case o.class when '{FindingClasses.Link}' then o.of_customer else o.of_email end
             where f.comparison_id = $1 and f.subject = o.subject and first.subject <> f.subject
               and (o.class = '{FindingClasses.Link}' or o.email_key is not null)
            """,
        $"""
            insert into {S}.comparison_finding (comparison_id, subject, external_id, customer_id, class, costs)
            select $1, 'customer:' || c.customer_id, s.ext, c.customer_id,
                   case when s.gone then '{FindingClasses.DeletionHeld}' else '{FindingClasses.Missing}' end,
                   jsonb_build_object($2::text || ' read', 1)
              from {S}.customer c
             cross join lateral (
                   select c.systems #>> array['systems', $2::text, 'ext'] as ext,
                          coalesce((c.systems #>> array['systems', $2::text, 'gone'])::boolean, false) as gone) s
              join {S}.comparison r on r.id = $1 and r.kind = 'reconcile'
             where c.current_state = '{nameof(Stage.Live)}' and s.ext is not null and c.since < r.asked_at
               and not exists (select from {S}.comparison_finding f
                                where f.comparison_id = $1 and f.subject = 'object:' || s.ext)
            on conflict do nothing
            """,
        $"""
            insert into {S}.comparison_finding (comparison_id, subject, customer_id, class)
            select $1, 'customer:' || c.customer_id, c.customer_id,
                   case when $2 = any(c.behind) then '{FindingClasses.Waiting}' else '{FindingClasses.Refused}' end
              from {S}.customer c
              join {S}.comparison r on r.id = $1 and r.kind = 'reconcile'
             where c.current_state = '{nameof(Stage.Live)}' and c.since < r.asked_at
               and c.systems #>> array['systems', $2::text, 'ext'] is null
               and (c.behind <> array[]::text[] or c.attention is not null or c.ignored is not null)
               and c.systems #>> array['systems', $2::text, 'gone'] is distinct from 'true'
            on conflict do nothing
            """,
        $"""
            update {S}.comparison c
               set seen = n.objects, same = n.same, listed_at = now(), heard_at = now(),
                   state = case when c.apply then 'applying' else 'done' end,
                   finished_at = case when c.apply then null else now() end
              from (select count(*) filter (where subject like 'object:%') as objects,
                           count(*) filter (where class = '{FindingClasses.Same}') as same
                      from {S}.comparison_finding where comparison_id = $1) n
             where c.id = $1 and c.state = 'closing'
            """,
        $"delete from {S}.comparison_finding where comparison_id = $1 and class = '{FindingClasses.Same}'",
        // The hashes have told who is one person; kept, they would outlive who is erased.
        $"update {S}.comparison_finding set email_key = null where comparison_id = $1 and email_key is not null",
    ];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                if (!await Once(stoppingToken))
                    await signal.Wait(Look, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What was begun is rolled back, and begun again by whoever comes next.
        }
    }

    /// <summary>Ends the oldest; answers whether there was one.</summary>
    internal async Task<bool> Once(CancellationToken cancellationToken)
    {
        try
        {
            return await End(cancellationToken);
        }
        catch (NpgsqlException e)
        {
            log.ClosingFailed(Look, e);
            return false;
        }
    }

    async Task<bool> End(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        Guid id;
        string system;
        bool apply;
        await using (
            var next = new NpgsqlCommand(
                $"""
                select id, system, apply from {S}.comparison where state = 'closing'
                 order by asked_at limit 1 for no key update skip locked
                """,
                connection
            )
        )
        {
            await using var row = await next.ExecuteReaderAsync(cancellationToken);
            if (!await row.ReadAsync(cancellationToken))
                return false;
            (id, system, apply) = (row.GetGuid(0), row.GetString(1), row.GetBoolean(2));
        }

        await Prepare(connection, cancellationToken);
        foreach (var statement in CloseSql)
        {
            await using var command = new NpgsqlCommand(statement, connection)
            {
                CommandTimeout = (int)Bound.TotalSeconds,
            };
            command.Parameters.Add(new() { Value = id });
            if (statement.Contains("$2", StringComparison.Ordinal))
                command.Parameters.Add(new() { Value = system });
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        if (apply)
            await outbox.Write(connection, [outbox.Encode(new ApplyFindings { ComparisonId = id })], cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Signal();
        return true;
    }

    /// <summary>
    /// What the comparison listed is newer than the table's statistics: the planner believes that it holds a row or two, and
    /// compares every finding with every other. Each statement goes over all of them once, so hashing is right for any size.
    /// </summary>
    internal static async Task Prepare(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("set local enable_nestloop = off", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

using System.CommandLine;
using System.Text.Json.Nodes;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>Verbs that show the rows of a view.</summary>
static class ViewVerbs
{
    public const int MaxLimit = 10_000;

    static readonly Option<int> Limit = new("--limit")
    {
        Description = "At most so many rows",
        HelpName = "rows",
        DefaultValueFactory = _ => 100,
    };

    static readonly Option<bool> Closed = new("--closed") { Description = "Those that are closed, too" };

    public static IEnumerable<Command> Create(CommandLine.Verbs verbs) =>
        [
            verbs.Verb(
                "gaps",
                "Windows in which a feed may have lost something, whether they were looked at since, and by what",
                [Closed, Limit],
                async (session, parsed, token) =>
                {
                    var limit = parsed.GetValue(Limit);
                    CheckLimit(limit);
                    return Show(
                        session,
                        await Gaps(session, parsed.GetValue(Closed), limit, token),
                        parsed.GetValue(Closed) ? "There was no gap." : "No gap is open.",
                        limit,
                        "process",
                        "feed",
                        "state",
                        "found_at",
                        "lost",
                        "reason",
                        "closed_by",
                        "closed_at"
                    );
                }
            ),
            BrakeVerbs.With(
                verbs,
                List(
                    verbs,
                    "brakes",
                    "What Sync holds back by itself until a person looks: deletions, loops, dead letters",
                    "Nothing is held back.",
                    "select * from dashboard.brakes order by since",
                    "brake",
                    "customer_id",
                    "system",
                    "messages",
                    "since",
                    "reason",
                    "what_to_do"
                )
            ),
            List(
                verbs,
                "drift",
                "Where a system differs from the golden record, and why; without values",
                "Every system is in step.",
                "select * from dashboard.drift order by since, customer_id, system, class",
                "customer_id",
                "system",
                "class",
                "paths",
                "since"
            ),
            List(
                verbs,
                "stuck",
                "Systems that have been behind for a quarter of an hour and more, with the command in flight",
                "Nothing hangs.",
                "select * from dashboard.stuck order by since, customer_id, system",
                "customer_id",
                "system",
                "operation",
                "revision",
                "attempt",
                "since",
                "repeated_at"
            ),
            List(
                verbs,
                "echo",
                "Writes asked for per outside edit in the last hour, a row a customer, the most first",
                "Nothing was edited or written in the last hour.",
                "select * from dashboard.echo order by writes_per_edit desc nulls first, writes desc, customer_id",
                "customer_id",
                "edits",
                "writes",
                "writes_per_edit",
                "systems"
            ),
            List(
                verbs,
                "flapping",
                "Fields that more than one system keeps changing, in the last hour",
                "Nothing goes back and forth.",
                "select * from dashboard.flapping order by changes desc, customer_id, path",
                "customer_id",
                "path",
                "changes",
                "systems",
                "last_at"
            ),
            List(
                verbs,
                "budget",
                "Vendor calls of the last 24 hours, of every adapter that keeps its tables in this database",
                "No adapter's tables are in this database, or none has called.",
                Budget,
                "process",
                "operation",
                "calls",
                "items",
                "failed",
                "last_hour"
            ),
        ];

    public static void CheckLimit(int limit)
    {
        if (limit is < 1 or > MaxLimit)
            throw CommandFailedException.Usage($"--limit: must be 1 to {MaxLimit}.");
    }

    /// <summary>Rows in the shape that every list has: <c>items</c>, and whether there are more.</summary>
    public static int Show(Session session, Rows rows, string none, int limit, params string[] columns)
    {
        if (session.Output.Json)
        {
            session.Output.Document(new JsonObject { ["items"] = rows.ToJson(), ["more"] = rows.More });
            return ExitCodes.Done;
        }

        if (rows.Items.Count == 0)
            session.Output.Line(none);
        else
            rows.Print(session.Output, columns);
        if (rows.More)
            session.Output.Note($"There are more than {limit}; --limit shows them.");
        return ExitCodes.Done;
    }

    static Command List(
        CommandLine.Verbs verbs,
        string name,
        string description,
        string none,
        string sql,
        params string[] columns
    ) =>
        List(
            verbs,
            name,
            description,
            none,
            (session, limit, token) => Rows.Read(session.Database, sql, limit, token),
            columns
        );

    static Command List(
        CommandLine.Verbs verbs,
        string name,
        string description,
        string none,
        Func<Session, int, CancellationToken, Task<Rows>> read,
        params string[] columns
    ) =>
        verbs.Verb(
            name,
            description,
            [Limit],
            async (session, parsed, token) =>
            {
                var limit = parsed.GetValue(Limit);
                CheckLimit(limit);
                return Show(session, await read(session, limit, token), none, limit, columns);
            }
        );

    /// <summary>
    /// What the orchestrator knows: its own topics' gaps and those that adapters report of their vendors. Of adapters whose
    /// tables are in this database, also what they lost of Kafka's; each schema is asked by itself, nothing joins across them.
    /// </summary>
    static async Task<Rows> Gaps(Session session, bool closed, int limit, CancellationToken cancellationToken)
    {
        List<Rows> parts =
        [
            await Rows.Read(
                session.Database,
                """
                select process, id, system, feed, reason, lost, topic, partition, from_offset, to_offset, from_time, to_time,
                       found_at, state, closed_by, closed_at
                  from dashboard.feed_gaps where $1 or state = 'open' order by found_at
                """,
                limit,
                cancellationToken,
                closed
            ),
        ];
        foreach (var schema in await KernelSchemas.In(session.Database, cancellationToken))
        {
            if (schema == OrchestratorDb.Schema)
                continue;
            parts.Add(
                await Rows.Read(
                    session.Database,
                    $"""
                    select '{schema}' as process, id, null::text as system, feed, reason,
                           format('%s[%s] %s to %s', topic, partition, from_offset, to_offset) as lost,
                           topic, partition, from_offset, to_offset, from_time, to_time, found_at, state, closed_by, closed_at
                      from {schema}.feed_gap where topic is not null and ($1 or state = 'open') order by found_at
                    """,
                    limit,
                    cancellationToken,
                    closed
                )
            );
        }

        return Rows.Join(parts);
    }

    static async Task<Rows> Budget(Session session, int limit, CancellationToken cancellationToken)
    {
        var parts = new List<Rows>();
        foreach (var schema in await KernelSchemas.In(session.Database, cancellationToken))
        {
            await using var exists = session.Database.CreateCommand("select to_regclass($1) is not null");
            exists.Parameters.Add(new() { Value = $"{schema}.api_usage" });
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
                continue;
            parts.Add(
                await Rows.Read(
                    session.Database,
                    $"""
                    select '{schema}' as process, operation, sum(calls)::bigint as calls, sum(items)::bigint as items,
                           sum(failed)::bigint as failed,
                           coalesce(sum(calls) filter (where hour >= date_trunc('hour', now())), 0)::bigint as last_hour
                      from {schema}.api_usage
                     where hour > now() - interval '24 hours'
                     group by operation order by 3 desc, operation
                    """,
                    limit,
                    cancellationToken
                )
            );
        }

        return Rows.Join(parts);
    }
}

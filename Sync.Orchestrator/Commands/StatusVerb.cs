using System.CommandLine;
using System.Text.Json.Nodes;
using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Commands;

/// <summary><c>status</c>: the whole on one page, from rows alone, so that it also answers while every process is down.</summary>
static class StatusVerb
{
    public static Command Create(CommandLine.Verbs verbs) =>
        verbs.Verb("status", "The whole on one page: customers, what is behind, what waits, what lies where", [], Show);

    static async Task<int> Show(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var customers = await session.Read(
            "select current_state as state, count(*) as customers from sync.customer group by current_state order by 1",
            cancellationToken
        );
        var behind = await session.Read(
            """
            select b.system, count(*) as customers, min(c.since) as since
              from sync.customer c, unnest(c.behind) b(system)
             where (c.behind <> '{}' or c.attention is not null or c.ignored is not null)
             group by b.system order by b.system
            """,
            cancellationToken
        );
        var attention = await session.Read(
            "select reason, system, count(*) as waiting, min(since) as since from dashboard.attention group by reason, system order by 1, 2",
            cancellationToken
        );
        var messages = new List<Rows>();
        foreach (var schema in await KernelSchemas.In(session.Database, cancellationToken))
            messages.Add(
                await session.Read(
                    $"""
                    select '{schema}' as process,
                           (select count(*) from {schema}.outbox) as outbox,
                           (select extract(epoch from now() - min(created_at))::float8 from {schema}.outbox) as outbox_age,
                           (select count(*) from {schema}.schedule where due_at < now()) as late_timers,
                           (select count(*) from {schema}.dead_letter where state = 'open') as dead_letters,
                           (select count(*) from {schema}.feed_gap where state = 'open') as gaps,
                           (select max(moved_at) from {schema}.consumer_offset) as last_message
                    """,
                    cancellationToken
                )
            );
        var processes = Rows.Join(messages);
        if (session.Output.Json)
        {
            session.Output.Document(
                new JsonObject
                {
                    ["customers"] = customers.ToJson(),
                    ["behind"] = behind.ToJson(),
                    ["attention"] = attention.ToJson(),
                    ["processes"] = processes.ToJson(),
                }
            );
            return ExitCodes.Done;
        }

        Part(session.Output, "Customers", customers, "There are none yet.", "state", "customers");
        Part(session.Output, "Behind", behind, "Every system is in step.", "system", "customers", "since");
        Part(session.Output, "Waiting for a person", attention, "Nothing.", "reason", "system", "waiting", "since");
        Part(
            session.Output,
            "Messages, by the schema of each process in this database",
            processes,
            "No process has its tables here.",
            "process",
            "outbox",
            "outbox_age",
            "late_timers",
            "dead_letters",
            "gaps",
            "last_message"
        );
        return ExitCodes.Done;
    }

    static Task<Rows> Read(this Session session, string sql, CancellationToken cancellationToken) =>
        Rows.Read(session.Database, sql, ViewVerbs.MaxLimit, cancellationToken);

    static void Part(Output output, string title, Rows rows, string none, params string[] columns)
    {
        output.Heading(title);
        if (rows.Items.Count == 0)
            output.Line("  " + none);
        else
            rows.Print(output, columns);
        output.Line();
    }
}

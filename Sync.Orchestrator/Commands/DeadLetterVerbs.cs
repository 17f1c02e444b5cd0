using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Commands;

/// <summary><c>dead-letters …</c>: messages that could not be handled, of every process in this database.</summary>
static class DeadLetterVerbs
{
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    public static Command Create(CommandLine.Verbs verbs)
    {
        var all = new Option<bool>("--all") { Description = "Those that were replayed or closed, too" };
        var reason = new Option<string?>("--reason")
        {
            Description = "Only those of this reason code",
            HelpName = "reason code",
        };
        var limit = new Option<int>("--limit")
        {
            Description = "At most so many rows of each process, the oldest",
            HelpName = "rows",
            DefaultValueFactory = _ => 100,
        };
        var id = new Argument<Guid>("id") { Description = "The dead letter's id, as the list shows it" };
        return new("dead-letters", "Messages that could not be handled: nothing is dropped, and each can be sent again")
        {
            verbs.Verb(
                "list",
                "What lies there, the oldest first",
                [all, reason, limit],
                async (session, parsed, token) =>
                {
                    ViewVerbs.CheckLimit(parsed.GetValue(limit));
                    return ViewVerbs.Show(
                        session,
                        await Read(
                            session,
                            parsed.GetValue(all),
                            parsed.GetValue(reason),
                            null,
                            parsed.GetValue(limit),
                            token
                        ),
                        "No dead letter is open.",
                        parsed.GetValue(limit),
                        "id",
                        "process",
                        "first_at",
                        "topic",
                        "message_type",
                        "reason_code",
                        "state",
                        "reason"
                    );
                }
            ),
            verbs.Verb(
                "show",
                "One dead letter: where it came from, why it lies there; its body only in the database",
                [id],
                (session, parsed, token) => Show(session, parsed.GetRequiredValue(id), token)
            ),
            verbs.Verb(
                "replay",
                "Sends the original message once more, unchanged, through the process that kept it; who has moved on ignores it",
                [id],
                (session, parsed, token) => Replay(session, parsed.GetRequiredValue(id), token)
            ),
        };
    }

    static async Task<Rows> Read(
        Session session,
        bool all,
        string? reason,
        Guid? id,
        int limit,
        CancellationToken cancellationToken
    )
    {
        var parts = new List<Rows>();
        foreach (var schema in await KernelSchemas.In(session.Database, cancellationToken))
            parts.Add(
                await Rows.Read(
                    session.Database,
                    $"""
                    select id, '{schema}' as process, direction, topic, partition, "offset",
                           case when reason_code <> 'bad-key' then encode(key, 'escape') end as key,
                           octet_length(value) as bytes, message_type, reason_code, reason, attempts, first_at, state,
                           closed_by, closed_at
                      from {schema}.dead_letter
                     where ($1 or state = 'open') and ($2::text is null or reason_code = $2) and ($3 = '' or id::text = $3)
                     order by first_at, id
                    """,
                    limit,
                    cancellationToken,
                    all,
                    reason,
                    id?.ToString() ?? ""
                )
            );
        return Rows.Join(parts);
    }

    static async Task<(Rows Rows, object?[] Row)> One(Session session, Guid id, CancellationToken cancellationToken)
    {
        var rows = await Read(session, all: true, null, id, 1, cancellationToken);
        return rows.Items is [var row, ..]
            ? (rows, row)
            : throw CommandFailedException.NotFound(
                $"No dead letter has the id {id}.",
                "./sync dead-letters list --all shows them. Another process may keep its own in another database: set DATABASE__URL to it."
            );
    }

    static async Task<int> Show(Session session, Guid id, CancellationToken cancellationToken)
    {
        var (rows, row) = await One(session, id, cancellationToken);
        if (session.Output.Json)
        {
            session.Output.Document(rows.ToJson(row));
            return ExitCodes.Done;
        }

        session.Output.Heading($"Dead letter {id}");
        foreach (var name in rows.Names.Skip(1))
            if (Output.Text(rows.Value(row, name)) is { Length: > 0 } text)
                session.Output.Line($"  {name.Replace('_', ' '), -13} {text}");
        return ExitCodes.Done;
    }

    static async Task<int> Replay(Session session, Guid id, CancellationToken cancellationToken)
    {
        var (rows, row) = await One(session, id, cancellationToken);
        var schema = (string)rows.Value(row, "process")!;
        var replayed = await new DeadLetterReplay(session.Database).Replay(
            schema,
            id,
            session.RequestedBy,
            cancellationToken
        );
        switch (replayed.Outcome)
        {
            case ReplayOutcome.Closed:
                throw new CommandFailedException(
                    ExitCodes.Nothing,
                    "closed",
                    $"Dead letter {id} is {rows.Value(row, "state")} already, by {rows.Value(row, "closed_by")}.",
                    "If it failed again, it lies there under a new id."
                );
            case ReplayOutcome.Incomplete:
                throw new CommandFailedException(
                    ExitCodes.Nothing,
                    "incomplete",
                    $"Dead letter {id} has no key or no value: it would be refused again.",
                    "Let its sender send it anew, complete."
                );
            case ReplayOutcome.Unknown:
                throw CommandFailedException.NotFound($"Dead letter {id} was removed meanwhile.");
        }

        var delivered = await Delivered(session, schema, replayed.OutboxId!.Value, cancellationToken);
        if (session.Output.Json)
            session.Output.Document(
                new JsonObject
                {
                    ["id"] = id.ToString(),
                    ["process"] = schema,
                    ["topic"] = replayed.Topic,
                    ["outcome"] = delivered ? "delivered" : "queued",
                    ["requestedBy"] = session.RequestedBy,
                }
            );
        else
            session.Output.Line(
                delivered
                    ? $"replay {id}: on {replayed.Topic} again, asked by {session.RequestedBy}. Should it fail again, it lies there under a new id."
                    : $"replay {id}: queued for {replayed.Topic}; the process of schema {schema} sends it as soon as it runs."
            );
        return delivered ? ExitCodes.Done : ExitCodes.Pending;
    }

    /// <summary>The row leaves the outbox once Kafka has acknowledged it.</summary>
    static async Task<bool> Delivered(
        Session session,
        string schema,
        long outboxId,
        CancellationToken cancellationToken
    )
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            await using var command = session.Database.CreateCommand(
                $"select not exists (select from {schema}.outbox where id = $1)"
            );
            command.Parameters.Add(new() { Value = outboxId });
            if (await command.ExecuteScalarAsync(cancellationToken) is true)
                return true;
            if (Stopwatch.GetElapsedTime(began) >= session.Wait)
                return false;
            await Task.Delay(Look, session.Time, cancellationToken);
        }
    }
}

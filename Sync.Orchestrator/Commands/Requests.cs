using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using Sync.Contracts;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>What became of a request.</summary>
enum Outcome
{
    /// <summary>Its timeline row is there.</summary>
    Done,

    /// <summary>Its timeline row says that there was nothing to do.</summary>
    Nothing,

    /// <summary>The orchestrator refused it: a dead letter says why.</summary>
    Refused,

    /// <summary>No answer within the time; it stays asked.</summary>
    Pending,
}

/// <param name="Rows">What the timeline says of it, of view <c>dashboard.timeline</c>.</param>
sealed record Answer(Outcome Outcome, Guid MessageId, Rows Rows, string? Reason)
{
    public int ExitCode =>
        Outcome switch
        {
            Outcome.Done => ExitCodes.Done,
            Outcome.Pending => ExitCodes.Pending,
            _ => ExitCodes.Nothing,
        };
}

/// <summary>A request and its answer: sent to Kafka, then looked for in the timeline by the id of its message.</summary>
static class Requests
{
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    const string TimelineSql = $"""
        select at, customer_id, revision, code, system, direction, paths, external_id, reason, requested_by, message_id
          from {OrchestratorDb.Schema}.timeline
         where correlation_id = $1 and message_id = $2
         order by id
        """;

    /// <summary>How a request that changed nothing ends its reason. The saga says it; see <c>Operating</c>.</summary>
    const string Nothing = "the request changed nothing";

    /// <param name="correlationId">Of the customer or the found object whose timeline gets the row.</param>
    public static async Task<Answer> Ask(
        Session session,
        object request,
        Guid correlationId,
        CancellationToken cancellationToken
    )
    {
        // Looked at first: a database that does not answer must not let a request go unseen.
        _ = await Rows.Read(session.Database, TimelineSql, 1, cancellationToken, correlationId, Guid.Empty);
        var id = await session.Produce(request, cancellationToken);
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var rows = await Rows.Read(session.Database, TimelineSql, 100, cancellationToken, correlationId, id);
            if (rows.Items.Count > 0)
            {
                var reason = rows.Value(rows.Items[0], "reason") as string;
                var nothing = reason?.EndsWith(Nothing, StringComparison.Ordinal) == true;
                return new(nothing ? Outcome.Nothing : Outcome.Done, id, rows, reason);
            }

            if (await DeadLetter(session.Database, id, cancellationToken) is { } why)
                return new(Outcome.Refused, id, rows, why);
            if (Stopwatch.GetElapsedTime(began) >= session.Wait)
                return new(Outcome.Pending, id, rows, null);
            await Task.Delay(Look, session.Time, cancellationToken);
        }
    }

    /// <summary>Prints the answer and gives the exit code.</summary>
    public static int Show(Session session, string verb, string about, Answer answer)
    {
        if (session.Output.Json)
        {
            session.Output.Document(ToJson(session, verb, about, answer));
            return answer.ExitCode;
        }

        switch (answer.Outcome)
        {
            case Outcome.Done:
                session.Output.Line($"{verb} {about}: done, asked by {session.RequestedBy}");
                Print(session, answer.Rows);
                break;
            case Outcome.Nothing:
                session.Output.Line($"{verb} {about}: {answer.Reason}");
                break;
            case Outcome.Refused:
                session.Output.Line($"{verb} {about}: refused: {answer.Reason}");
                break;
            default:
                session.Output.Line(
                    $"{verb} {about}: asked, message {answer.MessageId}, and not answered within {session.Wait.TotalSeconds:0} s"
                );
                session.Output.Line(
                    "It stays asked. The orchestrator may be down or behind (./sync status), or the customer is in a state in which there is nothing to do (./sync customer show). Look for it with ./sync customer timeline."
                );
                break;
        }

        return answer.ExitCode;
    }

    public static JsonObject ToJson(Session session, string verb, string about, Answer answer) =>
        new()
        {
            ["request"] = verb,
            ["about"] = about,
            ["messageId"] = answer.MessageId.ToString(),
            ["requestedBy"] = session.RequestedBy,
            ["outcome"] = answer.Outcome.ToString().ToLowerInvariant(),
            ["reason"] = answer.Reason,
            ["timeline"] = answer.Rows.ToJson(),
        };

    static void Print(Session session, Rows rows) =>
        rows.Print(session.Output, "at", "code", "system", "paths", "reason");

    /// <summary>Why the request was dead-lettered, or null.</summary>
    static async Task<string?> DeadLetter(NpgsqlDataSource database, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $$"""
            select reason_code || ': ' || reason
              from {{OrchestratorDb.Schema}}.dead_letter
             where state = 'open' and topic = $1
               and headers @> jsonb_build_array(jsonb_build_object('name', $2, 'value', $3))
             limit 1
            """
        );
        command.Parameters.Add(new() { Value = Topics.Requests });
        command.Parameters.Add(new() { Value = CloudEventNames.Id });
        command.Parameters.Add(new() { Value = Convert.ToBase64String(Encoding.UTF8.GetBytes(id.ToString())) });
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }
}

using System.CommandLine;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Contracts.Requests;

namespace Sync.Orchestrator.Commands;

/// <summary><c>brakes …</c>: what Sync holds back by itself, and how many of them are let go at once.</summary>
static class BrakeVerbs
{
    const string Spread = "spread";
    const string Restore = "restore";

    /// <summary>Customers that one command releases at most; ask again for the rest.</summary>
    const int MaxReleases = 1_000;

    /// <summary>Adds what a person can do to the verb that lists the brakes.</summary>
    public static Command With(CommandLine.Verbs verbs, Command list)
    {
        var how = new Argument<string>("how")
        {
            Description = "spread deletes the customers everywhere; restore creates the objects anew",
            HelpName = "spread|restore",
        };
        how.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: not (Spread or Restore) }])
                result.AddError("Held deletions are released with spread or restore.");
        });
        var system = new Argument<string>("system") { Description = "The system in which the objects were deleted" };
        var yes = new Option<bool>("--yes") { Description = "Do not ask whether to go on" };
        list.Add(
            new Command("release", "Decides for all that a brake holds, oldest first")
            {
                verbs.Verb(
                    "deletions",
                    $"Decides the deletions that are held in one system, at most {MaxReleases} at a time",
                    [system, how, yes],
                    (session, parsed, token) =>
                        Deletions(
                            session,
                            CustomerVerbs.Known(session, parsed.GetRequiredValue(system))!,
                            parsed.GetRequiredValue(how) == Spread,
                            parsed.GetValue(yes),
                            token
                        )
                ),
                verbs.Verb(
                    "loops",
                    $"Opens the loop brake of all customers that it holds, at most {MaxReleases} at a time",
                    [yes],
                    (session, parsed, token) => Loops(session, parsed.GetValue(yes), token)
                ),
            }
        );
        return list;
    }

    static Task<int> Deletions(
        Session session,
        string system,
        bool spread,
        bool yes,
        CancellationToken cancellationToken
    ) =>
        Release(
            session,
            "deletion",
            system,
            yes,
            count =>
                spread
                    ? $"{count} customers were deleted in {system}. They will be deleted in every other system."
                    : $"{count} customers were deleted in {system}. Their objects will be created there anew.",
            (id, by, at) =>
                new Release
                {
                    CustomerId = id,
                    System = system,
                    Spread = spread,
                    RequestedBy = by,
                    RequestedAt = at,
                },
            cancellationToken
        );

    static Task<int> Loops(Session session, bool yes, CancellationToken cancellationToken) =>
        Release(
            session,
            "loop",
            system: null,
            yes,
            count =>
                $"{count} customers were changed faster than the loop brake allows. They will be written again; stop the automations first.",
            (id, by, at) =>
                new ReleaseLoop
                {
                    CustomerId = id,
                    RequestedBy = by,
                    RequestedAt = at,
                },
            cancellationToken
        );

    static async Task<int> Release(
        Session session,
        string brake,
        string? system,
        bool yes,
        Func<int, string> what,
        Func<string, string, DateTimeOffset, OperatorRequest> request,
        CancellationToken cancellationToken
    )
    {
        var held = await Rows.Read(
            session.Database,
            """
            select customer_id from dashboard.brakes
             where brake = $1 and ($2::text is null or system = $2) order by since, customer_id
            """,
            MaxReleases,
            cancellationToken,
            brake,
            system
        );
        if (held.Items.Count == 0)
            throw new CommandFailedException(ExitCodes.Nothing, "nothing-held", "That brake holds nobody.");
        Confirmation.Ask(session, yes, what(held.Items.Count), "yes");

        var answers = new JsonArray();
        var worst = ExitCodes.Done;
        foreach (var row in held.Items)
        {
            var id = (string)held.Value(row, "customer_id")!;
            var answer = await Requests.Ask(
                session,
                request(id, session.RequestedBy, session.Time.GetUtcNow()),
                CustomerIds.CorrelationId(id),
                cancellationToken
            );
            worst = Math.Max(worst, answer.ExitCode);
            if (session.Output.Json)
                answers.Add((JsonNode?)Requests.ToJson(session, "release", id, answer));
            else
                session.Output.Line($"release {id}: {answer.Outcome.ToString().ToLowerInvariant()}");
            // An orchestrator that does not answer one does not answer a thousand.
            if (answer.Outcome == Outcome.Pending && session.Wait > TimeSpan.Zero)
                break;
        }

        if (session.Output.Json)
            session.Output.Document(new JsonObject { ["items"] = answers, ["more"] = held.More });
        else if (held.More)
            session.Output.Note($"More than {MaxReleases} are held: ask again.");
        return worst;
    }
}

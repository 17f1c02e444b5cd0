using System.CommandLine;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;

namespace Sync.Orchestrator.Commands;

/// <summary><c>attention …</c>: what waits for a person.</summary>
static class AttentionVerbs
{
    /// <summary>Customers that one <c>attention retry</c> asks for at most; ask again for the rest.</summary>
    const int MaxRetries = 1_000;

    static readonly Option<string?> Reason = new("--reason")
    {
        Description = "Only what waits for this reason",
        HelpName = "reason",
    };

    static readonly Option<string?> System = new("--system")
    {
        Description = "Only what is about this system",
        HelpName = "system",
    };

    static readonly Option<int> Limit = new("--limit")
    {
        Description = "At most so many rows, the oldest",
        HelpName = "rows",
        DefaultValueFactory = _ => 100,
    };

    public static Command Create(CommandLine.Verbs verbs)
    {
        var reason = new Argument<string>("reason")
        {
            Description = "A reason as the list shows it",
            HelpName = "reason",
        };
        var needed = new Option<string>("--reason")
        {
            Description = "Retry what waits for this reason",
            HelpName = "reason",
            Required = true,
        };
        var yes = new Option<bool>("--yes") { Description = "Do not ask whether to go on" };
        var command = new Command("attention", "What waits for a person, why, and what to do about it")
        {
            verbs.Verb("list", "What waits, the oldest first", [Reason, System, Limit], List),
            verbs.Verb(
                "explain",
                "What a reason means, and which commands resolve it",
                [reason],
                (s, p, _) => Task.FromResult(Explain(s, p.GetRequiredValue(reason)))
            ),
            verbs.Verb(
                "retry",
                $"Retries all customers that wait for one reason, at most {MaxRetries} at a time",
                [needed, System, yes],
                (s, p, token) => Retry(s, p.GetRequiredValue(needed), p.GetValue(System), p.GetValue(yes), token)
            ),
        };
        foreach (var option in (Option[])[Reason, System, Limit])
            command.Add(option);
        verbs.Act(command, List);
        return command;
    }

    /// <summary>What each reason means, and what to type. The words of <see cref="AttentionReasons"/> and of found objects.</summary>
    internal static IReadOnlyDictionary<string, (string Meaning, string[] Commands)> Explanations { get; } =
        new Dictionary<string, (string, string[])>
        {
            [AttentionReasons.DeletionHeld] = (
                "The object vanished from that system while the deletion brake was closed, or the product is only read. Nothing was deleted elsewhere, and the object is not made again, until you decide.",
                [
                    "./sync customer release <customer> <system> spread     delete the customer everywhere",
                    "./sync customer release <customer> <system> restore    create the object anew",
                ]
            ),
            [AttentionReasons.DeletionRefused] = (
                "The customer was removed, and that system did not delete its object; the detail says why. All other systems have.",
                [
                    "./sync customer retry <customer> --system <system>     once the reason is gone",
                    "./sync customer ignore <customer>                      the object stays, and counts as gone",
                ]
            ),
            [AttentionReasons.Undeleted] = (
                "A person took the object out of that system's recycle bin after the customer was removed. It is not synced.",
                [
                    "Delete the object there, or create the customer in the product again under a new id.",
                    "./sync customer ignore <customer>                      it may stay as it is",
                ]
            ),
            [AttentionReasons.Recreated] = (
                "The product used the id of a removed customer again. The new record is left alone: it might be another person.",
                [
                    "./sync customer allow-recreate <customer>              a new life begins; never of an erased one",
                    "Or create the customer under a new id.",
                    "./sync customer ignore <customer>                      it may stay as it is",
                ]
            ),
            [AttentionReasons.CommandRefused] = (
                "The system refused a whole command and named no field. It is not asked again before the customer changes.",
                [
                    "./sync customer timeline <customer>                    says in which words it refused",
                    "./sync customer retry <customer> --system <system>     once the cause is gone",
                ]
            ),
            [AttentionReasons.ValueRefused] = (
                "The system refused the values of these fields: too long, malformed, or against a rule there. All other fields are in step.",
                [
                    "Correct the value, in any system; the correction is tried at once.",
                    "./sync customer retry <customer> --system <system>     once the rule there has changed",
                ]
            ),
            [AttentionReasons.ConflictHeld] = (
                "These fields were changed in two systems at once, and fields.json says that a person decides. Each system keeps its own value meanwhile.",
                [
                    "./sync customer show <customer> --values               shows the sides",
                    "./sync customer take <customer> <path> <side>          golden, or a system's name",
                ]
            ),
            [AttentionReasons.Loop] = (
                "Vendors brought news of these fields faster than the loop brake allows: automations that undo each other, or one that undoes what is written. Nothing is written for this customer meanwhile.",
                [
                    "./sync customer show <customer> --values               shows what each system holds",
                    "Find the automation and stop it.",
                    "./sync customer release-loop <customer>                it is written again",
                ]
            ),
            ["duplicate"] = (
                "The customer has another object in that system. This one is not synced.",
                [
                    "Merge or delete one of the two where they live.",
                    "./sync object link <system> <external id> <customer>   this one takes the place of one whose deletion is held",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
            ["unknown-customer"] = (
                "The object carries the id of a customer that nobody knows.",
                [
                    "Correct the id on the object, or create the customer in the product.",
                    "./sync object link <system> <external id> <customer>   it is that customer's",
                    "./sync object retry <system> <external id>             once the id is right",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
            [ParkedReasons.OneWay] = (
                "An object without a customer's id was found, and the product is only read, so nobody can be made of it.",
                [
                    "Create the customer in the product, and put its id on the object.",
                    "./sync object link <system> <external id> <customer>   it is that customer's",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
            [ParkedReasons.Ambiguous] = (
                "An object without a customer's id was found, and several customers have its e-mail. Nobody is joined by a guess.",
                [
                    "./sync object link <system> <external id> <customer>   detail names the candidates",
                    "./sync object retry <system> <external id>             it is read again and decided anew",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
            [ParkedReasons.Unanswered] = (
                "An object was to be linked to a customer that has not answered for hours: there is none with that id.",
                [
                    "./sync object link <system> <external id> <customer>   the right one",
                    "./sync object retry <system> <external id>             it is read again and decided anew",
                ]
            ),
            ["unmatched"] = (
                "The object was found by a release that could not match yet.",
                [
                    "./sync object retry <system> <external id>             it is read again and decided anew",
                    "./sync object link <system> <external id> <customer>   it is that customer's",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
            ["parked"] = (
                "A customer turned the object away, for the reason in detail: it has another one, was removed, or nobody knows it.",
                [
                    "Merge or delete the object where it lives.",
                    "./sync object link <system> <external id> <customer>   it is another customer's",
                    "./sync object retry <system> <external id>             it is read again and decided anew",
                    "./sync object ignore <system> <external id>            it may stay as it is",
                ]
            ),
        };

    static async Task<int> List(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var limit = parsed.GetValue(Limit);
        ViewVerbs.CheckLimit(limit);
        var rows = await Waiting(session, parsed.GetValue(Reason), parsed.GetValue(System), limit, cancellationToken);
        var code = ViewVerbs.Show(
            session,
            rows,
            "Nothing waits for a person.",
            limit,
            "since",
            "kind",
            "customer_id",
            "external_id",
            "system",
            "reason",
            "paths",
            "detail"
        );
        if (rows.Items.Count > 0)
            session.Output.Note("./sync attention explain <reason> says what to do.");
        return code;
    }

    static Task<Rows> Waiting(
        Session session,
        string? reason,
        string? system,
        int limit,
        CancellationToken cancellationToken
    )
    {
        CustomerVerbs.Known(session, system);
        return Rows.Read(
            session.Database,
            """
            select since, kind, customer_id, external_id, system, reason, paths, detail, what_to_do
              from dashboard.attention
             where ($1::text is null or reason = $1) and ($2::text is null or system = $2)
             order by since, customer_id, external_id
            """,
            limit,
            cancellationToken,
            reason,
            system
        );
    }

    static int Explain(Session session, string reason)
    {
        if (!Explanations.TryGetValue(reason, out var explanation))
            throw CommandFailedException.NotFound(
                $"There is no reason \"{reason}\".",
                $"There are {string.Join(", ", Explanations.Keys)}."
            );
        if (session.Output.Json)
        {
            session.Output.Document(
                new JsonObject
                {
                    ["reason"] = reason,
                    ["meaning"] = explanation.Meaning,
                    ["commands"] = Output.Node(explanation.Commands),
                }
            );
            return ExitCodes.Done;
        }

        session.Output.Heading(reason);
        session.Output.Line(explanation.Meaning);
        session.Output.Line();
        foreach (var command in explanation.Commands)
            session.Output.Line("  " + command);
        return ExitCodes.Done;
    }

    static async Task<int> Retry(
        Session session,
        string reason,
        string? system,
        bool yes,
        CancellationToken cancellationToken
    )
    {
        if (
            reason
            is not (
                AttentionReasons.CommandRefused
                or AttentionReasons.ValueRefused
                or AttentionReasons.DeletionRefused
            )
        )
            throw CommandFailedException.Usage(
                $"A retry resolves {AttentionReasons.ValueRefused}, {AttentionReasons.CommandRefused} and {AttentionReasons.DeletionRefused}, not \"{reason}\".",
                "./sync attention explain <reason> says what resolves others."
            );
        var rows = await Waiting(session, reason, system, MaxRetries, cancellationToken);
        if (rows.Items.Count == 0)
            throw new CommandFailedException(ExitCodes.Nothing, "nothing-waits", "Nothing waits for that reason.");
        Confirmation.Ask(
            session,
            yes,
            $"{rows.Items.Count} customers are asked for again, each in the system that refused.",
            "yes"
        );

        var answers = new JsonArray();
        var worst = ExitCodes.Done;
        foreach (var row in rows.Items)
        {
            var id = (string)rows.Value(row, "customer_id")!;
            var answer = await Requests.Ask(
                session,
                CustomerVerbs.NewRetry(
                    id,
                    session.RequestedBy,
                    session.Time.GetUtcNow(),
                    (string)rows.Value(row, "system")!
                ),
                CustomerIds.CorrelationId(id),
                cancellationToken
            );
            worst = Math.Max(worst, answer.ExitCode);
            if (session.Output.Json)
                answers.Add((JsonNode?)Requests.ToJson(session, "retry", id, answer));
            else
                session.Output.Line($"retry {id}: {answer.Outcome.ToString().ToLowerInvariant()}");
            // An orchestrator that does not answer one does not answer a thousand.
            if (answer.Outcome == Outcome.Pending && session.Wait > TimeSpan.Zero)
                break;
        }

        if (session.Output.Json)
            session.Output.Document(new JsonObject { ["items"] = answers, ["more"] = rows.More });
        return worst;
    }
}

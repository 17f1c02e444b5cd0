using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Orchestrator.Commands;

/// <summary><c>customer …</c>: one customer, seen and acted on.</summary>
static class CustomerVerbs
{
    const string Spread = "spread";
    const string Restore = "restore";

    static readonly Argument<string> Id = new("id")
    {
        Description = "The product's id of the customer",
        HelpName = "customer id",
    };

    static readonly Option<string?> System = new("--system")
    {
        Description = "Only this system, by its name in systems.json",
        HelpName = "system",
    };

    static readonly Option<bool> ShowValues = new("--values")
    {
        Description = "Print the values too. They are personal data: mind where the output goes",
    };

    public static Command Create(CommandLine.Verbs verbs)
    {
        var limit = new Option<int>("--limit")
        {
            Description = "At most so many rows, the newest",
            HelpName = "rows",
            DefaultValueFactory = _ => 50,
        };
        var yes = new Option<bool>("--yes") { Description = "Do not ask whether to go on" };
        var path = new Argument<string>("path") { Description = "The field, such as name or address.city" };
        var side = new Argument<string>("side")
        {
            Description = "Whose value counts: golden, or a system's name",
            HelpName = "golden|system",
        };
        var system = new Argument<string>("system") { Description = "The system in which the object was deleted" };
        var how = new Argument<string>("how")
        {
            Description = "spread deletes the customer everywhere; restore creates the object anew",
            HelpName = "spread|restore",
        };
        how.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: not (Spread or Restore) }])
                result.AddError("A held deletion is released with spread or restore.");
        });

        return new Command("customer", "One customer: how it stands, what happened to it, and what you can ask for")
        {
            verbs.Verb(
                "show",
                "How a customer stands: in each system, and field by field. Values are only shown with --values",
                [Id, ShowValues],
                Show
            ),
            verbs.Verb(
                "timeline",
                "What happened to a customer, newest last: codes, systems and paths, never values",
                [Id, limit],
                (session, parsed, token) => Timeline(session, parsed, parsed.GetValue(limit), token)
            ),
            verbs.Verb(
                "diff",
                "Only the fields in which a system differs from the golden record, and why",
                [Id, ShowValues],
                Diff
            ),
            verbs.Verb(
                "resync",
                "Has the vendors' objects read again and reported as they are; changes nothing by itself",
                [Id, System],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "resync",
                        (id, by, at) =>
                            new Resync
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                                System = Known(session, parsed.GetValue(System)),
                            },
                        token
                    )
            ),
            verbs.Verb(
                "take",
                "Ends a held conflict about a field: the value of one side counts, everywhere",
                [Id, path, side],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "take",
                        (id, by, at) =>
                            new TakeSide
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                                Field = parsed.GetRequiredValue(path),
                                Side = Side(session, parsed.GetRequiredValue(side)),
                            },
                        token
                    )
            ),
            verbs.Verb(
                "retry",
                "Asks a system again for what it refused, deletions too; once the cause is gone",
                [Id, System],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "retry",
                        (id, by, at) => NewRetry(id, by, at, Known(session, parsed.GetValue(System))),
                        token
                    )
            ),
            verbs.Verb(
                "release",
                "Decides a held deletion: spread it to all systems, or restore the object",
                [Id, system, how],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "release",
                        (id, by, at) =>
                            new Release
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                                System = Known(session, parsed.GetRequiredValue(system))!,
                                Spread = parsed.GetRequiredValue(how) == Spread,
                            },
                        token
                    )
            ),
            verbs.Verb(
                "ignore",
                "Hides what waits for a person until its reason changes; a refused deletion counts as kept",
                [Id],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "ignore",
                        (id, by, at) =>
                            new Ignore
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                            },
                        token
                    )
            ),
            verbs.Verb(
                "release-loop",
                "Opens the loop brake: the customer is written again",
                [Id],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "release-loop",
                        (id, by, at) =>
                            new ReleaseLoop
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                            },
                        token
                    )
            ),
            verbs.Verb(
                "allow-recreate",
                "Follows a removed id that the product created again, as a new life",
                [Id],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "allow-recreate",
                        (id, by, at) =>
                            new AllowRecreate
                            {
                                CustomerId = id,
                                RequestedBy = by,
                                RequestedAt = at,
                            },
                        token
                    )
            ),
            verbs.Verb(
                "erase",
                "Deletes the person in every system by its policy, forgets everything but ids, and prints the receipt; cannot be undone",
                [Id, yes],
                (session, parsed, token) =>
                {
                    var person = CheckedId(parsed);
                    Confirmation.Ask(
                        session,
                        parsed.GetValue(yes),
                        $"Customer {person} will be deleted in every system and forgotten. Nothing brings it back.",
                        person
                    );
                    return Erasures.Erase(session, person, token);
                }
            ),
            verbs.Verb(
                "receipt",
                "What was erased, where and when: the rows of the timeline that say so",
                [Id],
                (session, parsed, token) => Erasures.Receipt(session, CheckedId(parsed), token)
            ),
        };
    }

    public static Retry NewRetry(string id, string by, DateTimeOffset at, string? system) =>
        new()
        {
            CustomerId = id,
            RequestedBy = by,
            RequestedAt = at,
            System = system,
        };

    /// <exception cref="CommandFailedException">systems.json has no such row.</exception>
    public static string? Known(Session session, string? system) =>
        system is null || session.Config.Systems.ContainsKey(system)
            ? system
            : throw CommandFailedException.Usage(
                $"There is no system \"{system}\".",
                $"systems.json has {string.Join(", ", session.Config.Systems.Keys)}."
            );

    static string Side(Session session, string side) => side == CustomerSync.GoldenSide ? side : Known(session, side)!;

    static string CheckedId(ParseResult parsed)
    {
        var id = parsed.GetRequiredValue(Id);
        return CustomerIds.Problem(id) is { } problem ? throw CommandFailedException.Usage(problem) : id;
    }

    internal static async Task<CustomerSync> Load(Session session, string id, CancellationToken cancellationToken)
    {
        await using var db = await session
            .Services.GetRequiredService<IDbContextFactory<OrchestratorDb>>()
            .CreateDbContextAsync(cancellationToken);
        var key = CustomerIds.CorrelationId(id);
        return await db.Customers.AsNoTracking().FirstOrDefaultAsync(c => c.CorrelationId == key, cancellationToken)
            ?? throw CommandFailedException.NotFound(
                $"No customer has the id \"{id}\".",
                "Ids are the product's, upper and lower case count. select customer_id from dashboard.customers lists them."
            );
    }

    static async Task<int> Ask(
        Session session,
        ParseResult parsed,
        string verb,
        Func<string, string, DateTimeOffset, OperatorRequest> request,
        CancellationToken cancellationToken
    )
    {
        var id = CheckedId(parsed);
        await Load(session, id, cancellationToken);
        var answer = await Requests.Ask(
            session,
            request(id, session.RequestedBy, session.Time.GetUtcNow()),
            CustomerIds.CorrelationId(id),
            cancellationToken
        );
        return Requests.Show(session, verb, id, answer);
    }

    static async Task<int> Show(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var sync = await Load(session, CheckedId(parsed), cancellationToken);
        var fields = FieldStanding.Of(sync, session.Config);
        var values = parsed.GetValue(ShowValues);
        if (session.Output.Json)
        {
            session.Output.Document(CustomerPage.ToJson(sync, fields, session.Config, values));
            return ExitCodes.Done;
        }

        CustomerPage.Print(session.Output, sync, fields, session.Config, values, session.Time.GetUtcNow());
        return ExitCodes.Done;
    }

    static async Task<int> Diff(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var sync = await Load(session, CheckedId(parsed), cancellationToken);
        var fields = FieldStanding.Of(sync, session.Config).Where(f => f.Differs).ToList();
        var values = parsed.GetValue(ShowValues);
        if (session.Output.Json)
        {
            session.Output.Document(
                new JsonObject
                {
                    ["customerId"] = sync.CustomerId,
                    ["differences"] = new JsonArray([.. fields.Select(f => (JsonNode?)f.ToJson(values))]),
                }
            );
            return ExitCodes.Done;
        }

        if (fields.Count == 0)
            session.Output.Line($"{sync.CustomerId}: no system differs from the golden record in a mapped field.");
        else
            CustomerPage.PrintFields(session.Output, fields, values);
        return ExitCodes.Done;
    }

    static async Task<int> Timeline(Session session, ParseResult parsed, int limit, CancellationToken cancellationToken)
    {
        if (limit is < 1 or > ViewVerbs.MaxLimit)
            throw CommandFailedException.Usage($"--limit: must be 1 to {ViewVerbs.MaxLimit}.");
        var id = CheckedId(parsed);
        // By the id that every row carries: the history of a customer outlives its row.
        var rows = await Rows.Read(
            session.Database,
            $"""
            select at, revision, code, system, direction, paths, external_id, reason, requested_by, vendor_request_id,
                   calls, duration_ms, message_id, causation_id, trace_id
              from {OrchestratorDb.Schema}.timeline where correlation_id = $1 order by id desc
            """,
            limit,
            cancellationToken,
            CustomerIds.CorrelationId(id)
        );
        if (rows.Items.Count == 0)
            throw CommandFailedException.NotFound(
                $"Nothing ever happened to a customer \"{id}\".",
                "Ids are the product's, upper and lower case count."
            );
        rows = new Rows(rows.Names, [.. rows.Items.Reverse()], rows.More);
        if (session.Output.Json)
        {
            session.Output.Document(
                new JsonObject
                {
                    ["customerId"] = id,
                    ["items"] = rows.ToJson(),
                    ["more"] = rows.More,
                }
            );
            return ExitCodes.Done;
        }

        rows.Print(session.Output, "at", "revision", "direction", "code", "system", "paths", "requested_by", "reason");
        if (rows.More)
            session.Output.Note($"Older rows are left out; --limit shows more than {limit}.");
        return ExitCodes.Done;
    }
}

using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary><c>object …</c>: what is to become of an object found in a vendor.</summary>
static class ObjectVerbs
{
    static readonly Argument<string> System = new("system") { Description = "The system that has the object" };

    static readonly Argument<string> Ext = new("external id") { Description = "The vendor's id of the object" };

    static readonly Option<string?> OnlySystem = new("--system")
    {
        Description = "Only objects of this system",
        HelpName = "system",
    };

    static readonly Option<string?> OnlyState = new("--state")
    {
        Description = "Only objects in this state: asking, linked or parked",
        HelpName = "asking|linked|parked",
    };

    static readonly Option<int> Limit = new("--limit")
    {
        Description = "At most so many rows",
        HelpName = "rows",
        DefaultValueFactory = _ => 100,
    };

    static readonly Option<bool> ShowValues = new("--values")
    {
        Description = "Print the values too. They are personal data: mind where the output goes",
    };

    /// <summary>Rows of the object's timeline that its page shows.</summary>
    const int MaxHistory = 50;

    public static Command Create(CommandLine.Verbs verbs)
    {
        var customer = new Argument<string>("customer id") { Description = "The product's id of the customer" };
        return new Command(
            "object",
            "Objects found in a vendor that were no customer's: what became of them, whose one is, or that it may stay"
        )
        {
            verbs.Verb(
                "list",
                "Objects found in vendors, the newest first: what each waits for, and whose it became",
                [OnlySystem, OnlyState, Limit],
                List
            ),
            verbs.Verb(
                "show",
                "One found object: its state, its candidates, and what happened to it. Values are only shown with --values",
                [System, Ext, ShowValues],
                Show
            ),
            verbs.Verb(
                "link",
                "Says whose an object is; linked if the customer has none there, or the deletion of its own is held",
                [System, Ext, customer],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "link",
                        (system, ext, by, at) =>
                        {
                            var id = parsed.GetRequiredValue(customer);
                            return CustomerIds.Problem(id) is { } problem
                                ? throw CommandFailedException.Usage(problem)
                                : new LinkTo
                                {
                                    System = system,
                                    ExternalId = ext,
                                    CustomerId = id,
                                    RequestedBy = by,
                                    RequestedAt = at,
                                };
                        },
                        token
                    )
            ),
            verbs.Verb(
                "retry",
                "Has a parked object read again, and decides anew whose it is",
                [System, Ext],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "retry",
                        (system, ext, by, at) =>
                            new RetryObject
                            {
                                System = system,
                                ExternalId = ext,
                                RequestedBy = by,
                                RequestedAt = at,
                            },
                        token
                    )
            ),
            verbs.Verb(
                "ignore",
                "Hides a parked object until its reason changes",
                [System, Ext],
                (session, parsed, token) =>
                    Ask(
                        session,
                        parsed,
                        "ignore",
                        (system, ext, by, at) =>
                            new IgnoreObject
                            {
                                System = system,
                                ExternalId = ext,
                                RequestedBy = by,
                                RequestedAt = at,
                            },
                        token
                    )
            ),
        };
    }

    static async Task<int> List(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var limit = parsed.GetValue(Limit);
        ViewVerbs.CheckLimit(limit);
        var state = parsed.GetValue(OnlyState)?.ToLowerInvariant();
        if (state is not (null or "asking" or "linked" or "parked"))
            throw CommandFailedException.Usage("--state: must be asking, linked or parked.");
        var rows = await Rows.Read(
            session.Database,
            $"""
            select system, ext as external_id, lower(current_state) as state, customer_id, minted, reason, candidates,
                   ignored is not distinct from reason and reason is not null as ignored, attempt, since
              from {OrchestratorDb.Schema}.found_object
             where ($1::text is null or system = $1) and ($2::text is null or lower(current_state) = $2)
             order by since desc, system, ext
            """,
            limit,
            cancellationToken,
            CustomerVerbs.Known(session, parsed.GetValue(OnlySystem)),
            state
        );
        return ViewVerbs.Show(
            session,
            rows,
            "No object was found that was not a customer's already.",
            limit,
            "since",
            "system",
            "external_id",
            "state",
            "customer_id",
            "reason",
            "candidates"
        );
    }

    static async Task<int> Show(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var found = await Load(session, parsed, cancellationToken);
        var history = await Rows.Read(
            session.Database,
            $"""
            select at, code, customer_id, reason, requested_by
              from {OrchestratorDb.Schema}.timeline where correlation_id = $1 order by id desc
            """,
            MaxHistory,
            cancellationToken,
            found.CorrelationId
        );
        history = new Rows(history.Names, [.. history.Items.Reverse()], history.More);
        var values = parsed.GetValue(ShowValues);
        if (session.Output.Json)
        {
            var page = new JsonObject
            {
                ["system"] = found.System,
                ["externalId"] = found.Ext,
                ["state"] = found.CurrentState.ToLowerInvariant(),
                ["customerId"] = found.CustomerId,
                ["minted"] = found.Minted,
                ["reason"] = found.Reason,
                ["candidates"] = Output.Node(found.Candidates),
                ["ignored"] = found.Ignored is not null && found.Ignored == found.Reason,
                ["attempt"] = found.Attempt,
                ["since"] = Output.Node(found.Since),
                ["paths"] = Output.Node(found.Fields.Where(f => f.Value is not null).Select(f => f.Key)),
                ["timeline"] = history.ToJson(),
            };
            if (values)
                page["fields"] = new JsonObject(
                    found.Fields.Select(f => KeyValuePair.Create(f.Key, (JsonNode?)f.Value))
                );
            session.Output.Document(page);
            return ExitCodes.Done;
        }

        session.Output.Heading($"{found.System} {found.Ext}");
        session.Output.Line(
            $"{found.CurrentState.ToLowerInvariant()} since {Output.Text(found.Since)}{(found.Reason is { } reason ? $": {reason}" : "")}"
        );
        if (found.CustomerId is { } customer)
            session.Output.Line($"customer {customer}{(found.Minted ? ", made for it" : "")}");
        if (found.Candidates is { Length: > 0 } candidates)
            session.Output.Line($"candidates: {Output.Text(candidates)}");
        foreach (var (path, value) in found.Fields.Where(f => f.Value is not null))
            session.Output.Line(values ? $"{path}: {value}" : path);
        history.Print(session.Output, "at", "code", "customer_id", "requested_by", "reason");
        if (found.CurrentState == "Parked")
            session.Output.Note(
                "./sync attention says what it waits for, ./sync attention explain <reason> what to do."
            );
        return ExitCodes.Done;
    }

    static async Task<FoundObject> Load(Session session, ParseResult parsed, CancellationToken cancellationToken)
    {
        var system = CustomerVerbs.Known(session, parsed.GetRequiredValue(System))!;
        var ext = parsed.GetRequiredValue(Ext);
        var key = CustomerIds.ObjectId(system, ext);
        await using var db = await session
            .Services.GetRequiredService<IDbContextFactory<OrchestratorDb>>()
            .CreateDbContextAsync(cancellationToken);
        return await db.FoundObjects.AsNoTracking().FirstOrDefaultAsync(o => o.CorrelationId == key, cancellationToken)
            ?? throw CommandFailedException.NotFound(
                $"No found object of {system} has the id \"{ext}\".",
                "./sync object list shows what was found; upper and lower case count."
            );
    }

    static async Task<int> Ask(
        Session session,
        ParseResult parsed,
        string verb,
        Func<string, string, string, DateTimeOffset, ObjectRequest> request,
        CancellationToken cancellationToken
    )
    {
        var found = await Load(session, parsed, cancellationToken);
        var answer = await Requests.Ask(
            session,
            request(found.System, found.Ext, session.RequestedBy, session.Time.GetUtcNow()),
            found.CorrelationId,
            cancellationToken
        );
        return Requests.Show(session, verb, $"{found.System} {found.Ext}", answer);
    }
}

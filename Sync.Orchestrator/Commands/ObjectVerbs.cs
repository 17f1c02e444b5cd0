using System.CommandLine;
using Microsoft.EntityFrameworkCore;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary><c>object …</c>: what is to become of an object found in a vendor.</summary>
static class ObjectVerbs
{
    static readonly Argument<string> System = new("system") { Description = "The system that has the object" };

    static readonly Argument<string> Ext = new("external id") { Description = "The vendor's id of the object" };

    public static Command Create(CommandLine.Verbs verbs)
    {
        var customer = new Argument<string>("customer id") { Description = "The product's id of the customer" };
        return new Command(
            "object",
            "One object found in a vendor that is no customer's yet: whose it is, or that it may stay"
        )
        {
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

    static async Task<int> Ask(
        Session session,
        ParseResult parsed,
        string verb,
        Func<string, string, string, DateTimeOffset, ObjectRequest> request,
        CancellationToken cancellationToken
    )
    {
        var system = CustomerVerbs.Known(session, parsed.GetRequiredValue(System))!;
        var ext = parsed.GetRequiredValue(Ext);
        var key = CustomerIds.ObjectId(system, ext);
        await using (
            var db = await session
                .Services.GetRequiredService<IDbContextFactory<OrchestratorDb>>()
                .CreateDbContextAsync(cancellationToken)
        )
        {
            if (!await db.FoundObjects.AsNoTracking().AnyAsync(o => o.CorrelationId == key, cancellationToken))
                throw CommandFailedException.NotFound(
                    $"No found object of {system} has the id \"{ext}\".",
                    "./sync attention lists what waits; upper and lower case count."
                );
        }

        var answer = await Requests.Ask(
            session,
            request(system, ext, session.RequestedBy, session.Time.GetUtcNow()),
            key,
            cancellationToken
        );
        return Requests.Show(session, verb, $"{system} {ext}", answer);
    }
}

using System.Diagnostics;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// <c>customer erase</c> and its receipt: what was deleted in which system, and what adapters and our own tables forgot. The
/// receipt is read from the timeline, so it can be printed again for as long as that is kept.
/// </summary>
static class Erasures
{
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>Asks, waits until everybody forgot or somebody must act, and prints the receipt.</summary>
    public static async Task<int> Erase(Session session, string id, CancellationToken cancellationToken)
    {
        await CustomerVerbs.Load(session, id, cancellationToken);
        var began = Stopwatch.GetTimestamp();
        var answer = await Requests.Ask(
            session,
            new Erase
            {
                CustomerId = id,
                RequestedBy = session.RequestedBy,
                RequestedAt = session.Time.GetUtcNow(),
            },
            CustomerIds.CorrelationId(id),
            cancellationToken
        );
        if (answer.Outcome != Outcome.Done)
            return Requests.Show(session, "erase", id, answer);

        var sync = await CustomerVerbs.Load(session, id, cancellationToken);
        while (sync is { ErasedAt: null, Attention: null } && Stopwatch.GetElapsedTime(began) < session.Wait)
        {
            await Task.Delay(Look, session.Time, cancellationToken);
            sync = await CustomerVerbs.Load(session, id, cancellationToken);
        }

        var items = await Items(session, sync, cancellationToken);
        var finished = sync.ErasedAt is not null;
        if (session.Output.Json)
        {
            var document = Requests.ToJson(session, "erase", id, answer);
            if (!finished)
                document["outcome"] = "pending";
            document["receipt"] = ToJson(sync, items);
            session.Output.Document(document);
        }
        else
        {
            session.Output.Line($"erase {id}: asked by {session.RequestedBy}");
            Print(session, sync, items);
        }

        return finished ? ExitCodes.Done : ExitCodes.Pending;
    }

    public static async Task<int> Receipt(Session session, string id, CancellationToken cancellationToken)
    {
        var sync = await CustomerVerbs.Load(session, id, cancellationToken);
        if (sync.EraseAskedAt is null)
            throw CommandFailedException.NotFound(
                $"Nobody asked to erase customer \"{sync.CustomerId}\".",
                "./sync customer erase asks for it."
            );

        var items = await Items(session, sync, cancellationToken);
        if (session.Output.Json)
            session.Output.Document(ToJson(sync, items));
        else
            Print(session, sync, items);
        return ExitCodes.Done;
    }

    /// <summary>Of systems: that the object was deleted or is kept; of adapters and of our own tables: what they forgot.</summary>
    static Task<Rows> Items(Session session, CustomerSync sync, CancellationToken cancellationToken) =>
        Rows.Read(
            session.Database,
            // What found objects forgot is told under their own ids.
            $"""
            select at, code, coalesce(system, 'sync') as system, external_id, reason, requested_by
              from {OrchestratorDb.Schema}.timeline
             where (correlation_id = $1 or correlation_id in
                     (select correlation_id from {OrchestratorDb.Schema}.found_object where customer_id = $3))
               and at >= $2
               and code = any(array['{Codes.Erase}', '{Codes.Erased}', '{Codes.Answered}', '{Codes.AnsweredGone}',
                                    '{Codes.AnsweredRefused}', '{Codes.DeletionKept}', '{Codes.ProductDeleted}'])
             order by id
            """,
            ViewVerbs.MaxLimit,
            cancellationToken,
            sync.CorrelationId,
            sync.EraseAskedAt!.Value,
            sync.CustomerId
        );

    static JsonObject ToJson(CustomerSync sync, Rows items) =>
        new()
        {
            ["customerId"] = sync.CustomerId,
            ["askedAt"] = Output.Node(sync.EraseAskedAt),
            ["erasedAt"] = Output.Node(sync.ErasedAt),
            ["attention"] = sync.Attention,
            ["systems"] = new JsonObject(
                sync.Systems.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)Standing(s.Value)))
            ),
            ["items"] = items.ToJson(),
        };

    static void Print(Session session, CustomerSync sync, Rows items)
    {
        items.Print(session.Output, "at", "code", "system", "external_id", "reason", "requested_by");
        foreach (var (name, system) in sync.Systems)
            session.Output.Line($"{name}: {Standing(system)}{(system.Ext is { } ext ? $" ({ext})" : "")}");
        session.Output.Line(
            sync switch
            {
                { ErasedAt: { } at } => $"{sync.CustomerId}: forgotten by everybody at {Output.Text(at)}.",
                { Attention: { } attention } =>
                    $"{sync.CustomerId}: waits for a person: {attention}. ./sync attention explain {attention.Split(' ')[0]} says what to do.",
                _ =>
                    $"{sync.CustomerId}: not finished; ./sync customer receipt {sync.CustomerId} shows how far it is, ./sync customer show {sync.CustomerId} what it waits for.",
            }
        );
    }

    /// <summary>What became of the object in one system.</summary>
    static string Standing(SystemState system) =>
        system switch
        {
            { Brake: { } brake } => brake,
            { Gone: true } => "deleted",
            { Ext: null, Linked: false } => "never had it",
            _ => "not deleted yet",
        };
}

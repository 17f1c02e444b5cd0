using MassTransit;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.Comparing;

/// <summary>Begins a comparison: its row, and the adapter is asked to list what its vendor has.</summary>
sealed class CompareConsumer(SyncConfig config) : IConsumer<Compare>
{
    public async Task Consume(ConsumeContext<Compare> context)
    {
        var ask = context.Message;
        if (!config.Systems.ContainsKey(ask.System))
            throw new RefusedMessageException(
                "unknown-system",
                "system: is in no row of systems.json; name it there, in the same file for all processes, and replay"
            );
        if (ask.System == SystemNames.Product)
            throw new RefusedMessageException("schema", "system: the product has no list; it tells of its customers");
        if (ask.Kind == ComparisonKind.Unknown)
            throw new RefusedMessageException("schema", "kind: is neither import nor reconcile");
        if (ask.ComparisonId == Guid.Empty)
            throw new RefusedMessageException("schema", "comparisonId: is empty; what is listed is told under it");

        context.Rows().Add(new ComparisonWrite(new ComparisonRow.Begin(ask)));
        await context.Produce(new RequestScan { System = ask.System, RequestId = ask.ComparisonId });
    }
}

/// <summary>Judges what an adapter lists, part by part; nothing is held in memory between two parts.</summary>
sealed class ObjectsListedConsumer(Orchestration orchestration) : IConsumer<ObjectsListed>
{
    public async Task Consume(ConsumeContext<ObjectsListed> context)
    {
        // Asked for by another installation on the same topics, or finished long ago.
        if (await context.Prefetched<ObjectsListed, Listed>() is not { } listed)
            return;

        var message = context.Message;
        if (!orchestration.Rules.Knows(message.System))
            throw new RefusedMessageException(
                "unknown-system",
                "system: is in no row of systems.json; name it there, in the same file for all processes, and replay"
            );
        var moment = orchestration.Moment();
        List<(ListedObject Object, byte[]? EmailKey, Finding Finding)> findings = [];
        foreach (var o in message.Objects)
        {
            var (key, carried, candidates) = listed.About(o);
            findings.Add((o, key, Judging.Judge(message.System, o, carried, candidates, orchestration.Rules, moment)));
        }

        if (findings.Count > 0)
            context
                .Rows()
                .Add(new ComparisonWrite(new ComparisonRow.Judged(message.RequestId, message.System, findings)));
        if (message.Done)
            context.Rows().Add(new ComparisonWrite(new ComparisonRow.Close(message.RequestId)));
    }
}

/// <summary>
/// Acts on what was found, a piece at a time, and only by asking: a customer's object is read again, or an object is looked
/// at as if it had just been found. What follows is the ordinary way, with its brakes.
/// </summary>
sealed class ApplyFindingsConsumer(Orchestration orchestration) : IConsumer<ApplyFindings>
{
    public async Task Consume(ConsumeContext<ApplyFindings> context)
    {
        if (await context.Prefetched<ApplyFindings, Piece>() is not { } piece)
            return;

        foreach (var finding in piece.Findings)
        {
            if (finding.CustomerId is { } customer && finding.IsLinked)
                await context.Produce(
                    new Resync
                    {
                        CustomerId = customer,
                        System = piece.System,
                        RequestedBy = piece.RequestedBy,
                        RequestedAt = orchestration.Moment().Now,
                    }
                );
            else if (finding.ExternalId is { } ext)
                await context.Produce(
                    new ReadObject
                    {
                        System = piece.System,
                        ExternalId = ext,
                        RequestedBy = piece.RequestedBy,
                    }
                );
        }

        var last = piece.Findings.Count > 0 ? piece.Findings[^1].Subject : context.Message.After;
        context
            .Rows()
            .Add(
                new ComparisonWrite(
                    new ComparisonRow.Applied(
                        context.Message.ComparisonId,
                        [.. piece.Findings.Select(f => f.Subject)],
                        Finished: !piece.More
                    )
                )
            );
        if (piece.More)
            await context.Produce(new ApplyFindings { ComparisonId = context.Message.ComparisonId, After = last });
    }
}

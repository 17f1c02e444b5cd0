using System.Collections.Concurrent;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Customers;

/// <summary>What all customers share: rules, time, ids, and what is said to logs and metrics.</summary>
sealed class Orchestration(Rules rules, TimeProvider time, Telemetry telemetry, ILogger<Orchestration> log)
{
    /// <summary>Foreign mapping hashes that are warned of; more than these would be noise.</summary>
    const int MaxHashes = 100;

    readonly ConcurrentDictionary<string, bool> _foreignHashes = new(StringComparer.Ordinal);

    public Rules Rules => rules;

    public ISurroundings Surroundings { get; init; } = new NoSurroundings();

    public Func<Guid> NextId { get; init; } = MassTransit.NewId.NextGuid;

    public Moment Moment() => new(Storable(time.GetUtcNow()), NextId);

    /// <summary>PostgreSQL keeps microseconds: what is compared later must not have been finer.</summary>
    public static DateTimeOffset Storable(DateTimeOffset time) =>
        new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);

    /// <summary>A message about a system that no mapping file names can never be handled.</summary>
    public void Check(object message)
    {
        var system = message switch
        {
            CustomerReported m => m.System,
            ObjectDuplicated m => m.System,
            ObjectFound m => m.System,
            LinkObject m => m.System,
            Retry m => m.System,
            Release m => m.System,
            Resync m => m.System,
            ObjectRequest m => m.System,
            _ => null,
        };
        if (system is not null && !rules.Knows(system))
            throw new RefusedMessageException(
                "unknown-system",
                "system: is in no row of systems.json; name it there, in the same file for all processes, and replay"
            );

        if (
            message is CustomerReported { ConfigHash: { } hash } report
            && hash != rules.Config.Hash
            && _foreignHashes.Count < MaxHashes
            && _foreignHashes.TryAdd(hash, true)
        )
            log.MappingsDiffer(report.System, hash, rules.Config.Hash);
    }

    /// <summary>After the decision: counters, latencies, and what an operator should read. Identifiers only.</summary>
    public void Tell(CustomerSync sync, object message, Decision decision, Moment moment, string? attentionBefore)
    {
        if (decision.Has(Facts.Dropped))
        {
            var name = message is CustomerReported r ? r.System : Contracts.SystemNames.Product;
            telemetry.Dropped(name);
            log.Dropped(sync.CustomerId, name, message.GetType().Name);
        }

        if (decision.Changed.Count > 0)
            telemetry.Merged();

        foreach (var produced in decision.Messages)
        {
            switch (produced)
            {
                case PushCustomer push:
                    telemetry.Commanded(push.System, push.Operation);
                    break;
                case CustomerCommand command:
                    telemetry.Commanded(Contracts.SystemNames.Product, Operation(command));
                    break;
            }
        }

        foreach (var (system, command) in decision.Reached)
        {
            log.Reached(sync.CustomerId, command.Rev, system, sync.System(system).Ext);
            if (command.ChangedAt is { } changed && !sync.Behind.Contains(system, StringComparer.Ordinal))
                telemetry.InStep(system, moment.Now - changed);
        }

        if (sync.Attention != attentionBefore)
        {
            if (sync.Attention is { } attention)
                log.NeedsAttention(sync.CustomerId, attention);
            else
                log.AttentionOver(sync.CustomerId);
        }
    }

    /// <summary>One event under one code: the row of the timeline, and the same in log, metric and span.</summary>
    public TimelineEntry Happened(TimelineEntry entry)
    {
        var direction = entry.Direction == Direction.In ? "in" : "out";
        telemetry.Happened(entry.Code, direction, entry.System);
        log.Happened(entry.CustomerId, entry.Code, direction, entry.System, entry.Revision, entry.MessageId);
        return entry;
    }

    static Operation Operation(CustomerCommand command) =>
        command switch
        {
            CreateCustomer => Contracts.Systems.Operation.Create,
            UpdateCustomer => Contracts.Systems.Operation.Update,
            DeleteCustomer => Contracts.Systems.Operation.Delete,
            _ => Contracts.Systems.Operation.Unknown,
        };
}

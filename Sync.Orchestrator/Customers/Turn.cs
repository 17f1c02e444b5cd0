using MassTransit;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;
using Retry = Sync.Contracts.Requests.Retry;

namespace Sync.Orchestrator.Customers;

/// <summary>
/// One message at one customer: what was read of it, and what has been decided so far. The machine's verbs call it; it
/// calls the pure functions, and at the end writes what they decided.
/// </summary>
sealed class Turn
{
    readonly CustomerSync _sync;
    readonly Report? _report;
    readonly object _message;
    readonly Orchestration _orchestration;
    readonly Moment _moment;
    readonly DateTimeOffset _sentAt;
    readonly string? _attentionBefore;
    Vanished? _vanished;
    IReadOnlyList<ObjectName> _objects = [];

    Turn(CustomerSync sync, object message, DateTimeOffset? sentAt, Orchestration orchestration)
    {
        _sync = sync;
        _message = message;
        _orchestration = orchestration;
        _moment = orchestration.Moment();
        _sentAt = sentAt is { } sent ? Orchestration.Storable(sent) : _moment.Now;
        _attentionBefore = sync.Attention;
        _report = message switch
        {
            CustomerReported reported => Report.Of(reported),
            CustomerSnapshot snapshot => Report.Of(snapshot, Rules.Config.System(SystemNames.Product)),
            CustomerDeleted deleted => Report.Of(deleted),
            _ => null,
        };
    }

    public Decision Decision { get; } = new();

    /// <summary>When the customer's timer must ring next, or null where the one that is set comes early enough.</summary>
    public DateTimeOffset? Ring { get; private set; }

    Rules Rules => _orchestration.Rules;

    /// <summary>The turn of the message in hand; it lives as long as this attempt to handle it.</summary>
    public static Turn Of<T>(BehaviorContext<CustomerSync, T> context)
        where T : class =>
        context.GetOrAddPayload(() =>
        {
            var orchestration = ((CustomerSyncStateMachine)context.StateMachine).Orchestration;
            orchestration.Check(context.Message);
            return new Turn(context.Saga, context.Message, context.SentTime, orchestration);
        });

    /// <summary>What the decision needs beside its own row.</summary>
    public async Task LookAround<T>(BehaviorContext<CustomerSync, T> context)
        where T : class
    {
        switch (context)
        {
            // The answer to a deletion of ours is none that somebody made.
            case ConsumeContext<CustomerReported> { Message.Gone: true } reported
                when reported.Message.Ack is null || reported.Message.Outcome == Outcome.Gone:
                _vanished = await _orchestration.Surroundings.Vanished(reported);
                break;
            case ConsumeContext<Erase> erase:
                _objects = await _orchestration.Surroundings.ObjectsOf(erase);
                break;
        }
    }

    public void Settle()
    {
        Unstorable.Refuse(_report!.Fields);
        if (_report.FromProduct)
            RefusePartial();
        Add(Settling.Settle(_sync, _report, Rules, _moment, _vanished));
    }

    public void Observe()
    {
        if (Decision.Has(Facts.Dropped))
            return;
        Add(Observing.Observe(_sync, _report!, Rules));
        if (
            !_report!.FromProduct
            && Rules.Loop is { } budget
            && Pace.IsTooFast(_sync, Decision.News, budget, _moment.Now)
        )
            Decision.Notes.Add(new Note(Codes.Looping, _report.System) { Paths = [.. _sync.Pace!.Alternating] });
    }

    public void Pump()
    {
        if (!Decision.Has(Facts.Dropped))
            Add(Pumping.Pump(_sync, Rules, _moment));
    }

    public void Repeat() => Add(Pumping.Repeat(_sync, Rules, _moment));

    public void Link()
    {
        var ask = (LinkObject)_message;
        Unstorable.Refuse(ask.Fields);
        Add(Linking.Link(_sync, ask, Rules));
    }

    public void Join() => Add(Linking.Join(_sync, (CustomerExists)_message, Rules));

    public void NeverMade() => Add(Linking.NeverMade(_sync, (CustomerExists)_message));

    public void Duplicate() => Add(Linking.Duplicate(_sync, (ObjectDuplicated)_message, _moment));

    public void ParkAsker()
    {
        var ask = (LinkObject)_message;
        Decision.Messages.Add(
            Linking.Parked(_sync, ask.System, ask.ExternalId, $"customer {_sync.CustomerId} was removed")
        );
    }

    public void RelinkAsker()
    {
        var ask = (LinkObject)_message;
        Decision.Messages.Add(
            Linking.Relink(_sync, ask.System, ask.ExternalId, _sync.System(SystemNames.Product).Ext!)
        );
    }

    public void Operate() =>
        Add(
            _message switch
            {
                Retry retry => Operating.Retry(_sync, retry, Rules),
                TakeSide take => Operating.TakeSide(_sync, take, Rules),
                Release release => Operating.Release(_sync, release),
                Ignore => Operating.Ignore(_sync),
                ReleaseLoop => Operating.ReleaseLoop(_sync),
                AllowRecreate => Operating.AllowRecreate(_sync, Rules),
                Erase => Operating.Erase(_sync, _objects, _moment),
                Resync resync => Operating.Resync(_sync, resync, Rules, _moment),
                _ => throw new InvalidOperationException($"{_message.GetType().Name} is no request of an operator"),
            }
        );

    /// <summary>A tombstone; of an erased customer, adapters and our own tables forget from now on.</summary>
    public void Forget()
    {
        Removing.Forget(_sync);
        Pump();
    }

    /// <summary>Every request of an operator is a row of the timeline, also one that has no meaning in this state.</summary>
    public void Decline() =>
        Decision.Notes.Add(
            new Note(
                _message switch
                {
                    Retry => Codes.Retry,
                    TakeSide => Codes.TakeSide,
                    Release => Codes.Release,
                    Ignore => Codes.Ignore,
                    Resync => Codes.Resync,
                    ReleaseLoop => Codes.ReleaseLoop,
                    AllowRecreate => Codes.AllowRecreate,
                    _ => throw new InvalidOperationException($"{_message.GetType().Name} is never declined"),
                },
                System: null
            )
            {
                Reason = $"the customer is {_sync.CurrentState}; the request changed nothing",
            }
        );

    public void Wipe()
    {
        _sync.ErasedAt ??= _moment.Now;
        Decision.Facts |= Facts.Forget;
    }

    /// <summary>The columns for dashboards, in one place after every message, and when the timer must ring.</summary>
    public void Describe()
    {
        Standing.Describe(_sync, Rules, _moment);

        // The rows that are forgotten take the timer that was set with them; one that is set now is written after them.
        if (Decision.Has(Facts.Forget))
            _sync.DueAt = null;
        var next = _sync.Systems.Values.Min(s => s.Sent?.DueAt);
        if (next is not null && (_sync.DueAt is null || next < _sync.DueAt))
            Ring = _sync.DueAt = next;
    }

    /// <summary>Messages and timeline rows, in the transaction of the batch.</summary>
    public async Task Write<T>(BehaviorContext<CustomerSync, T> context)
        where T : class
    {
        foreach (var message in Decision.Messages)
            await context.ProduceAny(message);

        var requestedBy = (_message as OperatorRequest)?.RequestedBy;
        var reported = _message as CustomerReported;
        for (var i = 0; i < Decision.Notes.Count; i++)
        {
            var note = Decision.Notes[i];
            var first = i == 0;
            context
                .Rows()
                .Add(
                    _orchestration.Happened(
                        new TimelineEntry
                        {
                            At = _moment.Now,
                            CorrelationId = _sync.CorrelationId,
                            CustomerId = _sync.CustomerId,
                            Revision = _sync.Revision,
                            Code = note.Code,
                            System = note.System,
                            Direction = note.Direction,
                            // The first row is the message itself; it names what it changed.
                            Paths = first && note.Paths.Count == 0 ? [.. Decision.Changed] : [.. note.Paths],
                            ExternalId =
                                note.ExternalId ?? (note.System is null ? null : _sync.System(note.System).Ext),
                            Reason = note.Reason,
                            RequestedBy = requestedBy,
                            MessageId = context.MessageId,
                            CausationId = context.InitiatorId,
                            TraceId = TimelineEntry.CurrentTrace(),
                            VendorRequestId = first ? reported?.VendorRequestId : null,
                            Calls = first ? reported?.Calls : null,
                            DurationMs = first ? reported?.DurationMs : null,
                            LatencyMs = note.Code == Codes.Answered ? Latency() : null,
                        }
                    )
                );
        }

        if (Decision.Has(Facts.Forget))
            context
                .Rows()
                .Add(
                    new Erasure(
                        _sync.CorrelationId,
                        _sync.CustomerId,
                        [.. _sync.Systems.Where(s => s.Value.Ext is not null).Select(s => (s.Key, s.Value.Ext!))],
                        _moment.Now,
                        context.MessageId
                    )
                );

        _orchestration.Tell(_sync, _message, Decision, _moment, _attentionBefore);
    }

    /// <summary>From the change to the answer in hand, where it put its system in step; a foreign clock may be ahead.</summary>
    long? Latency() =>
        Decision.Reached is [{ Command.ChangedAt: { } changed, System: var system }, ..]
        && !_sync.Behind.Contains(system, StringComparer.Ordinal)
            ? Math.Max(0, (long)(_moment.Now - changed).TotalMilliseconds)
            : null;

    void Add(Decision decision)
    {
        Decision.With(decision);
        // Before anything is pumped: a command carries the time of the change that it is about.
        if (Decision.Changed.Count > 0)
            _sync.MovedAt = _sentAt;
    }

    /// <summary>
    /// Snapshots are whole. A member that earlier ones of this customer had cannot be told from one that was cleared, so a
    /// snapshot without it is refused, and nothing of it is used.
    /// </summary>
    void RefusePartial()
    {
        var product = _sync.System(SystemNames.Product);
        if (_report!.Fields is null || _report.Obs <= product.Obs)
            return;

        var missing = product.Base.Keys.Where(path => !_report.Fields.ContainsKey(path) && Maps(path)).ToList();
        if (missing.Count > 0)
            throw new RefusedMessageException(
                "schema",
                $"customer: a partial snapshot: {string.Join(", ", missing)} stood in earlier snapshots of this customer "
                    + "and is missing here; send whole snapshots, with null for an empty field"
            );
    }

    bool Maps(string path) => Rules.Config.System(SystemNames.Product).Maps(path);
}

using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts.Systems;
using Sync.Mapping;

namespace Sync.Adapter.Working;

/// <summary>
/// One round of one lane: all its hints of one object, or its oldest command. It decides and does nothing: it says what it
/// needs, is given the answer, and ends with what is to be written. No clock, no database, no vendor: a test plays them.
/// </summary>
/// <remarks>
/// Rules in order of importance. Nothing is written to a vendor that is not in the ledger. A request is repeated only as it
/// was, and only after a look. Every answer closes the ledger entry. Whatever was read is reported whole, with the fields
/// whose value is our own doing.
/// </remarks>
sealed partial class Round
{
    readonly Leased _lane;
    readonly Dictionary<Guid, LedgerEntry> _ledger;
    readonly Rules _rules;
    readonly Func<long> _elapsedMilliseconds;
    readonly List<LedgerEntry> _closed = [];
    IReadOnlyList<WorkItem> _work = [];
    double _calls;
    string? _requestId;

    public Round(Leased lane, Rules rules, Func<long> elapsedMilliseconds)
    {
        _lane = lane;
        _rules = rules;
        _elapsedMilliseconds = elapsedMilliseconds;
        Link = lane.Link;
        _ledger = new(lane.Ledger);
    }

    /// <summary>The lane as it will stand; its version is the one that the row has now.</summary>
    public Link Link { get; private set; }

    /// <summary>Set once <see cref="Run"/> is through.</summary>
    public RoundEnd? End { get; private set; }

    /// <summary>The vendor refused a write for a version that the record still had; it was written without one.</summary>
    public bool GuardWasOfNoUse { get; private set; }

    /// <summary>The work of this round.</summary>
    public IReadOnlyList<WorkItem> Work => _work;

    VendorResult _answer = Nothing;
    FindResult? _found;
    string? _mergedInto;
    bool _outOfSight;
    VendorObject? _winner;

    static readonly VendorResult Nothing = new VendorResult.Gone();

    public void Answer(VendorResult answer)
    {
        _answer = answer;
        _calls += answer.Calls;
        _requestId = answer.RequestId ?? _requestId;
    }

    public void Answer(FindResult found)
    {
        _found = found;
        if (found.Failure is { } failure)
            Answer(failure);
    }

    /// <summary>The ledger entry is committed: the row has the next version.</summary>
    public void Opened(LedgerEntry entry)
    {
        Link = Link with { Version = Link.Version + 1 };
        _ledger[entry.CommandId] = entry;
    }

    public IEnumerable<Need> Run()
    {
        var hint = _lane.Work.Find(w => w.Hint is not null);
        if (hint is { Hint: { } first })
        {
            _work = _lane.Work.FindAll(w => w.Hint?.ExternalId == first.ExternalId);
            return Look(first.ExternalId);
        }

        var command = _lane.Work.Find(w => w.Command is not null);
        if (command is { Command: { } push })
        {
            _work = [command];
            return Carry(push);
        }

        Finish(null);
        return [];
    }

    // ---- how a round ends ----

    void Finish(object? message) =>
        End = new RoundEnd.Over
        {
            Ledger = [.. _closed],
            Message = message,
            Done = _work,
        };

    void Wait(VendorResult.Failed failure) => End = new RoundEnd.Wait(failure);

    void Nonsense(string what) =>
        Wait(
            new VendorResult.Failed(
                FailureClass.Retry,
                "nonsense",
                $"{_rules.System} answered {what}; nothing was concluded from it",
                Definite: false
            )
        );

    // ---- what was read ----

    /// <summary>A read that came to something: the object, or null when it is gone. False when the round is over.</summary>
    bool Saw(out VendorObject? o)
    {
        o = null;
        _outOfSight = _answer is VendorResult.Gone { OutOfSight: true };
        switch (_answer)
        {
            case VendorResult.Ok { Object: { Deleted: false } read }:
                o = read;
                return Whole(read);
            case VendorResult.Gone gone:
                _mergedInto = gone.MergedInto;
                return true;
            case VendorResult.Ok { Object.Deleted: true }:
                return true;
            case VendorResult.Failed failure:
                Wait(failure);
                return false;
            default:
                Nonsense($"{_answer.GetType().Name} to a read");
                return false;
        }
    }

    /// <summary>Merges of merges that are followed; a circle must end.</summary>
    const int MaxMerges = 5;

    /// <summary>
    /// The object is gone because the vendor merged it into another: that one is looked at, so that the saga learns whose it
    /// is. The round may be over afterwards.
    /// </summary>
    IEnumerable<Need> FollowMerge()
    {
        for (var merges = 0; merges < MaxMerges && _mergedInto is { } winner; merges++)
        {
            _mergedInto = null;
            yield return new Need.Read(winner);
            if (!Saw(out var o))
                yield break;
            _winner = o;
        }
    }

    // A field that is missing from an answer is not a field that is empty.
    bool Whole(VendorObject o)
    {
        var missing = _rules.Map.Fields.Keys.Where(path => !o.Fields.ContainsKey(path)).Order().FirstOrDefault();
        if (missing is null)
            return true;
        Nonsense($"a record without {missing}");
        return false;
    }

    /// <summary>Only what the mapping names: the record as it is reported.</summary>
    Dictionary<string, string?> Mapped(VendorObject o) =>
        _rules.Map.Fields.Keys.ToDictionary(path => path, path => o.Fields[path]);

    // Our id on the object is what it is found by after a restore; the saga asks for it until a report shows it.
    bool DiffersFromLast(VendorObject o) =>
        Link.Last is not { } last
        || o.CustomerId != Link.CustomerId
        || _rules.Map.Fields.Keys.Any(path => !last.TryGetValue(path, out var value) || value != o.Fields[path]);

    // ---- what is reported ----

    CustomerReported Report(
        VendorObject? o,
        bool gone = false,
        string? externalId = null,
        PushCustomer? ack = null,
        Outcome? outcome = null,
        Dictionary<string, string?>? written = null,
        Dictionary<string, string?>? stored = null,
        Dictionary<string, string?>? refused = null,
        string? reason = null,
        Dictionary<string, Overwritten>? over = null,
        bool undelete = false,
        Guid? current = null
    )
    {
        var own = o is null ? null : Own(o, current, written);
        var inDoubt = o is not null && IsInDoubt(o);
        if (o is not null)
            Link = Link with { Last = Mapped(o), Stamp = o.Stamp, RestoredAt = MayStillLand ? Link.RestoredAt : null };
        else if (gone)
            Link = Link with { Last = null };

        return new CustomerReported
        {
            System = _rules.System,
            CustomerId = Link.CustomerId!,
            Generation = Link.Generation,
            Obs = Link.Version + 1,
            ExternalId = externalId ?? Link.ExternalId,
            IdOnObject = o?.CustomerId is { } id && id == Link.CustomerId,
            Ack = ack?.CommandId,
            Outcome = outcome,
            Written = written,
            Stored = stored,
            Refused = refused,
            Reason = reason,
            Fields = o is null ? null : Mapped(o),
            Gone = gone,
            Own = own is { Count: > 0 } ? own : null,
            Over = over is { Count: > 0 } ? over : null,
            OutOfSight = gone && _outOfSight,
            Undelete = undelete,
            ReplacedBy = gone ? _winner?.ExternalId : null,
            ReplacedByCustomer = gone ? _winner?.CustomerId : null,
            InDoubt = inDoubt,
            ConfigHash = _rules.ConfigHash,
            VendorRequestId = _requestId,
            Calls = _calls,
            DurationMs = _elapsedMilliseconds(),
        };
    }

    /// <summary>
    /// Fields whose value was put there by a write of ours that is open, or that came late: then the object's stamp must be
    /// one of ours that can still be about. Otherwise a person may have typed the same.
    /// </summary>
    Dictionary<string, string?> Own(VendorObject o, Guid? current, Dictionary<string, string?>? written)
    {
        var ledger = Entries().ToList();
        var stamped =
            o.Stamp is { } stamp && ledger.Exists(e => e.CommandId == stamp && (e.IsOpen || e.IsSuspect(_lane.Now)));
        Dictionary<string, string?> own = [];
        foreach (var path in _rules.Map.Fields.Keys)
        {
            var value = o.Fields[path];
            var known = Link.Last is { } last && last.TryGetValue(path, out var reported) && reported == value;
            if (known && written?.ContainsKey(path) != true)
                continue;

            foreach (var entry in ledger)
            {
                if (
                    entry.Write is null
                    || !entry.Write.TryGetValue(path, out var golden)
                    || !_rules.Same(path, golden, value)
                )
                    continue;
                var late =
                    entry.IsSuspect(_lane.Now)
                    && o.Stamp is not null
                    && (o.Stamp == entry.CommandId || o.Stamp == current || stamped);
                if (entry.IsOpen || late)
                    own[path] = golden;
            }
        }

        return own;
    }

    /// <summary>
    /// The backup of a restored database does not know what was written after it, so a value of ours could be taken for a
    /// person's edit. The object's stamp tells: while it is the one that was last reported, no write of ours has landed since,
    /// and what changed is somebody's. Otherwise what changed is in doubt.
    /// </summary>
    bool IsInDoubt(VendorObject o) => Link.RestoredAt is not null && o.Stamp != Link.Stamp;

    /// <summary>A request sent before the restore, which no ledger knows any more, may still take effect.</summary>
    bool MayStillLand => Link.RestoredAt is { } restored && _lane.Now < restored + _rules.Suspicion;

    /// <summary>The ledger as this round leaves it.</summary>
    IEnumerable<LedgerEntry> Entries() =>
        _ledger.Values.Where(e => !_closed.Exists(c => c.CommandId == e.CommandId)).Concat(_closed);

    LedgerEntry? Entry(Guid commandId) => _ledger.GetValueOrDefault(commandId);
}

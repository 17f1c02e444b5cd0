using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using Sync.Messaging.Wire;

namespace Sync.Tests.Simulation;

/// <summary>
/// The tables of lanes in memory: what <see cref="LinkStore"/> and the intake's SQL do, statement by statement, for one
/// transaction at a time. One suite, <c>LinkStoreSuite</c>, runs against both.
/// </summary>
sealed class MemoryLinkStore(Func<DateTimeOffset> now, Action<OutgoingMessage> send) : ILinkStore
{
    OrderedDictionary<string, Row> _links = [];
    Dictionary<Guid, Entry> _ledger = [];
    Dictionary<string, string> _laneOf = [];
    Dictionary<string, List<(long Seq, WorkItem Item)>> _work = [];
    HashSet<Guid> _ids = [];
    long _start;
    DateTimeOffset? _restoredAt;
    long _seq;

    /// <summary>Planted bug: a commit does not compare versions.</summary>
    public bool Unfenced { get; init; }

    /// <summary>Planted bug: a lane that is leased may be taken again.</summary>
    public bool Unleased { get; init; }

    /// <summary>Planted bug: the commit that opens a ledger entry does not compare versions.</summary>
    public bool FencedAtTheReportOnly { get; init; }

    sealed class Row
    {
        public required Link Link { get; set; }
        public string? TakenBy { get; set; }
        public DateTimeOffset? TakenUntil { get; set; }
        public DateTimeOffset? DueAt { get; set; }

        public Row Copy() =>
            new()
            {
                Link = Link,
                TakenBy = TakenBy,
                TakenUntil = TakenUntil,
                DueAt = DueAt,
            };
    }

    sealed record Entry(LedgerEntry Value, DateTimeOffset? ClosedAt);

    /// <summary>When a lane can be taken next; null while nothing waits.</summary>
    public DateTimeOffset? NextDue
    {
        get
        {
            DateTimeOffset? next = null;
            foreach (var row in _links.Values)
            {
                if (row.DueAt is not { } due)
                    continue;
                var at = row.TakenUntil > due ? row.TakenUntil.Value : due;
                if (next is null || at < next)
                    next = at;
            }

            return next;
        }
    }

    public int Hints => _work.Values.Sum(w => w.Count(i => i.Item.Hint is not null));
    public int WorkCount => _ids.Count;
    public IEnumerable<LedgerEntry> Ledger => _ledger.Values.Select(e => e.Value);
    public IEnumerable<Link> Links => _links.Values.Select(r => r.Link);

    public string? LaneOf(string externalId) => _laneOf.GetValueOrDefault(externalId);

    public Link? Link(string lane) => _links.GetValueOrDefault(lane)?.Link;

    // ---- intake ----

    public void TakeIn(PushCustomer command) =>
        TakeIn(new WorkItem(command.CommandId, Lanes.Customer(command.CustomerId), command, null));

    public void TakeIn(Guid id, Hint hint)
    {
        var lane =
            _laneOf.TryGetValue(hint.ExternalId, out var known) ? known
            : string.IsNullOrEmpty(hint.CustomerId) ? Lanes.Object(hint.ExternalId)
            : Lanes.Customer(hint.CustomerId);
        TakeIn(new WorkItem(id, lane, null, hint));
    }

    /// <summary>Somebody asks for an object that is no customer's: always in its own lane, as the intake does.</summary>
    public void TakeIn(Guid id, ReadObject read) =>
        TakeIn(
            new WorkItem(
                id,
                Lanes.Object(read.ExternalId),
                null,
                new Hint
                {
                    ExternalId = read.ExternalId,
                    Kind = HintKind.Look,
                    Always = true,
                    RequestedBy = read.RequestedBy,
                }
            )
        );

    void TakeIn(WorkItem item)
    {
        if (_ids.Add(item.Id))
            WorkOf(item.Lane).Add((++_seq, item));
        Ensure(item.Lane, wake: true);
    }

    List<(long Seq, WorkItem Item)> WorkOf(string lane)
    {
        if (!_work.TryGetValue(lane, out var work))
            _work[lane] = work = [];
        return work;
    }

    void Ensure(string lane, bool wake)
    {
        if (!_links.TryGetValue(lane, out var row))
            _links.Add(
                lane,
                row = new Row
                {
                    Link = new Link
                    {
                        Lane = lane,
                        Version = _start,
                        RestoredAt = _restoredAt,
                    },
                }
            );
        if (wake)
            row.DueAt ??= now();
    }

    // ---- ILinkStore ----

    public Task<int> EndLeases(string replica, CancellationToken cancellationToken)
    {
        var mine = _links.Values.Where(r => r.TakenBy?.StartsWith($"{replica}/", StringComparison.Ordinal) == true);
        var count = 0;
        foreach (var row in mine.ToList())
        {
            (row.TakenBy, row.TakenUntil) = (null, null);
            count++;
        }

        return Task.FromResult(count);
    }

    public Task<IReadOnlyList<Leased>> Take(string takenBy, int limit, CancellationToken cancellationToken)
    {
        var time = now();
        List<Row>? due = null;
        foreach (var row in _links.Values)
        {
            if (row.DueAt <= time && (Unleased || row.TakenUntil is null || row.TakenUntil < time))
                (due ??= []).Add(row);
        }

        List<Leased> lanes = [];
        foreach (var row in due?.OrderBy(r => r.DueAt).Take(limit) ?? [])
        {
            (row.TakenBy, row.TakenUntil) = (takenBy, time + LinkStore.Lease);
            lanes.Add(Load(new Leased(row.Link, takenBy, time)));
        }

        return Task.FromResult<IReadOnlyList<Leased>>(lanes);
    }

    Leased Load(Leased lane)
    {
        var name = lane.Link.Lane;
        if (_work.TryGetValue(name, out var work))
            lane.Work.AddRange(work.OrderBy(w => w.Seq).Take(LinkStore.MaxWorkPerLane).Select(w => w.Item));
        var named = lane.Work.Select(w => w.Hint is { } hint ? hint.CommandId ?? Guid.Empty : w.Id).ToHashSet();
        var mine = _ledger.Values.Select(e => e.Value).Where(e => e.Lane == name).ToList();
        var earlier = lane.Work.Exists(w => w.Hint is { CommandId: not null, Previous: not null })
            ? mine.OrderByDescending(e => e.OpenedAt).Take(50)
            : [];
        foreach (
            var entry in mine.Where(e => e.IsOpen || e.IsSuspect(lane.Now) || named.Contains(e.CommandId))
                .Concat(earlier)
        )
            lane.Ledger[entry.CommandId] = entry;
        foreach (var work1 in lane.Work)
        {
            if (work1.Hint is { } hint && _laneOf.TryGetValue(hint.ExternalId, out var owner))
                lane.LaneOf[hint.ExternalId] = owner;
        }

        return lane;
    }

    public Task<CommitResult> Commit(IReadOnlyList<LaneWrite> writes, CancellationToken cancellationToken)
    {
        var targets = writes.OfType<LaneWrite.Finish>().Select(f => f.MovedTo).OfType<string>().Distinct().ToList();
        var fenced = writes
            .Where(w =>
                !Unfenced
                && !(FencedAtTheReportOnly && w is LaneWrite.Open)
                && (!_links.TryGetValue(w.Before.Lane, out var row) || row.Link.Version != w.Before.Version)
            )
            .Select(w => w.Before.Lane)
            .ToHashSet();
        var held = writes.Where(w => !fenced.Contains(w.Before.Lane)).ToList();
        foreach (var write in held)
        {
            if (
                After(write) is { ExternalId: { } ext }
                && _laneOf.TryGetValue(ext, out var lane)
                && lane != write.Before.Lane
            )
                throw new ObjectOfAnotherLaneException();
        }

        targets.ForEach(t => Ensure(t, wake: false));
        foreach (var write in held)
            Write(write);
        var more = false;
        foreach (var lane in held.OfType<LaneWrite.Finish>().Select(f => f.Before.Lane).Concat(targets).Distinct())
        {
            var row = _links[lane];
            if (row.DueAt is not null || !_work.TryGetValue(lane, out var work) || work.Count == 0)
                continue;
            row.DueAt = now();
            more = true;
        }

        foreach (var thrown in writes.Where(w => fenced.Contains(w.Before.Lane)))
        {
            if (_links.TryGetValue(thrown.Before.Lane, out var row) && row.TakenBy == thrown.TakenBy)
                (row.TakenBy, row.TakenUntil) = (null, null);
        }

        return Task.FromResult(new CommitResult(fenced, more));
    }

    static Link? After(LaneWrite write) =>
        write switch
        {
            LaneWrite.Open open => open.After,
            LaneWrite.Finish finish => finish.After,
            _ => null,
        };

    void Write(LaneWrite write)
    {
        var row = _links[write.Before.Lane];
        switch (write)
        {
            case LaneWrite.Open open:
                Keep(row, open.After with { Found = row.Link.Found, Attempts = row.Link.Attempts });
                Keep(open.Entry);
                break;
            case LaneWrite.Finish finish:
                Keep(row, finish.After with { Attempts = 0 });
                (row.TakenBy, row.TakenUntil, row.DueAt) = (null, null, null);
                foreach (var entry in finish.Ledger)
                    Keep(entry);
                if (finish.After.Forget)
                    Forget(finish.Before.Lane);
                foreach (var message in finish.Messages)
                    send(message);
                foreach (var id in finish.Done)
                {
                    _ids.Remove(id);
                    foreach (var work in _work.Values)
                        work.RemoveAll(w => w.Item.Id == id);
                }

                foreach (var id in finish.Moved)
                    Move(id, finish.MovedTo!);
                break;
            case LaneWrite.GiveBack back when row.TakenBy == back.TakenBy:
                (row.TakenBy, row.TakenUntil, row.DueAt) = (null, null, now() + back.After);
                row.Link = row.Link with { Attempts = row.Link.Attempts + (back.Counts ? 1 : 0) };
                break;
        }
    }

    void Forget(string lane)
    {
        foreach (var (id, entry) in _ledger.Where(l => l.Value.Value.Lane == lane).ToList())
            _ledger[id] = new Entry(
                entry.Value with
                {
                    Write = null,
                    Expect = null,
                    Hashes = new Dictionary<string, ValueHashes>(),
                    SuspectUntil = null,
                    State = entry.Value.IsOpen ? LedgerState.Abandoned : entry.Value.State,
                },
                entry.ClosedAt ?? now()
            );
    }

    void Move(Guid id, string lane)
    {
        foreach (var work in _work.Values)
        {
            var at = work.FindIndex(w => w.Item.Id == id);
            if (at < 0)
                continue;
            var (seq, item) = work[at];
            work.RemoveAt(at);
            WorkOf(lane).Add((seq, item with { Lane = lane }));
            return;
        }
    }

    void Keep(Row row, Link after)
    {
        if (row.Link.ExternalId is { } before && before != after.ExternalId)
            _laneOf.Remove(before);
        if (after.ExternalId is { } ext)
            _laneOf[ext] = after.Lane;
        row.Link = after with { Version = row.Link.Version + 1 };
    }

    void Keep(LedgerEntry entry)
    {
        var keeps = entry.IsOpen || entry.SuspectUntil is not null;
        var stored = _ledger.TryGetValue(entry.CommandId, out var there)
            ? there.Value with
            {
                State = entry.State,
                SuspectUntil = entry.SuspectUntil,
                KeysSpent = entry.KeysSpent,
            }
            : entry with
            {
                OpenedAt = now(),
            };
        _ledger[entry.CommandId] = new Entry(
            stored with
            {
                Write = keeps ? entry.Write : null,
                Expect = keeps ? entry.Expect : null,
            },
            entry.IsOpen ? null : now()
        );
    }

    // ---- the rest of its life ----

    public void CleanUp(TimeSpan keepHashes)
    {
        var time = now();
        foreach (var (id, entry) in _ledger.ToList())
        {
            if (entry.Value.SuspectUntil < time && !entry.Value.IsOpen)
                _ledger[id] = entry with
                {
                    Value = entry.Value with { Write = null, Expect = null, SuspectUntil = null },
                };
            else if (entry.ClosedAt < time - keepHashes && entry.Value.SuspectUntil is null)
                _ledger.Remove(id);
        }
    }

    /// <summary>The mapping changed: what was reported before says nothing about fields that were not mapped.</summary>
    public void ForgetReported()
    {
        foreach (var row in _links.Values)
            row.Link = row.Link with { Last = null, Version = row.Link.Version + 1 };
    }

    public MemoryLinkStore Backup() =>
        new(now, send)
        {
            Unfenced = Unfenced,
            Unleased = Unleased,
            FencedAtTheReportOnly = FencedAtTheReportOnly,
            Copied = this,
        };

    MemoryLinkStore Copied
    {
        init
        {
            _links = new(value._links.Select(l => KeyValuePair.Create(l.Key, l.Value.Copy())));
            _ledger = new(value._ledger);
            _laneOf = new(value._laneOf);
            _work = value._work.ToDictionary(w => w.Key, w => w.Value.ToList());
            _ids = [.. value._ids];
            (_start, _seq, _restoredAt) = (value._start, value._seq, value._restoredAt);
        }
    }

    /// <summary>After a restore; see <see cref="LinkStore.RaiseVersions"/>, which leaves to the take what is done at once here.</summary>
    public void Restored() => Restored(raised: true);

    /// <param name="raised">False plants a bug.</param>
    public void Restored(bool raised)
    {
        var above = raised ? 1_000_000_000 : 0;
        _start += above;
        _restoredAt = now();
        foreach (var row in _links.Values)
            row.Link = row.Link with { Version = row.Link.Version + above, Last = null, RestoredAt = _restoredAt };
    }
}

/// <summary>The unique index of <c>link.ext</c>: PostgreSQL's 23505.</summary>
sealed class ObjectOfAnotherLaneException : Exception;

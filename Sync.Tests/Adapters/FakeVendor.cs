using System.Collections.Concurrent;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Mapping;

namespace Sync.Tests.Adapters;

/// <summary>
/// A vendor of records in memory: it stores forms, keeps keys, knows deleted records, and does what the next step of its
/// script says: fail before the effect, after it, or let the effect come late.
/// </summary>
public sealed class FakeVendor(SystemMap map) : IVendor
{
    readonly Lock _lock = new();
    readonly Dictionary<string, Row> _rows = [];
    readonly Dictionary<string, VendorResult> _keys = [];
    readonly ConcurrentQueue<(string Operation, Fault Fault)> _script = new();
    readonly List<Action> _late = [];
    int _ids;

    /// <summary>Whether a record says who made it.</summary>
    public bool TellsWhoMade { get; set; } = true;

    public sealed class Row
    {
        public required string Id { get; init; }
        public Dictionary<string, string?> Fields { get; init; } = [];
        public string? CustomerId { get; set; }
        public Guid? Stamp { get; set; }
        public bool ByUs { get; set; }
        public bool MadeByUs { get; init; }
        public bool Deleted { get; set; }
        public bool Subscribed { get; set; }
        public string? MergedInto { get; set; }
        public bool Hidden { get; set; }
        public int Version { get; set; } = 1;
    }

    public sealed record Call(string Operation, IReadOnlyList<string> Subjects, IReadOnlyList<string> Keys);

    public enum Fault
    {
        /// <summary>Nothing happens, and the vendor says so.</summary>
        Before,

        /// <summary>Nothing happens, but nobody can tell.</summary>
        LostBefore,

        /// <summary>It happens, and the answer is lost.</summary>
        After,

        /// <summary>It happens later, when <see cref="Land"/> is called; the answer is lost.</summary>
        Late,
        SlowDown,
        PauseAll,
        WrongCount,
        WrongRecord,
        Throw,
        KeySpent,
    }

    public string Name => map.Name;

    public VendorTraits Traits { get; set; } =
        new(MaxBatch: 10, CreateKeyLifetime: null, SuspectWindow: TimeSpan.FromMinutes(15), AnswersWithRecord: false);

    /// <summary>Whether records have versions that a write may name.</summary>
    public bool Guards { get; set; } = true;

    /// <summary>The version that a write names is compared with another than a read answers.</summary>
    public bool ComparesAnotherVersion { get; set; }

    /// <summary>Our id is unique among live records.</summary>
    public bool UniqueIds { get; set; } = true;

    /// <summary>Keys make a repeat harmless.</summary>
    public bool Keys { get; set; }

    /// <summary>What the vendor makes of a value beyond what the mapping declares.</summary>
    public Func<string, string?, string?> Undeclared { get; set; } = (_, value) => value;

    /// <summary>Paths that it refuses, by what they hold.</summary>
    public Func<string, string?, string?> Refuses { get; set; } = (_, _) => null;

    /// <summary>What calls of this kind are answered, whatever is there: a vendor's answer may speak of another record.</summary>
    public Func<string, VendorResult?> Says { get; set; } = _ => null;

    /// <summary>Every call waits here first.</summary>
    public Func<string, Task> Entered { get; set; } = _ => Task.CompletedTask;

    /// <summary>Calls of this kind are never answered.</summary>
    public Func<string, bool> Hangs { get; set; } = _ => false;

    /// <summary>What goes wrong whenever the script says nothing.</summary>
    public Func<string, Fault?> Always { get; set; } = _ => null;

    /// <summary>Whose calls fail.</summary>
    public Func<string, bool> FailsFor { get; set; } = _ => false;

    /// <summary>What the vendor tells of every change: the whole record, what changed, and whose request it was.</summary>
    public ConcurrentQueue<Hint> Events { get; } = new();

    /// <summary>Writes of one command that changed one record; more than one is an effect too many.</summary>
    public ConcurrentDictionary<(string Id, Guid Command), int> Effects { get; } = new();

    public ConcurrentQueue<Call> Calls { get; } = new();

    public IEnumerable<Call> CallsOf(string operation) => Calls.Where(c => c.Operation == operation);

    public IReadOnlyList<Row> Live
    {
        get
        {
            lock (_lock)
                return [.. _rows.Values.Where(r => !r.Deleted)];
        }
    }

    /// <summary>What a listing answers: all that live, in the order of creation.</summary>
    public IReadOnlyList<VendorObject> Listed()
    {
        lock (_lock)
            return [.. _rows.Values.Where(r => !r.Deleted).Select(Seen)];
    }

    public Row this[string id] => _rows[id];

    /// <summary>The next call of this kind goes wrong like that.</summary>
    public void Next(string operation, Fault fault) => _script.Enqueue((operation, fault));

    /// <summary>What hung takes effect now.</summary>
    public void Land()
    {
        List<Action> late;
        lock (_lock)
        {
            late = [.. _late];
            _late.Clear();
        }

        late.ForEach(l => l());
    }

    // ---- people ----

    public string Make(string? customerId = null, params (string Path, string? Value)[] fields)
    {
        lock (_lock)
        {
            var id = $"v{++_ids}";
            var row = new Row { Id = id, CustomerId = customerId };
            foreach (var path in map.Fields.Keys)
                row.Fields[path] = null;
            foreach (var (path, value) in fields)
                row.Fields[path] = value;
            _rows[id] = row;
            return id;
        }
    }

    public void Edit(string id, string path, string? value)
    {
        lock (_lock)
        {
            var row = _rows[id];
            var before = row.Fields[path];
            row.Fields[path] = value;
            row.ByUs = false;
            row.Version++;
            Tell(row, new() { [path] = before }, null);
        }
    }

    public void Remove(string id)
    {
        lock (_lock)
        {
            _rows[id].Deleted = true;
            _rows[id].Version++;
        }
    }

    /// <summary>A person merges two records: one is left, the other is deleted and says where it went.</summary>
    public void Merge(string loser, string winner)
    {
        lock (_lock)
        {
            _rows[loser].Deleted = true;
            _rows[loser].MergedInto = winner;
            _rows[winner].Version++;
        }
    }

    /// <summary>Somebody takes the record out of our user's sight, or back into it.</summary>
    public void Hide(string id, bool hidden = true)
    {
        lock (_lock)
            _rows[id].Hidden = hidden;
    }

    public void Undelete(string id)
    {
        lock (_lock)
        {
            _rows[id].Deleted = false;
            _rows[id].Version++;
        }
    }

    /// <summary>The vendor has forgotten its keys.</summary>
    public void ForgetKeys()
    {
        lock (_lock)
            _keys.Clear();
    }

    // ---- the seam ----

    public Task<IReadOnlyList<VendorResult>> Read(
        IReadOnlyList<string> externalIds,
        CancellationToken cancellationToken
    ) =>
        Answer(
            "read",
            externalIds,
            id => id,
            _ => "",
            id =>
                _rows.TryGetValue(id, out var row) && row is { Deleted: false, Hidden: false }
                    ? new VendorResult.Ok(Seen(row))
                : row is { Hidden: true } ? new VendorResult.Gone { OutOfSight = true }
                : new VendorResult.Gone { MergedInto = row?.MergedInto },
            cancellationToken
        );

    public async Task<IReadOnlyList<FindResult>> Find(
        IReadOnlyList<FindRequest> requests,
        CancellationToken cancellationToken
    )
    {
        Calls.Enqueue(new("find", [.. requests.Select(r => r.CustomerId)], []));
        await Entered("find");
        if (Scripted("find") is { } fault)
            return [.. requests.Select(_ => new FindResult([], Failure(fault)))];
        lock (_lock)
            return
            [
                .. requests.Select(r => new FindResult(
                    [.. _rows.Values.Where(row => row.CustomerId == r.CustomerId).Select(Seen)],
                    null
                )),
            ];
    }

    public Task<IReadOnlyList<VendorResult>> Create(
        IReadOnlyList<CreateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Answer(
            "create",
            requests,
            r => r.CustomerId,
            r => r.Key,
            r => Keyed(r.Key, () => Insert(r)),
            cancellationToken
        );

    public Task<IReadOnlyList<VendorResult>> Update(
        IReadOnlyList<UpdateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Answer("update", requests, r => r.ExternalId, r => r.Key, r => Keyed(r.Key, () => Patch(r)), cancellationToken);

    public Task<IReadOnlyList<VendorResult>> Delete(
        IReadOnlyList<DeleteRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Answer(
            "delete",
            requests,
            r => r.ExternalId,
            _ => "",
            r =>
            {
                if (!_rows.TryGetValue(r.ExternalId, out var row) || row.Deleted)
                    return new VendorResult.Gone();
                if (r.UnlessSubscribed && row.Subscribed)
                    return new VendorResult.Refused(
                        new Dictionary<string, string>(),
                        "subscribed",
                        "the customer has a live subscription"
                    );
                row.Deleted = true;
                row.Version++;
                return new VendorResult.Ok(null);
            },
            cancellationToken
        );

    VendorResult Keyed(string key, Func<VendorResult> act)
    {
        if (!Keys)
            return act();
        if (_keys.TryGetValue(key, out var stored))
            return stored is VendorResult.Ok ok ? ok with { Replayed = true } : stored;
        var result = act();
        if (result is not VendorResult.Refused)
            _keys[key] = result;
        return result;
    }

    VendorResult Insert(CreateRequest request)
    {
        if (Refused(request.Write) is { } refused)
            return refused;
        if (
            UniqueIds
            && !Keys
            && _rows.Values.FirstOrDefault(r => r.CustomerId == request.CustomerId && !r.Deleted) is { } there
        )
            return new VendorResult.Taken(there.Id);
        var row = new Row
        {
            Id = $"v{++_ids}",
            CustomerId = request.CustomerId,
            Stamp = request.CommandId,
            ByUs = true,
            MadeByUs = true,
        };
        foreach (var (path, field) in map.Fields)
            row.Fields[path] = Store(field, request.Write.GetValueOrDefault(path));
        _rows[row.Id] = row;
        Tell(row, null, request.CommandId);
        return Traits.AnswersWithRecord
            ? new VendorResult.Ok(Seen(row))
            : new VendorResult.Ok(null) { ExternalId = row.Id };
    }

    VendorResult Patch(UpdateRequest request)
    {
        if (!_rows.TryGetValue(request.ExternalId, out var row) || row.Deleted)
            return new VendorResult.Gone();
        if (Refused(request.Write) is { } refused)
            return refused;
        if (Guards && request.Guard is { } guard && (ComparesAnotherVersion || guard != row.Version.ToString()))
            return new VendorResult.Moved();
        Dictionary<string, string?> before = [];
        foreach (var (path, value) in request.Write)
        {
            var stored = Store(map.Fields[path], value);
            if (row.Fields[path] != stored)
                before[path] = row.Fields[path];
            row.Fields[path] = stored;
        }

        row.CustomerId = request.CustomerId;
        row.Stamp = request.CommandId;
        row.ByUs = true;
        row.Version++;
        if (before.Count > 0)
            Effects.AddOrUpdate((row.Id, request.CommandId), 1, (_, n) => n + 1);
        Tell(row, before, request.CommandId);
        return new VendorResult.Ok(Traits.AnswersWithRecord ? Seen(row) : null);
    }

    void Tell(Row row, Dictionary<string, string?>? before, Guid? command) =>
        Events.Enqueue(
            new Hint
            {
                ExternalId = row.Id,
                Kind = before is null ? HintKind.Created : HintKind.Updated,
                CustomerId = row.CustomerId,
                Fields = new(row.Fields),
                Previous = before,
                CommandId = command,
            }
        );

    VendorResult.Refused? Refused(IReadOnlyDictionary<string, string?> write)
    {
        var reasons = write
            .Select(w => (w.Key, Reason: Refuses(w.Key, w.Value)))
            .Where(w => w.Reason is not null)
            .ToDictionary(w => w.Key, w => w.Reason!);
        return reasons.Count == 0 ? null : new VendorResult.Refused(reasons, "invalid", "refused");
    }

    string? Store(FieldMap field, string? value) => Undeclared(field.Path, Normaliser.Stored(field, value));

    async Task<IReadOnlyList<VendorResult>> Answer<T>(
        string operation,
        IReadOnlyList<T> items,
        Func<T, string> subject,
        Func<T, string> key,
        Func<T, VendorResult> act,
        CancellationToken cancellationToken
    )
    {
        Assert.InRange(items.Count, 1, operation == "read" ? Traits.MaxReadBatch : Traits.MaxBatch);
        Calls.Enqueue(new(operation, [.. items.Select(subject)], [.. items.Select(key)]));
        await Entered(operation);
        if (Hangs(operation))
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        if (items.Select(subject).Any(FailsFor))
            return [.. items.Select(_ => (VendorResult)Failure(Fault.Before))];
        switch (Scripted(operation))
        {
            case null when Says(operation) is { } said:
                return [.. items.Select(_ => said)];
            case null:
                return All(act);
            case Fault.After:
                All(act);
                return Failed(Fault.After);
            case Fault.Late:
                lock (_lock)
                    _late.Add(() => All(act));
                return Failed(Fault.Late);
            case Fault.WrongCount:
                return [.. All(act).Skip(1)];
            case Fault.WrongRecord:
                return
                [
                    .. All(act)
                        .Select(r =>
                            r is VendorResult.Ok { Object: { } o }
                                ? new VendorResult.Ok(o with { ExternalId = "another" })
                                : r
                        ),
                ];
            case Fault.Throw:
                throw new InvalidOperationException("the vendor's adapter has a mistake");
            case { } fault:
                return Failed(fault);
        }

        List<VendorResult> All(Func<T, VendorResult> each)
        {
            lock (_lock)
                return [.. items.Select(each)];
        }

        List<VendorResult> Failed(Fault fault) => [.. items.Select(_ => (VendorResult)Failure(fault))];
    }

    Fault? Scripted(string operation)
    {
        lock (_lock)
        {
            if (!_script.TryPeek(out var next) || next.Operation != operation)
                return Always(operation);
            _script.TryDequeue(out _);
            return next.Fault;
        }
    }

    static VendorResult.Failed Failure(Fault fault) =>
        fault switch
        {
            Fault.SlowDown => new(FailureClass.SlowDown, "rate_limit", "too many requests", Definite: true),
            Fault.PauseAll => new(FailureClass.PauseAll, "invalid_key", "the key is refused", Definite: true),
            Fault.Before => new(FailureClass.Retry, "unavailable", "not now", Definite: true),
            Fault.KeySpent => new(FailureClass.Retry, "server_error", "replays a failure", Definite: false)
            {
                KeySpent = true,
            },
            _ => new(FailureClass.Retry, "timeout", "no answer", Definite: false),
        };

    VendorObject Seen(Row row) =>
        new()
        {
            ExternalId = row.Id,
            Fields = new(row.Fields),
            CustomerId = row.CustomerId,
            Stamp = row.Stamp,
            LastModifiedByUs = row.ByUs,
            CreatedByUs = TellsWhoMade ? row.MadeByUs : null,
            Guard = row.Version.ToString(),
            Deleted = row.Deleted,
        };
}

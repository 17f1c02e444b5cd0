using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Mapping;

namespace Sync.Tests.Simulation;

/// <summary>
/// A vendor's records and how it writes them. <c>stripe</c> has idempotency keys, answers a write with the record and tells
/// what its fields held before; <c>salesforce</c> has unique external ids, conditional writes and a recycle bin.
/// </summary>
sealed class VendorModel(string name, Profile profile, VirtualClock clock, Func<SystemMap> map, Action<string> note)
{
    static readonly TimeSpan KeyLifetime = TimeSpan.FromHours(24);

    readonly OrderedDictionary<string, Record> _records = [];
    readonly Dictionary<string, (DateTimeOffset At, VendorResult Answer)> _keys = [];
    int _made;

    public sealed class Record
    {
        public required string Id { get; init; }
        public required Dictionary<string, string?> Fields { get; init; }
        public required DateTimeOffset CreatedAt { get; init; }
        public string? CustomerId { get; set; }
        public Guid? Stamp { get; set; }
        public bool ByUs { get; set; }
        public bool MadeByUs { get; init; }
        public bool Deleted { get; set; }

        /// <summary>The record that took this one's place.</summary>
        public string? MergedInto { get; set; }
        public int Version { get; set; } = 1;
    }

    public bool IsStripe => name == "stripe";

    public VendorTraits Traits { get; } =
        name == "stripe"
            ? new(1, profile.Keys ? TimeSpan.FromHours(23) : null, TimeSpan.FromHours(24), AnswersWithRecord: true)
            : new(200, null, TimeSpan.FromMinutes(15), AnswersWithRecord: false);

    /// <summary>Every change, in order: what a feed can tell of.</summary>
    public List<Hint> Log { get; } = [];

    /// <summary>Places in the log that the feed has not delivered yet.</summary>
    public List<int> Feed { get; } = [];

    public IEnumerable<Record> Records => _records.Values;

    /// <summary>How often a command changed a record.</summary>
    public Dictionary<(string Id, Guid Command), int> Effects { get; } = [];

    /// <summary>Writes of ours by customer.</summary>
    public Dictionary<string, int> Writes { get; } = [];

    public Record? Find(string? id) => id is null ? null : _records.GetValueOrDefault(id);

    /// <summary>What the vendor really stores, declared or not.</summary>
    public string? Form(string path, string? value) =>
        !profile.Forms || value is null ? value
        : path == "phone" ? (IsStripe ? value.ToLowerInvariant() : value.ToUpperInvariant())
        : path == "email" && !IsStripe ? value.ToLowerInvariant()
        : value;

    // ---- people ----

    public Record PersonCreates(IReadOnlyDictionary<string, string?> fields, string? customerId) =>
        Make(fields, customerId, byUs: false, stamp: null);

    public void PersonEdits(Record record, string path, string? value)
    {
        var before = record.Fields[path];
        record.Fields[path] = value;
        (record.ByUs, record.Version) = (false, record.Version + 1);
        Tell(record, HintKind.Updated, [path], new() { [path] = before }, command: null);
    }

    public void PersonDeletes(Record record) => Remove(record, byUs: false);

    /// <summary>The loser ends as a deletion does; whoever asks for it is told of the winner.</summary>
    public void PersonMerges(Record loser, Record winner)
    {
        loser.MergedInto = winner.Id;
        Remove(loser, byUs: false);
        (winner.ByUs, winner.Version) = (false, winner.Version + 1);
        Tell(winner, HintKind.Updated, [], previous: null, command: null);
    }

    // ---- automations ----

    /// <summary>Records whose phone we wrote, and that the vendor's automation will change.</summary>
    public Queue<Record> Automations { get; } = [];

    /// <summary>Changes made by automations.</summary>
    public int Automated { get; set; }

    public void PersonUndeletes(Record record)
    {
        (record.Deleted, record.ByUs, record.Version) = (false, false, record.Version + 1);
        Tell(record, HintKind.Undeleted, [.. record.Fields.Keys], previous: null, command: null);
    }

    // ---- its API ----

    public VendorResult Read(string id) =>
        Find(id) is { Deleted: false } record ? new VendorResult.Ok(See(record)) : Gone(id);

    VendorResult.Gone Gone(string id) => new() { MergedInto = Find(id)?.MergedInto };

    public FindResult Find(FindRequest request) =>
        new(
            [
                .. _records
                    .Values.Where(r => r.CustomerId == request.CustomerId && (!IsStripe || !r.Deleted))
                    .Where(r => !IsStripe || r.CreatedAt >= request.CreatedAfter || r.Fields["email"] == request.Email)
                    .Select(See),
            ],
            null
        );

    public VendorResult Create(CreateRequest request) =>
        Keyed(
            request.Key,
            () =>
            {
                if (Refused(request.Write) is { } refused)
                    return refused;
                if (
                    !IsStripe
                    && _records.Values.FirstOrDefault(r => r.CustomerId == request.CustomerId && !r.Deleted)
                        is { } holder
                )
                {
                    if (!profile.CreatesByUpsert)
                        return new VendorResult.Taken(holder.Id);
                    Patch(
                        holder,
                        new(holder.Id, request.CustomerId, request.CommandId, request.Key, request.Write, null)
                    );
                    return new VendorResult.Ok(null) { ExternalId = holder.Id };
                }

                var record = Make(request.Write, request.CustomerId, byUs: true, request.CommandId);
                Count(record.CustomerId!);
                return new VendorResult.Ok(IsStripe ? See(record) : null) { ExternalId = record.Id };
            }
        );

    public VendorResult Update(UpdateRequest request) =>
        Keyed(
            request.Key,
            () =>
            {
                if (Find(request.ExternalId) is not { } record || (record.Deleted && !profile.UpdatesByUpsert))
                    return Gone(request.ExternalId);
                if (record.Deleted)
                    record = Make(new Dictionary<string, string?>(), request.CustomerId, byUs: true, request.CommandId);
                if (profile.Guards && !IsStripe && request.Guard is { } guard && guard != Guard(record))
                    return new VendorResult.Moved();
                if (Refused(request.Write) is { } refused)
                    return refused;
                Patch(record, request);
                return new VendorResult.Ok(IsStripe ? See(record) : null);
            }
        );

    public VendorResult Delete(DeleteRequest request)
    {
        if (Find(request.ExternalId) is not { Deleted: false } record)
            return Gone(request.ExternalId);
        if (request.UnlessSubscribed && IsSubscribed(record.Id))
            return new VendorResult.Refused(
                new Dictionary<string, string>(),
                "subscribed",
                "a live subscription would end with it"
            );
        Remove(record, byUs: true);
        return new VendorResult.Ok(null);
    }

    public bool IsSubscribed(string id) => IsStripe && profile.Subscribed > 0 && Number(id) % profile.Subscribed == 0;

    /// <summary>The vendor fails, and repeats that failure for this key from now on.</summary>
    public VendorResult Spend(string key)
    {
        _keys.TryAdd(key, (clock.Now, Failed with { KeySpent = true }));
        return Failed;
    }

    static readonly VendorResult.Failed Failed = new(FailureClass.Retry, "server_error", "it failed", Definite: false);

    VendorResult Keyed(string key, Func<VendorResult> act)
    {
        if (!IsStripe || !profile.Keys)
            return act();
        if (_keys.TryGetValue(key, out var kept) && kept.At + KeyLifetime > clock.Now)
            return kept.Answer is VendorResult.Ok ok ? ok with { Replayed = true } : kept.Answer;
        var answer = act();
        _keys[key] = (clock.Now, answer);
        return answer;
    }

    VendorResult.Refused? Refused(IReadOnlyDictionary<string, string?> write) =>
        IsStripe && profile.Refuses > 0 && write.TryGetValue("name", out var value) && Refuses("name", value)
            ? new VendorResult.Refused(new Dictionary<string, string> { ["name"] = "is refused" }, "invalid", "refused")
            : null;

    public bool Refuses(string path, string? value) =>
        IsStripe && path == "name" && profile.Refuses > 0 && value is not null && Number(value) % profile.Refuses == 0;

    static int Number(string text) => int.Parse(string.Concat(text.Where(char.IsAsciiDigit)), null);

    void Patch(Record record, UpdateRequest request)
    {
        Dictionary<string, string?> before = [];
        foreach (var (path, golden) in request.Write)
        {
            var value = Form(path, golden);
            if (record.Fields.GetValueOrDefault(path) != value)
                before[path] = record.Fields.GetValueOrDefault(path);
            record.Fields[path] = value;
        }

        var changed = before.Count > 0 || record.CustomerId != request.CustomerId;
        record.CustomerId = request.CustomerId;
        Count(request.CustomerId);
        if (before.Count > 0)
            Effects[(record.Id, request.CommandId)] = Effects.GetValueOrDefault((record.Id, request.CommandId)) + 1;
        (record.ByUs, record.Stamp, record.Version) = (true, request.CommandId, record.Version + 1);
        note($"{name} {record.Id} is written {Text(request.Write)}, replacing {Text(before)}");
        if (profile.Automations && before.ContainsKey("phone"))
            Automations.Enqueue(record);
        if (changed)
            Tell(record, HintKind.Updated, [.. before.Keys], before, request.CommandId);
    }

    Record Make(IReadOnlyDictionary<string, string?> fields, string? customerId, bool byUs, Guid? stamp)
    {
        var record = new Record
        {
            Id = $"{name[..2]}{++_made}",
            Fields = AllFields.ToDictionary(path => path, path => Form(path, fields.GetValueOrDefault(path))),
            CreatedAt = clock.Now,
            CustomerId = customerId,
            ByUs = byUs,
            MadeByUs = byUs,
            Stamp = stamp,
        };
        _records.Add(record.Id, record);
        note(
            $"{name} {record.Id} is made {(byUs ? "by us" : "by a person")} for {customerId ?? "nobody"}: {Text(record.Fields)}"
        );
        Tell(record, HintKind.Created, [.. record.Fields.Keys], previous: null, stamp);
        return record;
    }

    string[] AllFields => IsStripe ? ["name", "email", "phone"] : ["name", "email", "phone", "attributes.tier"];

    void Remove(Record record, bool byUs)
    {
        (record.Deleted, record.ByUs, record.Version) = (true, byUs, record.Version + 1);
        note($"{name} {record.Id} is deleted {(byUs ? "by us" : "by a person")}");
        Tell(record, HintKind.Deleted, [], previous: null, command: null);
    }

    void Count(string customerId) => Writes[customerId] = Writes.GetValueOrDefault(customerId) + 1;

    /// <summary>Stripe's event carries the whole record and what it held before; Salesforce's what changed.</summary>
    void Tell(Record record, HintKind kind, string[] changed, Dictionary<string, string?>? previous, Guid? command)
    {
        Log.Add(
            new Hint
            {
                ExternalId = record.Id,
                Kind = kind,
                CustomerId = IsStripe ? record.CustomerId : null,
                Fields =
                    kind == HintKind.Deleted ? null
                    : IsStripe ? new(record.Fields)
                    : changed.ToDictionary(path => path, path => record.Fields[path]),
                Previous = IsStripe || !profile.Guards ? previous : null,
                CommandId = command,
            }
        );
        Feed.Add(Log.Count - 1);
    }

    VendorObject See(Record record) =>
        new()
        {
            ExternalId = record.Id,
            Fields = map().Fields.Keys.ToDictionary(path => path, path => record.Fields[path]),
            CustomerId = record.CustomerId,
            Stamp = record.Stamp,
            // Stripe does not say who changed a record, nor who made it.
            LastModifiedByUs = !IsStripe && record.ByUs,
            CreatedByUs = IsStripe ? null : record.MadeByUs,
            Guard = IsStripe ? null : Guard(record),
            Deleted = record.Deleted,
        };

    static string Guard(Record record) => record.Version.ToString(System.Globalization.CultureInfo.InvariantCulture);

    public static string Text(IEnumerable<KeyValuePair<string, string?>>? values) =>
        values is null ? "-" : string.Join(' ', values.Select(v => $"{v.Key}={v.Value ?? "∅"}"));
}

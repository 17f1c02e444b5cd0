using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Sync.Adapter.Hosting;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;
using AdapterRules = Sync.Adapter.Working.Rules;

namespace Sync.Tests.Simulation;

/// <summary>
/// One vendor and its adapter: the shipped rounds, gate, back-off and endings, over lanes in memory. A worker is stepped
/// need by need, so that it can die, or be overtaken, between any two.
/// </summary>
sealed class AdapterSide : IOutbox
{
    static readonly AdapterOptions Options = new();
    static readonly Dictionary<string, AdapterTelemetry> Telemetries = new()
    {
        ["stripe"] = new("stripe"),
        ["salesforce"] = new("salesforce"),
    };

    readonly World _world;
    readonly List<object> _encoded = [];
    readonly Endings _endings;
    readonly TimeSpan _skew;
    AdapterRules _rules;
    long _takes;

    public AdapterSide(World world, string name, SystemMap map, TimeSpan skew, int seed)
    {
        _world = world;
        _skew = skew;
        Name = name;
        Map = map;
        Vendor = new VendorModel(name, world.Profile, world.Clock, () => Map, world.Note);
        _rules = new AdapterRules(map, Vendor.Traits, "sim", "");
        Gate = new VendorGate(name, Options, world.Clock, NullLogger<VendorGate>.Instance, NoHealth.Instance);
        var backoff = new Backoff(Options, new Random(seed));
        _endings = new Endings(Gate, backoff, this, Telemetries[name], NullLogger.Instance);
        Store = NewStore();
    }

    public string Name { get; }
    public SystemMap Map { get; private set; }
    public VendorModel Vendor { get; }
    public VendorGate Gate { get; }
    public MemoryLinkStore Store { get; private set; }
    public List<Worker> Workers { get; } = [];

    /// <summary>Requests that hang somewhere between us and the vendor, and since when.</summary>
    public List<(DateTimeOffset Since, string What, Action Land)> Hung { get; } = [];

    /// <summary>Places in the vendor's log whose events were lost: the recorded gap.</summary>
    public List<int> Gap { get; } = [];

    public (MemoryLinkStore Store, int Cursor)? Backup { get; private set; }

    DateTimeOffset Now() => _world.Clock.Now + _skew;

    MemoryLinkStore NewStore() =>
        new(Now, m => _world.Produce(_encoded[BitConverter.ToInt32(m.Body)]))
        {
            Unfenced = _world.Profile.Unfenced,
            Unleased = _world.Profile.Unleased,
            FencedAtTheReportOnly = _world.Profile.FencedAtTheReportOnly,
        };

    public bool CanTake => Gate.Lanes(1, Workers.Count) > 0 && Store.NextDue <= Now();

    public void Take()
    {
        if (Gate.Lanes(1, Workers.Count) == 0)
            return;
        foreach (var lane in Store.Take($"{Name}/{++_takes}", 1, default).Result)
        {
            // Of SQL's rule only the order of equal times is left open.
            Workers.Add(new Worker(this, lane));
            _world.Note($"{Name} takes {lane.Link.Lane} at {lane.Link.Version}: {Workers[^1].Describe()}");
        }
    }

    public void TakeBackup() => Backup = (Store.Backup(), Vendor.Log.Count);

    /// <summary>The database is put back to the backup, and the feed's cursor with it.</summary>
    public void Restore()
    {
        if (Backup is not { } backup)
            return;
        _world.Note($"{Name}: the adapter's database is restored from a backup");
        Backup = null;
        Store = backup.Store;
        Store.Restored(raised: !_world.Profile.VersionsNotRaised);
        Workers.Clear();
        for (var i = backup.Cursor; i < Vendor.Log.Count; i++)
            TakeIn(Vendor.Log[i]);
    }

    /// <summary>A restart with another mapping: what was reported is forgotten, and every record is looked at.</summary>
    public void Remap(SystemMap map)
    {
        if (ReferenceEquals(map, Map))
            return;
        _world.Note($"{Name}: the mapping changes");
        Map = map;
        _rules = new AdapterRules(map, Vendor.Traits, "sim", "");
        Workers.Clear();
        Store.ForgetReported();
        Sweep();
    }

    public void Sweep()
    {
        foreach (var record in Vendor.Records)
            TakeIn(
                new Hint
                {
                    ExternalId = record.Id,
                    Kind = record.Deleted ? HintKind.Deleted : HintKind.Look,
                    CustomerId = Vendor.IsStripe ? record.CustomerId : null,
                }
            );
    }

    public void TakeIn(Hint hint) => Store.TakeIn(_world.NextId(), hint);

    /// <summary>The time at which something of this side can go on; null when nothing waits.</summary>
    public DateTimeOffset? Next()
    {
        var due = Store.NextDue is { } next ? next - _skew : (DateTimeOffset?)null;
        return due is { } at && Gate.Remaining > TimeSpan.Zero && _world.Clock.Now + Gate.Remaining > at
            ? _world.Clock.Now + Gate.Remaining
            : due;
    }

    // ---- IOutbox: a message keeps its object, and the store hands it on at its commit ----

    public OutgoingMessage Encode(object message, Guid? causationId = null)
    {
        _encoded.Add(message);
        return new OutgoingMessage("", [], [], BitConverter.GetBytes(_encoded.Count - 1));
    }

    public NpgsqlBatchCommand Insert(IReadOnlyList<OutgoingMessage> messages) =>
        throw new NotSupportedException("the store in memory hands messages on itself");

    public void Signal() { }

    // ---- a worker ----

    public sealed class Worker
    {
        readonly AdapterSide _side;
        readonly Leased _lane;
        readonly Round _round;
        readonly IEnumerator<Need> _needs;
        Task<CallOutcome>? _call;

        public Worker(AdapterSide side, Leased lane)
        {
            (_side, _lane) = (side, lane);
            _round = new Round(lane, side._rules, () => 0);
            _needs = _round.Run().GetEnumerator();
        }

        public TimeSpan Age => _side.Now() - _lane.Now;

        public string Lane => _lane.Link.Lane;

        /// <summary>Its call waits until the vendor's limit is over.</summary>
        public bool Waits => _call is { IsCompleted: false };

        public string Describe() =>
            _round.Work is [{ Command: { } c }, ..]
                ? $"{c.Operation} {c.CommandId.ToString()[^4..]} gen {c.Generation} {VendorModel.Text(c.Write)} expecting {VendorModel.Text(c.Expect)}"
                : $"{_round.Work.Count} hint(s) of {(_round.Work is [{ Hint: { } hint }, ..] ? hint.ExternalId : "nothing")}";

        /// <summary>Goes on by one need. False when the round is over, or thrown away.</summary>
        public bool Step()
        {
            if (_call is { } call)
            {
                _call = null;
                Answer(call.Result);
                return true;
            }

            if (!_needs.MoveNext())
            {
                Commit(_side._endings.Of(_lane, _round));
                return false;
            }

            if (_needs.Current is Need.Open { Entry: var entry })
            {
                if (!Commit(Endings.Open(_lane, _round, entry)))
                    return false;
                _round.Opened(entry);
                return true;
            }

            _side.Begins = true;
            call = _side.Gate.Call(_ => Task.FromResult(Called(_needs.Current)), default);
            _side.Begins = false;
            if (call.IsCompleted)
                Answer(call.Result);
            else
                _call = call;
            return true;
        }

        bool Commit(LaneWrite write)
        {
            try
            {
                if (_side.Store.Commit([write], default).Result.Fenced.Count == 0)
                    return true;
                _side._world.Note($"{_side.Name} is fenced off {Lane}");
            }
            catch (ObjectOfAnotherLaneException)
            {
                // As LaneCommits does: the lane waits, and its work stays.
                var back = new LaneWrite.GiveBack(
                    write.TakenBy,
                    write.Before,
                    TimeSpan.FromSeconds(1),
                    "commit-23505",
                    Counts: true
                );
                _ = _side.Store.Commit([back], default).Result;
                _side._world.Note($"{_side.Name} {Lane}: another lane has that object");
            }

            return false;
        }

        void Answer(CallOutcome outcome)
        {
            if (outcome.Skipped is { } skipped)
            {
                if (_needs.Current is Need.Find)
                    _round.Answer(new FindResult([], skipped));
                else
                    _round.Answer(skipped);
                return;
            }

            switch (outcome.Results[0])
            {
                case FindResult found:
                    _round.Answer(found);
                    break;
                case VendorResult result:
                    _round.Answer(result);
                    break;
            }
        }

        CallOutcome Called(Need need)
        {
            _side.MayCall();
            object result = need switch
            {
                Need.Read read => _side.Read(() => _side.Vendor.Read(read.ExternalId)),
                Need.Find find => _side.Look(() => _side.Vendor.Find(find.Request)),
                Need.Create create => _side.Write(
                    $"create for {create.Request.CustomerId}",
                    create.Request.Key,
                    () => _side.Vendor.Create(create.Request)
                ),
                Need.Update update => _side.Write(
                    $"update of {update.Request.ExternalId}",
                    update.Request.Key,
                    () => _side.Vendor.Update(update.Request)
                ),
                Need.Delete delete => _side.Write(
                    $"delete of {delete.Request.ExternalId}",
                    key: null,
                    () => _side.Vendor.Delete(delete.Request)
                ),
                _ => throw new InvalidOperationException($"{need.GetType().Name} is not a vendor's business"),
            };
            return result is FindResult f ? VendorCalls.Judge([f]) : VendorCalls.Judge([(VendorResult)result]);
        }
    }

    // ---- P8: who is told to wait does not call ----

    DateTimeOffset _closedUntil;

    /// <summary>A call that has not waited begins; those that waited together may go on together.</summary>
    bool Begins { get; set; }

    void MayCall()
    {
        if (Begins && _world.Clock.Now < _closedUntil)
            _world.Witness.Fault(
                "P8 called while told to wait",
                $"{Name}: {_closedUntil - _world.Clock.Now} too early"
            );
    }

    // ---- the vendor's door, with its faults ----

    VendorResult Read(Func<VendorResult> act) => Fails(_world.Profile.ReadFails) ?? act();

    FindResult Look(Func<FindResult> act) =>
        Fails(_world.Profile.ReadFails) is { } failure ? new FindResult([], failure) : act();

    VendorResult.Failed? Fails(double unavailable)
    {
        if (_world.Calm)
            return null;
        var chance = _world.Chance;
        if (chance.Is(_world.Profile.SlowDown))
            return Closed(TimeSpan.FromMilliseconds(500), FailureClass.SlowDown, "rate_limit", "too many requests");
        if (chance.Is(_world.Profile.PauseAll))
            return Closed(
                TimeSpan.FromSeconds(Options.PauseProbeSeconds),
                FailureClass.PauseAll,
                "invalid_key",
                "the key is refused"
            );
        return chance.Is(unavailable) ? Noted(new(FailureClass.Retry, "unavailable", "not now", Definite: true)) : null;
    }

    VendorResult.Failed Closed(TimeSpan time, FailureClass kind, string code, string reason)
    {
        if (_closedUntil < _world.Clock.Now + time)
            _closedUntil = _world.Clock.Now + time;
        return Noted(new(kind, code, reason, Definite: true));
    }

    VendorResult.Failed Noted(VendorResult.Failed failure)
    {
        _world.Note($"{Name} answers {failure.Code}");
        return failure;
    }

    VendorResult Write(string what, string? key, Func<VendorResult> act)
    {
        if (_world.Calm)
            return act();
        if (Fails(0) is { } limited)
            return limited;
        var (chance, profile) = (_world.Chance, _world.Profile);
        var lost = new VendorResult.Failed(FailureClass.Retry, "timeout", "no answer", Definite: false);
        if (chance.Is(profile.LostBefore))
            return Told("is lost on the way there");
        if (chance.Is(profile.LostAfter))
        {
            act();
            return Told("takes effect, its answer is lost");
        }

        if (chance.Is(profile.LandsLate))
        {
            Hung.Add((_world.Clock.Now, what, () => act()));
            return Told("hangs");
        }

        if (key is not null && Vendor.IsStripe && profile.Keys && chance.Is(profile.KeySpent))
        {
            _world.Note($"{Name}: {what} fails, and its key is spent");
            return Vendor.Spend(key);
        }

        return act();

        VendorResult Told(string fate)
        {
            _world.Note($"{Name}: {what} {fate}");
            return lost;
        }
    }

    sealed class NoHealth : IAdapterHealth
    {
        public static readonly NoHealth Instance = new();

        public void Set(string code, string? detail) { }
    }
}

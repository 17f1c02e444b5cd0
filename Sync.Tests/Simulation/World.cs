using System.Text;
using MassTransit;
using MassTransit.Scheduling;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Outbox;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;

namespace Sync.Tests.Simulation;

/// <summary>
/// Product, two vendors, their adapters, the orchestrator, Kafka and the people, in one process under a virtual clock. One
/// seed is one schedule. What decides and what acts is the shipped code; what is modelled is what Sync does not own, and the
/// SQL below the adapters' lanes.
/// </summary>
sealed partial class World : ITopicProducer, IBatchRows, IScheduleMessageProvider
{
    /// <summary>A schedule that is not at rest by then never will be.</summary>
    const int MaxCalmSteps = 12_000;

    readonly Switches _switches;
    readonly StringBuilder? _trace;
    readonly OrderedDictionary<(string Topic, string Key), Channel> _topics = [];
    readonly List<(Guid Token, DateTimeOffset At, object Message)> _timers = [];
    readonly List<Action> _acts = [];
    readonly TimeSpan _orchestratorSkew;
    readonly int _restored;
    Orchestrators _orchestrator;
    int _step;
    int _ids;

    sealed class Channel
    {
        public LinkedList<object> Waiting { get; } = [];
        public List<object> Sent { get; } = [];
    }

    public World(Profile profile, long seed, Switches switches, bool traced)
    {
        Profile = switches.Apply(profile);
        Seed = seed;
        _switches = switches;
        _trace = traced ? new() : null;
        Chance = new Chance(seed);
        Chance.Begin(-1);
        _orchestratorSkew = Skew();
        var config = Profile.Config(late: false);
        _orchestrator = new Orchestrators(Machines.Of(config, Profile));
        Product = new ProductModel(Profile, EmitSnapshot, Note);
        Adapters =
        [
            new(this, "stripe", config.System("stripe"), Skew(), (int)seed),
            new(this, "salesforce", config.System("salesforce"), Skew(), (int)seed + 1),
        ];
        _restored = Chance.Below(2);
        Witness = new Witness(this);
    }

    public Profile Profile { get; }
    public long Seed { get; }
    public Chance Chance { get; }
    public VirtualClock Clock { get; } = new();
    public ProductModel Product { get; }
    public AdapterSide[] Adapters { get; }
    public Witness Witness { get; }
    public bool Calm { get; private set; }
    public DateTimeOffset OrchestratorNow => Clock.Now + _orchestratorSkew;
    public Sync.Orchestrator.Customers.Merging.Rules Rules => _orchestrator.Rules;
    public IEnumerable<CustomerSync> Customers => _orchestrator.Customers.Values;
    public IEnumerable<FoundObject> Objects => _orchestrator.Objects.Values;
    public string Trace => _trace?.ToString() ?? "";

    public CustomerSync? Customer(string? id) =>
        id is null ? null : _orchestrator.Customers.GetValueOrDefault(CustomerIds.CorrelationId(id));

    public AdapterSide Adapter(string system) => Adapters[system == "stripe" ? 0 : 1];

    public Guid NextId() => new(++_ids, (short)Seed, 7, [0, 0, 0, 0, 0, 0, 0, 1]);

    TimeSpan Skew() => Profile.Skew * (Chance.Unit() * 2 - 1);

    /// <summary>The deletion brake, closed or not as it happens.</summary>
    public bool Brakes(string system) => Profile.Brake > 0 && Chance.Is(Profile.Brake);

    /// <summary>
    /// Customers with this e-mail as a search sees them: committed state, now and then a random number of steps old, and
    /// sometimes older than all of them.
    /// </summary>
    public IReadOnlyList<string> Candidates(string? email)
    {
        if (Standing.EmailKey(email) is not { } key)
            return [];
        var age = Chance.Below(3 * MaxAge);
        if (age >= 2 * MaxAge)
            return [];
        var view = age >= MaxAge || _views.Count == 0 ? View() : _views[Math.Max(0, _views.Count - 1 - age)];
        return [.. view.Where(c => c.Key.AsSpan().SequenceEqual(key)).Select(c => c.Id).Order(StringComparer.Ordinal)];
    }

    /// <summary>Steps back that a search may look.</summary>
    const int MaxAge = 60;

    /// <summary>What a search would have seen after each of the last steps.</summary>
    readonly List<(string Id, byte[] Key)[]> _views = [];

    (string Id, byte[] Key)[] View() =>
        [
            .. Customers
                .Where(c => c.CurrentState is nameof(Stage.Proposed) or nameof(Stage.Live) && c.EmailKey is not null)
                .Select(c => (c.CustomerId, c.EmailKey!)),
        ];

    void Remember()
    {
        _views.Add(View());
        if (_views.Count > MaxAge)
            _views.RemoveAt(0);
    }

    public void Note(string line)
    {
        if (_trace is not null)
            _trace
                .Append((Clock.Now - new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero)).ToString(@"d\.hh\:mm\:ss"))
                .Append(" #")
                .Append(_step)
                .Append(' ')
                .AppendLine(line);
    }

    /// <summary>The whole schedule; what must not happen is in <see cref="Witness"/>.</summary>
    public World Run()
    {
        Machines.Current = this;
        try
        {
            Product.PersonCreates("c1", NewFields(null));
            for (_step = 0; _step < Profile.Steps; _step++)
            {
                Chance.Begin(_step);
                Turns(_step);
                if (!_switches.Skips(_step))
                    Step();
                Remember();
            }

            Rest();
            Invariants.AtRest(this, Witness);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Witness.Fault("exception", e.ToString());
        }
        finally
        {
            Machines.Current = null;
        }

        return this;
    }

    /// <summary>What happens once in a life: a backup and its restore, another mapping.</summary>
    void Turns(int step)
    {
        if (Profile.Restores && step == Profile.Steps / 3)
            Adapters[_restored].TakeBackup();
        if (Profile.Restores && step == Profile.Steps / 2)
            Adapters[_restored].Restore();
        if ((Profile.FieldMappedLater || Profile.FieldUnmappedLater) && step == Profile.Steps / 2)
        {
            var config = Profile.Config(late: true);
            _orchestrator = _orchestrator.With(Machines.Of(config, Profile));
            foreach (var adapter in Adapters)
                adapter.Remap(config.System(adapter.Name));
        }
    }

    // ---- one step of anybody ----

    void Step()
    {
        if (!Calm)
        {
            Pass(
                Chance.Is(Profile.Ages) && IsQuiet ? TimeSpan.FromHours(25)
                : Chance.Is(0.04) ? TimeSpan.FromSeconds(61 + Chance.Below(Chance.Is(0.5) ? 100 : 600))
                : TimeSpan.FromMilliseconds(Chance.Below(2_000))
            );
        }

        Acts();
        if (_acts.Count > 0)
            _acts[Chance.Below(_acts.Count)]();
    }

    /// <summary>
    /// What hangs has landed and was told of: the suspicion of a write lasts a day, so an adapter that reads no event for
    /// longer is beyond what the protocol promises. Commands may wait, and answers may be lost.
    /// </summary>
    bool IsQuiet =>
        Adapters.All(a => a.Hung.Count == 0 && a.Vendor.Feed.Count == 0 && a.Gap.Count == 0 && a.Store.Hints == 0);

    void Pass(TimeSpan time)
    {
        foreach (var adapter in Adapters)
        {
            // No vendor takes longer than it says.
            var last = Clock.Now + time + TimeSpan.FromMinutes(5) - adapter.Vendor.Traits.SuspectWindow;
            foreach (var hung in adapter.Hung.Where(h => h.Since <= last).ToList())
                Land(adapter, hung);
        }

        Clock.Advance(time);
        foreach (var adapter in Adapters)
        {
            if (time <= TimeSpan.FromHours(1))
                continue;
            // No call, and no worker between two calls, lives for a day.
            adapter.Workers.Clear();
            adapter.Store.CleanUp(TimeSpan.FromDays(30));
        }
    }

    void Land(AdapterSide adapter, (DateTimeOffset Since, string What, Action Act) hung)
    {
        adapter.Hung.Remove(hung);
        Note($"{adapter.Name}: {hung.What} lands late");
        hung.Act();
    }

    void Acts()
    {
        _acts.Clear();
        foreach (var (key, channel) in _topics)
        {
            if (channel.Waiting.Count > 0)
                _acts.Add(() => Deliver(key, channel));
        }

        foreach (var adapter in Adapters)
        {
            // Shorter than any vendor's window for late requests: a process that stands still for longer is not covered.
            adapter.Workers.RemoveAll(w => !w.Waits && w.Age > TimeSpan.FromMinutes(3));
            foreach (var worker in adapter.Workers.Where(w => !w.Waits))
                _acts.Add(() => Work(adapter, worker));
            if (adapter.CanTake)
                _acts.Add(adapter.Take);
            if (adapter.Vendor.Feed.Count > 0)
                _acts.Add(() => Feed(adapter));
            if (adapter.Vendor.Automations.Count > 0)
                _acts.Add(() => Automate(adapter));
            foreach (var hung in adapter.Hung)
            {
                if (Calm || Chance.Is(0.15))
                    _acts.Add(() => Land(adapter, hung));
            }
        }

        if (_timers.Exists(t => t.At <= Clock.Now))
            _acts.Add(Ring);
        Operate();
        if (!Calm && Witness.Edits.Count - Adapters.Sum(a => a.Vendor.Automated) < Profile.Edits && Chance.Is(0.35))
            _acts.Add(Person);
    }

    void Work(AdapterSide adapter, AdapterSide.Worker worker)
    {
        if (!Calm && Chance.Is(Profile.Crashes))
        {
            // Its lease stays.
            Note($"{adapter.Name}: the worker of {worker.Lane} dies");
            adapter.Workers.Remove(worker);
        }
        else if (!worker.Step())
        {
            adapter.Workers.Remove(worker);
        }

        Invariants.AtEveryStep(this, Witness);
    }

    void Feed(AdapterSide adapter)
    {
        var feed = adapter.Vendor.Feed;
        // Webhooks come in any order; change events of one record do not overtake each other.
        var place = adapter.Vendor.IsStripe ? Chance.Below(feed.Count) : 0;
        var index = feed[place];
        feed.RemoveAt(place);
        if (!Calm && Chance.Is(Profile.EventsLost))
        {
            adapter.Gap.Add(index);
            return;
        }

        adapter.TakeIn(adapter.Vendor.Log[index]);
        if (!Calm && Chance.Is(Profile.EventsDoubled))
            adapter.TakeIn(adapter.Vendor.Log[index]);
    }

    void Ring()
    {
        var timer = _timers.Where(t => t.At <= Clock.Now).MinBy(t => t.At);
        _timers.Remove(timer);
        Send(timer.Message);
    }

    // ---- the end: nobody edits, everything that waits is handled, what was lost is read again ----

    void Rest()
    {
        Calm = true;
        for (var round = 0; round < 3; round++)
        {
            if (!Settle())
                return;
            if (Profile.NoSweep)
                continue;
            foreach (var adapter in Adapters)
            {
                foreach (var index in adapter.Gap)
                    adapter.TakeIn(adapter.Vendor.Log[index]);
                adapter.Gap.Clear();
                if (round >= 1)
                    adapter.Sweep();
            }
        }

        Settle();
    }

    bool Settle()
    {
        for (var n = 0; n < MaxCalmSteps; n++)
        {
            _step++;
            Chance.Begin(_step);
            Acts();
            if (_acts.Count > 0)
            {
                _acts[Chance.Below(_acts.Count)]();
                Remember();
                continue;
            }

            if (Next() is not { } next)
                return true;
            Pass(next > Clock.Now ? next - Clock.Now + TimeSpan.FromMilliseconds(1) : TimeSpan.FromMilliseconds(100));
        }

        Witness.Fault("P5 no rest", "systems ask each other for ever");
        return false;
    }

    DateTimeOffset? Next()
    {
        DateTimeOffset? next = _timers.Count == 0 ? null : _timers.Min(t => t.At);
        foreach (var at in Adapters.Select(a => a.Next()).Append(Clock.NextAlarm))
        {
            if (at < next || next is null)
                next = at ?? next;
        }

        return next;
    }

    // ---- Kafka ----

    /// <summary>Ordered by key; the outbox repeats the newest ones now and then.</summary>
    void Send(object message) => Send(Address(message), message);

    void Send((string Topic, string Key) address, object message)
    {
        if (!_topics.TryGetValue(address, out var channel))
            _topics.Add(address, channel = new Channel());
        channel.Waiting.AddLast(message);
        channel.Sent.Add(message);
        if (Calm)
            return;
        if (Profile.ProductReorders && address.Topic == "customers" && channel.Waiting.Count > 1 && Chance.Is(0.2))
        {
            channel.Waiting.RemoveLast();
            channel.Waiting.AddBefore(channel.Waiting.Last!, message);
        }

        if (Chance.Is(Profile.Repeats))
        {
            foreach (var old in channel.Sent.TakeLast(1 + Chance.Below(3)).ToList())
                channel.Waiting.AddLast(old);
        }
    }

    static (string, string) Address(object message) =>
        message switch
        {
            PushCustomer m => ($"commands {m.System}", m.CustomerId),
            ReadObject m => ($"commands {m.System}", m.ExternalId),
            CustomerCommand m => ("commands product", m.CustomerId),
            CustomerReported m => ($"reports {m.System}", m.CustomerId),
            ObjectDuplicated m => ($"reports {m.System}", m.CustomerId),
            ObjectFound m => ($"reports {m.System}", m.ExternalId),
            LinkObject m => ("requests", m.CustomerId),
            ObjectLinked m => ("requests", m.ExternalId),
            ObjectParked m => ("requests", m.ExternalId),
            RelinkObject m => ("requests", m.ExternalId),
            ForgetObject m => ("requests", m.ExternalId),
            ObjectRequest m => ("requests", m.ExternalId),
            Due m => ("requests", m.CustomerId),
            ObjectDue m => ("requests", m.ExternalId),
            OperatorRequest m => ("requests", m.CustomerId),
            _ => throw new InvalidOperationException($"{message.GetType().Name} has no topic"),
        };

    void EmitSnapshot(string customerId, object message) => Send(("customers", customerId), message);

    void Deliver((string Topic, string Key) address, Channel channel)
    {
        var message = channel.Waiting.First!.Value;
        channel.Waiting.RemoveFirst();
        switch (message)
        {
            case PushCustomer push:
                Adapter(push.System).Store.TakeIn(push);
                break;
            case ReadObject read:
                Adapter(read.System).Store.TakeIn(NextId(), read);
                break;
            case CustomerCommand command:
                Product.Consume(command);
                break;
            default:
                while (
                    Profile.ProductCoalesces
                    && message is CustomerSnapshot older
                    && channel.Waiting.First?.Value is CustomerSnapshot newer
                    && newer.Revision > older.Revision
                )
                {
                    message = newer;
                    channel.Waiting.RemoveFirst();
                }

                Hear(message);
                break;
        }
    }

    void Hear(object message)
    {
        Witness.Before(message);
        try
        {
            _orchestrator.Raise(message, new MessageScope(this, this, this, Clock.Now));
        }
        catch (Exception e) when (e is RefusedMessageException || e.InnerException is RefusedMessageException)
        {
            Note($"dead letter: {e.Message}");
            if (message is not (OperatorRequest or ObjectRequest))
                Witness.Fault("P1 dead letter", (e.InnerException ?? e).Message);
        }

        Witness.After(message);
    }

    // ---- what the machine writes ----

    public void Produce(object message) => Send(message);

    Task ITopicProducer.Produce<T>(T message, CancellationToken cancellationToken)
    {
        if (_trace is not null && message is PushCustomer push)
            Note(
                $"  saga asks {push.System} for {push.CustomerId}: {push.Operation} {push.CommandId.ToString()[..8]} {push.ExternalId} {VendorModel.Text(push.Write)} expecting {VendorModel.Text(push.Expect)}"
            );
        else if (_trace is not null)
            Note($"  saga says {message}");
        Send(message);
        return Task.CompletedTask;
    }

    void IBatchRows.Add<TRow>(TRow row) { }

    Task<ScheduledMessage<T>> IScheduleMessageProvider.ScheduleSend<T>(
        Uri destinationAddress,
        DateTime scheduledTime,
        T message,
        IPipe<SendContext<T>> pipe,
        CancellationToken cancellationToken
    )
    {
        var token = NextId();
        // Timers live in the database of the orchestrator, whose hosts say how long from now.
        _timers.Add((token, new DateTimeOffset(scheduledTime, TimeSpan.Zero) - _orchestratorSkew, message));
        return Task.FromResult<ScheduledMessage<T>>(
            new ScheduledMessageHandle<T>(token, scheduledTime, destinationAddress, message)
        );
    }

    Task IScheduleMessageProvider.CancelScheduledSend(Guid tokenId, CancellationToken cancellationToken)
    {
        _timers.RemoveAll(t => t.Token == tokenId);
        return Task.CompletedTask;
    }

    Task IScheduleMessageProvider.CancelScheduledSend(
        Uri destinationAddress,
        Guid tokenId,
        CancellationToken cancellationToken
    )
    {
        _timers.RemoveAll(t => t.Token == tokenId);
        return Task.CompletedTask;
    }
}

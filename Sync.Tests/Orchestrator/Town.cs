using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers;
using Sync.Sandbox.Product;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// Many customers at once: the real machines, the sandbox's product, and vendors with objects that people make, edit and
/// delete. Messages between customers, objects and systems wait in queues by topic and key until they are handed over, so a
/// tape of numbers can choose any order that Kafka could.
/// </summary>
sealed class Town(OrchestratorHarness harness)
{
    const string NoTrace = "";
    static readonly string[] Fields = ["name", "email", "phone"];

    readonly ProductCatalog _catalog = new([], seed: 1, TimeProvider.System);
    readonly Dictionary<(string System, string Ext), Thing> _things = [];
    readonly SortedDictionary<string, Queue<object>> _queues = new(StringComparer.Ordinal);
    readonly Dictionary<(string, string), long> _versions = [];
    readonly HashSet<Guid> _done = [];
    readonly List<object> _past = [];
    int _read;
    int _made;

    /// <summary>An object of a vendor, and the customer whose id stands on it.</summary>
    sealed class Thing
    {
        public Dictionary<string, string?> Fields { get; init; } = [];
        public string? CustomerId { get; set; }
        public string? Owner { get; set; }
        public bool Gone { get; set; }
    }

    public ProductCatalog Product => _catalog;
    public OrchestratorHarness Harness => harness;

    /// <summary>Live customers as the sagas see them.</summary>
    public IReadOnlyList<CustomerSync> Live => [.. harness.Customers.Where(c => c.CurrentState == "Live")];

    public IEnumerable<string> Objects(string vendor, bool gone = false) =>
        _things.Where(t => t.Key.System == vendor && t.Value.Gone == gone).Select(t => t.Key.Ext);

    public string? OnObject(string vendor, string ext) => _things[(vendor, ext)].CustomerId;

    public string? Value(string vendor, string ext, string field) => _things[(vendor, ext)].Fields[field];

    // ---- people ----

    public void CreateInProduct(string id, string email)
    {
        _catalog.Create(id, new Dictionary<string, string?> { ["name"] = id, ["email"] = email }, NoTrace);
        Collect();
    }

    /// <summary>A person makes an object in a vendor; the adapter finds it.</summary>
    public string CreateInVendor(string vendor, string email, string name = "Ann")
    {
        var ext = $"{vendor}-p{++_made}";
        _things[(vendor, ext)] = new Thing
        {
            Fields = Fields.ToDictionary(
                f => f,
                f =>
                    f == "email" ? email
                    : f == "name" ? Scenario.Form(vendor, f, name)
                    : null
            ),
        };
        Find(vendor, ext);
        return ext;
    }

    /// <summary>The adapter finds an object that is nobody's.</summary>
    public void Find(string vendor, string ext) =>
        Put(
            new ObjectFound
            {
                System = vendor,
                ExternalId = ext,
                Fields = new(_things[(vendor, ext)].Fields),
            }
        );

    public void EditInVendor(string vendor, string ext, string field, string value)
    {
        var thing = _things[(vendor, ext)];
        if (thing.Gone)
            return;
        thing.Fields[field] = Scenario.Form(vendor, field, value);
        Look(vendor, ext);
    }

    public void DeleteInVendor(string vendor, string ext)
    {
        _things[(vendor, ext)].Gone = true;
        Look(vendor, ext);
    }

    /// <summary>Deleted, and nobody tells of it.</summary>
    public void Vanish(string vendor, string ext) => _things[(vendor, ext)].Gone = true;

    public void DeleteInProduct(string id)
    {
        _catalog.Delete(id, NoTrace);
        Collect();
    }

    public void Ask(object request) => Put(request);

    // ---- time ----

    public bool Waits => _queues.Values.Any(q => q.Count > 0);

    /// <summary>Hands over the first message of one queue; the tape says which.</summary>
    public async Task Step(int choice)
    {
        Collect();
        var keys = _queues.Where(q => q.Value.Count > 0).Select(q => q.Key).ToList();
        if (keys.Count == 0)
            return;
        await Deliver(_queues[keys[choice % keys.Count]].Dequeue());
    }

    /// <summary>A message of the past comes once more.</summary>
    public Task Again(int choice) => _past.Count == 0 ? Task.CompletedTask : Deliver(_past[choice % _past.Count]);

    public async Task Rest(int bound = 3_000)
    {
        for (var i = 0; i < bound; i++)
        {
            Collect();
            if (!Waits)
                return;
            await Step(i);
        }

        Assert.Fail("no rest: messages make messages for ever");
    }

    /// <summary>What asks again after a while does so.</summary>
    public async Task RingAll(int most = 80)
    {
        for (var i = 0; i < most && !harness.Caught.Timers.IsEmpty; i++)
        {
            await harness.Ring();
            await Rest();
        }
    }

    // ---- systems ----

    async Task Deliver(object message)
    {
        switch (message)
        {
            case CustomerCommand command:
                _catalog.Apply(command, NoTrace);
                break;
            case PushCustomer push:
                Execute(push);
                break;
            case ReadObject read:
                if (_things.TryGetValue((read.System, read.ExternalId), out var thing) && !thing.Gone)
                    Find(read.System, read.ExternalId);
                else
                    Put(
                        new ObjectFound
                        {
                            System = read.System,
                            ExternalId = read.ExternalId,
                            Fields = [],
                            Gone = true,
                        }
                    );
                break;
            default:
                _past.Add(message);
                // A request about nobody is dead-lettered.
                if (
                    await harness.Send(message) is { } fault
                    && !(fault is RefusedMessageException && message is OperatorRequest or ObjectRequest)
                )
                    throw new InvalidOperationException($"{message.GetType().Name}: {fault.Message}", fault);
                break;
        }

        Collect();
    }

    void Execute(PushCustomer push)
    {
        if (!_done.Add(push.CommandId))
            return;
        var ext = push.ExternalId;
        var outcome = Outcome.Done;
        Dictionary<string, string?> written = [];
        if (push.Operation == Operation.Erase)
        {
            Report(push.System, push.CustomerId, ext, push, Outcome.Done, [], silent: true);
            return;
        }

        if (push.Operation == Operation.Create)
        {
            ext = $"{push.System}-{push.CustomerId}-{push.Generation}";
            _things[(push.System, ext)] = new Thing { Fields = Fields.ToDictionary(f => f, f => (string?)null) };
        }

        var thing = ext is null ? null : _things.GetValueOrDefault((push.System, ext));
        if (thing is null || thing.Gone)
        {
            Report(
                push.System,
                push.CustomerId,
                ext,
                push,
                push.Operation == Operation.Delete ? Outcome.Done : Outcome.Gone,
                []
            );
            return;
        }

        switch (push.Operation)
        {
            case Operation.Delete or Operation.DeleteObject:
                thing.Gone = true;
                break;
            case Operation.Read:
                break;
            default:
                thing.Owner = thing.CustomerId = push.CustomerId;
                if (
                    push.Write.Any(w =>
                        push.Operation == Operation.Update
                        && thing.Fields.GetValueOrDefault(w.Key) != push.Expect.GetValueOrDefault(w.Key)
                        && !Normaliser.Same(
                            Config.System(push.System).Fields[w.Key],
                            w.Value,
                            thing.Fields.GetValueOrDefault(w.Key)
                        )
                    )
                )
                    break;
                foreach (var (path, value) in push.Write)
                    thing.Fields[path] = Scenario.Form(push.System, path, value);
                written = push.Write;
                break;
        }

        if (push.Operation != Operation.DeleteObject)
            Report(push.System, push.CustomerId, ext, push, outcome, written);
    }

    void Look(string vendor, string ext)
    {
        var thing = _things[(vendor, ext)];
        if ((thing.Owner ?? thing.CustomerId) is { } owner)
            Report(vendor, owner, ext, null, Outcome.Done, []);
        else if (!thing.Gone)
            Find(vendor, ext);
        else
            Put(
                new ObjectFound
                {
                    System = vendor,
                    ExternalId = ext,
                    Fields = [],
                    Gone = true,
                }
            );
    }

    void Report(
        string vendor,
        string customer,
        string? ext,
        PushCustomer? command,
        Outcome outcome,
        Dictionary<string, string?> written,
        bool silent = false
    )
    {
        var thing = ext is null ? null : _things.GetValueOrDefault((vendor, ext));
        var gone = !silent && (thing is null || thing.Gone);
        var version = _versions[(vendor, customer)] = _versions.GetValueOrDefault((vendor, customer)) + 1;
        Put(
            new CustomerReported
            {
                System = vendor,
                CustomerId = customer,
                Generation = command?.Generation ?? GenerationOf(vendor, customer),
                Obs = version,
                ExternalId = ext,
                IdOnObject = thing?.CustomerId == customer,
                Ack = command?.Operation == Operation.Read ? null : command?.CommandId,
                Outcome = command is null ? null : outcome,
                Written = command is null ? null : written,
                Stored =
                    command is null || thing is null
                        ? null
                        : written.ToDictionary(w => w.Key, w => thing.Fields[w.Key]),
                Own = written.Count == 0 ? null : written,
                Fields = gone || silent ? null : Mapped(vendor, thing!),
                Gone = gone,
            }
        );
    }

    int GenerationOf(string vendor, string customer) =>
        harness.Customers.FirstOrDefault(c => c.CustomerId == customer)?.System(vendor).Gen ?? 0;

    static Dictionary<string, string?> Mapped(string vendor, Thing thing) =>
        Config.System(vendor).Fields.Keys.ToDictionary(f => f, f => thing.Fields.GetValueOrDefault(f));

    /// <summary>What was produced since, by topic and key: no order holds between two keys.</summary>
    void Collect()
    {
        var all = harness.Caught.Messages;
        foreach (var message in all.Skip(_read))
            Put(message);
        _read = all.Count;
        while (_catalog.Outbox.Waiting.TryRead(out var news))
            Put(news.Body);
    }

    void Put(object message)
    {
        var kind = Wire.All.Single(k => k.Json.Type == message.GetType());
        var key = $"{kind.Topic(message)} {kind.Key(message)}";
        if (!_queues.TryGetValue(key, out var queue))
            _queues[key] = queue = new Queue<object>();
        queue.Enqueue(message);
    }
}

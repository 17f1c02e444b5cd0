using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Orchestrator.Customers;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// A product and two vendors with records of their own, people who edit them, adapters that read and write them, and topics
/// that repeat old messages; the saga between them is the real machine. A tape of numbers says who moves next, so a failure
/// shrinks to the few moves that matter. Every edit has a value of its own, so a value that comes back is seen.
/// </summary>
sealed class MiniWorld(OrchestratorHarness harness, string customerId)
{
    static readonly string[] Fields = ["name", "email", "phone"];

    readonly Dictionary<string, Dictionary<string, string?>> _records = [];
    readonly Dictionary<string, long> _obs = [];
    readonly Dictionary<string, Queue<object>> _commands = Config.Systems.Keys.ToDictionary(
        s => s,
        _ => new Queue<object>()
    );
    readonly Dictionary<string, Queue<object>> _reports = Config.Systems.Keys.ToDictionary(
        s => s,
        _ => new Queue<object>()
    );
    readonly Dictionary<string, List<object>> _delivered = Config.Systems.Keys.ToDictionary(
        s => s,
        _ => new List<object>()
    );
    readonly Dictionary<Guid, PushCustomer> _done = [];
    readonly HashSet<Guid> _applied = [];
    readonly Dictionary<string, List<string?>> _golden = [];
    AppliedCommand? _lastApplied;
    long _revision;
    int _edits;
    int _read;

    public CustomerSync Customer { get; private set; } = null!;

    /// <summary>What must not happen, found while it ran.</summary>
    public List<string> Faults { get; } = [];

    public async Task Begin()
    {
        _records[Product] = Fields.ToDictionary(f => f, f => (string?)Value(f));
        Emit();
        await Settle();
    }

    public async Task Move(int choice)
    {
        var moves = Moves().ToList();
        await moves[choice % moves.Count]();
    }

    /// <summary>Nobody edits any more; everything that waits is handled. Bounded: a loop would never end.</summary>
    public async Task Settle()
    {
        for (var round = 0; round < 200; round++)
        {
            var work = Waiting().ToList();
            if (work.Count == 0)
                return;
            foreach (var step in work)
                await step();
        }

        Faults.Add("no rest after 200 rounds: systems ask each other for ever");
    }

    public void CheckRest()
    {
        foreach (var system in Config.Systems.Keys)
        {
            if (Customer.System(system).Sent is not null)
                Faults.Add($"{system}: a command is in flight at rest");
            foreach (var field in Fields)
            {
                var golden = Customer.Golden.At(field);
                if (!Normaliser.Same(Config.System(system).Fields[field], golden, _records[system][field]))
                    Faults.Add($"{system}: {field} is {_records[system][field]}, golden {golden}");
            }
        }

        if (Customer.Behind.Length > 0)
            Faults.Add($"behind at rest: {string.Join(',', Customer.Behind)}");
    }

    IEnumerable<Func<Task>> Moves()
    {
        foreach (var system in _records.Keys)
        {
            foreach (var field in Fields)
                yield return () => Edit(system, field);
        }

        foreach (var vendor in Vendors.Where(_records.ContainsKey))
            yield return () => Look(vendor);
        foreach (var step in Waiting().ToList())
        {
            yield return step;
            yield return step;
        }

        foreach (var system in Config.Systems.Keys.Where(s => _delivered[s].Count > 0))
            yield return () => Deliver(system, _delivered[system][(_edits * 7) % _delivered[system].Count]);
        yield return Repeat;
    }

    IEnumerable<Func<Task>> Waiting()
    {
        foreach (var system in Config.Systems.Keys)
        {
            if (_reports[system].TryPeek(out _))
                yield return () =>
                {
                    var message = _reports[system].Dequeue();
                    _delivered[system].Add(message);
                    return Deliver(system, message);
                };
            if (_commands[system].TryPeek(out _))
                yield return () => Execute(system, _commands[system].Dequeue());
        }
    }

    Task Edit(string system, string field)
    {
        _edits++;
        _records[system][field] = Scenario.Form(system, field, Value(field));
        return system == Product ? Done(Emit) : Look(system);
    }

    /// <summary>The adapter reads the object and reports it.</summary>
    Task Look(string vendor) => Done(() => Say(vendor, Read(vendor)));

    async Task Execute(string system, object command)
    {
        await Task.CompletedTask;
        if (command is CustomerCommand asked)
        {
            if (_applied.Add(asked.CommandId))
            {
                var written = asked
                    .Write.Where(w =>
                        _records[Product].GetValueOrDefault(w.Key) == asked.Expect.GetValueOrDefault(w.Key)
                    )
                    .ToDictionary(w => w.Key, w => w.Value);
                foreach (var (path, value) in written.Where(w => Fields.Contains(w.Key)))
                    _records[Product][path] = value;
                _lastApplied = new AppliedCommand(asked.CommandId, Outcome.Done, written);
            }

            Emit();
            return;
        }

        var push = (PushCustomer)command;
        if (!_done.TryAdd(push.CommandId, push))
        {
            Say(system, Read(system) with { Ack = push.CommandId, Outcome = Outcome.Done, Written = [] });
            return;
        }

        if (push.Operation == Operation.Create)
            _records[system] = Fields.ToDictionary(f => f, _ => (string?)null);
        var record = _records[system];
        var moved =
            push.Operation == Operation.Update
            && push.Write.Any(w =>
                record.GetValueOrDefault(w.Key) != push.Expect.GetValueOrDefault(w.Key)
                && !Normaliser.Same(Config.System(system).Fields[w.Key], w.Value, record.GetValueOrDefault(w.Key))
            );
        if (moved)
        {
            Say(system, Read(system) with { Ack = push.CommandId, Outcome = Outcome.Done, Written = [] });
            return;
        }

        foreach (var (path, value) in push.Write)
            record[path] = Scenario.Form(system, path, value);
        Say(
            system,
            Read(system) with
            {
                Ack = push.CommandId,
                Outcome = Outcome.Done,
                Written = push.Write,
                Stored = push.Write.ToDictionary(w => w.Key, w => record[w.Key]),
                Own = push.Write,
            }
        );
    }

    async Task Deliver(string system, object message)
    {
        var before = Config.Systems.Keys.Where(s => Customer?.System(s).Sent is not null).ToHashSet();
        var acked = message switch
        {
            CustomerReported { Ack: { } id } => id,
            CustomerSnapshot { Applied: { } applied } => applied.CommandId,
            _ => Guid.Empty,
        };
        if (acked != Guid.Empty && Customer?.System(system).Sent?.Id == acked)
            before.Remove(system);

        if (await harness.Send(message) is { } fault)
            Faults.Add(fault.Message);
        Customer = (await harness.Find(customerId))!;
        Collect(before);
        foreach (var field in Fields)
        {
            if (!_golden.TryGetValue(field, out var history))
                _golden[field] = history = [];
            var value = Customer.Golden.At(field);
            if (history.Count > 0 && history[^1] == value)
                continue;
            if (history.Contains(value))
                Faults.Add($"golden {field} returned to {value} by a message of {system}");
            history.Add(value);
        }
    }

    async Task Repeat()
    {
        if (harness.Caught.Timers.IsEmpty)
            return;
        await harness.Ring();
        Customer = (await harness.Find(customerId))!;
        Collect(null);
    }

    /// <param name="busy">Systems with a command in flight, which must not get another; null after a timer, which repeats.</param>
    void Collect(HashSet<string>? busy)
    {
        var all = harness.Caught.Messages;
        var commands = all.Skip(_read).ToList();
        _read = all.Count;
        HashSet<string> asked = [];
        foreach (var message in commands)
        {
            var system = message switch
            {
                PushCustomer push => push.System,
                CustomerCommand => Product,
                _ => null,
            };
            if (system is null)
                continue;
            if (busy is not null && (busy.Contains(system) || !asked.Add(system)))
                Faults.Add($"{system} got a second command while one was in flight");
            _commands[system].Enqueue(message);
        }
    }

    void Emit()
    {
        var fields = new CustomerFields(_records[Product]) { ["address.city"] = null, ["attributes.tier"] = null };
        var snapshot = new CustomerUpdated
        {
            CustomerId = customerId,
            Revision = ++_revision,
            Customer = fields,
            Applied = _lastApplied,
        };
        _reports[Product].Enqueue(snapshot);
    }

    void Say(string vendor, CustomerReported report) => _reports[vendor].Enqueue(report);

    CustomerReported Read(string vendor) =>
        new()
        {
            System = vendor,
            CustomerId = customerId,
            Generation = 0,
            Obs = _obs[vendor] = _obs.GetValueOrDefault(vendor) + 1,
            ExternalId = $"{vendor}-1",
            IdOnObject = true,
            Fields = Config.System(vendor).Fields.Keys.ToDictionary(f => f, f => _records[vendor].GetValueOrDefault(f)),
        };

    /// <summary>Telephone numbers are in mixed case, so that both vendors store another form.</summary>
    string Value(string field) => field == "phone" ? $"Ph{++_edits}x" : $"{field} {++_edits}";

    static Task Done(Action action)
    {
        action();
        return Task.CompletedTask;
    }
}

using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Customers;

namespace Sync.Tests.Simulation;

/// <summary>A person's edit. Its value is the only one of its kind.</summary>
/// <param name="On">What the field showed when it was made.</param>
sealed record Edit(string System, string? CustomerId, string? ExternalId, string Path, string Value, string? On);

/// <summary>
/// Who watches the run from outside and remembers what the invariants speak of: golden values and their order, what people
/// did, which values the saga has seen and which of them it overruled.
/// </summary>
sealed class Witness(World world)
{
    readonly List<(string Rule, string What)> _faults = [];
    readonly Dictionary<(string Customer, string Path), List<string?>> _golden = [];
    Dictionary<string, string?> _goldenBefore = [];
    Dictionary<string, string?> _baseBefore = [];
    HashSet<string> _heldBefore = [];
    long _obsBefore;
    Guid? _sentBefore;

    public IReadOnlyList<(string Rule, string What)> Faults => _faults;
    public List<Edit> Edits { get; } = [];
    public HashSet<(string Customer, string System, string? ExternalId)> Deleted { get; } = [];
    public HashSet<string> Undeleted { get; } = [];
    public HashSet<string> Restored { get; } = [];

    /// <summary>Customers whom the product has again, after it had deleted them.</summary>
    public HashSet<string> Recreated { get; } = [];

    /// <summary>Customers whom somebody asked to erase.</summary>
    public HashSet<string> Erased { get; } = [];

    /// <summary>Values that the saga was shown, and those that lost against another; compared without case.</summary>
    public HashSet<string> Seen { get; } = new(StringComparer.OrdinalIgnoreCase);
    public HashSet<string> Overruled { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Edits that vanished and that nobody was told of.</summary>
    public int Unseen { get; set; }

    public void Fault(string rule, string what)
    {
        if (_faults.Count < 20)
        {
            _faults.Add((rule, what));
            world.Note($"FAULT {rule}: {what}");
        }
    }

    public void Before(object message)
    {
        if (About(message) is not { } about)
            return;
        var customer = world.Customer(about.Customer);
        _goldenBefore = customer is null ? [] : new(customer.Golden);
        _heldBefore = customer is null ? [] : [.. customer.Held.Keys];
        var system = about.System is { } name ? customer?.Systems.GetValueOrDefault(name) : null;
        _baseBefore = system is null ? [] : new(system.Base);
        _obsBefore = system?.Obs ?? 0;
        _sentBefore = system?.Sent?.Id;
    }

    public void After(object message)
    {
        if (About(message) is not { } about || world.Customer(about.Customer) is not { } customer)
            return;
        if (customer.CurrentState is not (nameof(Stage.Live) or nameof(Stage.Proposed)))
        {
            world.Note(
                $"saga of {customer.CustomerId}, {customer.CurrentState}, hears {message}: {Invariants.Standing(customer)}"
            );
            return;
        }

        if (about.System is { } name && about.Fields is { } fields)
            Observed(customer, name, message, fields);
        foreach (var (path, value) in customer.Golden)
            Golden(customer, path, value, message);
    }

    void Observed(CustomerSync customer, string name, object message, IEnumerable<KeyValuePair<string, string?>> fields)
    {
        var system = customer.System(name);
        if (message is not (LinkObject or ObjectFound) && system.Obs == _obsBefore)
            return;
        var report = message as CustomerReported;
        world.Note(
            $"saga hears {name} of {customer.CustomerId}, obs {system.Obs}: {VendorModel.Text(fields)}"
                + (report?.Own is { } o ? $" own {string.Join(',', o.Keys)}" : "")
                + (report?.Ack is { } ack ? $" ack {ack.ToString()[..8]} {report.Outcome}" : "")
                + $"; golden {VendorModel.Text(customer.Golden)}"
        );
        foreach (var (path, value) in fields)
        {
            if (value is not null)
                Seen.Add(value);
            if (!_baseBefore.TryGetValue(path, out var held))
            {
                // First contact.
                var golden = _goldenBefore.GetValueOrDefault(path);
                // The same message may answer the command that wrote the field: what differs from that is an edit.
                var written =
                    report is { Ack: { } answered } && answered == _sentBefore ? report.Written
                    : message is CustomerSnapshot { Applied: { } applied } && applied.CommandId == _sentBefore
                        ? applied.Written
                    : null;
                var chosen =
                    _heldBefore.Contains(path)
                    || report?.Over?.ContainsKey(path) == true
                    || written?.ContainsKey(path) == true;
                if (golden is not null && customer.Golden.At(path) != golden && !chosen)
                    Fault(
                        "first contact overruled golden",
                        $"{customer.CustomerId} {name} {path}: {golden} -> {customer.Golden.At(path)}"
                    );
            }

            if (held != value && value is not null && report?.Own?.ContainsKey(path) != true)
                Lost(value, customer.Golden.At(path));
        }

        foreach (var (path, over) in report?.Over ?? [])
        {
            if (over.Value is { } value)
            {
                Seen.Add(value);
                Overruled.Add(value);
            }
        }
    }

    void Lost(string value, string? golden)
    {
        if (!string.Equals(value, golden, StringComparison.OrdinalIgnoreCase))
            Overruled.Add(value);
    }

    /// <summary>Golden never returns to a value that it left.</summary>
    void Golden(CustomerSync customer, string path, string? value, object message)
    {
        if (!_golden.TryGetValue((customer.CustomerId, path), out var history))
            _golden[(customer.CustomerId, path)] = history = [];
        if (history.Count > 0 && history[^1] == value)
            return;
        if (history.Count > 0 && history[^1] is { } before)
            Overruled.Add(before);
        // A form that nobody declared is another value.
        var alike = world.Profile.UndeclaredForms ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase;
        if (value is not null && history.Exists(h => string.Equals(h, value, alike)))
            Fault(
                "golden returned",
                $"{customer.CustomerId} {path}: {string.Join(',', history)} -> {value} by {message.GetType().Name}"
            );
        history.Add(value);
    }

    static (string Customer, string? System, IEnumerable<KeyValuePair<string, string?>>? Fields)? About(
        object message
    ) =>
        message switch
        {
            CustomerReported m => (m.CustomerId, m.System, m.Fields),
            CustomerSnapshot m => (m.CustomerId, SystemNames.Product, m.Customer),
            LinkObject m => (m.CustomerId, m.System, m.Fields),
            CustomerDeleted m => (m.CustomerId, null, null),
            OperatorRequest m => (m.CustomerId, null, null),
            _ => null,
        };
}

namespace Sync.Sandbox.Faults;

/// <summary>A fault that hits one call.</summary>
sealed record Fault(FaultKind Kind, TimeSpan Delay, bool Header);

/// <summary>The faults that are on. The oldest that hits a call wins; the others are not used up by it.</summary>
sealed class FaultBook(int seed, ILogger log)
{
    /// <summary>More at once is a mistake in a test.</summary>
    public const int MaxOrders = 1_000;

    readonly Lock _gate = new();
    readonly List<Entry> _entries = [];
    int _lastId;

    public int Add(FaultOrder order)
    {
        lock (_gate)
        {
            if (_entries.Count >= MaxOrders)
                throw new InvalidOperationException($"{MaxOrders} faults are on; take some back first");
            var id = ++_lastId;
            _entries.Add(new Entry(id, order, order.Next, new Random(order.Seed ?? seed)));
            log.FaultOn(id, order.Vendor, order.Kind, order.Operation ?? "*");
            return id;
        }
    }

    /// <summary>Takes faults back: of one vendor, or all.</summary>
    public void Clear(string? vendor = null)
    {
        lock (_gate)
            _entries.RemoveAll(entry => vendor is null || entry.Order.Vendor == vendor);
        log.FaultsOff(vendor ?? "*");
    }

    /// <summary>Takes one back, and answers what it was; null when it is not on.</summary>
    public FaultOrder? Remove(int id)
    {
        lock (_gate)
        {
            if (_entries.FindIndex(entry => entry.Id == id) is var index && index < 0)
                return null;
            var order = _entries[index].Order;
            _entries.RemoveAt(index);
            log.FaultOff(id, order.Vendor, order.Kind);
            return order;
        }
    }

    public IReadOnlyList<FaultState> List()
    {
        lock (_gate)
            return [.. _entries.Select(entry => new FaultState(entry.Id, entry.Order, entry.Left, entry.Hits))];
    }

    /// <summary>The fault that hits this call, if any.</summary>
    public Fault? Pick(string vendor, string operation)
    {
        lock (_gate)
        {
            for (var i = 0; i < _entries.Count; i++)
            {
                var entry = _entries[i];
                var order = entry.Order;
                if (
                    order.Vendor != vendor
                    || order.Kind is FaultKind.Down
                    || (order.Operation ?? operation) != operation
                    || (order.Rate is { } rate && entry.Chance.NextDouble() >= rate)
                )
                    continue;

                entry.Hits++;
                if (entry.Left is not null && --entry.Left == 0)
                    _entries.RemoveAt(i);
                return new Fault(order.Kind, TimeSpan.FromMilliseconds(order.DelayMs ?? 0), order.Header ?? true);
            }
        }

        return null;
    }

    sealed class Entry(int id, FaultOrder order, int? left, Random chance)
    {
        public int Id => id;
        public FaultOrder Order => order;
        public int? Left { get; set; } = left;
        public int Hits { get; set; }
        public Random Chance => chance;
    }
}

/// <param name="Left">Calls that it still hits; null without an end.</param>
sealed record FaultState(int Id, FaultOrder Order, int? Left, int Hits);

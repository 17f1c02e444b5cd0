namespace Sync.Sandbox.Faults;

/// <summary>Calls that arrived, by vendor, operation and status, since the last reset. Status 0 is a call without an answer.</summary>
sealed class CallBook
{
    readonly Lock _gate = new();
    readonly SortedDictionary<string, VendorCalls> _vendors = new(StringComparer.Ordinal);

    /// <summary>A call came in.</summary>
    public void Arrived(string vendor, string operation)
    {
        lock (_gate)
        {
            var calls = Get(vendor);
            calls.Total++;
            calls.Operations[operation] = calls.Operations.GetValueOrDefault(operation) + 1;
        }
    }

    /// <summary>A call got its answer.</summary>
    public void Answered(string vendor, int status)
    {
        lock (_gate)
        {
            var calls = Get(vendor);
            calls.Statuses[status] = calls.Statuses.GetValueOrDefault(status) + 1;
        }
    }

    public void Reset()
    {
        lock (_gate)
            _vendors.Clear();
    }

    /// <summary>A copy, without some operations; the statuses are of all.</summary>
    public VendorCalls Of(string vendor, params string[] without)
    {
        lock (_gate)
        {
            if (!_vendors.TryGetValue(vendor, out var calls))
                return new VendorCalls();
            return new VendorCalls
            {
                Total = calls.Total - calls.Operations.Where(o => without.Contains(o.Key)).Sum(o => o.Value),
                Operations = new(
                    calls.Operations.Where(o => !without.Contains(o.Key)).ToDictionary(),
                    StringComparer.Ordinal
                ),
                Statuses = new(calls.Statuses),
            };
        }
    }

    VendorCalls Get(string vendor)
    {
        if (!_vendors.TryGetValue(vendor, out var calls))
            _vendors[vendor] = calls = new VendorCalls();
        return calls;
    }
}

sealed class VendorCalls
{
    public int Total { get; set; }
    public SortedDictionary<string, int> Operations { get; init; } = new(StringComparer.Ordinal);
    public SortedDictionary<int, int> Statuses { get; init; } = [];
}

using System.Globalization;

namespace Sync.Sandbox.Salesforce;

/// <summary>The org's daily API requests.</summary>
sealed class SalesforceUsage(int max, TimeProvider clock)
{
    readonly Lock _gate = new();
    DateTimeOffset _since = clock.GetUtcNow();
    int _used;

    public int Max => max;

    public int Used
    {
        get
        {
            lock (_gate)
                return _used;
        }
        set
        {
            lock (_gate)
                _used = value;
        }
    }

    /// <summary>As <c>Sforce-Limit-Info</c> says it.</summary>
    public string Header => string.Create(CultureInfo.InvariantCulture, $"api-usage={Used}/{max}");

    /// <summary>Counts one request; false when the day's are used up.</summary>
    public bool Take()
    {
        lock (_gate)
        {
            if (clock.GetUtcNow() - _since >= TimeSpan.FromHours(24))
            {
                _since = clock.GetUtcNow();
                _used = 0;
            }

            if (_used >= max)
                return false;
            _used++;
            return true;
        }
    }
}

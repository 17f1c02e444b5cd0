using System.Diagnostics.Metrics;
using System.Globalization;
using Sync.Adapter.Budget;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>
/// The org's daily budget of API calls, as every answer tells it (<c>Sforce-Limit-Info: api-usage=18/5000</c>), at no call
/// of its own. Other apps use the same budget, so a part of it is left to them: where no more than that is left, Sync makes
/// no call but one in a quarter of an hour, which tells whether the day has moved on.
/// </summary>
sealed class ApiBudget : IApiBudget, IDisposable
{
    /// <summary>The budget counts the last 24 hours, so it comes back bit by bit.</summary>
    public static readonly TimeSpan LongPause = TimeSpan.FromMinutes(15);

    public const string Header = "Sforce-Limit-Info";

    public const string MeterName = "Sync.Salesforce";

    const string Key = "api-usage=";

    readonly Meter _meter = new(MeterName);

    readonly int _reservePercent;
    long _used = -1;
    long _limit = -1;
    long _pausedUntil;
    ApiStanding? _standing;

    public ApiBudget(SalesforceOptions? options = null)
    {
        _reservePercent = (options ?? new()).ReservePercent;
        _meter.CreateObservableGauge(
            "sync.salesforce.api.used",
            () => Measured(Used),
            "{call}",
            "API calls of the org in the last 24 hours, all apps together"
        );
        _meter.CreateObservableGauge(
            "sync.salesforce.api.limit",
            () => Measured(Limit),
            "{call}",
            "What the org may make"
        );
        _meter.CreateObservableGauge(
            "sync.salesforce.api.reserve",
            () => Measured(Limit - Allowed),
            "{call}",
            "Of that, what Sync leaves to other apps"
        );
    }

    /// <summary>Calls of the last 24 hours; null before the first answer.</summary>
    public long? Used => Volatile.Read(ref _used) is >= 0 and var used ? used : null;

    public long? Limit => Volatile.Read(ref _limit) is >= 0 and var limit ? limit : null;

    public ApiStanding? Standing => Volatile.Read(ref _standing);

    /// <summary>Used calls at which Sync stops.</summary>
    long? Allowed => Limit * (100 - _reservePercent) / 100;

    /// <summary>Whether a call may be made now.</summary>
    public bool MayCall(DateTimeOffset now) => now.UtcTicks >= Volatile.Read(ref _pausedUntil);

    /// <summary>Salesforce itself says that there is nothing left.</summary>
    public void UsedUp(DateTimeOffset now) => Volatile.Write(ref _pausedUntil, (now + LongPause).UtcTicks);

    public void Dispose() => _meter.Dispose();

    /// <summary>Nothing is measured before the first answer.</summary>
    static Measurement<long>[] Measured(long? value) => value is { } known ? [new(known)] : [];

    /// <summary>Other entries, <c>per-app-api-usage</c> for one, have their own keys.</summary>
    public void Record(string header, DateTimeOffset now)
    {
        foreach (var range in header.AsSpan().SplitAny(';', ','))
        {
            var entry = header.AsSpan(range).Trim();
            if (!entry.StartsWith(Key, StringComparison.OrdinalIgnoreCase))
                continue;
            entry = entry[Key.Length..];
            var slash = entry.IndexOf('/');
            if (
                slash > 0
                && long.TryParse(entry[..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var used)
                && long.TryParse(entry[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var limit)
            )
            {
                Volatile.Write(ref _limit, limit);
                Volatile.Write(ref _used, used);
                Volatile.Write(ref _pausedUntil, used >= Allowed ? (now + LongPause).UtcTicks : 0);
                Volatile.Write(ref _standing, new ApiStanding(used, limit, Reserve: limit - Allowed, now));
            }
        }
    }
}

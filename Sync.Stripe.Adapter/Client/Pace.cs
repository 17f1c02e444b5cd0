namespace Sync.Stripe.Adapter.Client;

/// <summary>
/// So many calls a second, evenly, and no more than a tenth of a second's at once. The rate belongs to all replicas together:
/// each takes the share of it that it has of the partitions, so that ten replicas do not call ten times as often as one.
/// Who has to wait longer than patience allows takes no place in the row.
/// </summary>
/// <param name="perSecond">Of all replicas together.</param>
/// <param name="share">Of this replica, 0 to 1; asked for at every call, since partitions move.</param>
sealed class Pace(int perSecond, Func<double> share, TimeProvider time)
{
    /// <summary>A replica without partitions may still follow a feed.</summary>
    const double LeastShare = 0.05;

    readonly Lock _lock = new();
    readonly long _start = time.GetTimestamp();

    /// <summary>When the row ends: the place of the next one behind all that were taken.</summary>
    TimeSpan _end;

    /// <summary>How long to wait for the place that was taken; null when there was none within the patience.</summary>
    public TimeSpan? Take(TimeSpan patience)
    {
        lock (_lock)
        {
            var rate = perSecond * Math.Clamp(share(), LeastShare, 1);
            var interval = TimeSpan.FromSeconds(1 / rate);
            var atOnce = Math.Max(1, Math.Floor(rate / 10));
            var now = time.GetElapsedTime(_start);
            var place = _end > now ? _end : now;
            var wait = place - ((atOnce - 1) * interval) - now;
            if (wait > patience)
                return null;
            _end = place + interval;
            return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
        }
    }
}

namespace Sync.Tests.Simulation;

/// <summary>
/// Chance with a number of its own for every step, so that a step that is left out changes nothing about the chances of the
/// others: that is what makes a failing schedule shrink.
/// </summary>
sealed class Chance(long seed)
{
    ulong _state;

    public void Begin(int step) => _state = Mix((ulong)seed * 0x9E3779B97F4A7C15 ^ Mix((ulong)step + 1));

    public int Below(int bound) => (int)(Next() % (ulong)bound);

    public double Unit() => (Next() >> 11) * (1.0 / (1UL << 53));

    public bool Is(double probability) => Unit() < probability;

    public T Of<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    ulong Next() => Mix(_state += 0x9E3779B97F4A7C15);

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

/// <summary>Time that passes when the schedule says so. Timers ring while it is moved.</summary>
sealed class VirtualClock : TimeProvider
{
    readonly List<Alarm> _alarms = [];

    public DateTimeOffset Now { get; private set; } = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => Now;

    public override long GetTimestamp() => Now.UtcTicks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public DateTimeOffset? NextAlarm => _alarms.Count == 0 ? null : _alarms.Min(a => a.At);

    public void Advance(TimeSpan by)
    {
        Now += by;
        while (_alarms.Find(a => a.At <= Now) is { } due)
        {
            _alarms.Remove(due);
            due.Ring();
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var alarm = new Alarm(this, callback, state);
        alarm.Change(dueTime, period);
        return alarm;
    }

    sealed class Alarm(VirtualClock clock, TimerCallback callback, object? state) : ITimer
    {
        public DateTimeOffset At { get; private set; }

        public void Ring() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            clock._alarms.Remove(this);
            if (dueTime >= TimeSpan.Zero)
            {
                At = clock.Now + dueTime;
                clock._alarms.Add(this);
            }

            return true;
        }

        public void Dispose() => clock._alarms.Remove(this);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }
}

using System.Buffers.Binary;

namespace Sync.Sandbox.Salesforce.Events;

/// <summary>One event, or, without a payload, a place between two: what a keepalive names on a quiet topic.</summary>
sealed record BusEntry(long Place, DateTimeOffset At, string Id, string SchemaId, byte[]? Payload);

/// <summary>
/// The org's events in commit order, kept 72 hours. A replay id is 8 bytes that nobody should look into: places rise, with
/// holes between them, and one that was kept too long is known no more.
/// </summary>
sealed class EventBus(int seed, TimeProvider clock)
{
    public static readonly TimeSpan Retention = TimeSpan.FromHours(72);

    /// <summary>More than these, and the oldest go early, as if their time were over.</summary>
    public const int MaxEntries = 200_000;

    readonly Lock _gate = new();
    readonly Random _chance = new(seed);
    readonly List<BusEntry> _entries = [];
    int _first;
    long _place = 1_000;
    TaskCompletionSource _changed = New();

    /// <summary>How long an event is withheld: the real one promises no time.</summary>
    public TimeSpan Delay
    {
        get
        {
            lock (_gate)
                return field;
        }
        set
        {
            lock (_gate)
                field = value;
            Wake();
        }
    }

    /// <summary>Done as soon as something is new.</summary>
    public Task Changed
    {
        get
        {
            lock (_gate)
                return _changed.Task;
        }
    }

    public static byte[] ReplayId(long place)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, place);
        return bytes;
    }

    public void Append(string schemaId, IEnumerable<byte[]> payloads)
    {
        lock (_gate)
        {
            foreach (var payload in payloads)
                Add(schemaId, payload);
        }

        Wake();
    }

    /// <summary>A place behind everything so far.</summary>
    public long Mark()
    {
        lock (_gate)
            return Add("", null);
    }

    /// <summary>The same, unless events are there that this place has not seen: then it stays where it is.</summary>
    public long MarkBehind(long place)
    {
        lock (_gate)
        {
            for (var i = Index(place + 1); i < _entries.Count; i++)
            {
                if (_entries[i].Payload is not null)
                    return place;
            }

            return Add("", null);
        }
    }

    /// <summary>The place of a replay id; null when it is no place, or no longer kept.</summary>
    public long? Find(ReadOnlySpan<byte> replayId)
    {
        if (replayId.Length != 8)
            return null;
        var place = BinaryPrimitives.ReadInt64BigEndian(replayId);
        lock (_gate)
        {
            Forget(clock.GetUtcNow() - Retention);
            var index = Index(place);
            return index < _entries.Count && _entries[index].Place == place ? place : null;
        }
    }

    /// <summary>Events behind a place, and when the next one that is withheld comes out.</summary>
    public (IReadOnlyList<BusEntry> Events, DateTimeOffset? Next) After(long place, int max)
    {
        lock (_gate)
        {
            var now = clock.GetUtcNow();
            Forget(now - Retention);
            var events = new List<BusEntry>();
            for (var i = Index(place + 1); i < _entries.Count && events.Count < max; i++)
            {
                if (_entries[i].Payload is null)
                    continue;
                if (_entries[i].At + Delay > now)
                    return (events, _entries[i].At + Delay);
                events.Add(_entries[i]);
            }

            return (events, null);
        }
    }

    /// <summary>Everything so far is forgotten, as if 72 hours had gone by.</summary>
    public void Expire()
    {
        lock (_gate)
        {
            _entries.Clear();
            _first = 0;
        }
    }

    public void Wake()
    {
        TaskCompletionSource changed;
        lock (_gate)
            (changed, _changed) = (_changed, New());
        changed.SetResult();
    }

    long Add(string schemaId, byte[]? payload)
    {
        _place += _chance.Next(1, 8);
        Span<byte> id = stackalloc byte[16];
        _chance.NextBytes(id);
        _entries.Add(new BusEntry(_place, clock.GetUtcNow(), new Guid(id).ToString(), schemaId, payload));
        if (_entries.Count - _first > MaxEntries)
            _first++;
        return _place;
    }

    /// <summary>The first kept entry at a place or behind it.</summary>
    int Index(long place)
    {
        var (low, high) = (_first, _entries.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_entries[middle].Place < place)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    void Forget(DateTimeOffset before)
    {
        while (_first < _entries.Count && _entries[_first].At < before)
            _first++;
        if (_first < 10_000)
            return;
        _entries.RemoveRange(0, _first);
        _first = 0;
    }

    static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

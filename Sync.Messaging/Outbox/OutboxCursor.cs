namespace Sync.Messaging.Outbox;

/// <summary>
/// Where the next look begins. Ids are given out before they are committed, so a lower one can become visible after a
/// higher one was sent: the cursor stays behind by more than any transaction of ours can last. Looking from there instead
/// of from 0 spares the dead rows at the table's head.
/// </summary>
sealed class OutboxCursor(TimeProvider time)
{
    /// <summary>Above a batch's budget and the 30 s after which PostgreSQL ends an idle transaction.</summary>
    public static readonly TimeSpan Lag = TimeSpan.FromSeconds(60);

    /// <summary>Sightings this close count as one, with the highest id and the latest time: at most 62 are kept.</summary>
    static readonly TimeSpan Grain = TimeSpan.FromSeconds(1);

    readonly List<(long At, long Id)> _seen = [];
    long _position;
    long? _scannedAt;

    /// <summary>The id that the next look begins after; 0 at first, once a minute, and after <see cref="ScanAll"/>.</summary>
    public long Next()
    {
        var now = time.GetTimestamp();
        while (_seen.Count > 0 && time.GetElapsedTime(_seen[0].At, now) > Lag + Grain)
        {
            _position = _seen[0].Id;
            _seen.RemoveAt(0);
        }

        if (_scannedAt is { } scanned && time.GetElapsedTime(scanned, now) < Lag)
            return _position;
        _scannedAt = now;
        return 0;
    }

    /// <summary>A row with this id was read.</summary>
    public void Saw(long id)
    {
        var now = time.GetTimestamp();
        if (_seen.Count > 0 && id <= _seen[^1].Id)
            return;
        if (_seen.Count > 0 && time.GetElapsedTime(_seen[^1].At, now) < Grain)
            _seen[^1] = (_seen[^1].At, id);
        else if (id > _position)
            _seen.Add((now, id));
    }

    /// <summary>A row was left where it is: the next look begins at 0.</summary>
    public void ScanAll() => _scannedAt = null;
}

using System.Globalization;

namespace Sync.Messaging.Outbox;

/// <summary>What the outbox and its neighbours hold, at one look.</summary>
/// <param name="Rows">Of the outbox, counted to just above <see cref="BackPressureGauge.MaxRows"/>.</param>
/// <param name="Bytes">The outbox on disk, dead rows included.</param>
/// <param name="DatabaseBytes">The whole database; 0 where no limit is set.</param>
/// <param name="Queues">Further queues, by name.</param>
sealed record Load(long Rows, long Bytes, long DatabaseBytes, IReadOnlyList<(string Name, long Rows)> Queues);

/// <summary>On above a limit, off once everything is at half of its limit: a queue at its limit must not flicker.</summary>
sealed class BackPressureGauge(long databaseLimitBytes)
{
    public const long MaxRows = 200_000;
    public const long MaxBytes = 512L * 1024 * 1024;

    /// <summary>
    /// Below this the size on disk is dead rows, which the next vacuum gives back: it must not keep a process paused that
    /// has nothing left to send.
    /// </summary>
    public const long FewRows = 10_000;

    public bool IsOn { get; private set; }

    /// <summary>Judges one look; answers the reason while it is on.</summary>
    public string? Judge(Load load)
    {
        var reason = Above(load, IsOn ? 0.5 : 1);
        IsOn = reason is not null;
        return reason;
    }

    string? Above(Load load, double part)
    {
        if (load.Rows > MaxRows * part)
            return Text("the outbox holds", load.Rows, "rows");
        if (load.Bytes > MaxBytes * part && load.Rows > FewRows * part)
            return Text("the outbox takes", load.Bytes, "bytes");
        if (databaseLimitBytes > 0 && load.DatabaseBytes > databaseLimitBytes * part)
            return Text("the database takes", load.DatabaseBytes, "bytes");
        foreach (var (name, rows) in load.Queues)
        {
            if (rows > MaxRows * part)
                return Text($"{name} holds", rows, "rows");
        }

        return null;
    }

    static string Text(string what, long count, string unit) =>
        string.Create(CultureInfo.InvariantCulture, $"{what} {count} {unit}");
}

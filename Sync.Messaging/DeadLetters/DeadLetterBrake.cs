using Sync.Messaging.Batching;

namespace Sync.Messaging.DeadLetters;

/// <summary>
/// Halts an endpoint that would dead-letter everything, as after a bad release: more than 50 records in a minute, or a fifth
/// of a large batch, for one reason. What would go beyond is not written: the offsets stay, nothing has to be replayed.
/// </summary>
sealed class DeadLetterBrake(TimeProvider time)
{
    public const int MaxPerMinute = 50;

    /// <summary>Of a smaller batch a fifth is a handful, which the count above judges.</summary>
    public const int SmallestBatch = 100;

    const double MaxShare = 0.2;
    static readonly TimeSpan Window = TimeSpan.FromMinutes(1);
    readonly Queue<(DateTimeOffset At, string Code)> _written = new();

    /// <exception cref="BrakeException">Writing these would pass a limit.</exception>
    public void Check(IReadOnlyList<DeadLetter> letters, int batchSize)
    {
        if (letters.Count == 0)
            return;

        Forget();
        foreach (var reason in letters.CountBy(l => l.Code))
        {
            var recent = _written.Count(w => w.Code == reason.Key);
            if (
                recent + reason.Value > MaxPerMinute
                || (batchSize >= SmallestBatch && reason.Value > batchSize * MaxShare)
            )
                throw new BrakeException(reason.Key, recent + reason.Value);
        }
    }

    public void Count(IReadOnlyList<DeadLetter> letters)
    {
        foreach (var letter in letters)
            _written.Enqueue((time.GetUtcNow(), letter.Code));
    }

    void Forget()
    {
        while (_written.TryPeek(out var oldest) && time.GetUtcNow() - oldest.At > Window)
            _written.Dequeue();
    }
}

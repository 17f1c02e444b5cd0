using Sync.Adapter.Hosting;

namespace Sync.Adapter.Working;

/// <summary>How long a lane waits: doubling from a quarter of a second, with jitter, so that lanes that failed together do not come back together.</summary>
class Backoff(AdapterOptions options, Random random)
{
    static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);

    public virtual TimeSpan Delay(int attempts)
    {
        var longest = TimeSpan.FromSeconds(options.BackoffMaxSeconds);
        var delay = First * Math.Pow(2, Math.Min(attempts, 20));
        return Jittered(delay < longest ? delay : longest);
    }

    /// <summary>Between half and the whole.</summary>
    public TimeSpan Jittered(TimeSpan delay)
    {
        lock (random)
            return delay * (0.5 + random.NextDouble() / 2);
    }
}

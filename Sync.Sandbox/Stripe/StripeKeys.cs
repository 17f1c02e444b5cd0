using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Stripe;

/// <summary>
/// Idempotency keys of API v1: the first answer of an execution that has begun is kept for a day, a 500 as well, and
/// repeated word for word. What was refused before the execution began is not kept.
/// </summary>
sealed class StripeKeys(TimeProvider clock)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);
    public const int MaxLength = 255;

    /// <summary>Beyond this the oldest are forgotten early; an account that reaches it is no longer a sandbox's.</summary>
    const int MaxKeys = 200_000;

    readonly Lock _gate = new();
    readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    readonly Queue<Entry> _inOrder = new();

    /// <summary>Keys whose first request still runs.</summary>
    public int InUse
    {
        get
        {
            lock (_gate)
                return _entries.Values.Count(entry => entry.Answer is null);
        }
    }

    /// <summary>The kept answer; null when the caller is to execute, and then to end the entry.</summary>
    /// <exception cref="StripeProblem">Other parameters, or still in use.</exception>
    public Answer? Begin(string key, string fingerprint, string requestId, out Entry entry)
    {
        lock (_gate)
        {
            while (
                _inOrder.TryPeek(out var oldest)
                && (oldest.Begun + Lifetime <= clock.GetUtcNow() || _inOrder.Count > MaxKeys)
            )
            {
                _inOrder.Dequeue();
                if (_entries.GetValueOrDefault(oldest.Key) == oldest)
                    _entries.Remove(oldest.Key);
            }

            if (!_entries.TryGetValue(key, out var known))
            {
                entry = new Entry(key, fingerprint, requestId, clock.GetUtcNow());
                _entries[key] = entry;
                _inOrder.Enqueue(entry);
                return null;
            }

            entry = known;
            if (known.Fingerprint != fingerprint)
            {
                throw new StripeProblem(
                    400,
                    "idempotency_error",
                    null,
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                        + $"Try using a key other than '{key}' if you meant to execute a different request."
                );
            }

            return known.Answer?.With("Idempotent-Replayed", "true").With("Original-Request", known.RequestId)
                ?? throw new StripeProblem(
                    409,
                    "idempotency_error",
                    "idempotency_key_in_use",
                    "There is currently another in-progress request using this Idempotent Key (that probably means you "
                        + "submitted twice, and the other request is still going through): "
                        + $"{key}. Please try again later."
                );
        }
    }

    public void Keep(Entry entry, Answer answer)
    {
        lock (_gate)
            entry.Answer = answer;
    }

    public void Forget(Entry entry)
    {
        lock (_gate)
        {
            if (_entries.GetValueOrDefault(entry.Key) == entry)
                _entries.Remove(entry.Key);
        }
    }

    public sealed class Entry(string key, string fingerprint, string requestId, DateTimeOffset begun)
    {
        public string Key => key;
        public string Fingerprint => fingerprint;
        public string RequestId => requestId;
        public DateTimeOffset Begun => begun;
        public Answer? Answer { get; set; }
    }
}

using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Sync.Messaging.Hosting;

/// <summary>What the outbox holds, as PostgreSQL told last.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct Backlog(long Rows, long Bytes, double AgeSeconds);

/// <summary>
/// Where the parts of the process write how they are, and the health page reads it. Everything is said by whoever knows
/// it; nothing is asked for when the page is read.
/// </summary>
public sealed class HealthBoard(TimeProvider time)
{
    readonly ConcurrentDictionary<string, string> _degraded = new(StringComparer.Ordinal);
    readonly Lock _lock = new();
    DateTimeOffset? _databaseAnswered;
    DateTimeOffset? _kafkaAnswered;
    Backlog _backlog;

    /// <summary>When PostgreSQL last answered; null before the first time.</summary>
    public DateTimeOffset? DatabaseAnswered
    {
        get
        {
            lock (_lock)
                return _databaseAnswered;
        }
    }

    /// <summary>When a broker last answered; null before the first time.</summary>
    public DateTimeOffset? KafkaAnswered
    {
        get
        {
            lock (_lock)
                return _kafkaAnswered;
        }
    }

    public Backlog Backlog
    {
        get
        {
            lock (_lock)
                return _backlog;
        }
    }

    /// <summary>All start checks have passed.</summary>
    public bool Started { get; set; }

    public bool BackPressure { get; set; }

    /// <summary>What is wrong but needs no restart and stops no traffic, by code.</summary>
    public IReadOnlyDictionary<string, string> Degraded => _degraded;

    public void DatabaseAnswers(Backlog backlog)
    {
        lock (_lock)
        {
            _databaseAnswered = time.GetUtcNow();
            _backlog = backlog;
        }
    }

    public void KafkaAnswers()
    {
        lock (_lock)
            _kafkaAnswered = time.GetUtcNow();
    }

    /// <summary>Sets or clears a reason; the detail names identifiers only.</summary>
    public void Set(string code, string? detail)
    {
        if (detail is null)
            _degraded.TryRemove(code, out _);
        else
            _degraded[code] = detail;
    }
}

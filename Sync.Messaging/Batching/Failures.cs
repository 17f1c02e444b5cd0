using System.Net.Sockets;
using Npgsql;

namespace Sync.Messaging.Batching;

/// <summary>What a batch that did not commit calls for. The loop decides by it; no message's filter sees it.</summary>
enum FailureClass
{
    /// <summary>Another process claimed one of its partitions: drop the batch.</summary>
    Fenced,

    /// <summary>Likely to pass at once: the same batch again, in order.</summary>
    Transient,

    /// <summary>PostgreSQL cannot be reached: keep the batch, keep polling, retry for ever.</summary>
    Unavailable,

    /// <summary>The connection was lost in COMMIT: ask the offset row whether it happened.</summary>
    Unknown,

    /// <summary>It would fail again: find the culprit, one record at a time.</summary>
    Deterministic,

    /// <summary>A message needs to see what was staged before it: one record at a time.</summary>
    NeedsSolo,

    /// <summary>The time budget ran out while a behaviour was running.</summary>
    HandlerTimeout,

    /// <summary>Too much was dead-lettered for one reason: halt.</summary>
    Brake,
}

static class Failures
{
    /// <summary>Raised by <c>advance_offsets</c>: the partition has another owner.</summary>
    public const string Fenced = "SY001";

    /// <summary>A saga's row is not the one that was loaded.</summary>
    public const string Stale = "SY002";

    /// <param name="committing">COMMIT was on its way.</param>
    /// <param name="answered">PostgreSQL had opened the batch's transaction and advanced its offsets before.</param>
    public static FailureClass Classify(Exception exception, bool committing, bool answered = false)
    {
        foreach (var inner in Chain(exception))
        {
            if (Classify(inner) is { } found)
            {
                // Not a server that is away but a statement that takes too long: the whole batch would take as long again,
                // its records one by one do not. If the server is away after all, the next try cannot begin.
                if (answered && !committing && inner is NpgsqlException { InnerException: TimeoutException })
                    return FailureClass.Transient;
                // Whoever was cut off while COMMIT was on its way does not know what became of it.
                return committing && found is FailureClass.Unavailable ? FailureClass.Unknown : found;
            }
        }

        return committing && exception is not PostgresException ? FailureClass.Unknown : FailureClass.Deterministic;
    }

    /// <summary>Whether an exception of a behaviour speaks of PostgreSQL's state and not of the message.</summary>
    public static FailureClass? OfInfrastructure(Exception exception)
    {
        foreach (var inner in Chain(exception))
        {
            if (
                Classify(inner) is { } found
                && found
                    is FailureClass.Transient
                        or FailureClass.Unavailable
                        or FailureClass.NeedsSolo
                        or FailureClass.HandlerTimeout
            )
                return found;
        }

        return null;
    }

    static FailureClass? Classify(Exception exception) =>
        exception switch
        {
            BatchException known => known.Class,
            PostgresException { SqlState: var state } => OfSqlState(state),
            NpgsqlException { InnerException: SocketException or IOException or TimeoutException } =>
                FailureClass.Unavailable,
            NpgsqlException { IsTransient: true } => FailureClass.Unavailable,
            // Npgsql says in words, not in a type, that its pool is exhausted or that the connection broke.
            NpgsqlException { InnerException: null } => FailureClass.Unavailable,
            _ => null,
        };

    static FailureClass? OfSqlState(string state) =>
        state switch
        {
            Fenced => FailureClass.Fenced,
            Stale or "40001" or "40P01" or "55P03" or "57014" => FailureClass.Transient,
            // Our tables, columns, functions or rights are not there: whoever runs another message meets the same.
            "42P01" or "42703" or "42883" or "42501" or "3F000" => FailureClass.Unavailable,
            "57P01" or "57P02" or "57P03" or "57P04" or "25P03" or "57P05" => FailureClass.Unavailable,
            // A server that only reads is the old one of a failover, and a pooler that hands out a connection without our
            // prepared statements is set up wrongly. Neither says anything of the message.
            "25006" or "26000" => FailureClass.Unavailable,
            // 28: a password that was changed, or a role that may not sign in; no message is at fault.
            _ when state.StartsWith("08", StringComparison.Ordinal)
                    || state.StartsWith("28", StringComparison.Ordinal)
                    || state.StartsWith("53", StringComparison.Ordinal)
                    // The disk and the files of the server.
                    || state.StartsWith("58", StringComparison.Ordinal) => FailureClass.Unavailable,
            _ => FailureClass.Deterministic,
        };

    static IEnumerable<Exception> Chain(Exception exception)
    {
        // Bounded: an exception that wraps itself would not end.
        var depth = 0;
        for (var current = exception; current is not null && depth < 16; current = current.InnerException, depth++)
            yield return current;
    }
}

/// <summary>A failure whose class the kernel knows.</summary>
class BatchException(FailureClass failureClass, string message) : Exception(message)
{
    public FailureClass Class => failureClass;
}

/// <summary>A saga's row changed, appeared or went between its load and the batch's write: another process wrote it.</summary>
sealed class StaleSagaException(string saga, string statement, int expected, int written)
    : BatchException(
        FailureClass.Transient,
        $"{Failures.Stale}: {statement} of {saga} wrote {written} of {expected} rows; another process was there first"
    );

/// <summary>A behaviour asked for what one transaction for many messages cannot give.</summary>
sealed class NeedsSoloException(string messageType, string why)
    : BatchException(FailureClass.NeedsSolo, $"{messageType} needs a transaction of its own: {why}")
{
    public string MessageType => messageType;
}

sealed class BatchTimeoutException(TimeSpan budget, bool handler)
    : BatchException(
        handler ? FailureClass.HandlerTimeout : FailureClass.Transient,
        $"the batch took longer than {budget.TotalSeconds:0} s, while {(handler ? "a behaviour was running" : "PostgreSQL was asked")}"
    );

sealed class BrakeException(string reasonCode, int count)
    : BatchException(FailureClass.Brake, $"{count} records in a row of dead letters with the reason {reasonCode}")
{
    public string ReasonCode => reasonCode;

    public int Count => count;
}

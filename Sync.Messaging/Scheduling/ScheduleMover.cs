using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;

namespace Sync.Messaging.Scheduling;

/// <summary>
/// Turns timers that are due into rows of the outbox. Only the database's clock counts: a host's wrong clock decides
/// nothing. Every replica moves; a timer is moved by one.
/// </summary>
sealed class ScheduleMover(
    NpgsqlDataSource database,
    ProcessIdentity identity,
    IBackPressure backPressure,
    OutboxSignal signal,
    DeliveryMetrics metrics,
    CrashPoints crash,
    TimeProvider time,
    ILogger<ScheduleMover> logger
) : BackgroundService
{
    /// <summary>Timers of one statement.</summary>
    const int MaxTimers = 500;

    static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan LastBackoff = TimeSpan.FromSeconds(5);
    static readonly TimeSpan LogAgain = TimeSpan.FromMinutes(1);

    // The moved rows, how late the latest of them was, and how long until the next one is due.
    readonly string _move = $"""
        with due as (delete from {identity.Schema}.schedule where token in
           (select token from {identity.Schema}.schedule where due_at <= now()
             order by due_at limit {MaxTimers} for update skip locked)
           returning due_at, topic, key, headers, body),
        moved as (insert into {identity.Schema}.outbox (topic, key, headers, body)
           select topic, key, headers, body from due order by due_at returning 1)
        select (select count(*) from moved),
               (select coalesce(extract(epoch from max(now() - due_at)), 0)::float8 from due),
               (select extract(epoch from min(due_at) - now())::float8
                  from {identity.Schema}.schedule where due_at > now())
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var backoff = Every;
        long? logged = null;
        while (!stoppingToken.IsCancellationRequested)
        {
            var wait = Every;
            try
            {
                if (!backPressure.IsOn)
                    wait = await Move(stoppingToken);
                backoff = Every;
                logged = null;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                if (logged is not { } at || time.GetElapsedTime(at) > LogAgain)
                {
                    logger.MoverFailed(e, (int)backoff.TotalMilliseconds);
                    logged = time.GetTimestamp();
                }

                wait = backoff;
                backoff = TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, LastBackoff.Ticks));
            }

            await Task.Delay(wait, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Moves what is due; answers when to look again.</summary>
    async Task<TimeSpan> Move(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(_move, connection, transaction);
        long moved;
        double late;
        double? next;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            moved = reader.GetInt64(0);
            late = reader.GetDouble(1);
            next = reader.IsDBNull(2) ? null : reader.GetDouble(2);
        }

        await crash.Pass("mover-mid");
        // It may have come on since this look began; the transaction is rolled back then.
        if (backPressure.IsOn)
            return Every;
        await transaction.CommitAsync(cancellationToken);
        if (moved > 0)
        {
            metrics.Moved(moved, late);
            signal.Set();
        }

        if (moved == MaxTimers)
            return TimeSpan.Zero;
        // A timer that another mover holds, or one set meanwhile, is seen at the next look at the latest.
        return next is { } seconds && seconds < Every.TotalSeconds ? TimeSpan.FromSeconds(seconds) : Every;
    }
}

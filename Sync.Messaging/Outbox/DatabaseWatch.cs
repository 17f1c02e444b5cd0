using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Outbox;

/// <summary>
/// Looks at PostgreSQL once a second: does it answer, how much waits, who sends. Readiness, back-pressure, gauges and the
/// degraded reasons of the outbox come from this one look.
/// </summary>
sealed class DatabaseWatch(
    NpgsqlDataSource database,
    ProcessIdentity identity,
    IOptions<DatabaseOptions> options,
    IEnumerable<IBacklog> backlogs,
    HealthBoard board,
    TimeProvider time,
    ILogger<DatabaseWatch> logger
) : BackgroundService, IBackPressure
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>An older row, or a lease that nobody holds for longer, is worth a reason.</summary>
    static readonly TimeSpan LateAfter = TimeSpan.FromSeconds(30);

    /// <summary>An older transaction keeps vacuum from the outbox's dead rows.</summary>
    static readonly TimeSpan OldTransaction = TimeSpan.FromMinutes(5);

    // One look must end well before the 5 s after which the process is not ready.
    const int CommandTimeoutSeconds = 2;

    readonly BackPressureGauge _gauge = new(options.Value.SizeLimitMb * 1024 * 1024);

    // Counted, but never much beyond the limit. The distance between the first and the last id costs less and is wrong: one
    // row that waits for its topic holds the first id, while everything else comes and goes behind it.
    readonly string _look = $"""
        select (select count(*) from (select 1 from {identity.Schema}.outbox limit {BackPressureGauge.MaxRows
            + 1}) waiting),
               pg_total_relation_size('{identity.Schema}.outbox'),
               coalesce((select extract(epoch from now() - created_at)::float8
                           from {identity.Schema}.outbox order by id limit 1), 0),
               (select case when until = '-infinity' then -1 else extract(epoch from now() - until)::float8 end
                  from {identity.Schema}.outbox_lease),
               coalesce((select extract(epoch from max(now() - xact_start))::float8 from pg_stat_activity
                          where datname = current_database() and backend_type = 'client backend'), 0),
               case when $1 then pg_database_size(current_database()) else 0 end
        """;

    bool _answers = true;
    long? _leaseFreeSince;

    public bool IsOn => board.BackPressure;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Look(stoppingToken);
                if (!_answers)
                    logger.DatabaseReachable();
                _answers = true;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                if (_answers)
                    logger.DatabaseUnreachable(e);
                _answers = false;
            }

            await Task.Delay(Every, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task Look(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(_look, connection) { CommandTimeout = CommandTimeoutSeconds };
        command.Parameters.Add(new() { Value = options.Value.SizeLimitMb > 0 });
        long rows,
            bytes,
            databaseBytes;
        double age,
            leaseFree,
            transaction;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            rows = reader.GetInt64(0);
            bytes = reader.GetInt64(1);
            age = reader.GetDouble(2);
            leaseFree = reader.GetDouble(3);
            transaction = reader.GetDouble(4);
            databaseBytes = reader.GetInt64(5);
        }

        var queues = new List<(string, long)>();
        foreach (var backlog in backlogs)
            queues.Add((backlog.Name, await backlog.Count(connection, BackPressureGauge.MaxRows, cancellationToken)));

        board.DatabaseAnswers(new(rows, bytes, age));
        Press(new(rows, bytes, databaseBytes, queues));
        board.Set(
            "outbox-late",
            age > LateAfter.TotalSeconds ? $"the oldest outbox row waits for {Seconds(age)} s" : null
        );
        board.Set(
            "old-transaction",
            transaction > OldTransaction.TotalSeconds
                ? $"a transaction is open for {Seconds(transaction)} s and holds back vacuum"
                : null
        );
        JudgeLease(leaseFree);
    }

    void Press(Load load)
    {
        var was = _gauge.IsOn;
        var reason = _gauge.Judge(load);
        board.BackPressure = _gauge.IsOn;
        board.Set("back-pressure", reason);
        if (!was && reason is not null)
            logger.BackPressure(LogLevel.Warning, "on", $"{reason}; consuming and timers pause until half of it");
        else if (was && reason is null)
            logger.BackPressure(LogLevel.Information, "off", "consuming and timers go on");
    }

    /// <summary>A lease that was given back, or has run out, is free; its owner-to-be looks once a second.</summary>
    void JudgeLease(double freeForSeconds)
    {
        if (freeForSeconds is < 0 and not -1)
            _leaseFreeSince = null;
        else
            _leaseFreeSince ??= time.GetTimestamp();
        var free = _leaseFreeSince is { } since && time.GetElapsedTime(since) > LateAfter;
        board.Set("lease-free", free ? $"nobody has held the outbox lease of {identity.Schema} for over 30 s" : null);
    }

    static string Seconds(double seconds) => seconds.ToString("F0", CultureInfo.InvariantCulture);
}

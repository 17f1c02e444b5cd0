using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Sync.Messaging.Hosting;

/// <summary>Rows that a process keeps for a time only.</summary>
/// <param name="Rows">What they are, as logs and metrics name them.</param>
/// <param name="Days">How long they are kept.</param>
/// <param name="Sql">Deletes at most $2 of those that are older than the interval $1.</param>
public sealed record Expiring(string Rows, int Days, string Sql);

/// <summary>
/// Drops what has had its time, by the database's clock. Each piece is a short transaction of its own, so that nobody waits
/// for it. Of several replicas one does it: whoever finds another at it leaves.
/// </summary>
sealed class Retention(
    NpgsqlDataSource database,
    ProcessIdentity identity,
    IEnumerable<Expiring> ofProcess,
    IMeterFactory meters,
    TimeProvider time,
    ILogger<Retention> log
) : BackgroundService
{
    static readonly TimeSpan Turn = TimeSpan.FromHours(1);

    /// <summary>Rows of one transaction.</summary>
    internal const int Piece = 2_000;

    /// <summary>
    /// Of one kind and turn: two million rows, far more than come in within an hour. What is left, as after an upgrade of a
    /// large installation, is the next turn's.
    /// </summary>
    const int MaxPieces = 1_000;

    readonly Counter<long> _expired = Expired(meters);

    internal static Counter<long> Expired(IMeterFactory meters) =>
        meters
            .Create(KernelTelemetry.MeterName)
            .CreateCounter<long>(
                "sync.kernel.expired",
                "{row}",
                "Rows removed because they had had their time, by kind"
            );

    /// <summary>What the kernel's own tables keep: a closed dead letter holds a whole message, so it goes early.</summary>
    public static IEnumerable<Expiring> OfKernel(string schema)
    {
        var s = MessagingTables.CheckedSchema(schema);
        yield return new(
            "dead letters",
            30,
            $"""
            delete from {s}.dead_letter where id in (
              select id from {s}.dead_letter where closed_at < now() - $1 and state <> 'open'
               order by closed_at limit $2 for update skip locked)
            """
        );
        yield return new(
            "feed gaps",
            400,
            $"""
            delete from {s}.feed_gap where id in (
              select id from {s}.feed_gap where closed_at < now() - $1 and state <> 'open'
               order by id limit $2 for update skip locked)
            """
        );
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Turn, time);
        try
        {
            do await Once(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // A piece that was begun is rolled back; the next process goes on.
        }
    }

    internal async Task Once(CancellationToken cancellationToken)
    {
        foreach (var kind in OfKernel(identity.Schema).Concat(ofProcess))
        {
            try
            {
                await Drop(kind, cancellationToken);
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                // Whoever fails leaves the other kinds alone: their rows may be dropped all the same.
                log.ExpiringFailed(kind.Rows, e);
            }
        }
    }

    async Task Drop(Expiring kind, CancellationToken cancellationToken)
    {
        long dropped = 0;
        try
        {
            for (var i = 0; i < MaxPieces && await DropPiece(kind, cancellationToken) is var rows and > 0; i++)
                dropped += rows;
        }
        finally
        {
            if (dropped > 0)
            {
                _expired.Add(dropped, new KeyValuePair<string, object?>("kind", kind.Rows));
                log.Expired(dropped, kind.Rows, kind.Days);
            }
        }
    }

    async Task<int> DropPiece(Expiring kind, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (
            var turn = new NpgsqlCommand(
                "select pg_try_advisory_xact_lock(hashtext('sync.retention'), hashtext($1))",
                connection
            )
        )
        {
            turn.Parameters.Add(new() { Value = identity.Schema });
            if (await turn.ExecuteScalarAsync(cancellationToken) is not true)
                return 0;
        }

        await using var drop = new NpgsqlCommand(kind.Sql, connection);
        drop.Parameters.Add(new() { Value = TimeSpan.FromDays(kind.Days) });
        drop.Parameters.Add(new() { Value = Piece });
        var rows = await drop.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return rows;
    }
}

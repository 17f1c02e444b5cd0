using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Adapter.Budget;
using Sync.Adapter.Following;
using Sync.Adapter.Links;

namespace Sync.Adapter.Hosting;

/// <summary>Writes the counts of calls, measures what waits, and drops what has had its time; a bounded piece at a turn.</summary>
sealed class Housekeeping(
    NpgsqlDataSource source,
    LinkStore store,
    FeedStore feeds,
    ApiUsage usage,
    AdapterTelemetry telemetry,
    AdapterOptions options,
    TimeProvider time,
    ILogger<Housekeeping> log,
    IApiBudget? budget = null
) : BackgroundService
{
    static readonly TimeSpan Turn = TimeSpan.FromSeconds(5);

    /// <summary>Rows that one turn drops at most.</summary>
    const int Piece = 2_000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Turn, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await Once(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What was counted since the last turn is written below.
        }

        await Once(CancellationToken.None);
    }

    internal async Task Once(CancellationToken cancellationToken)
    {
        try
        {
            await usage.Flush(source, cancellationToken);
            if (budget?.Standing is { } standing)
                await usage.Keep(standing, source, cancellationToken);
            var (due, failing, oldest) = await store.Waiting(cancellationToken);
            telemetry.Lanes(due, failing, oldest);
            telemetry.Feeds(await feeds.States(cancellationToken));
            await feeds.CleanUp(Piece, cancellationToken);
            await store.CleanUp(TimeSpan.FromDays(options.LedgerDays), Piece, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            log.HousekeepingFailed(e);
        }
    }
}

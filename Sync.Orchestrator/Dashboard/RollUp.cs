using Npgsql;

namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// Counts the minutes of the timeline for <see cref="PaceViews"/>. Every replica does it; whoever comes second finds the row
/// locked and goes on.
/// </summary>
sealed class RollUp(NpgsqlDataSource database, TimeProvider time, ILogger<RollUp> log) : BackgroundService
{
    static readonly TimeSpan Turn = TimeSpan.FromSeconds(30);

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
            // The next process goes on where this one was.
        }
    }

    internal async Task Once(CancellationToken cancellationToken)
    {
        try
        {
            while (await Piece(cancellationToken)) { }
        }
        catch (NpgsqlException e)
        {
            log.RollUpFailed(e);
        }
    }

    async Task<bool> Piece(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select sync.roll_up()");
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }
}

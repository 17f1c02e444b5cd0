using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Adapter.Hosting;
using Sync.Adapter.Working;

namespace Sync.Adapter.Following;

/// <summary>
/// Runs the feeds and the scans of this adapter, each in one replica at a time: whoever takes its lease follows, the others
/// ask again. It begins when the process may work at all, since only then a restored database was noticed.
/// </summary>
sealed class Feeds(
    IEnumerable<Follower> followers,
    Scanner? scanner,
    FeedStore store,
    ScanStore scans,
    Backoff backoff,
    IMayWork mayWork,
    TimeProvider time,
    string system,
    string replica,
    ILogger<Feeds> log
) : BackgroundService
{
    static readonly TimeSpan Ask = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(100);

    readonly string _owner = $"{replica}/{Guid.NewGuid().ToString("n")[..12]}";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (!mayWork.Now)
                await Task.Delay(Soon, time, stoppingToken);
            await Persist(
                async () =>
                {
                    if (await scans.ForgetOtherMapping(stoppingToken))
                        log.MappingChanged(system);
                },
                stoppingToken
            );

            var running = followers.Select(f => Hold(f.Name, f.Run, stoppingToken)).ToList();
            if (scanner is not null)
                running.Add(Hold(ScanStore.Lease, scanner.Run, stoppingToken));
            await Task.WhenAll(running);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is the ordinary end.
        }
    }

    /// <summary>Takes a lease, and runs while it is held; over again, until the process stops.</summary>
    async Task Hold(string name, Func<FeedLease, CancellationToken, Task> run, CancellationToken stop)
    {
        // Only the first take may end a lease of this replica's earlier life: a later one of that name is another process.
        var earlier = replica;
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            FeedLease? lease = null;
            await Persist(async () => lease = await store.Take(name, _owner, earlier, stop), stop);
            earlier = null;
            if (lease is null)
            {
                await Task.Delay(Ask, time, stop);
                continue;
            }

            await Follow(lease, run, stop);
        }
    }

    async Task Follow(FeedLease lease, Func<FeedLease, CancellationToken, Task> run, CancellationToken stop)
    {
        using var held = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var keeping = Keep(lease, held);
        try
        {
            await run(lease, held.Token);
        }
        catch (LeaseLostException)
        {
            log.LeaseLost(system, lease.Feed, lease.Epoch);
        }
        catch (OperationCanceledException) when (held.IsCancellationRequested)
        {
            // The process stops, or the lease could not be kept.
        }
        finally
        {
            await held.CancelAsync();
            await keeping;
        }

        if (stop.IsCancellationRequested)
            await GiveBack(lease);
    }

    /// <summary>Renews; cancels what runs when the lease is lost or could not be renewed in its time.</summary>
    async Task Keep(FeedLease lease, CancellationTokenSource held)
    {
        var renewed = time.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(FeedStore.Lease / 6, time, held.Token);
                var asked = time.GetTimestamp();
                try
                {
                    if (!await store.Renew(lease, held.Token))
                        break;
                    renewed = asked;
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    if (time.GetElapsedTime(renewed) > FeedStore.Lease)
                        break;
                }
            }

            log.LeaseLost(system, lease.Feed, lease.Epoch);
            await held.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // What ran has ended.
        }
    }

    async Task GiveBack(FeedLease lease)
    {
        try
        {
            await store.GiveBack(lease, CancellationToken.None);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            log.LeaseNotGivenBack(system, lease.Feed, e);
        }
    }

    /// <summary>For as long as the database does not answer.</summary>
    async Task Persist(Func<Task> act, CancellationToken stop)
    {
        for (var failures = 0; ; failures++)
        {
            try
            {
                await act();
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                var delay = backoff.Delay(failures);
                log.FollowFailed(system, "lease", delay, e);
                await Task.Delay(delay, time, stop);
            }
        }
    }
}

using Microsoft.Extensions.Logging;
using Sync.Adapter.Hosting;
using Sync.Adapter.Working;

namespace Sync.Adapter.Following;

/// <summary>
/// Follows one feed for as long as this replica holds it: stores its pages, waits while the vendor may not be called, and
/// begins again at the stored cursor after every failure. What a feed cannot do stops nothing else: a key that may write
/// customers but not read events pauses the feed, not the adapter.
/// </summary>
sealed class Follower(
    IFeed feed,
    FeedStore store,
    VendorGate gate,
    Backoff backoff,
    AdapterOptions options,
    AdapterTelemetry telemetry,
    IAdapterHealth health,
    TimeProvider time,
    string system,
    ILogger log
)
{
    /// <summary>Failures in a row after which the health page says so: one is no news.</summary>
    const int Noteworthy = 3;

    string? _cursor;
    int _failures;

    public string Name => feed.Name;

    /// <summary>Until cancelled.</summary>
    /// <exception cref="LeaseLostException">Another has taken the feed.</exception>
    public async Task Run(FeedLease lease, CancellationToken cancellationToken)
    {
        _cursor = lease.Cursor;
        log.Follows(system, feed.Name, lease.Epoch);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Delay(await Once(lease, cancellationToken), time, cancellationToken);
        }
    }

    /// <summary>Follows until the feed ends by itself or fails; answers how long to wait then.</summary>
    internal async Task<TimeSpan> Once(FeedLease lease, CancellationToken cancellationToken)
    {
        _cursor ??= lease.Cursor;
        try
        {
            await gate.Opens(cancellationToken);
            await foreach (var page in feed.Follow(_cursor, cancellationToken).WithCancellation(cancellationToken))
            {
                if (await store.Store(lease, page, cancellationToken) && page.Gap is { } gap)
                    log.GapOpened(system, feed.Name, gap.Reason, gap.From, gap.To);
                _cursor = page.Cursor ?? _cursor;
                telemetry.Page(feed.Name, page.Hints.Count, page.NewestAt, time.GetUtcNow());
                await Well();
            }

            await Well();
            return feed.Every;
        }
        catch (FeedException e)
        {
            return await Failed(e);
        }
        catch (Exception e)
            when (e is not (LeaseLostException or OperationCanceledException)
                || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            )
        {
            var delay = backoff.Delay(_failures++);
            log.FollowFailed(system, feed.Name, delay, e);
            return delay;
        }
    }

    async Task Well()
    {
        if (feed.IsOfTheWrittenService)
            await gate.Answered();
        if (_failures >= Noteworthy)
            health.Set($"feed-{feed.Name}", null);
        _failures = 0;
    }

    async Task<TimeSpan> Failed(FeedException e)
    {
        var failure = e.Failure;
        var delay = failure.Class switch
        {
            Vendors.FailureClass.PauseAll => TimeSpan.FromSeconds(options.PauseProbeSeconds),
            _ => backoff.Delay(_failures),
        };
        if (feed.IsOfTheWrittenService)
            await gate.Failed(failure);
        _failures = failure.Class == Vendors.FailureClass.PauseAll ? Noteworthy : _failures + 1;
        if (_failures >= Noteworthy)
            health.Set($"feed-{feed.Name}", $"{system}: {feed.Name}: {failure.Code}: {failure.Reason}");
        log.FeedFailed(system, feed.Name, failure.Code, failure.Class, delay);
        telemetry.FeedFailed(feed.Name, failure.Code);
        return delay;
    }
}

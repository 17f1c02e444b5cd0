using Microsoft.Extensions.Logging;
using Sync.Adapter.Hosting;
using Sync.Adapter.Vendors;
using Sync.Adapter.Working;

namespace Sync.Adapter.Following;

/// <summary>
/// Looks at every object of the vendor when somebody asked for it or it has been long enough, one scan after the other. A
/// crash costs the page that was not stored.
/// </summary>
sealed class Scanner(
    IListing listing,
    ScanStore store,
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
    /// <summary>Between two looks for a scan that somebody asked for.</summary>
    static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    /// <summary>How long the first listing waits for a feed to begin: its begin asks for a listing too, and one is enough.</summary>
    static readonly TimeSpan FeedsBegin = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);

    int _failures;
    long? _began;

    bool FeedsMayBegin => _began is { } began && time.GetElapsedTime(began) < FeedsBegin;

    public async Task Run(FeedLease lease, CancellationToken cancellationToken)
    {
        _began ??= time.GetTimestamp();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Delay(await Once(lease, cancellationToken), time, cancellationToken);
        }
    }

    /// <summary>One scan to its end, or to a failure; answers how long to wait then.</summary>
    internal async Task<TimeSpan> Once(FeedLease lease, CancellationToken cancellationToken)
    {
        try
        {
            TimeSpan? every = options.ScanHours == 0 ? null : TimeSpan.FromHours(options.ScanHours);
            if (await store.Next(lease, every, FeedsMayBegin, cancellationToken) is not { } scan)
                return FeedsMayBegin ? Soon : Look;
            await Scan(lease, scan, cancellationToken);
            _failures = 0;
            health.Set("scan", null);
            return TimeSpan.Zero;
        }
        catch (FeedException e)
        {
            var delay =
                e.Failure.Class == FailureClass.PauseAll
                    ? TimeSpan.FromSeconds(options.PauseProbeSeconds)
                    : backoff.Delay(_failures);
            await gate.Failed(e.Failure);
            if (++_failures >= 3 || e.Failure.Class == FailureClass.PauseAll)
            {
                var what = e.Failure.Class == FailureClass.PauseAll ? "configuration" : "scan";
                health.Set("scan", $"{system}: {what}: {e.Failure.Code}: {e.Failure.Reason}");
            }

            log.FeedFailed(system, ScanStore.Lease, e.Failure.Code, e.Failure.Class, delay);
            telemetry.FeedFailed(ScanStore.Lease, e.Failure.Code);
            return delay;
        }
        catch (Exception e)
            when (e is not (LeaseLostException or OperationCanceledException)
                || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            )
        {
            var delay = backoff.Delay(_failures++);
            log.FollowFailed(system, ScanStore.Lease, delay, e);
            return delay;
        }
    }

    async Task Scan(FeedLease lease, Scan scan, CancellationToken cancellationToken)
    {
        log.ScanBegins(system, scan.Id, scan.Kind, scan.After is not null || scan.Ending);
        if (!scan.Ending)
        {
            await gate.Opens(cancellationToken);
            await foreach (var page in listing.List(scan.After, cancellationToken).WithCancellation(cancellationToken))
            {
                await store.Store(lease, scan, page, cancellationToken);
                await gate.Answered();
                // Other calls go first: a scan is in no hurry.
                await gate.Opens(cancellationToken);
            }

            await store.Listed(lease, scan, cancellationToken);
        }

        while (!await store.End(lease, scan, cancellationToken))
        {
            // Piece by piece.
        }

        log.ScanDone(system, scan.Id);
    }
}

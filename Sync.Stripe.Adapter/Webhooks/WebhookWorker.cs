using Sync.Messaging.Hosting;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>A webhook was stored by this process. What others stored is found by looking.</summary>
sealed class WebhookSignal(TimeProvider time) : WakeSignal(time);

/// <summary>Reads what the door stored, in every replica: rows that one reads are skipped by the others.</summary>
sealed class WebhookWorker(
    WebhookStore store,
    WebhookSignal signal,
    WebhookMetrics metrics,
    TimeProvider time,
    ILogger<WebhookWorker> log
) : BackgroundService
{
    static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                stoppingToken.ThrowIfCancellationRequested();
                if (await Once(stoppingToken) < WebhookStore.BatchSize)
                    await signal.Wait(Look, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What is stored is read after the next start.
        }
    }

    /// <summary>Answers how many were done with.</summary>
    internal async Task<int> Once(CancellationToken cancellationToken)
    {
        try
        {
            var batch = await store.Read(cancellationToken);
            metrics.Read(batch);
            if (batch.Unreadable > 0)
                log.WebhooksUnreadable(batch.Unreadable);
            return batch.Taken;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            log.WebhooksNotRead(AfterFailure, e);
            await Task.Delay(AfterFailure, time, cancellationToken);
            return 0;
        }
    }
}

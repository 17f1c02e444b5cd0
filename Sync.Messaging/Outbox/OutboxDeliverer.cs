using Confluent.Kafka;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Outbox;

/// <summary>
/// Sends the rows of the outbox, in order of their ids, and deletes what Kafka has acknowledged. One replica at a time
/// holds the lease and sends; the others wait for it. A row leaves at least once: what was acknowledged and not yet
/// deleted when the process died is sent again, at most <see cref="OutboxSql.MaxRows"/> rows.
/// </summary>
sealed class OutboxDeliverer(DeliveryParts parts, ProcessIdentity identity, IOptions<ReplicaOptions> replica)
    : BackgroundService
{
    /// <summary>What is in hand may take this long at a stop.</summary>
    internal static readonly TimeSpan StopBudget = TimeSpan.FromSeconds(10);

    static readonly TimeSpan LeasePoll = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var lease = new OutboxLease(
            parts.Database,
            parts.Sql,
            identity.Schema,
            $"{identity.Name}/{replica.Value.Replica}",
            parts.Time,
            parts.Metrics,
            parts.Crash,
            parts.Logger
        );
        var backoff = new DeliveryBackoff(parts);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await lease.Take(stoppingToken))
                {
                    await Serve(lease, stoppingToken);
                    backoff.Reset();
                }
                else
                {
                    await Task.Delay(LeasePoll, parts.Time, stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                await backoff.Wait(e, stoppingToken);
            }
        }
    }

    /// <summary>Sends until the lease is lost or the process stops.</summary>
    async Task Serve(OutboxLease lease, CancellationToken stoppingToken)
    {
        using var keeping = new CancellationTokenSource();
        // What is in hand ends when the lease does, or when a stop has waited long enough.
        using var hands = new CancellationTokenSource();
        var kept = Keep();
        using var stopping = stoppingToken.Register(() => hands.CancelAfter(StopBudget));
        try
        {
            await using var term = new OutboxTerm(parts, lease);
            await term.Run(stoppingToken, hands.Token);
        }
        finally
        {
            await keeping.CancelAsync();
            if (await kept is { } cause)
                lease.Lost(cause);
            else
                await lease.GiveBack();
        }

        async Task<string?> Keep()
        {
            try
            {
                var cause = await lease.Keep(keeping.Token);
                await hands.CancelAsync();
                return cause;
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }
    }
}

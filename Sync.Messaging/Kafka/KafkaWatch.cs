using Confluent.Kafka;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>
/// Asks a broker for the cluster's metadata every few seconds. The consumer's silence proves nothing: it is silent when
/// nothing happens, and also when no broker is left.
/// </summary>
sealed class KafkaWatch(KafkaCluster cluster, HealthBoard board, TimeProvider time, ILogger<KafkaWatch> logger)
    : BackgroundService
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(3);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var answers = true;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await cluster.Metadata(stoppingToken);
                board.KafkaAnswers();
                if (!answers)
                    logger.KafkaReachable(cluster.KnownId ?? "unknown");
                answers = true;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (KafkaException e)
            {
                if (answers)
                    logger.KafkaUnreachable(e);
                answers = false;
            }

            await Task.Delay(Every, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}

using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Hosting;

/// <summary>Creates our topics on a real cluster: the agreed number of partitions, kept for 7 days. What exists is left alone.</summary>
sealed class TopicCreation(
    KafkaCluster cluster,
    IOptions<KafkaOptions> kafka,
    IOptions<TopicChecks> topics,
    ILogger<TopicCreation> logger
)
{
    static readonly TimeSpan Retention = TimeSpan.FromDays(7);
    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    public async Task Create(CancellationToken cancellationToken)
    {
        await cluster.Id(cancellationToken);
        var existing = (await cluster.Metadata(cancellationToken))
            .Topics.Where(t => t.Error.Code == ErrorCode.NoError)
            .Select(t => t.Topic)
            .ToHashSet(StringComparer.Ordinal);
        var missing = topics.Value.Ours.Where(t => !existing.Contains(t)).Order(StringComparer.Ordinal).ToList();
        foreach (var topic in topics.Value.Ours.Where(existing.Contains).Order(StringComparer.Ordinal))
            logger.TopicExists(topic);
        if (missing.Count == 0)
            return;

        try
        {
            await cluster.Admin.CreateTopicsAsync(
                missing.Select(Specification),
                new CreateTopicsOptions { RequestTimeout = Timeout, OperationTimeout = Timeout }
            );
        }
        catch (CreateTopicsException e)
        {
            // Another process may have created one meanwhile.
            var faults = e
                .Results.Where(r => r.Error.IsError && r.Error.Code != ErrorCode.TopicAlreadyExists)
                .Select(r => $"topic {r.Topic} cannot be created ({r.Error.Code}): {r.Error.Reason}")
                .ToList();
            if (faults.Count > 0)
                throw new StartRefusedException(faults);
        }

        foreach (var topic in missing)
            logger.TopicCreated(topic, kafka.Value.Partitions, kafka.Value.Replication);
    }

    TopicSpecification Specification(string topic)
    {
        var configs = new Dictionary<string, string>
        {
            ["retention.ms"] = $"{(long)Retention.TotalMilliseconds}",
            ["cleanup.policy"] = "delete",
        };
        // One broker of three may be away; with fewer copies the broker's own setting stands.
        if (kafka.Value.Replication >= 3)
            configs["min.insync.replicas"] = "2";
        return new()
        {
            Name = topic,
            NumPartitions = kafka.Value.Partitions,
            ReplicationFactor = kafka.Value.Replication,
            Configs = configs,
        };
    }
}

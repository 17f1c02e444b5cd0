using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Offsets;

/// <summary>Where a group stands in a partition, and what the log holds.</summary>
/// <param name="Low">The first offset that the log still has.</param>
/// <param name="High">The offset that the next record will get.</param>
public sealed record PartitionStanding(string Schema, string Group, string Cluster, long Stored, long Low, long High);

/// <summary>An operator's word that a partition goes on elsewhere: the end of a halt.</summary>
public sealed class PartitionResume(NpgsqlDataSource database, KafkaCluster cluster)
{
    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>The groups that have a row for this partition of the cluster we talk to.</summary>
    /// <exception cref="KafkaException">Kafka knows no such partition, or does not answer.</exception>
    public async Task<IReadOnlyList<PartitionStanding>> Find(
        string topic,
        int partition,
        CancellationToken cancellationToken
    )
    {
        var id = await cluster.Id(cancellationToken);
        List<(string Schema, string Group, long Stored)> rows = [];
        foreach (var schema in await KernelSchemas.In(database, cancellationToken))
        {
            await using var command = database.CreateCommand(
                $"select consumer_group, next_offset from {schema}.consumer_offset where cluster_id = $1 and topic = $2 and partition = $3 order by consumer_group"
            );
            command.Parameters.Add(new() { Value = id });
            command.Parameters.Add(new() { Value = topic });
            command.Parameters.Add(new() { Value = partition });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                rows.Add((schema, reader.GetString(0), reader.GetInt64(1)));
        }

        if (rows.Count == 0)
            return [];
        var at = new TopicPartition(topic, partition);
        var low = await Offset(at, OffsetSpec.Earliest());
        var high = await Offset(at, OffsetSpec.Latest());
        return [.. rows.Select(r => new PartitionStanding(r.Schema, r.Group, id, r.Stored, low, high))];
    }

    /// <summary>
    /// Moves the group there. The jump is a row of <c>feed_gap</c> in the same transaction, and whoever owns the partition
    /// sees by the epoch that it must claim again.
    /// </summary>
    /// <param name="by">Who asked; stands in the gap's reason.</param>
    /// <returns>False when the row has gone meanwhile.</returns>
    public Task<bool> Resume(
        PartitionStanding standing,
        string topic,
        int partition,
        long offset,
        string by,
        CancellationToken cancellationToken
    ) =>
        new OffsetStore(database, standing.Schema, standing.Group, owner: by).Resume(
            standing.Cluster,
            new TopicPartition(topic, partition),
            offset,
            cancellationToken,
            by
        );

    async Task<long> Offset(TopicPartition partition, OffsetSpec spec)
    {
        var answer = await cluster.Admin.ListOffsetsAsync(
            [new TopicPartitionOffsetSpec { TopicPartition = partition, OffsetSpec = spec }],
            new ListOffsetsOptions { RequestTimeout = Timeout, IsolationLevel = IsolationLevel.ReadUncommitted }
        );
        var found = answer.ResultInfos[0].TopicPartitionOffsetError;
        return found.Error.IsError ? throw new KafkaException(found.Error) : found.Offset.Value;
    }
}

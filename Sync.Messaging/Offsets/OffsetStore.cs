using Confluent.Kafka;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Offsets;

/// <summary>What a claim found. From now on whoever claimed before is fenced.</summary>
/// <param name="IsResumed">An operator placed the offset, and nothing has moved it since.</param>
readonly record struct Claim(TopicPartition Partition, long NextOffset, long Epoch, bool IsNew, bool IsResumed = false);

/// <summary>A jump that must not be silent.</summary>
/// <param name="MoveTo">Where the row goes on; null leaves it.</param>
readonly record struct FeedGap(TopicPartition Partition, long From, long To, string Reason, long? MoveTo = null);

/// <summary>Rows of <c>consumer_offset</c> and <c>feed_gap</c>: where a group stands, and since which claim.</summary>
sealed class OffsetStore
{
    /// <summary>How the reason of the gap begins that an operator's resume leaves.</summary>
    const string Resumed = "resumed by an operator";

    readonly NpgsqlDataSource _database;
    readonly string _group;
    readonly string _owner;
    readonly string _claim;
    readonly string _read;
    readonly string _gap;
    readonly string _move;
    readonly string _resume;
    readonly string _resumed;

    public OffsetStore(NpgsqlDataSource database, string schema, string group, string owner)
    {
        var s = MessagingTables.CheckedSchema(schema);
        _database = database;
        _group = group;
        _owner = owner;
        _claim =
            $"select topic, partition, next_offset, epoch, is_new from {s}.claim_partitions($1, $2, $3, $4, $5, $6)";
        _read =
            $"select topic, partition, next_offset, epoch from {s}.consumer_offset o "
            + "join unnest($3::text[], $4::int[]) w(t, p) on o.topic = w.t and o.partition = w.p "
            + "where consumer_group = $1 and cluster_id = $2";
        // Found at each claim until it is closed, and one row all the same. An operator's resume happens each time.
        _gap = $"""
            insert into {s}.feed_gap (feed, reason, consumer_group, cluster_id, topic, partition, from_offset, to_offset)
            select 'kafka', $1, $2, $3, $4, $5, $6, $7
             where $8 or not exists (select 1 from {s}.feed_gap
              where feed = 'kafka' and reason = $1 and consumer_group = $2 and cluster_id = $3 and topic = $4
                and partition = $5 and from_offset = $6 and to_offset = $7 and state = 'open')
            """;
        _resume =
            $"update {s}.consumer_offset set epoch = epoch + 1 where consumer_group = $1 and cluster_id = $2 and topic = $3 and partition = $4 returning next_offset, epoch";
        // A resume writes its gap and moves the row at one now(); a batch that moves the row gives it another.
        _resumed =
            $"select o.topic, o.partition from {s}.consumer_offset o "
            + "join unnest($3::text[], $4::int[]) w(t, p) on o.topic = w.t and o.partition = w.p "
            + "where o.consumer_group = $1 and o.cluster_id = $2 "
            + $"and exists (select 1 from {s}.feed_gap g where g.feed = 'kafka' and g.consumer_group = $1 and g.cluster_id = $2 "
            + $"and g.topic = o.topic and g.partition = o.partition and g.found_at = o.moved_at and g.reason like '{Resumed}%')";
        _move =
            $"update {s}.consumer_offset set next_offset = $1, moved_at = now() where consumer_group = $2 and cluster_id = $3 and topic = $4 and partition = $5 and epoch = $6";
    }

    /// <summary>
    /// Claims and, in the same transaction, writes down what <paramref name="judge"/> finds missing. It waits for the
    /// previous owner's transaction, and reads its result.
    /// </summary>
    public async Task<IReadOnlyList<Claim>> Claim(
        string cluster,
        IReadOnlyList<(TopicPartition Partition, long Initial)> partitions,
        Func<Claim, FeedGap?> judge,
        CancellationToken cancellationToken
    )
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var claims = new List<Claim>();
        await using (var command = new NpgsqlCommand(_claim, connection, transaction))
        {
            command.Parameters.Add(new() { Value = _group });
            command.Parameters.Add(new() { Value = cluster });
            command.Parameters.Add(new() { Value = partitions.Select(p => p.Partition.Topic).ToArray() });
            command.Parameters.Add(new() { Value = partitions.Select(p => p.Partition.Partition.Value).ToArray() });
            command.Parameters.Add(new() { Value = partitions.Select(p => p.Initial).ToArray() });
            command.Parameters.Add(new() { Value = _owner });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                claims.Add(
                    new(
                        new(reader.GetString(0), reader.GetInt32(1)),
                        reader.GetInt64(2),
                        reader.GetInt64(3),
                        reader.GetBoolean(4)
                    )
                );
            }
        }

        // A statement of its own: the claim may have waited for the very transaction that resumed.
        var resumed = await ResumedOf(cluster, claims, connection, transaction, cancellationToken);
        for (var i = 0; i < claims.Count; i++)
            claims[i] = claims[i] with { IsResumed = resumed.Contains(claims[i].Partition) };

        foreach (var claim in claims)
        {
            if (judge(claim) is { } gap)
                await Write(gap, cluster, claim.Epoch, connection, transaction, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return claims;
    }

    /// <summary>
    /// An operator's word that a halted partition goes on at <paramref name="offset"/>: the jump is written down, and the
    /// owner sees by the epoch that it may claim again.
    /// </summary>
    /// <returns>False when the group has no such row.</returns>
    public async Task<bool> Resume(
        string cluster,
        TopicPartition partition,
        long offset,
        CancellationToken cancellationToken,
        string by = ""
    )
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(_resume, connection, transaction)
        {
            Parameters =
            {
                new() { Value = _group },
                new() { Value = cluster },
                new() { Value = partition.Topic },
                new() { Value = partition.Partition.Value },
            },
        };
        long stored,
            epoch;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
                return false;
            (stored, epoch) = (reader.GetInt64(0), reader.GetInt64(1));
        }

        await Write(
            new(partition, stored, offset, by.Length == 0 ? Resumed : $"{Resumed}: {by}", MoveTo: offset),
            cluster,
            epoch,
            connection,
            transaction,
            cancellationToken
        );
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Reads rows without claiming them: whether an operator moved a halted partition.</summary>
    public async Task<IReadOnlyList<Claim>> Read(
        string cluster,
        IReadOnlyList<TopicPartition> partitions,
        CancellationToken cancellationToken
    )
    {
        await using var command = _database.CreateCommand(_read);
        command.Parameters.Add(new() { Value = _group });
        command.Parameters.Add(new() { Value = cluster });
        command.Parameters.Add(new() { Value = partitions.Select(p => p.Topic).ToArray() });
        command.Parameters.Add(new() { Value = partitions.Select(p => p.Partition.Value).ToArray() });
        var rows = new List<Claim>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(
                new(new(reader.GetString(0), reader.GetInt32(1)), reader.GetInt64(2), reader.GetInt64(3), IsNew: false)
            );
        }

        return rows;
    }

    async Task<HashSet<TopicPartition>> ResumedOf(
        string cluster,
        IReadOnlyList<Claim> claims,
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(_resumed, connection, transaction)
        {
            Parameters =
            {
                new() { Value = _group },
                new() { Value = cluster },
                new() { Value = claims.Select(c => c.Partition.Topic).ToArray() },
                new() { Value = claims.Select(c => c.Partition.Partition.Value).ToArray() },
            },
        };
        var resumed = new HashSet<TopicPartition>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            resumed.Add(new(reader.GetString(0), reader.GetInt32(1)));
        return resumed;
    }

    async Task Write(
        FeedGap gap,
        string cluster,
        long epoch,
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CancellationToken cancellationToken
    )
    {
        var (topic, partition) = (gap.Partition.Topic, gap.Partition.Partition.Value);
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.BatchCommands.Add(
            new(_gap)
            {
                Parameters =
                {
                    new() { Value = gap.Reason, NpgsqlDbType = NpgsqlDbType.Text },
                    new() { Value = _group, NpgsqlDbType = NpgsqlDbType.Text },
                    new() { Value = cluster, NpgsqlDbType = NpgsqlDbType.Text },
                    new() { Value = topic, NpgsqlDbType = NpgsqlDbType.Text },
                    new() { Value = partition },
                    new() { Value = gap.From },
                    new() { Value = gap.To },
                    new() { Value = gap.Reason.StartsWith(Resumed, StringComparison.Ordinal) },
                },
            }
        );
        if (gap.MoveTo is { } next)
        {
            batch.BatchCommands.Add(
                new(_move)
                {
                    Parameters =
                    {
                        new() { Value = next },
                        new() { Value = _group },
                        new() { Value = cluster },
                        new() { Value = topic },
                        new() { Value = partition },
                        new() { Value = epoch },
                    },
                }
            );
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}

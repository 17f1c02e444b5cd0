using System.Reflection;
using Confluent.Kafka;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Hosting;

/// <summary>
/// What must hold before anything is consumed or sent. What may heal by itself, such as a server that does not answer yet,
/// is waited for, alive but not ready; what only a person can put right ends the process with its reason.
/// </summary>
sealed class StartChecks(
    ProcessIdentity identity,
    NpgsqlDataSource database,
    ISchemaMigration migration,
    KafkaCluster cluster,
    IOptions<DatabaseOptions> databaseOptions,
    IOptions<KafkaOptions> kafka,
    IOptions<ReplicaOptions> replica,
    IOptions<TopicChecks> topics,
    HealthBoard board,
    TimeProvider time,
    ILogger<StartChecks> logger
) : IHostedService
{
    static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await WaitForDatabase(cancellationToken);
        if (databaseOptions.Value.MigrateAtStart)
            await migration.Apply(cancellationToken);
        await CheckTables(cancellationToken);
        await WaitForMigrations(cancellationToken);
        var clusterId = await cluster.Id(cancellationToken);
        await CheckTopics(cancellationToken);
        board.Started = true;
        logger.Started(
            identity.Name,
            Assembly.GetEntryAssembly()?.GetName().Version?.ToString(3) ?? "0",
            replica.Value.Replica,
            identity.Schema,
            identity.Group,
            clusterId,
            kafka.Value.Partitions,
            kafka.Value.Embedded
        );
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    async Task WaitForDatabase(CancellationToken cancellationToken)
    {
        for (var silent = false; ; silent = true)
        {
            try
            {
                await using var command = database.CreateCommand("select 1");
                await command.ExecuteNonQueryAsync(cancellationToken);
                if (silent)
                    logger.DatabaseReachable();
                return;
            }
            catch (PostgresException e) when (e.SqlState.StartsWith("28", StringComparison.Ordinal))
            {
                throw new StartRefusedException(
                    $"DATABASE__URL: PostgreSQL refuses the user or the password ({e.SqlState})"
                );
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InvalidCatalogName)
            {
                throw new StartRefusedException("DATABASE__URL: the database does not exist; create it");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                if (!silent)
                    logger.DatabaseUnreachable(e);
                await Task.Delay(RetryDelay, time, cancellationToken);
            }
        }
    }

    async Task CheckTables(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select to_regclass($1) is not null");
        command.Parameters.Add(new() { Value = $"{identity.Schema}.outbox_lease" });
        if (!(bool)(await command.ExecuteScalarAsync(cancellationToken))!)
        {
            throw new StartRefusedException(
                $"the database has no tables of {identity.Schema}: run the verb migrate, or set DATABASE__MIGRATEATSTART=true"
            );
        }
    }

    /// <summary>
    /// In an upgrade the new release may start beside the job that brings the tables up to date. On the old ones it would
    /// refuse every message as if the message were at fault.
    /// </summary>
    async Task WaitForMigrations(CancellationToken cancellationToken)
    {
        const string Code = "migrations";
        for (var silent = false; await migration.Pending(cancellationToken) is { Count: > 0 } pending; silent = true)
        {
            var names = string.Join(", ", pending);
            if (!silent)
                logger.MigrationsAwaited(identity.Schema, names);
            board.Set(Code, $"waits for migrations of {identity.Schema}: {names}; run the verb migrate");
            await Task.Delay(RetryDelay, time, cancellationToken);
        }

        board.Set(Code, null);
    }

    async Task CheckTopics(CancellationToken cancellationToken)
    {
        if (topics.Value.Ours.Count + topics.Value.Foreign.Count == 0)
            return;
        var partitions = await Partitions(cancellationToken);
        var expected = kafka.Value.Partitions;
        var faults = new List<string>();
        foreach (var topic in topics.Value.Ours.Concat(topics.Value.Foreign).Order(StringComparer.Ordinal))
        {
            if (!partitions.TryGetValue(topic, out var count))
            {
                faults.Add($"topic {topic} does not exist; create it, for example with the verb topics");
            }
            else if (count != expected && topics.Value.Ours.Contains(topic))
            {
                logger.PartitionsDiffer(LogLevel.Error, topic, count, expected);
                faults.Add(
                    $"topic {topic} has {count} partitions, KAFKA__PARTITIONS says {expected}: keys would move; drain, stop all, change topics and setting together"
                );
            }
            else if (count != expected)
            {
                logger.PartitionsDiffer(LogLevel.Warning, topic, count, expected);
            }
        }

        if (faults.Count > 0)
            throw new StartRefusedException(faults);
    }

    async Task<Dictionary<string, int>> Partitions(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var metadata = await cluster.Metadata(cancellationToken);
                return metadata
                    .Topics.Where(t => t.Error.Code == ErrorCode.NoError)
                    .ToDictionary(t => t.Topic, t => t.Partitions.Count, StringComparer.Ordinal);
            }
            catch (KafkaException e)
            {
                logger.KafkaUnreachable(e);
                await Task.Delay(RetryDelay, time, cancellationToken);
            }
        }
    }
}

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;

namespace Sync.Messaging.DeadLetters;

/// <summary>
/// In a rolling upgrade an old replica meets messages of types that only the new release knows. They wait as dead letters;
/// a process that knows their types sends them once more when it starts, in the order of their partitions. Should an old
/// replica still get one, it is kept again, and the next process that starts sends it again.
/// </summary>
sealed class UnknownTypesReplay(
    NpgsqlDataSource database,
    ProcessIdentity identity,
    MessageCatalog catalog,
    OutboxSignal signal,
    TimeProvider time,
    ILogger<UnknownTypesReplay> logger
) : BackgroundService
{
    static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Replay(stoppingToken);
                return;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException e)
            {
                logger.UnknownTypesWait(e, (int)RetryDelay.TotalMilliseconds);
            }

            await Task.Delay(RetryDelay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task Replay(CancellationToken cancellationToken)
    {
        var replay = new DeadLetterReplay(database);
        var queued = 0;
        foreach (var id in await Known(cancellationToken))
        {
            // Each in a transaction of its own, which closes the letter: another replica that starts now sends the others.
            var replayed = await replay.Replay(identity.Schema, id, "a version that knows its type", cancellationToken);
            if (replayed.Outcome is ReplayOutcome.Queued)
                queued++;
        }

        if (queued == 0)
            return;
        signal.Set();
        logger.UnknownTypesReplayed(queued);
    }

    async Task<List<Guid>> Known(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
            select id from {identity.Schema}.dead_letter
             where state = 'open' and direction = 'in' and reason_code = $1 and message_type = any($2)
             order by topic, partition, "offset"
            """
        );
        command.Parameters.Add(new() { Value = DeadLetterReasons.UnknownType });
        command.Parameters.Add(
            new()
            {
                Value = catalog.Kinds.Select(k => k.Name).ToArray(),
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
            }
        );
        var ids = new List<Guid>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetGuid(0));
        return ids;
    }
}

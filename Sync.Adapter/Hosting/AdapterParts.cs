using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Messaging.Outbox;

namespace Sync.Adapter.Hosting;

// What the kernel asks of an adapter, and what the adapter asks of the kernel.

/// <summary>What the adapter suffers from stands on the process's health page; none of it makes the process unready.</summary>
sealed class AdapterHealth(HealthBoard board) : IAdapterHealth
{
    public void Set(string code, string? detail) => board.Set(code, detail);
}

/// <summary>
/// Once claimed is enough, since the claim is what finds a restored database. One that it found is put right before any lane
/// is taken: a lane that does not know of the restore doubts nothing, and creates without looking.
/// </summary>
sealed class ClaimedOnce(IConsumerHealth consumer) : IMayWork
{
    volatile bool _claimed;

    public bool Now =>
        consumer.State.Phase switch
        {
            ConsumerPhase.Restoring => false,
            ConsumerPhase.Claimed or ConsumerPhase.Idle => _claimed = true,
            _ => _claimed,
        };
}

/// <summary>Consuming pauses while too much work waits: Kafka keeps it as well.</summary>
sealed class WorkBacklog(AdapterSchema schema) : IBacklog
{
    public string Name => "work";

    public async Task<long> Count(NpgsqlConnection connection, long limit, CancellationToken cancellationToken)
    {
        await using var command = LinkStore.Command(
            connection,
            $"select count(*) from (select 1 from {schema.Quoted}.work limit $1) w",
            [limit]
        );
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}

/// <summary>This database was restored: its reports are numbered above any that the saga has seen.</summary>
sealed class RaiseVersions(LinkStore store, ILogger<RaiseVersions> log) : IRestoreHook
{
    public async Task Restored(CancellationToken cancellationToken)
    {
        await store.RaiseVersions(cancellationToken);
        log.VersionsRaised();
    }
}

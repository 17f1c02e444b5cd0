namespace Sync.Messaging.Offsets;

/// <summary>
/// Called when a claim finds that PostgreSQL stands behind what it once told Kafka: the database was restored. Until it is
/// done the partitions stay paused, and the process says <see cref="Hosting.ConsumerPhase.Restoring"/>; a failing one runs
/// again. Every replica whose partitions show it calls its own, so a hook may run more than once for one restore. An
/// adapter raises the numbers of its reports here.
/// </summary>
public interface IRestoreHook
{
    Task Restored(CancellationToken cancellationToken);
}

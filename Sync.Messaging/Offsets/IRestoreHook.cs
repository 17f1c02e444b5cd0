namespace Sync.Messaging.Offsets;

/// <summary>
/// Called when a claim finds that PostgreSQL stands behind what it once told Kafka: the database was restored. Until it is
/// done the partitions stay paused. An adapter raises the numbers of its reports here.
/// </summary>
public interface IRestoreHook
{
    Task Restored(CancellationToken cancellationToken);
}

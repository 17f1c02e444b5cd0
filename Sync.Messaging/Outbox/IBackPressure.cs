using Npgsql;

namespace Sync.Messaging.Outbox;

/// <summary>Whether this process has too much in hand. The consuming loop pauses its partitions while it is on.</summary>
public interface IBackPressure
{
    /// <summary>On above the limits of the outbox or of a backlog, off at half of them. Read once a second from PostgreSQL.</summary>
    bool IsOn { get; }
}

/// <summary>A queue besides the outbox that consuming fills, such as an adapter's <c>work</c>. Register it as a singleton.</summary>
public interface IBacklog
{
    string Name { get; }

    /// <summary>Rows waiting, at most a little more than <paramref name="limit"/>: the statement need not count beyond it.</summary>
    Task<long> Count(NpgsqlConnection connection, long limit, CancellationToken cancellationToken);
}

using Npgsql;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>The outbox for those who own a transaction outside an endpoint, such as an adapter's worker.</summary>
public interface IOutbox
{
    /// <summary>Encodes a message of the catalog; the current activity becomes its trace parent.</summary>
    OutgoingMessage Encode(object message, Guid? causationId = null);

    /// <summary>
    /// Writes the rows, in order, in the transaction that <paramref name="connection"/> has open. Call it after the guarded
    /// update of the row that the messages speak of: ids are then taken under that row's lock, so per key the order of ids
    /// is the order of commits.
    /// </summary>
    Task Write(
        NpgsqlConnection connection,
        IReadOnlyList<OutgoingMessage> messages,
        CancellationToken cancellationToken
    );

    /// <summary>After the commit: wakes the deliverer at once instead of at its next look.</summary>
    void Signal();
}

using Npgsql;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>The outbox for those who own a transaction outside an endpoint, such as an adapter's worker.</summary>
public interface IOutbox
{
    /// <summary>Encodes a message of the catalog; the current activity becomes its trace parent.</summary>
    OutgoingMessage Encode(object message, Guid? causationId = null);

    /// <summary>
    /// The statement that writes the rows, in order; run it in the transaction that the messages belong to, after the guarded
    /// update of the row that they speak of: ids are then taken under that row's lock, so per key the order of ids is the
    /// order of commits.
    /// </summary>
    NpgsqlBatchCommand Insert(IReadOnlyList<OutgoingMessage> messages);

    /// <summary>Writes the rows, in order, in the transaction that <paramref name="connection"/> has open.</summary>
    async Task Write(
        NpgsqlConnection connection,
        IReadOnlyList<OutgoingMessage> messages,
        CancellationToken cancellationToken
    )
    {
        if (messages.Count == 0)
            return;
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { Insert(messages) } };
        await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>After the commit: wakes the deliverer at once instead of at its next look.</summary>
    void Signal();
}

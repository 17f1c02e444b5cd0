using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>Writes rows of the outbox in whatever transaction the connection has open.</summary>
sealed class OutboxWriter(OutboxSql sql, MessageEncoder encoder, OutboxSignal signal) : IOutbox
{
    public OutgoingMessage Encode(object message, Guid? causationId = null) => encoder.Encode(message, causationId);

    public async Task Write(
        NpgsqlConnection connection,
        IReadOnlyList<OutgoingMessage> messages,
        CancellationToken cancellationToken
    )
    {
        if (messages.Count == 0)
            return;
        await using var command = new NpgsqlCommand(sql.Insert, connection);
        command.Parameters.Add(Array(NpgsqlDbType.Text, messages.Select(m => m.Topic)));
        command.Parameters.Add(Array(NpgsqlDbType.Bytea, messages.Select(m => m.Key)));
        command.Parameters.Add(Array(NpgsqlDbType.Bytea, messages.Select(m => m.Headers.ToBytes())));
        command.Parameters.Add(Array(NpgsqlDbType.Bytea, messages.Select(m => m.Body)));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public void Signal() => signal.Set();

    static NpgsqlParameter Array<T>(NpgsqlDbType type, IEnumerable<T> values) =>
        new() { NpgsqlDbType = NpgsqlDbType.Array | type, Value = values.ToArray() };
}

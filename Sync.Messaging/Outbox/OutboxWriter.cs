using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>Writes rows of the outbox.</summary>
sealed class OutboxWriter(OutboxSql sql, MessageEncoder encoder, OutboxSignal signal) : IOutbox
{
    public OutgoingMessage Encode(object message, Guid? causationId = null) => encoder.Encode(message, causationId);

    public NpgsqlBatchCommand Insert(IReadOnlyList<OutgoingMessage> messages) =>
        new(sql.Insert)
        {
            Parameters =
            {
                Array(NpgsqlDbType.Text, messages.Select(m => m.Topic)),
                Array(NpgsqlDbType.Bytea, messages.Select(m => m.Key)),
                Array(NpgsqlDbType.Bytea, messages.Select(m => m.Headers.ToBytes())),
                Array(NpgsqlDbType.Bytea, messages.Select(m => m.Body)),
            },
        };

    public void Signal() => signal.Set();

    static NpgsqlParameter Array<T>(NpgsqlDbType type, IEnumerable<T> values) =>
        new() { NpgsqlDbType = NpgsqlDbType.Array | type, Value = values.ToArray() };
}

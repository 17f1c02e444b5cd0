using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Hosting;
using Sync.Messaging.Wire;

namespace Sync.Messaging.DeadLetters;

/// <summary>What became of one dead letter that was to be replayed.</summary>
public enum ReplayOutcome
{
    /// <summary>The original record is a row of the outbox, and the dead letter is closed.</summary>
    Queued,

    /// <summary>No dead letter has this id.</summary>
    Unknown,

    /// <summary>It was replayed or closed before.</summary>
    Closed,

    /// <summary>The record has no key or no value, so that it would be refused again: it must be sent anew, complete.</summary>
    Incomplete,
}

/// <param name="OutboxId">The row that will leave; it is deleted once Kafka has acknowledged it.</param>
/// <param name="Topic">Where the record goes.</param>
public sealed record Replayed(ReplayOutcome Outcome, long? OutboxId = null, string? Topic = null);

/// <summary>
/// Sends a dead letter's original record once more, unchanged, through the outbox of the process that kept it. If its key
/// has moved on meanwhile, the receiver drops it by the number it carries: nothing renumbers it.
/// </summary>
public sealed class DeadLetterReplay(NpgsqlDataSource database)
{
    const int MaxClosedBy = 128;

    /// <summary>Closes the dead letter and queues its record, in one transaction: asked twice, it leaves once.</summary>
    /// <param name="schema">The schema of the process that kept it.</param>
    /// <param name="by">Who asked; stands in <c>closed_by</c>.</param>
    public async Task<Replayed> Replay(string schema, Guid id, string by, CancellationToken cancellationToken)
    {
        var s = MessagingTables.CheckedSchema(schema);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        string topic;
        byte[] key,
            value;
        MessageHeaders headers;
        await using (
            var select = new NpgsqlCommand(
                $"select state, topic, key, value, headers::text from {s}.dead_letter where id = $1 for update",
                connection,
                transaction
            )
            {
                Parameters = { new() { Value = id } },
            }
        )
        await using (var reader = await select.ExecuteReaderAsync(cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
                return new(ReplayOutcome.Unknown);
            if (reader.GetString(0) != "open")
                return new(ReplayOutcome.Closed);
            if (reader.IsDBNull(1) || reader.IsDBNull(2) || reader.IsDBNull(3))
                return new(ReplayOutcome.Incomplete);
            topic = reader.GetString(1);
            key = reader.GetFieldValue<byte[]>(2);
            value = reader.GetFieldValue<byte[]>(3);
            headers = Headers(reader.IsDBNull(4) ? "[]" : reader.GetString(4));
        }

        if (key.Length == 0)
            return new(ReplayOutcome.Incomplete);

        await using var insert = new NpgsqlCommand(
            $"insert into {s}.outbox (topic, key, headers, body) values ($1, $2, $3, $4) returning id",
            connection,
            transaction
        )
        {
            Parameters =
            {
                new() { Value = topic },
                new() { Value = key },
                new() { Value = headers.ToBytes() },
                new() { Value = value },
            },
        };
        var outboxId = (long)(await insert.ExecuteScalarAsync(cancellationToken))!;
        await using var close = new NpgsqlCommand(
            $"update {s}.dead_letter set state = 'replayed', closed_by = $2, closed_at = now() where id = $1",
            connection,
            transaction
        )
        {
            Parameters =
            {
                new() { Value = id },
                new() { Value = by.Length <= MaxClosedBy ? by : by[..MaxClosedBy], NpgsqlDbType = NpgsqlDbType.Text },
            },
        };
        await close.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new(ReplayOutcome.Queued, outboxId, topic);
    }

    /// <summary>Order and doubles are kept, as they were in the record.</summary>
    static MessageHeaders Headers(string json)
    {
        var headers = new MessageHeaders();
        using var document = JsonDocument.Parse(json);
        foreach (var header in document.RootElement.EnumerateArray())
        {
            var value = header.GetProperty("value");
            headers.Add(
                new(
                    header.GetProperty("name").GetString()!,
                    value.ValueKind == JsonValueKind.Null ? null : value.GetBytesFromBase64()
                )
            );
        }

        return headers;
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Batching;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;
using UUIDNext;

namespace Sync.Messaging.DeadLetters;

/// <summary>A record that cannot be handled, kept whole, with the reason. The table is the truth; its topic gets a copy.</summary>
sealed record DeadLetter(ConsumedRecord Record, string? TypeName, string Code, string Reason, int Attempts)
{
    /// <summary>A larger record is copied by its coordinates and hash only: with headers it would not fit into a message.</summary>
    const int MaxCopiedBytes = 800_000;

    static readonly Guid Namespace = new("f2c4b7de-53a1-4b7e-9a0f-6f9a7f7d9c31");

    public static DeadLetter Unreadable(ConsumedRecord record, Decoded decoded) =>
        new(record, Storable(decoded.TypeName), decoded.Refusal!.Code, Storable(decoded.Refusal.Reason)!, 0);

    public static DeadLetter FromHandler(MessageSlot slot, Exception exception)
    {
        var (code, reason) = Find<RefusedMessageException>(exception) is { } refused
            ? (refused.ReasonCode, refused.Message)
            : (DeadLetterReasons.Handler, Describe(exception));
        return new(slot.Record, slot.TypeName, code, Storable(reason)!, slot.Attempts);
    }

    public static DeadLetter Timeout(ConsumedRecord record, string? typeName, TimeSpan budget) =>
        new(
            record,
            Storable(typeName),
            DeadLetterReasons.HandlerTimeout,
            $"its handling took longer than {budget.TotalSeconds:0} s, alone in its transaction",
            1
        );

    /// <summary>PostgreSQL refused what the message wrote.</summary>
    public static DeadLetter Commit(ConsumedRecord record, string? typeName, Exception exception) =>
        new(
            record,
            Storable(typeName),
            DeadLetterReasons.Commit,
            Find<PostgresException>(exception) is { } refused
                ? $"SQLSTATE {refused.SqlState}"
                    + (refused.TableName is { Length: > 0 } table ? $", table {table}" : "")
                    + (refused.ColumnName is { Length: > 0 } column ? $", column {column}" : "")
                    + (refused.ConstraintName is { Length: > 0 } constraint ? $", constraint {constraint}" : "")
                : Describe(exception),
            1
        );

    /// <summary>The same record is the same dead letter, however often it is written.</summary>
    public Guid Id(string cluster) =>
        Uuid.NewNameBased(
            Namespace,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{cluster}\n{Record.Topic}\n{Record.Partition.Partition.Value}\n{Record.Offset}\n{Hash()}"
            )
        );

    public NpgsqlBatchCommand Insert(string sql, string group, string cluster) =>
        new(sql)
        {
            Parameters =
            {
                new() { Value = Id(cluster) },
                new() { Value = group },
                new() { Value = cluster },
                new() { Value = Record.Topic },
                new() { Value = Record.Partition.Partition.Value },
                new() { Value = Record.Offset },
                new() { Value = (object?)Record.Key ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea },
                new() { Value = (object?)Record.Value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea },
                new() { Value = HeadersJson(), NpgsqlDbType = NpgsqlDbType.Jsonb },
                new() { Value = (object?)TypeName ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = Code },
                new() { Value = Reason },
                new() { Value = Attempts },
            },
        };

    /// <summary>Record and reason, for whoever watches the topic.</summary>
    public OutgoingMessage Copy(string topic, string group, string cluster)
    {
        var whole =
            Record.Bytes + (Record.Key?.Length ?? 0) + Record.Headers.Sum(h => h.Key.Length + (h.Value?.Length ?? 0))
            <= MaxCopiedBytes;
        var headers = new MessageHeaders();
        if (whole)
            headers.AddRange(Record.Headers);
        headers.Add("dead_letter_id", Id(cluster).ToString());
        headers.Add("dead_letter_reason_code", Code);
        headers.Add("dead_letter_reason", Reason);
        headers.Add("dead_letter_group", group);
        headers.Add("dead_letter_cluster", cluster);
        headers.Add("dead_letter_topic", Record.Topic);
        headers.Add("dead_letter_partition", Record.Partition.Partition.Value.ToString(CultureInfo.InvariantCulture));
        headers.Add("dead_letter_offset", Record.Offset.ToString(CultureInfo.InvariantCulture));
        headers.Add("dead_letter_sha256", Hash());
        return new(topic, (whole ? Record.Key : null) ?? [], headers, (whole ? Record.Value : null) ?? []);
    }

    /// <summary>Exception type and the frame that threw: no message text, which may hold values.</summary>
    static string Describe(Exception exception)
    {
        var innermost = exception;
        for (var depth = 0; innermost.InnerException is { } inner && depth < 16; depth++)
            innermost = inner;
        var frame = new StackTrace(innermost, fNeedFileInfo: false)
            .GetFrames()
            .Select(f => f.GetMethod())
            .FirstOrDefault(m => m?.DeclaringType is not null);
        return frame is null
            ? innermost.GetType().FullName!
            : $"{innermost.GetType().FullName} in {frame.DeclaringType!.FullName}.{frame.Name}";
    }

    static T? Find<T>(Exception exception)
        where T : Exception
    {
        var depth = 0;
        for (var current = exception; current is not null && depth < 16; current = current.InnerException, depth++)
        {
            if (current is T found)
                return found;
        }

        return null;
    }

    string Hash() => Convert.ToHexStringLower(SHA256.HashData(Record.Value ?? []));

    string HeadersJson()
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartArray();
            foreach (var (name, value) in Record.Headers)
            {
                writer.WriteStartObject();
                writer.WriteString("name", Storable(name));
                if (value is null)
                    writer.WriteNull("value");
                else
                    writer.WriteBase64String("value", value);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>PostgreSQL's text holds no NUL, and what a stranger wrote into a header may.</summary>
    static string? Storable(string? text) => text?.Replace('\0', '\uFFFD');
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>
/// Rows that Kafka will never take, kept whole with the reason. The dead-letter topic gets coordinates and hash: a copy of
/// what Kafka has refused would be refused as well.
/// </summary>
sealed class OutgoingDeadLetters(ProcessIdentity identity, IOutbox outbox, IOptions<ConsumingOptions> options)
{
    static readonly Guid Namespace = new("b8f2c1de-0f43-4f0f-9c38-5a0e6b8a3d27");

    // A key is an id of at most 128 characters; whatever is longer may be what Kafka refused.
    const int MaxNoticeKeyBytes = 1_024;

    readonly string _insert = $"""
        insert into {identity.Schema}.dead_letter
               (id, direction, consumer_group, cluster_id, topic, key, value, headers, message_type, reason_code, reason)
        values ($1, 'out', $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (id) do nothing
        """;

    /// <summary>The same row of the same outbox has the same id: written twice is once.</summary>
    public Guid Id(string clusterId, OutboxRow row) =>
        Version5(
            $"{identity.Schema}\n{clusterId}\n{row.Topic}\n{row.Id}\n{Convert.ToHexString(SHA256.HashData(row.Body))}"
        );

    public async Task Write(
        NpgsqlConnection connection,
        string clusterId,
        OutboxRow row,
        string code,
        CancellationToken cancellationToken
    )
    {
        var headers = Headers(row);
        await using var command = new NpgsqlCommand(_insert, connection);
        command.Parameters.Add(new() { Value = Id(clusterId, row) });
        command.Parameters.Add(new() { Value = identity.Group });
        command.Parameters.Add(new() { Value = clusterId });
        command.Parameters.Add(new() { Value = row.Topic });
        command.Parameters.Add(new() { Value = row.Key });
        command.Parameters.Add(new() { Value = row.Body });
        command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Jsonb, Value = Json(headers) });
        command.Parameters.Add(
            new()
            {
                NpgsqlDbType = NpgsqlDbType.Text,
                Value = (object?)headers.Text(CloudEventNames.Type) ?? DBNull.Value,
            }
        );
        command.Parameters.Add(new() { Value = ReasonCode(code) });
        var reason = Reason(row, code);
        command.Parameters.Add(new() { Value = reason });
        await command.ExecuteNonQueryAsync(cancellationToken);
        // A notice that cannot leave itself is not announced by another one.
        if (row.Topic != options.Value.DeadLetterTopic)
            await outbox.Write(connection, [Notice(clusterId, row, code, reason)], cancellationToken);
    }

    OutgoingMessage Notice(string clusterId, OutboxRow row, string code, string reason) =>
        new(
            options.Value.DeadLetterTopic,
            row.Key.Length <= MaxNoticeKeyBytes ? row.Key : [],
            new MessageHeaders
            {
                { "dead_letter_id", Id(clusterId, row).ToString() },
                { "dead_letter_reason_code", ReasonCode(code) },
                { "dead_letter_reason", reason },
                { "dead_letter_group", identity.Group },
                { "dead_letter_cluster", clusterId },
                { "dead_letter_topic", row.Topic },
                { "dead_letter_outbox_id", row.Id.ToString(CultureInfo.InvariantCulture) },
                { "dead_letter_sha256", Convert.ToHexStringLower(SHA256.HashData(row.Body)) },
            },
            []
        );

    static string Reason(OutboxRow row, string code) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"Kafka refused outbox row {row.Id} for {row.Topic} with {code}: key {row.Key.Length}, headers {row.Headers.Length}, body {row.Body.Length} bytes"
        );

    public static string ReasonCode(string code) =>
        code is "MsgSizeTooLarge" or "RecordListTooLarge"
            ? DeadLetterReasons.TooLarge
            : DeadLetterReasons.RefusedByKafka;

    /// <summary>A row whose headers are no headers keeps them as one, without a name.</summary>
    public static MessageHeaders Headers(OutboxRow row)
    {
        try
        {
            return MessageHeaders.FromBytes(row.Headers);
        }
        catch (Exception e) when (e is IOException or FormatException or ArgumentException)
        {
            return [new("", row.Headers)];
        }
    }

    static string Json(MessageHeaders headers)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartArray();
            foreach (var (name, value) in headers)
            {
                writer.WriteStartObject();
                writer.WriteString("name", name);
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

    /// <summary>RFC 9562, 5.5. SHA-1 names here, it does not protect.</summary>
    static Guid Version5(string name)
    {
        var text = Encoding.UTF8.GetBytes(name);
        var input = new byte[16 + text.Length];
        Namespace.TryWriteBytes(input, bigEndian: true, out _);
        text.CopyTo(input, 16);
#pragma warning disable CA5350 // The algorithm is the one that the RFC names.
        var hash = SHA1.HashData(input);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0f) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3f) | 0x80);
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Hosting;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>Rows that Kafka will never take, kept whole with the reason.</summary>
sealed class OutgoingDeadLetters(ProcessIdentity identity)
{
    static readonly Guid Namespace = new("b8f2c1de-0f43-4f0f-9c38-5a0e6b8a3d27");

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
        command.Parameters.Add(
            new()
            {
                Value = string.Create(
                    CultureInfo.InvariantCulture,
                    $"Kafka refused outbox row {row.Id} for {row.Topic} with {code}: key {row.Key.Length}, headers {row.Headers.Length}, body {row.Body.Length} bytes"
                ),
            }
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static string ReasonCode(string code) =>
        code is "MsgSizeTooLarge" or "RecordListTooLarge" ? "too-large" : "refused-by-kafka";

    /// <summary>A row whose headers are no headers keeps them as one, without a name.</summary>
    static MessageHeaders Headers(OutboxRow row)
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

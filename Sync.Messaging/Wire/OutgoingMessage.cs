using System.Buffers.Binary;
using System.Text;

namespace Sync.Messaging.Wire;

/// <summary>A record as it will stand in Kafka: a row of <c>outbox</c> or of <c>schedule</c>.</summary>
public sealed record OutgoingMessage(string Topic, byte[] Key, MessageHeaders Headers, byte[] Body);

/// <summary>Kafka headers, order and doubles kept. In a row: count, then name and value with their lengths, little-endian.</summary>
public sealed class MessageHeaders : List<KeyValuePair<string, byte[]?>>
{
    public void Add(string name, string value) => Add(new(name, Encoding.UTF8.GetBytes(value)));

    /// <summary>The last value of a name, as text; null when it is not there or not UTF-8 text.</summary>
    public string? Text(string name)
    {
        var index = FindLastIndex(h => h.Key == name);
        return index < 0 || this[index].Value is not { } value ? null : Utf8.Decode(value);
    }

    public byte[] ToBytes()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Count);
        foreach (var (name, value) in this)
        {
            writer.Write(name);
            writer.Write(value?.Length ?? -1);
            if (value is not null)
                writer.Write(value);
        }

        writer.Flush();
        return stream.ToArray();
    }

    public static MessageHeaders FromBytes(byte[] bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes), Encoding.UTF8);
        var headers = new MessageHeaders();
        for (var left = reader.ReadInt32(); left > 0; left--)
        {
            var name = reader.ReadString();
            var length = reader.ReadInt32();
            headers.Add(new(name, length < 0 ? null : reader.ReadBytes(length)));
        }

        return headers;
    }
}

/// <summary>UTF-8 that refuses what is not UTF-8.</summary>
public static class Utf8
{
    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static string? Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}

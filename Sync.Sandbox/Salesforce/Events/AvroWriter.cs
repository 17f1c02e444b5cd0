using System.Buffers;
using System.Text;

namespace Sync.Sandbox.Salesforce.Events;

/// <summary>Avro's binary form, as far as a change event needs it. By hand, so that the reader's library meets a stranger.</summary>
sealed class AvroWriter
{
    readonly ArrayBufferWriter<byte> _bytes = new();

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    /// <summary>int, long, and the index of a union or an enum: zigzag, seven bits a byte.</summary>
    public AvroWriter Long(long value)
    {
        var rest = (ulong)((value << 1) ^ (value >> 63));
        while (rest >= 0x80)
        {
            _bytes.Write([(byte)(rest | 0x80)]);
            rest >>= 7;
        }

        _bytes.Write([(byte)rest]);
        return this;
    }

    public AvroWriter Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Long(bytes.Length);
        _bytes.Write(bytes);
        return this;
    }

    /// <summary>An array of texts: one block, and the empty one that ends it.</summary>
    public AvroWriter Texts(IReadOnlyCollection<string> texts)
    {
        if (texts.Count > 0)
        {
            Long(texts.Count);
            foreach (var text in texts)
                Text(text);
        }

        return Long(0);
    }

    public AvroWriter Raw(byte[] bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    /// <summary>A union of null and one other: null, or the branch.</summary>
    public AvroWriter Maybe(object? value)
    {
        switch (value)
        {
            case null:
                return Long(0);
            case string text:
                return Long(1).Text(text);
            case DateTimeOffset time:
                return Long(1).Long(time.ToUnixTimeMilliseconds());
            default:
                throw new ArgumentException($"no Avro form for {value.GetType().Name}", nameof(value));
        }
    }
}

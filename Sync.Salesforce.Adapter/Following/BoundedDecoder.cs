using System.Buffers.Binary;
using System.Text;
using Avro;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// Avro's binary form out of memory. The library's own decoder believes every length that it reads and makes room for it;
/// this one makes room for no more than there are bytes, so that a broken event costs an exception and not the process.
/// </summary>
sealed class BoundedDecoder(ReadOnlyMemory<byte> bytes) : Avro.IO.Decoder
{
    /// <summary>Items of one array or map: more than any change event has.</summary>
    const int MaxItems = 100_000;

    int _at;

    int Left => bytes.Length - _at;

    public bool AtEnd => Left == 0;

    public void ReadNull()
    {
        // Null has no bytes.
    }

    public bool ReadBoolean() =>
        Take(1)[0] switch
        {
            0 => false,
            1 => true,
            _ => throw new AvroException("a boolean that is neither"),
        };

    public int ReadInt() =>
        ReadLong() is >= int.MinValue and <= int.MaxValue and var value
            ? (int)value
            : throw new AvroException("an int out of range");

    public long ReadLong()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if ((next & 0x80) == 0)
                return (long)(value >> 1) ^ -(long)(value & 1);
        }

        throw new AvroException("a number of more than ten bytes");
    }

    public float ReadFloat() => BinaryPrimitives.ReadSingleLittleEndian(Take(4));

    public double ReadDouble() => BinaryPrimitives.ReadDoubleLittleEndian(Take(8));

    public byte[] ReadBytes() => Take(Length()).ToArray();

    public string ReadString() => Encoding.UTF8.GetString(Take(Length()));

    public int ReadEnum() => ReadInt();

    public int ReadUnionIndex() => ReadInt();

    public long ReadArrayStart() => Items();

    public long ReadArrayNext() => Items();

    public long ReadMapStart() => Items();

    public long ReadMapNext() => Items();

    public void ReadFixed(byte[] buffer) => ReadFixed(buffer, 0, buffer.Length);

    public void ReadFixed(byte[] buffer, int start, int length) => Take(length).CopyTo(buffer.AsSpan(start, length));

    public void SkipNull()
    {
        // Null has no bytes.
    }

    public void SkipBoolean() => Take(1);

    public void SkipInt() => ReadInt();

    public void SkipLong() => ReadLong();

    public void SkipFloat() => Take(4);

    public void SkipDouble() => Take(8);

    public void SkipBytes() => Take(Length());

    public void SkipString() => Take(Length());

    public void SkipEnum() => ReadInt();

    public void SkipUnionIndex() => ReadInt();

    public void SkipFixed(int len) => Take(len);

    /// <summary>A block's count; a negative one is followed by the block's size in bytes.</summary>
    long Items()
    {
        var count = ReadLong();
        if (count < 0)
        {
            count = count == long.MinValue ? long.MaxValue : -count;
            ReadLong();
        }

        return count <= MaxItems && count <= Left ? count : throw new AvroException("more items than bytes");
    }

    int Length() =>
        ReadLong() is >= 0 and var length && length <= Left ? (int)length : throw new AvroException("cut short");

    ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > Left)
            throw new AvroException("cut short");
        var taken = bytes.Span.Slice(_at, count);
        _at += count;
        return taken;
    }
}

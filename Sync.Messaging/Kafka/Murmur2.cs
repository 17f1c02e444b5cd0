using System.Buffers.Binary;

namespace Sync.Messaging.Kafka;

/// <summary>Where a Java client, and every producer of ours, puts a key. The consumer checks strangers against it.</summary>
static class Murmur2
{
    const uint Seed = 0x9747b28c;
    const uint Multiplier = 0x5bd1e995;

    public static int Partition(ReadOnlySpan<byte> key, int partitions) => (Hash(key) & 0x7fffffff) % partitions;

    /// <summary>MurmurHash2 with Kafka's seed.</summary>
    public static int Hash(ReadOnlySpan<byte> key)
    {
        unchecked
        {
            var hash = Seed ^ (uint)key.Length;
            while (key.Length >= 4)
            {
                var word = BinaryPrimitives.ReadUInt32LittleEndian(key) * Multiplier;
                word = (word ^ (word >> 24)) * Multiplier;
                hash = (hash * Multiplier) ^ word;
                key = key[4..];
            }

            if (key.Length == 3)
                hash ^= (uint)key[2] << 16;
            if (key.Length >= 2)
                hash ^= (uint)key[1] << 8;
            if (key.Length >= 1)
                hash = (hash ^ key[0]) * Multiplier;

            hash = (hash ^ (hash >> 13)) * Multiplier;
            return (int)(hash ^ (hash >> 15));
        }
    }
}

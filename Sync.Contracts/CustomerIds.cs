using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sync.Contracts;

/// <summary>
/// Identity on the wire. A customer id is the product's own text; inside, a customer is the UUIDv5 (RFC 9562, 5.5)
/// of it in a fixed namespace, so that every process finds the same one without asking.
/// </summary>
public static class CustomerIds
{
    public const int MaxLength = 128;

    static readonly Guid CustomerNamespace = new("6a4d9f0e-5c1b-4c57-9d53-2a0f4f2c8e11");
    static readonly Guid ObjectNamespace = new("0b6f0d4c-8f0a-4f0e-8a3e-7f6f7b0f6a52");

    /// <summary>What is wrong with a customer id, without repeating it; null when nothing is.</summary>
    public static string? Problem(string? customerId)
    {
        if (string.IsNullOrEmpty(customerId))
            return "customerId: is empty; a customer id has 1 to 128 characters";
        if (customerId.Length > MaxLength)
            return $"customerId: has {customerId.Length} characters; at most {MaxLength} are allowed";

        return customerId.Any(char.IsControl) || !IsWellFormed(customerId)
            ? "customerId: contains control characters or broken surrogates; neither is allowed"
            : null;
    }

    /// <summary>The saga's correlation id.</summary>
    public static Guid CorrelationId(string customerId) => Version5(CustomerNamespace, customerId);

    /// <summary>The correlation id of an object found in a vendor.</summary>
    public static Guid ObjectId(string system, string externalId) =>
        Version5(ObjectNamespace, $"{system}\n{externalId}");

    /// <summary>The id of a customer first seen as an object of a vendor.</summary>
    public static string Minted(string system, string externalId) => ObjectId(system, externalId).ToString();

    public static Guid Version5(Guid space, string name)
    {
        Span<byte> spaceBytes = stackalloc byte[16];
        space.TryWriteBytes(spaceBytes, bigEndian: true, out _);
        var nameBytes = Encoding.UTF8.GetBytes(name);
        var input = new byte[16 + nameBytes.Length];
        spaceBytes.CopyTo(input);
        nameBytes.CopyTo(input, 16);

        Span<byte> hash = stackalloc byte[20];
#pragma warning disable CA5350 // RFC 9562 defines version 5 with SHA-1; nothing secret depends on it.
        SHA1.HashData(input, hash);
#pragma warning restore CA5350
        BinaryPrimitives.WriteUInt16BigEndian(
            hash[6..],
            (ushort)((BinaryPrimitives.ReadUInt16BigEndian(hash[6..]) & 0x0FFF) | 0x5000)
        );
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    static bool IsWellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                i++;
            else if (char.IsSurrogate(text[i]))
                return false;
        }

        return true;
    }
}

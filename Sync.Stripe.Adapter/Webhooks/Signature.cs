using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sync.Stripe.Adapter.Webhooks;

enum SignatureVerdict
{
    Valid,

    /// <summary>There is no header, or several.</summary>
    Missing,

    /// <summary>The header has no time or no signature that could be one.</summary>
    Malformed,

    /// <summary>Nobody who knows one of our secrets signed this body at that time.</summary>
    Wrong,

    /// <summary>Signed by Stripe, but not now: a copy that somebody kept, or a clock that is wrong.</summary>
    OutOfTime,
}

/// <summary>
/// Stripe's signature, scheme v1: HMAC-SHA256 with the endpoint's secret over the time, a dot and the body as it came, byte
/// by byte. While a secret is rolled, Stripe signs with the old and the new one, and we know one or both.
/// </summary>
static class Signature
{
    public const string Header = "Stripe-Signature";

    /// <summary>Either way; Stripe signs each attempt anew.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(5);

    /// <summary>Stripe sends one a secret; more are an attempt to make us count.</summary>
    const int MaxSignatures = 16;

    public static SignatureVerdict Check(
        ReadOnlySpan<byte> body,
        string? header,
        IReadOnlyList<string> secrets,
        DateTimeOffset now
    )
    {
        if (string.IsNullOrEmpty(header))
            return SignatureVerdict.Missing;
        if (Parse(header) is not var (time, signatures))
            return SignatureVerdict.Malformed;

        var prefix = Encoding.ASCII.GetBytes(time + ".");
        var signed = new byte[prefix.Length + body.Length];
        prefix.CopyTo(signed, 0);
        body.CopyTo(signed.AsSpan(prefix.Length));
        var matches = false;
        Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
        foreach (var secret in secrets)
        {
            HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed, expected);
            foreach (var signature in signatures)
                matches |= CryptographicOperations.FixedTimeEquals(expected, signature);
        }

        if (!matches)
            return SignatureVerdict.Wrong;

        // The time is believed only now: it is part of what was signed.
        return
            long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            && Math.Abs((decimal)now.ToUnixTimeSeconds() - seconds) <= (decimal)Tolerance.TotalSeconds
            ? SignatureVerdict.Valid
            : SignatureVerdict.OutOfTime;
    }

    /// <summary>The time as it is written, and what may be signatures. Other schemes are left alone.</summary>
    static (string Time, List<byte[]> Signatures)? Parse(string header)
    {
        string? time = null;
        List<byte[]> signatures = [];
        foreach (var part in header.Split(','))
        {
            var item = part.AsSpan().Trim();
            if (item.StartsWith("t="))
            {
                if (time is not null || item.Length == 2 || item[2..].ContainsAnyExceptInRange('0', '9'))
                    return null;
                time = item[2..].ToString();
            }
            else if (item.StartsWith("v1="))
            {
                if (
                    item.Length - 3 == 2 * HMACSHA256.HashSizeInBytes
                    && signatures.Count < MaxSignatures
                    && IsHex(item[3..])
                )
                    signatures.Add(Convert.FromHexString(item[3..]));
            }
        }

        return time is null || signatures.Count == 0 ? null : (time, signatures);
    }

    static bool IsHex(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiHexDigit(c))
                return false;
        }

        return true;
    }
}

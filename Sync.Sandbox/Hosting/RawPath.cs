using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Sync.Sandbox.Hosting;

/// <summary>The path as it was sent: an id may hold an encoded slash, which decoding before splitting would lose.</summary>
static class RawPath
{
    /// <summary>The decoded segments; empty ones (a doubled or trailing slash) are left out. Null when one is not valid UTF-8.</summary>
    public static string[]? Segments(HttpContext http)
    {
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        var path = query < 0 ? target : target[..query];
        var segments = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < segments.Length; i++)
        {
            if (Decode(segments[i], plusIsSpace: false) is not { } segment)
                return null;
            segments[i] = segment;
        }

        return segments;
    }

    /// <summary>Percent-decoding that refuses what is not UTF-8 instead of replacing it.</summary>
    public static string? Decode(ReadOnlySpan<char> text, bool plusIsSpace)
    {
        if (!text.ContainsAny('%', '+') && Ascii.IsValid(text))
            return text.ToString();

        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '%')
            {
                if (
                    i + 2 >= text.Length
                    || !byte.TryParse(
                        text.Slice(i + 1, 2),
                        NumberStyles.AllowHexSpecifier,
                        CultureInfo.InvariantCulture,
                        out bytes[length]
                    )
                )
                    return null;
                length++;
                i += 2;
            }
            else if (c == '+' && plusIsSpace)
            {
                bytes[length++] = (byte)' ';
            }
            else
            {
                var run = text[i..].IndexOfAny('%', '+');
                run = run < 0 ? text.Length - i : Math.Max(run, 1);
                length += Encoding.UTF8.GetBytes(text.Slice(i, run), bytes.AsSpan(length));
                i += run - 1;
            }
        }

        try
        {
            return Strict.GetString(bytes, 0, length);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    public static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);
}

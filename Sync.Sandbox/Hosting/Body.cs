using System.IO.Compression;

namespace Sync.Sandbox.Hosting;

/// <summary>Reads a request's body whole, unpacked, up to a bound.</summary>
static class Body
{
    /// <summary>Null when the body is larger than the bound, or is not what its encoding says.</summary>
    public static async Task<byte[]?> Read(HttpContext http, int maxBytes)
    {
        var encoding = http.Request.Headers.ContentEncoding.ToString();
        if (
            encoding.Length > 0
            && !encoding.Equals("gzip", StringComparison.OrdinalIgnoreCase)
            && encoding != "identity"
        )
            return null;

        try
        {
            await using var unpacked = encoding.Equals("gzip", StringComparison.OrdinalIgnoreCase)
                ? new GZipStream(http.Request.Body, CompressionMode.Decompress, leaveOpen: true)
                : null;
            var source = unpacked ?? http.Request.Body;
            using var kept = new MemoryStream();
            var buffer = new byte[16 * 1024];
            while (await source.ReadAsync(buffer, http.RequestAborted) is var count and > 0)
            {
                if (kept.Length + count > maxBytes)
                    return null;
                kept.Write(buffer, 0, count);
            }

            return kept.ToArray();
        }
        catch (InvalidDataException)
        {
            return null;
        }
        catch (BadHttpRequestException)
        {
            return null;
        }
    }
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>
/// OAuth's JWT bearer flow: who holds the private key of the certificate that stands in the app signs in as a user, without
/// a secret that both sides know. The key is read at every sign-in, so a new one needs no restart.
/// </summary>
static class JwtBearer
{
    public const string GrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";

    /// <summary>Salesforce takes at most three minutes; the rest is for clocks that differ.</summary>
    static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(2);

    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="IOException">The key cannot be read.</exception>
    /// <exception cref="CryptographicException">It is no RSA key.</exception>
    public static string Assertion(SalesforceOptions options, DateTimeOffset now)
    {
        using var key = Key(options.JwtKeyFile);
        var signed =
            $"{Part(json => json.WriteString("alg", "RS256"))}."
            + Part(json =>
            {
                json.WriteString("iss", options.ClientId);
                json.WriteString("sub", options.UserName);
                json.WriteString("aud", options.JwtAudience);
                json.WriteNumber("exp", (now + Lifetime).ToUnixTimeSeconds());
            });
        var signature = key.SignData(
            Encoding.ASCII.GetBytes(signed),
            HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1
        );
        return $"{signed}.{Base64Url(signature)}";
    }

    /// <summary>What is wrong with a key file; null when nothing is.</summary>
    public static string? Problem(string path)
    {
        try
        {
            using var key = Key(path);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "is no file that can be read";
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return "is no PEM file with an unencrypted RSA key";
        }
    }

    static RSA Key(string path)
    {
        var pem = File.ReadAllText(path);
        var key = RSA.Create();
        try
        {
            key.ImportFromPem(pem);
            // A public key is one, too, and signs nothing.
            _ = key.ExportParameters(includePrivateParameters: true);
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    static string Part(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Json))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return Base64Url(stream.ToArray());
    }

    static string Base64Url(byte[] bytes) =>
        Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}

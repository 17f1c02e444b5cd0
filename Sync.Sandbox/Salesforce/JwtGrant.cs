using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Sync.Sandbox.Salesforce;

/// <summary>
/// The JWT bearer flow of the app (RFC 7523), as Salesforce takes it: an assertion by RS256 that the app's certificate
/// verifies, from the app, for a user whom the app may sign in, to an audience that is Salesforce, and not expired. The
/// certificate is read at every sign-in, as whoever uploads a new one to the app expects.
/// </summary>
sealed class JwtGrant(string certificateFile, string clientId, string userName, TimeProvider clock)
{
    public const string GrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";

    /// <summary>Seconds of 1970 have ten digits; a client that sends milliseconds is taken by Salesforce as well.</summary>
    const long FirstMilliseconds = 100_000_000_000;

    static readonly string[] Everywhere = ["https://login.salesforce.com", "https://test.salesforce.com"];

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 4 };

    /// <summary>Whether the app has a certificate, and with it the flow.</summary>
    public bool Enabled => certificateFile.Length > 0;

    /// <summary>What is wrong with an assertion, as OAuth's error and its description; null when nothing is.</summary>
    /// <param name="instance">The org's own address, which is an audience too.</param>
    public (string Error, string Description)? Problem(string assertion, Uri instance)
    {
        var parts = assertion.Split('.');
        if (
            parts.Length != 3
            || Bytes(parts[0]) is not { } header
            || Bytes(parts[1]) is not { } claims
            || Bytes(parts[2]) is not { } signature
            || !Verifies(header, $"{parts[0]}.{parts[1]}", signature)
        )
            return ("invalid_grant", "invalid assertion");

        try
        {
            using var document = JsonDocument.Parse(claims, Strict);
            var root = document.RootElement;
            if (Text(root, "iss") != clientId)
                return ("invalid_client_id", "client identifier invalid");
            if (Text(root, "sub") != userName)
                return ("invalid_grant", "user hasn't approved this consumer");
            if (!IsAudience(Text(root, "aud"), instance))
                return ("invalid_grant", "audience is invalid");
            return IsOver(root) ? ("invalid_grant", "expired authorization code") : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return ("invalid_grant", "invalid assertion");
        }
    }

    /// <summary>By RS256 alone: an assertion that names another algorithm, or none, is not looked at.</summary>
    bool Verifies(byte[] header, string signed, byte[] signature)
    {
        try
        {
            using var document = JsonDocument.Parse(header, Strict);
            if (Text(document.RootElement, "alg") != "RS256")
                return false;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }

        using var certificate = X509Certificate2.CreateFromPem(File.ReadAllText(certificateFile));
        using var key = certificate.GetRSAPublicKey();
        return key?.VerifyData(
                Encoding.ASCII.GetBytes(signed),
                signature,
                HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1
            ) == true;
    }

    static bool IsAudience(string? audience, Uri instance) =>
        audience is not null
        && (
            Everywhere.Contains(audience, StringComparer.Ordinal)
            || audience.TrimEnd('/') == instance.GetLeftPart(UriPartial.Authority)
        );

    bool IsOver(JsonElement claims)
    {
        if (!claims.TryGetProperty("exp", out var exp) || !exp.TryGetInt64(out var at))
            return true;
        var now = clock.GetUtcNow();
        return at < FirstMilliseconds ? at <= now.ToUnixTimeSeconds() : at <= now.ToUnixTimeMilliseconds();
    }

    static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) ? value.GetString() : null;

    static byte[]? Bytes(string part)
    {
        try
        {
            return Base64Url.DecodeFromChars(part);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}

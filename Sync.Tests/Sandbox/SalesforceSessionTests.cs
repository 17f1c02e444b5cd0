using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>Tokens, their end, and the daily budget.</summary>
public sealed class SalesforceSessionTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() => _sandbox = await TestSandbox.Start(frozen: true);

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Theory]
    [InlineData("sandbox-client", "sandbox-secret", "password", "unsupported_grant_type")]
    [InlineData("other", "sandbox-secret", "client_credentials", "invalid_client_id")]
    [InlineData("sandbox-client", "wrong", "client_credentials", "invalid_client")]
    public async Task Wrong_credentials_are_refused_with_the_documented_error(
        string id,
        string secret,
        string grant,
        string error
    )
    {
        var reply = await _sandbox.Token(id, secret, grant);

        Assert.Equal(400, reply.Status);
        Assert.Equal(error, (string?)reply.Json!["error"]);
    }

    public static TheoryData<string, string?> Assertions =>
        new()
        {
            { "right", null },
            { "to the org itself", null },
            { "in milliseconds", null },
            { "of another app", "invalid_client_id" },
            { "for another user", "invalid_grant" },
            { "to somebody else", "invalid_grant" },
            { "without audience", "invalid_grant" },
            { "expired", "invalid_grant" },
            { "without end", "invalid_grant" },
            { "by another key", "invalid_grant" },
            { "changed after it was signed", "invalid_grant" },
            { "not signed", "invalid_grant" },
            { "signed with the certificate as a secret", "invalid_grant" },
            { "no assertion", "invalid_grant" },
        };

    /// <summary>RFC 7523: who signed it, for whom, to whom, until when.</summary>
    [Theory]
    [MemberData(nameof(Assertions))]
    public async Task A_signed_assertion_is_taken_only_if_everything_in_it_is_right(string which, string? error)
    {
        using var key = RSA.Create(2048);
        using var other = RSA.Create(2048);
        using var app = TestCertificate.Of(key);
        await using var sandbox = await TestSandbox.Start(
            TestSandbox.Quiet with
            {
                SalesforceCertificateFile = app.CertificateFile,
            },
            frozen: true
        );
        var now = sandbox.Clock.GetUtcNow();
        var claims = new JsonObject
        {
            ["iss"] = which == "of another app" ? "other" : "sandbox-client",
            ["sub"] = which == "for another user" ? "somebody@sandbox.invalid" : "integration@sandbox.invalid",
            ["aud"] = which switch
            {
                "to somebody else" => "https://example.org",
                "to the org itself" => sandbox.Host.SalesforceAddress.ToString(),
                _ => "https://login.salesforce.com",
            },
            ["exp"] = which switch
            {
                "expired" => now.ToUnixTimeSeconds(),
                "in milliseconds" => now.AddMinutes(2).ToUnixTimeMilliseconds(),
                _ => now.AddMinutes(2).ToUnixTimeSeconds(),
            },
        };
        if (which is "without audience" or "without end")
            claims.Remove(which == "without end" ? "exp" : "aud");
        var algorithm = which switch
        {
            "not signed" => "none",
            "signed with the certificate as a secret" => "HS256",
            _ => "RS256",
        };
        var signed = $"{Part(new JsonObject { ["alg"] = algorithm })}.{Part(claims)}";
        var bytes = Encoding.ASCII.GetBytes(signed);
        var signature = algorithm switch
        {
            "none" => [],
            "HS256" => HMACSHA256.HashData(await File.ReadAllBytesAsync(app.CertificateFile), bytes),
            _ => (which == "by another key" ? other : key).SignData(
                bytes,
                HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1
            ),
        };
        if (which == "changed after it was signed")
        {
            claims["exp"] = now.AddMinutes(3).ToUnixTimeSeconds();
            signed = $"{signed.Split('.')[0]}.{Part(claims)}";
        }

        var reply = await TestSandbox.Send(
            sandbox.Salesforce,
            HttpMethod.Post,
            "/services/oauth2/token",
            new FormUrlEncodedContent(
                new Dictionary<string, string>
                {
                    ["grant_type"] = "urn:ietf:params:oauth:grant-type:jwt-bearer",
                    ["assertion"] = which == "no assertion" ? "" : $"{signed}.{Base64Url.EncodeToString(signature)}",
                }
            )
        );

        Assert.Equal((error is null ? 200 : 400, error), (reply.Status, (string?)reply.Json!["error"]));
        Assert.Equal(error is null, reply.Json["access_token"] is not null);
    }

    [Fact]
    public async Task An_app_without_a_certificate_takes_no_assertion()
    {
        var reply = await _sandbox.Token(
            "sandbox-client",
            "sandbox-secret",
            "urn:ietf:params:oauth:grant-type:jwt-bearer"
        );

        Assert.Equal((400, "unsupported_grant_type"), (reply.Status, (string?)reply.Json!["error"]));
    }

    static string Part(JsonObject json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));

    [Fact]
    public async Task A_token_names_instance_and_user()
    {
        var reply = await _sandbox.Token("sandbox-client", "sandbox-secret");

        Assert.Equal(
            _sandbox.Host.SalesforceAddress.GetLeftPart(UriPartial.Authority),
            (string?)reply.Json!["instance_url"]
        );
        Assert.EndsWith(
            Sync.Sandbox.Salesforce.SalesforceOrg.IntegrationUser,
            (string?)reply.Json["id"],
            StringComparison.Ordinal
        );
        Assert.Equal("Bearer", (string?)reply.Json["token_type"]);
        Assert.Equal(_sandbox.Clock.GetUtcNow().ToUnixTimeMilliseconds().ToString(), (string?)reply.Json["issued_at"]);
        Assert.Null(reply.Json["expires_in"]);
    }

    [Fact]
    public async Task The_client_may_come_as_basic()
    {
        var reply = await TestSandbox.Send(
            _sandbox.Salesforce,
            HttpMethod.Post,
            "/services/oauth2/token",
            TestSandbox.Form("grant_type=client_credentials"),
            ("Authorization", "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ=")
        );

        Assert.Equal(200, reply.Status);
    }

    [Fact]
    public async Task A_session_ends_when_it_was_not_used_for_two_hours()
    {
        _sandbox.Clock.Advance(TimeSpan.FromMinutes(119));
        Assert.Equal(200, (await Limits()).Status);
        _sandbox.Clock.Advance(TimeSpan.FromMinutes(119));
        Assert.Equal(200, (await Limits()).Status);

        _sandbox.Clock.Advance(TimeSpan.FromMinutes(120));
        var reply = await Limits();

        Assert.Equal(401, reply.Status);
        Assert.Equal("INVALID_SESSION_ID", (string?)reply.First["errorCode"]);
        await _sandbox.SignIn();
        Assert.Equal(200, (await Limits()).Status);
    }

    [Fact]
    public async Task Sessions_can_be_ended_from_behind_the_scenes()
    {
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, "/sandbox/salesforce/tokens/revoke");

        Assert.Equal(401, (await Limits()).Status);
    }

    [Fact]
    public async Task Nothing_but_versions_and_token_is_open()
    {
        _sandbox.Salesforce.DefaultRequestHeaders.Authorization = null;

        Assert.Equal(200, (await TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, "/services/data")).Status);
        Assert.Equal(401, (await Limits()).Status);
        _sandbox.Salesforce.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "00D!x");
        Assert.Equal(401, (await Limits()).Status);
    }

    [Fact]
    public async Task A_used_up_day_is_a_403_until_the_next()
    {
        _sandbox.Host.SalesforceUsage.Used = _sandbox.Host.SalesforceUsage.Max - 1;
        Assert.Equal("api-usage=100000/100000", (await Limits()).Header("Sforce-Limit-Info"));

        var reply = await Limits();

        Assert.Equal(403, reply.Status);
        Assert.Equal("REQUEST_LIMIT_EXCEEDED", (string?)reply.First["errorCode"]);
        _sandbox.Clock.Advance(TimeSpan.FromHours(24));
        await _sandbox.SignIn();
        Assert.Equal("api-usage=1/100000", (await Limits()).Header("Sforce-Limit-Info"));
    }

    Task<Reply> Limits() => TestSandbox.Send(_sandbox.Salesforce, HttpMethod.Get, "limits");
}

using System.Net.Http.Headers;

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

using System.Net;
using System.Security.Cryptography;
using System.Text.Json;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>What a sign-in gave.</summary>
/// <param name="UserId">Of the user that the app runs as: who we are in <c>LastModifiedById</c>.</param>
sealed record Session(string Token, Uri Instance, string? UserId)
{
    /// <summary>Of the org, with 18 characters.</summary>
    public string? OrganizationId { get; init; }

    /// <summary>A token in a log would be the key to the org.</summary>
    public override string ToString() => $"Session of {UserId} at {Instance.Host}";
}

/// <summary>
/// OAuth client credentials, or a signed assertion where a key is set. One sign-in at a time, whoever asks: fifty calls that meet an expired session cost one. What
/// the endpoint refused is believed for a while, since an org locks out who keeps asking. A token has no announced end:
/// that it ran out is learned from a 401.
/// </summary>
sealed class AccessTokens(HttpClient http, SalesforceOptions options, TimeProvider time, ILogger<AccessTokens> log)
{
    const string TooManySignIns = "login_rate_exceeded";

    static readonly TimeSpan AfterRefusal = TimeSpan.FromMinutes(1);
    static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);

    readonly Lock _lock = new();
    Session? _current;
    Task<Session>? _signIn;
    SalesforceSignInException? _refused;
    DateTimeOffset _refusedUntil;

    /// <summary>Our user as far as known: who signed in last.</summary>
    public string? UserId { get; private set; }

    /// <param name="stale">The session that the API did not accept any more; null at first.</param>
    public Task<Session> Get(Session? stale, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_current is { } current && !ReferenceEquals(current, stale))
                return Task.FromResult(current);
            if (_signIn is null)
            {
                if (_refused is not null && time.GetUtcNow() < _refusedUntil)
                    return Task.FromException<Session>(_refused);
                _current = null;
                _signIn = Task.Run(SignInOnce, CancellationToken.None);
            }

            // Who gives up waiting does not take the sign-in from the others.
            return _signIn.WaitAsync(cancellationToken);
        }
    }

    async Task<Session> SignInOnce()
    {
        try
        {
            var session = await SignIn();
            lock (_lock)
            {
                _current = session;
                UserId = session.UserId ?? UserId;
                _refused = null;
                _signIn = null;
            }

            log.SignedIn(session.UserId, session.Instance.Host);
            return session;
        }
        catch (Exception e)
        {
            var refusal = e as SalesforceSignInException ?? new SalesforceSignInException(Kind(e), false, e);
            lock (_lock)
            {
                _refused = refusal;
                _refusedUntil = time.GetUtcNow() + (refusal.Configuration ? AfterRefusal : AfterTrouble);
                _signIn = null;
            }

            log.SignInFailed(refusal.Code, refusal.Configuration);
            throw refusal;
        }
    }

    async Task<Session> SignIn()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post,
            new Uri(new Uri(options.LoginUrl), "/services/oauth2/token")
        );
        request.Headers.Accept.Add(new("application/json"));
        request.Content = new FormUrlEncodedContent(
            options.UsesJwt
                ? new Dictionary<string, string> { ["grant_type"] = JwtBearer.GrantType, ["assertion"] = Assertion() }
                : new Dictionary<string, string>
                {
                    ["grant_type"] = "client_credentials",
                    ["client_id"] = options.ClientId,
                    ["client_secret"] = options.ClientSecret,
                }
        );

        using var response = await http.SendAsync(request);
        var status = (int)response.StatusCode;
        using var body = await Json(response);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            var code = Member(body, "error") ?? $"http_{status}";
            // Too many sign-ins pass by themselves, also where that is a 403; every other 4xx and a redirect to a login
            // page do not.
            var passes = status is < 300 or >= 500 or 408 or 420 or 429 || code == TooManySignIns;
            throw new SalesforceSignInException(code, configuration: !passes);
        }

        var token = Member(body, "access_token");
        var instance = Member(body, "instance_url");
        if (token is null || !Uri.TryCreate(instance, UriKind.Absolute, out var uri))
            throw new SalesforceSignInException("unreadable", false);

        // …/id/<org>/<user>; a token begins with the org's id as well.
        string[] identity = Member(body, "id")?.TrimEnd('/').Split('/') ?? [];
        var user = identity.Length > 0 ? identity[^1] : null;
        var org = identity.Length > 1 && RecordIds.IsId(identity[^2]) ? identity[^2] : token.Split('!')[0];
        return new(token, uri, RecordIds.IsId(user) ? RecordIds.To18(user!) : null)
        {
            OrganizationId = RecordIds.IsId(org) ? RecordIds.To18(org) : null,
        };
    }

    string Assertion()
    {
        try
        {
            return JwtBearer.Assertion(options, time.GetUtcNow());
        }
        catch (Exception e)
            when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            // It could be read at start.
            throw new SalesforceSignInException("jwt_key", configuration: true, e);
        }
    }

    static async Task<JsonDocument?> Json(HttpResponseMessage response)
    {
        try
        {
            return JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static string? Member(JsonDocument? body, string name) =>
        body?.RootElement is { ValueKind: JsonValueKind.Object } root
        && root.TryGetProperty(name, out var value)
        && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    static string Kind(Exception exception) =>
        exception switch
        {
            HttpRequestException e => e.HttpRequestError.ToString(),
            OperationCanceledException => "timeout",
            _ => exception.GetType().Name,
        };
}

using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class AccessTokensTests
{
    [Fact]
    public async Task The_app_signs_in_once_with_its_own_credentials()
    {
        using var bench = new SalesforceBench(_ => StubHttp.Json(200, SalesforceBench.Record()));

        await bench.ReadOne();
        await bench.ReadOne();

        var signIn = Assert.Single(bench.Http!.Requests, SalesforceBench.IsToken);
        Assert.Equal("POST https://login.example.com/services/oauth2/token", $"{signIn.Method} {signIn.Uri}");
        Assert.Equal("grant_type=client_credentials&client_id=the+id&client_secret=the+s%26cret", signIn.Body);
    }

    [Fact]
    public async Task The_holder_of_the_key_signs_in_without_a_secret()
    {
        using var key = RSA.Create(2048);
        using var file = new KeyFile(key.ExportPkcs8PrivateKeyPem());
        using var bench = new SalesforceBench(
            _ => StubHttp.Json(200, SalesforceBench.Record()),
            options: new()
            {
                LoginUrl = "https://login.salesforce.com",
                JwtKeyFile = file.Path,
                UserName = "sync@example.com",
                JwtAudience = "https://test.salesforce.com",
            }
        );

        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        var signIn = Assert.Single(bench.Http!.Requests, SalesforceBench.IsToken);
        Assert.Equal("https://login.salesforce.com/services/oauth2/token", signIn.Uri.ToString());
        var form = Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(signIn.Body);
        Assert.Equal(["grant_type", "assertion"], form.Keys);
        Assert.Equal("urn:ietf:params:oauth:grant-type:jwt-bearer", form["grant_type"].ToString());
        var parts = form["assertion"].ToString().Split('.');
        Assert.True(
            key.VerifyData(
                Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"),
                Base64Url(parts[2]),
                HashAlgorithmName.SHA256,
                RSASignaturePadding.Pkcs1
            )
        );
        Assert.Equal("""{"alg":"RS256"}""", Encoding.UTF8.GetString(Base64Url(parts[0])));
        // In seconds, within Salesforce's three minutes.
        Assert.Equal(
            $$"""{"iss":"the id","sub":"sync@example.com","aud":"https://test.salesforce.com","exp":{{bench.Time.GetUtcNow().AddMinutes(2).ToUnixTimeSeconds()}}}""",
            Encoding.UTF8.GetString(Base64Url(parts[1]))
        );
    }

    [Fact]
    public async Task A_key_that_is_not_there_any_more_waits_for_a_person_and_a_new_one_needs_no_restart()
    {
        using var key = RSA.Create(2048);
        using var file = new KeyFile("gone");
        using var bench = new SalesforceBench(
            _ => StubHttp.Json(200, SalesforceBench.Record()),
            options: new() { JwtKeyFile = file.Path, UserName = "sync@example.com" }
        );

        var failed = Assert.IsType<VendorResult.Failed>(await bench.ReadOne());
        await File.WriteAllTextAsync(file.Path, key.ExportRSAPrivateKeyPem(), TestContext.Current.CancellationToken);
        bench.Time.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal((FailureClass.PauseAll, "jwt_key", true), (failed.Class, failed.Code, failed.Definite));
        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
    }

    [Fact]
    public async Task A_session_that_ended_is_renewed_by_a_new_assertion()
    {
        using var key = RSA.Create(2048);
        using var file = new KeyFile(key.ExportPkcs8PrivateKeyPem());
        var ended = false;
        using var bench = new SalesforceBench(
            _ =>
            {
                if (ended)
                    return StubHttp.Json(200, SalesforceBench.Record());
                ended = true;
                return SalesforceBench.SessionEnded();
            },
            options: new() { JwtKeyFile = file.Path, UserName = "sync@example.com" }
        );

        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
        Assert.Equal(2, bench.SignIns);
    }

    static byte[] Base64Url(string text) =>
        Convert.FromBase64String(text.Replace('-', '+').Replace('_', '/').PadRight((text.Length + 3) / 4 * 4, '='));

    sealed class KeyFile : IDisposable
    {
        public KeyFile(string pem) => File.WriteAllText(Path, pem);

        public string Path { get; } =
            System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"sync-key-{Guid.NewGuid():n}.pem");

        public void Dispose() => File.Delete(Path);
    }

    [Fact]
    public async Task Fifty_calls_that_meet_an_expired_session_sign_in_once_and_are_made_again_once()
    {
        var tokens = 0;
        var refused = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var bench = new SalesforceBench(
            new StubHttp(
                async (request, _) =>
                {
                    if (SalesforceBench.IsToken(request))
                    {
                        var n = Interlocked.Increment(ref tokens);
                        return SalesforceBench.Token(
                            $"token-{n}",
                            n == 1 ? "https://one.example.com" : "https://two.example.com"
                        );
                    }

                    if (request.Header("Authorization") != "Bearer token-1")
                        return StubHttp.Json(200, SalesforceBench.Record());

                    // All are on the way with the old session before the first is refused.
                    if (Interlocked.Increment(ref refused) == 25)
                        all.SetResult();
                    await all.Task;
                    return SalesforceBench.SessionEnded();
                }
            ),
            options: new() { MaxConcurrent = 25 }
        );

        var results = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => bench.ReadOne()));

        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(r));
        Assert.Equal(2, bench.SignIns);
        Assert.Equal(25, refused);
        Assert.Equal(75, bench.Calls.Count);
        Assert.Equal(50, bench.Calls.Count(c => c.Uri.Host == "two.example.com"));
        Assert.Equal(75, results.Sum(r => r.Calls));
    }

    [Fact]
    public async Task Whoever_asks_while_a_sign_in_is_under_way_gets_what_it_gives()
    {
        var signIns = 0;
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var http = new HttpClient(
            new StubHttp(
                async (_, _) =>
                {
                    var n = Interlocked.Increment(ref signIns);
                    if (n > 1)
                        await second.Task;
                    return SalesforceBench.Token($"token-{n}");
                }
            )
        );
        SalesforceOptions options = new() { LoginUrl = "https://login.example.com" };
        AccessTokens tokens = new(http, options, TimeProvider.System, NullLogger<AccessTokens>.Instance);
        var stale = await tokens.Get(null, CancellationToken.None);

        // All have asked before the endpoint answers.
        var asked = Enumerable
            .Range(0, 50)
            .Select(i => tokens.Get(i % 2 == 0 ? stale : null, CancellationToken.None))
            .ToList();
        second.SetResult();
        var sessions = await Task.WhenAll(asked);

        Assert.Equal(2, signIns);
        Assert.Equal("token-2", Assert.Single(sessions.Distinct()).Token);
    }

    [Fact]
    public async Task A_session_that_is_refused_right_after_the_sign_in_is_configuration_and_no_loop()
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.SessionEnded());

        var failed = Assert.IsType<VendorResult.Failed>(await bench.UpdateOne(("phone", "1")));

        Assert.Equal((FailureClass.PauseAll, true), (failed.Class, failed.Definite));
        Assert.Equal(2, bench.Calls.Count);
        Assert.Equal(2, bench.SignIns);
    }

    [Theory]
    [InlineData("This session is not valid for use with the REST API")]
    [InlineData("Connected app is not attached to Agent")]
    public async Task A_session_for_which_a_new_one_is_of_no_use_is_not_renewed(string message)
    {
        using var bench = new SalesforceBench(_ => SalesforceBench.SessionEnded(message));

        Assert.Equal(FailureClass.PauseAll, Assert.IsType<VendorResult.Failed>(await bench.ReadOne()).Class);
        Assert.Single(bench.Calls);
        Assert.Equal(1, bench.SignIns);
    }

    [Theory]
    [InlineData(
        400,
        """{ "error": "invalid_client", "error_description": "invalid client credentials" }""",
        "invalid_client"
    )]
    [InlineData(401, """{ "error": "invalid_grant" }""", "invalid_grant")]
    [InlineData(403, "<html>jane@example.com</html>", "http_403")]
    [InlineData(302, "", "http_302")]
    public async Task Refused_credentials_pause_everything_and_are_not_tried_again_at_once(
        int status,
        string body,
        string code
    )
    {
        using var bench = new SalesforceBench(
            new StubHttp(request =>
                SalesforceBench.IsToken(request)
                    ? StubHttp.Json(status, body)
                    : throw new InvalidOperationException("called")
            )
        );

        for (var i = 0; i < 5; i++)
        {
            var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane")));
            Assert.Equal((FailureClass.PauseAll, true, code), (failed.Class, failed.Definite, failed.Code));
            Assert.DoesNotContain("cret", failed.Reason, StringComparison.Ordinal);
        }

        Assert.Equal(1, bench.SignIns);
        bench.Time.Advance(TimeSpan.FromMinutes(1));
        await bench.ReadOne();
        Assert.Equal(2, bench.SignIns);
    }

    [Theory]
    [InlineData(500, "<html>")]
    [InlineData(503, "<html>")]
    [InlineData(429, "<html>")]
    [InlineData(403, """{ "error": "login_rate_exceeded" }""")]
    public async Task A_sign_in_that_does_not_work_now_is_tried_again_soon_and_nothing_was_written(
        int status,
        string body
    )
    {
        var broken = true;
        using var bench = new SalesforceBench(
            new StubHttp(request =>
                !SalesforceBench.IsToken(request) ? StubHttp.Json(200, SalesforceBench.Record())
                : broken ? StubHttp.Json(status, body)
                : SalesforceBench.Token()
            )
        );

        var failed = Assert.IsType<VendorResult.Failed>(await bench.CreateOne(("name", "Jane")));
        broken = false;
        bench.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((FailureClass.Retry, true), (failed.Class, failed.Definite));
        Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
    }

    [Fact]
    public async Task Who_stops_waiting_for_a_sign_in_does_not_take_it_from_the_others()
    {
        var answer = new TaskCompletionSource<HttpResponseMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var bench = new SalesforceBench(
            new StubHttp(
                (request, _) =>
                    SalesforceBench.IsToken(request)
                        ? answer.Task
                        : Task.FromResult(StubHttp.Json(200, SalesforceBench.Record()))
            )
        );
        using var stop = new CancellationTokenSource();

        var first = bench.Vendor.Read([SalesforceBench.Id], stop.Token);
        var second = bench.ReadOne();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        answer.SetResult(SalesforceBench.Token());

        Assert.IsType<VendorResult.Ok>(await second);
        Assert.Equal(1, bench.SignIns);
    }

    [Fact]
    public void A_session_shows_its_token_to_nobody() =>
        Assert.DoesNotContain(
            "hush",
            new Session("hush", new("https://one.example.com"), "005").ToString(),
            StringComparison.Ordinal
        );
}

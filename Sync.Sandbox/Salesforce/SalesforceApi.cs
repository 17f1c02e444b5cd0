using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Salesforce;

/// <summary>Salesforce's token endpoint and REST API, as far as a customer's sync needs them, and as strict.</summary>
sealed partial class SalesforceApi(
    SalesforceOrg org,
    SalesforceTokens tokens,
    SalesforceUsage usage,
    string clientId,
    string clientSecret,
    JwtGrant jwt,
    TimeProvider clock,
    FaultBook faults,
    CallBook calls,
    ILogger log
) : IVendorVoice
{
    public const string Vendor = "salesforce";
    public const string JsonType = "application/json;charset=UTF-8";
    public const int MaxBodyBytes = 8 * 1024 * 1024;

    const int MaxCollection = 200;
    const int MaxRetrieve = 2_000;
    const int PageSize = 2_000;

    /// <summary>Request line and headers together have 16,384 bytes.</summary>
    const int MaxUri = 16_384;

    public static readonly IReadOnlyList<string> Operations =
    [
        "token",
        "userinfo",
        "versions",
        "resources",
        "limits",
        "account.create",
        "account.retrieve",
        "account.update",
        "account.delete",
        "account.describe",
        "collections.create",
        "collections.update",
        "collections.delete",
        "collections.retrieve",
        "query",
        "queryAll",
    ];

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    VendorDoor? _door;

    /// <summary>Where this org is reached: known once it listens.</summary>
    public Uri Instance { get; set; } = new("http://127.0.0.1");

    delegate Task<Answer> Run(string version);

    public Task Handle(HttpContext http)
    {
        var door = _door ??= new VendorDoor(Vendor, faults, calls, this, log);
        var segments = RawPath.Segments(http) ?? [];
        switch (http.Request.Method, segments)
        {
            case ("POST", ["services", "oauth2", "token"]):
                return door.Serve(http, "token", disturbance => Token(http, disturbance));
            case ("GET", ["services", "oauth2", "userinfo"]):
                return door.Serve(http, "userinfo", _ => Task.FromResult(UserInfo(http)));
            case ("GET", ["services", "data"]):
                return door.Serve(http, "versions", _ => Task.FromResult(Versions()));
        }

        if (segments is not ["services", "data", var version, .. var rest])
            return door.Serve(http, "unknown", _ => Task.FromResult(SalesforceProblem.NotFound().ToAnswer()));

        var (operation, run) = Route(http, rest);
        return door.Serve(http, operation, disturbance => Execute(http, version, operation, run, disturbance));
    }

    public Answer RateLimited(string operation, bool header) =>
        operation == "token"
            ? OAuthError(403, "login_rate_exceeded", "login rate exceeded")
            : new SalesforceProblem(
                403,
                "REQUEST_LIMIT_EXCEEDED",
                // Too much at once, which passes; the day's quota is counted, see Execute.
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            ).ToAnswer();

    public Answer Broken() =>
        new SalesforceProblem(
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (1234567890)"
        ).ToAnswer();

    public Answer Unavailable() =>
        new SalesforceProblem(
            503,
            "SERVER_UNAVAILABLE",
            "We are down for maintenance. Sorry for the inconvenience. We'll be back shortly."
        ).ToAnswer();

    public Answer WrongCredentials(string operation) =>
        operation == "token" ? OAuthError(400, "invalid_client", "invalid client credentials") : SessionInvalid();

    (string Operation, Run? Run) Route(HttpContext http, string[] path) =>
        (http.Request.Method, path) switch
        {
            ("GET", []) => ("resources", Now(Resources)),
            ("GET", ["limits"]) => ("limits", Now(_ => Json(Limits()))),
            ("POST", ["sobjects", "Account"]) => ("account.create", version => Create(http, version)),
            ("GET", ["sobjects", "Account", "describe"]) => ("account.describe", Now(Describe)),
            ("GET", ["sobjects", "Account", var id]) => (
                "account.retrieve",
                Now(version => Retrieve(http, id, version))
            ),
            ("PATCH", ["sobjects", "Account", var id]) => ("account.update", version => Update(http, id, version)),
            ("DELETE", ["sobjects", "Account", var id]) => (
                "account.delete",
                Now(version => Delete(http, id, version))
            ),
            ("POST", ["composite", "sobjects"]) => (
                "collections.create",
                version => Collection(http, (records, all) => org.CreateMany(records, all, Integration(version)))
            ),
            ("PATCH", ["composite", "sobjects"]) => (
                "collections.update",
                version => Collection(http, (records, all) => org.UpdateMany(records, all, Integration(version)))
            ),
            ("DELETE", ["composite", "sobjects"]) => ("collections.delete", Now(version => DeleteMany(http, version))),
            ("POST", ["composite", "sobjects", "Account"]) => (
                "collections.retrieve",
                version => RetrieveMany(http, version)
            ),
            ("GET", ["query", .. var cursor]) when cursor.Length <= 1 => (
                "query",
                Now(version => Query(http, version, cursor, includeDeleted: false))
            ),
            ("GET", ["queryAll", .. var cursor]) when cursor.Length <= 1 => (
                "queryAll",
                Now(version => Query(http, version, cursor, includeDeleted: true))
            ),
            _ => ("unknown", null),
        };

    async Task<Answer> Execute(HttpContext http, string version, string operation, Run? run, Disturbance disturbance)
    {
        Answer answer;
        try
        {
            if (http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.Length > MaxUri)
                return new SalesforceProblem(
                    414,
                    "URI_TOO_LONG",
                    $"The URI must have at most {MaxUri} bytes"
                ).ToAnswer();
            if (!VersionShape().IsMatch(version))
                return SalesforceProblem.NotFound().ToAnswer();
            if (Session(http) is { } unauthorised)
                return unauthorised;
            if (!usage.Take())
            {
                throw new SalesforceProblem(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
            }

            if (run is null)
                throw SalesforceProblem.NotFound();
            if (disturbance.Lock && !operation.StartsWith("collections.", StringComparison.Ordinal))
                throw RowLocked();
            await disturbance.Before();
            http.Items[typeof(Disturbance)] = disturbance;
            answer = await run(version);
            if (disturbance.Break)
                answer = Broken();
        }
        catch (SalesforceProblem problem)
        {
            answer = problem.ToAnswer();
        }

        return answer.With("Sforce-Limit-Info", usage.Header).With("X-SFDC-Request-Id", tokens.NewRequestId());
    }

    /// <summary>
    /// Who writes, and by which API, as a change event tells it. The client's own name is taken from calls of single
    /// records alone: collections are not among those that the header is documented for.
    /// </summary>
    static Actor Integration(string version, HttpContext? single = null)
    {
        var client = single
            ?.Request.Headers["Sforce-Call-Options"]
            .ToString()
            .Split([';', ','], StringSplitOptions.TrimEntries)
            .FirstOrDefault(option => option.StartsWith("client=", StringComparison.OrdinalIgnoreCase));
        var origin = $"com/salesforce/api/rest/{version[1..]}";
        return new(SalesforceOrg.IntegrationUser, client is null ? origin : $"{origin};{client}");
    }

    Answer? Session(HttpContext http)
    {
        var header = http.Request.Headers.Authorization.ToString();
        var token = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : "";
        return tokens.Use(token) ? null : SessionInvalid();
    }

    async Task<Answer> Token(HttpContext http, Disturbance disturbance)
    {
        if (await Body.Read(http, 64 * 1024) is not { } body)
            return OAuthError(400, "invalid_request", "the body is too large");
        if (
            http.Request.ContentType?.StartsWith(
                "application/x-www-form-urlencoded",
                StringComparison.OrdinalIgnoreCase
            ) != true
        )
            return OAuthError(400, "invalid_request", "the body must be application/x-www-form-urlencoded");

        var form = QueryHelpers.ParseQuery(Encoding.UTF8.GetString(body));
        var problem = form.GetValueOrDefault("grant_type").ToString() switch
        {
            "client_credentials" => WrongClient(http, form),
            JwtGrant.GrantType when jwt.Enabled => jwt.Problem(
                form.GetValueOrDefault("assertion").ToString(),
                Instance
            ),
            _ => ("unsupported_grant_type", "grant type not supported"),
        };
        if (problem is (var error, var description))
            return OAuthError(400, error, description);

        await disturbance.Before();
        var token = tokens.Issue();
        if (disturbance.Break)
            return Broken();
        var user = new Uri(Instance, $"/id/{SalesforceOrg.OrganizationId}/{SalesforceOrg.IntegrationUser}");
        return Json(
            new JsonObject
            {
                ["access_token"] = token,
                ["signature"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(token[^32..])),
                ["scope"] = "api",
                ["instance_url"] = Instance.GetLeftPart(UriPartial.Authority),
                ["id"] = user.ToString(),
                ["token_type"] = "Bearer",
                ["issued_at"] = clock.GetUtcNow().ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture),
            }
        );
    }

    /// <summary>Of the client credentials flow, as form or as Basic.</summary>
    (string Error, string Description)? WrongClient(HttpContext http, Dictionary<string, StringValues> form)
    {
        var (id, secret) = (
            form.GetValueOrDefault("client_id").ToString(),
            form.GetValueOrDefault("client_secret").ToString()
        );
        var header = http.Request.Headers.Authorization.ToString();
        if (id.Length == 0 && header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                var pair = Encoding.UTF8.GetString(Convert.FromBase64String(header[6..].Trim())).Split(':', 2);
                (id, secret) = (pair[0], pair.Length > 1 ? pair[1] : "");
            }
            catch (FormatException)
            {
                return ("invalid_client_id", "client identifier invalid");
            }
        }

        if (id != clientId)
            return ("invalid_client_id", "client identifier invalid");
        return secret != clientSecret ? ("invalid_client", "invalid client credentials") : null;
    }

    Answer UserInfo(HttpContext http) =>
        Session(http)
        ?? Json(
            new JsonObject
            {
                ["user_id"] = SalesforceOrg.IntegrationUser,
                ["organization_id"] = SalesforceOrg.OrganizationId,
                ["preferred_username"] = SalesforceOrg.IntegrationUserName,
            }
        );

    static Answer Versions() =>
        Json(
            new JsonArray(
                new JsonObject
                {
                    ["label"] = "Spring '26",
                    ["url"] = "/services/data/v66.0",
                    ["version"] = "66.0",
                },
                new JsonObject
                {
                    ["label"] = "Summer '26",
                    ["url"] = "/services/data/v67.0",
                    ["version"] = "67.0",
                },
                new JsonObject
                {
                    ["label"] = "Winter '27",
                    ["url"] = "/services/data/v68.0",
                    ["version"] = "68.0",
                }
            )
        );

    Answer Resources(string version)
    {
        var root = $"/services/data/{version}";
        return Json(
            new JsonObject
            {
                ["composite"] = $"{root}/composite",
                ["identity"] = new Uri(
                    Instance,
                    $"/id/{SalesforceOrg.OrganizationId}/{SalesforceOrg.IntegrationUser}"
                ).ToString(),
                ["limits"] = $"{root}/limits",
                ["query"] = $"{root}/query",
                ["queryAll"] = $"{root}/queryAll",
                ["sobjects"] = $"{root}/sobjects",
            }
        );
    }

    JsonObject Limits() =>
        new()
        {
            ["DailyApiRequests"] = new JsonObject { ["Max"] = usage.Max, ["Remaining"] = usage.Max - usage.Used },
        };

    Answer Describe(string version) =>
        Json(
            new JsonObject
            {
                ["name"] = "Account",
                ["label"] = "Account",
                ["keyPrefix"] = "001",
                ["createable"] = true,
                ["deletable"] = true,
                ["queryable"] = true,
                ["updateable"] = true,
                ["fields"] = new JsonArray([.. org.Fields.All.Select(field => (JsonNode)field.Describe())]),
                ["urls"] = new JsonObject { ["sobject"] = $"/services/data/{version}/sobjects/Account" },
            }
        );

    async Task<Answer> Create(HttpContext http, string version)
    {
        using var body = await ReadJson(http);
        var id = org.Create(body.RootElement, Integration(version, http));
        return Answer
            .Json(
                201,
                new JsonObject
                {
                    ["id"] = id,
                    ["success"] = true,
                    ["errors"] = new JsonArray(),
                },
                JsonType
            )
            .With("Location", $"/services/data/{version}/sobjects/Account/{id}");
    }

    Answer Retrieve(HttpContext http, string id, string version)
    {
        var fields = http.Request.Query["fields"] is [{ Length: > 0 } names]
            ? Fields(names.Split(','))
            : org.Fields.All;
        var (record, etag, modified) = org.Get(id, fields, version);
        if (Tags(http.Request.Headers.IfNoneMatch.ToString(), "If-None-Match") is { } none && none(etag))
            return Answer.Empty(304).With("ETag", etag);
        if (Tags(http.Request.Headers.IfMatch.ToString(), "If-Match") is { } match && !match(etag))
            throw new SalesforceProblem(
                412,
                "PRECONDITION_FAILED",
                "The record has been modified since the given entity tag"
            );
        return Json(record)
            .With("ETag", etag)
            .With("Last-Modified", modified.UtcDateTime.ToString("R", CultureInfo.InvariantCulture));
    }

    async Task<Answer> Update(HttpContext http, string id, string version)
    {
        foreach (var header in (ReadOnlySpan<string>)["If-None-Match", "If-Modified-Since", "If-Unmodified-Since"])
        {
            if (http.Request.Headers.ContainsKey(header))
                throw SalesforceProblem.NotPlayed($"{header} on an update");
        }

        var guard = Tags(http.Request.Headers.IfMatch.ToString(), "If-Match");
        using var body = await ReadJson(http);
        org.Update(id, body.RootElement, Integration(version, http), guard);
        return Answer.Empty(204);
    }

    Answer Delete(HttpContext http, string id, string version)
    {
        org.Delete(id, Integration(version, http));
        return Answer.Empty(204);
    }

    static async Task<Answer> Collection(HttpContext http, Func<JsonElement[], bool, JsonArray> act)
    {
        using var body = await ReadJson(http);
        var root = body.RootElement;
        if (
            root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("records", out var list)
            || list.ValueKind != JsonValueKind.Array
        )
            throw SalesforceProblem.Json("records must be an array");
        foreach (var member in root.EnumerateObject())
        {
            if (member.Name is not ("records" or "allOrNone"))
                throw SalesforceProblem.Json($"Unrecognized field \"{member.Name}\"");
        }

        var allOrNone =
            root.TryGetProperty("allOrNone", out var all)
            && all.ValueKind switch
            {
                JsonValueKind.True => true,
                JsonValueKind.False => false,
                _ => throw SalesforceProblem.Json("allOrNone must be a boolean"),
            };
        var records = list.EnumerateArray().ToArray();
        CheckCount(records.Length);
        return Json(Locked(http, records.Length) ?? act(records, allOrNone));
    }

    Answer DeleteMany(HttpContext http, string version)
    {
        var ids = http.Request.Query["ids"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries);
        if (ids.Length == 0)
            throw new SalesforceProblem(400, "MISSING_ARGUMENT", "ids is missing");
        CheckCount(ids.Length);
        var allOrNone = http.Request.Query["allOrNone"].ToString() switch
        {
            "" or "false" => false,
            "true" => true,
            _ => throw new SalesforceProblem(400, "INVALID_INPUT", "allOrNone must be true or false"),
        };
        return Json(Locked(http, ids.Length) ?? org.DeleteMany(ids, allOrNone, Integration(version)));
    }

    async Task<Answer> RetrieveMany(HttpContext http, string version)
    {
        using var body = await ReadJson(http);
        var ids = Texts(body.RootElement, "ids");
        if (ids.Length > MaxRetrieve)
            throw TooMany(MaxRetrieve);
        return Json(org.GetMany(ids, Fields(Texts(body.RootElement, "fields")), version));
    }

    Answer Query(HttpContext http, string version, string[] cursor, bool includeDeleted)
    {
        string text;
        var skip = 0;
        if (cursor is [var locator])
        {
            if (!TryLocator(locator, out text, out skip))
                throw new SalesforceProblem(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
        }
        else if (http.Request.Query["q"] is [{ Length: > 0 } q])
        {
            text = q;
        }
        else
        {
            throw new SalesforceProblem(400, "MALFORMED_QUERY", "SOQL statement is missing: q");
        }

        var query = Soql.Parse(text, org.Fields);
        var (records, total) = org.Query(query, includeDeleted, skip, PageSize, version);
        var end = skip + records.Count;
        var answer = new JsonObject { ["totalSize"] = total, ["done"] = end >= total };
        if (end < total)
        {
            var resource = includeDeleted ? "queryAll" : "query";
            answer["nextRecordsUrl"] = $"/services/data/{version}/{resource}/{Locator(text, end)}";
        }

        answer["records"] = records;
        return Json(answer);
    }

    /// <summary>A locator here is the query and the place, and outlives everything: the real one's lives two days.</summary>
    static string Locator(string text, int skip) =>
        $"01g{WebEncoders.Base64UrlEncode(Encoding.UTF8.GetBytes(text))}-{skip.ToString(CultureInfo.InvariantCulture)}";

    static bool TryLocator(string locator, out string text, out int skip)
    {
        text = "";
        skip = 0;
        var dash = locator.LastIndexOf('-');
        if (
            !locator.StartsWith("01g", StringComparison.Ordinal)
            || dash < 3
            || !int.TryParse(locator.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out skip)
        )
            return false;
        try
        {
            text = Encoding.UTF8.GetString(WebEncoders.Base64UrlDecode(locator[3..dash]));
            return true;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    static JsonArray? Locked(HttpContext http, int count) =>
        http.Items[typeof(Disturbance)] is Disturbance { Lock: true }
            ? new JsonArray([.. Enumerable.Range(0, count).Select(_ => (JsonNode)RowLocked().ToResult())])
            : null;

    static SalesforceProblem RowLocked() =>
        new(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records");

    static void CheckCount(int count)
    {
        if (count == 0)
            throw new SalesforceProblem(400, "INVALID_INPUT", "records: is empty");
        if (count > MaxCollection)
            throw TooMany(MaxCollection);
    }

    static SalesforceProblem TooMany(int max) =>
        new(400, "EXCEEDED_ID_LIMIT", $"record limit reached. cannot submit more than {max} records into this call");

    IReadOnlyList<AccountField> Fields(IEnumerable<string> names) =>
        [
            .. names
                .Select(name => org.Fields.Find(name.Trim()) ?? throw SalesforceProblem.NoSuchColumn(name.Trim()))
                .Distinct(),
        ];

    static string[] Texts(JsonElement root, string name)
    {
        if (
            root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty(name, out var list)
            || list.ValueKind != JsonValueKind.Array
            || list.GetArrayLength() == 0
        )
            throw SalesforceProblem.Json($"{name} must be an array that is not empty");
        return
        [
            .. list.EnumerateArray()
                .Select(item =>
                    item.ValueKind == JsonValueKind.String
                        ? item.GetString()!
                        : throw SalesforceProblem.Json($"{name} must hold texts only")
                ),
        ];
    }

    /// <summary>Whether a tag is one of the header's; null without the header.</summary>
    static Func<string, bool>? Tags(string header, string name)
    {
        if (header.Length == 0)
            return null;
        if (header.Trim() == "*")
            return static _ => true;
        var tags = new List<EntityTagHeaderValue>();
        foreach (var part in header.Split(','))
        {
            if (!EntityTagHeaderValue.TryParse(part.Trim(), out var tag))
                throw new SalesforceProblem(400, "INVALID_HEADER", $"{name} is not a list of entity tags");
            tags.Add(tag);
        }

        return etag => tags.Exists(tag => !tag.IsWeak && tag.Tag == etag);
    }

    static async Task<JsonDocument> ReadJson(HttpContext http)
    {
        if (http.Request.ContentType?.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) != true)
            throw new SalesforceProblem(415, "UNSUPPORTED_MEDIA_TYPE", "The entity must be application/json");
        if (await Body.Read(http, MaxBodyBytes) is not { } body)
            throw new SalesforceProblem(413, "REQUEST_TOO_LARGE", $"The body must have at most {MaxBodyBytes} bytes");
        if (!System.Text.Unicode.Utf8.IsValid(body))
            throw SalesforceProblem.Json("Invalid UTF-8");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, Strict);
        }
        catch (Exception broken) when (broken is JsonException or InvalidOperationException)
        {
            // The second: a name with half of a surrogate pair, met in the search for doubled names.
            throw SalesforceProblem.Json("Unexpected character, a name given twice, or nested too deep");
        }

        if (IsText(document.RootElement))
            return document;
        document.Dispose();
        throw SalesforceProblem.Json("Invalid UTF-16: half of a surrogate pair");
    }

    /// <summary>Whether every name and text can be read: an escape may name half of a pair.</summary>
    static bool IsText(JsonElement json)
    {
        try
        {
            switch (json.ValueKind)
            {
                case JsonValueKind.Object:
                    return json.EnumerateObject().All(member => member.Name is not null && IsText(member.Value));
                case JsonValueKind.Array:
                    return json.EnumerateArray().All(IsText);
                case JsonValueKind.String:
                    return json.GetString() is not null;
                default:
                    return true;
            }
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    static Run Now(Func<string, Answer> run) => version => Task.FromResult(run(version));

    static Answer Json(JsonNode body) => Answer.Json(200, body, JsonType);

    static Answer SessionInvalid() =>
        new SalesforceProblem(401, "INVALID_SESSION_ID", "Session expired or invalid").ToAnswer();

    static Answer OAuthError(int status, string error, string description) =>
        Answer.Json(status, new JsonObject { ["error"] = error, ["error_description"] = description }, JsonType);

    [GeneratedRegex(@"^v(3[0-9]|[45][0-9]|6[0-8])\.0$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex VersionShape();
}

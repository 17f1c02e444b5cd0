using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>The real adapter over a vendor of a few lines, whose token endpoint always answers unless the test says otherwise.</summary>
sealed class SalesforceBench : IDisposable
{
    public const string Id = "001000000000001AAA";
    public const string Us = "005000000000001AAA";
    public const string Row = $"/services/data/v66.0/sobjects/Account/{Id}";
    public const string Collections = "/services/data/v66.0/composite/sobjects";
    public const string Retrieve = "/services/data/v66.0/composite/sobjects/Account";

    public static readonly Guid Command = new("11111111-2222-4333-8444-555555555555");

    readonly SalesforceClient _client;

    public SalesforceBench(
        Func<SentRequest, HttpResponseMessage> answer,
        SyncConfig? config = null,
        SalesforceOptions? options = null
    )
        : this(new StubHttp(request => IsToken(request) ? Token() : answer(request)), config, options) { }

    public SalesforceBench(HttpMessageHandler http, SyncConfig? config = null, SalesforceOptions? options = null)
    {
        options ??= new();
        options.LoginUrl = options.LoginUrl.Length == 0 ? "https://login.example.com" : options.LoginUrl;
        options.ClientId = "the id";
        options.ClientSecret = options.UsesJwt ? "" : "the s&cret";
        Mapping = new(config ?? TestMapping.Shipped);
        Usage = new(options);
        _client = new(options, Usage, Time, NullLogger<AccessTokens>.Instance, http);
        Http = http as StubHttp;
        Vendor = new SalesforceVendor(_client, Mapping, NullLogger<SalesforceVendor>.Instance);
    }

    public StubHttp? Http { get; }
    public ApiBudget Usage { get; }
    public SalesforceClient Client => _client;
    public SalesforceMapping Mapping { get; }
    public IVendor Vendor { get; }
    public FakeTimeProvider Time { get; } = new(new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero));

    /// <summary>Without the sign-ins.</summary>
    public List<SentRequest> Calls => [.. Http!.Requests.Where(r => !IsToken(r))];

    public int SignIns => Http!.Requests.Count(IsToken);

    public static bool IsToken(SentRequest request) => request.Uri.AbsolutePath == "/services/oauth2/token";

    public static HttpResponseMessage Token(string token = "token-1", string instance = "https://one.example.com") =>
        StubHttp.Json(
            200,
            $$"""
            { "access_token": "{{token}}", "instance_url": "{{instance}}", "token_type": "Bearer", "issued_at": "1795000000000",
              "id": "https://login.example.com/id/00D000000000001AAA/005000000000001" }
            """
        );

    public static CreateRequest Create(string customerId, params (string Path, string? Value)[] write) =>
        new(customerId, Command, "unused", write.ToDictionary(w => w.Path, w => w.Value));

    public static UpdateRequest Update(string id, string? guard, params (string Path, string? Value)[] write) =>
        new(id, "c-1", Command, "unused", write.ToDictionary(w => w.Path, w => w.Value), guard);

    public async Task<VendorResult> CreateOne(params (string Path, string? Value)[] write) =>
        Assert.Single(await Vendor.Create([Create("c-1", write)], CancellationToken.None));

    public async Task<VendorResult> UpdateOne(params (string Path, string? Value)[] write) =>
        Assert.Single(await Vendor.Update([Update(Id, null, write)], CancellationToken.None));

    public async Task<VendorResult> ReadOne(string id = Id) =>
        Assert.Single(await Vendor.Read([id], CancellationToken.None));

    public async Task<VendorResult> DeleteOne() =>
        Assert.Single(await Vendor.Delete([new(Id, true)], CancellationToken.None));

    public static string Record(string id = Id, string members = "\"Name\": \"Jane\"") =>
        $$"""{ "attributes": { "type": "Account", "url": "/x" }, "Id": "{{id}}", {{members}} }""";

    public static HttpResponseMessage Error(
        int status,
        string code,
        string message = "jane@example.com",
        string fields = ""
    ) =>
        StubHttp.Json(
            status,
            $$"""[ { "message": "{{message}}", "errorCode": "{{code}}", "fields": [ {{fields}} ] } ]"""
        );

    /// <summary>Of the recycle bin, about what a read did not find.</summary>
    public static bool IsLook(SentRequest request) =>
        request.Uri.AbsolutePath == "/services/data/v66.0/queryAll"
        && Uri.UnescapeDataString(request.Uri.Query).Contains("MasterRecordId", StringComparison.Ordinal);

    /// <summary>A query's answer.</summary>
    public static string Rows(params string[] records) =>
        $$"""{ "totalSize": {{records.Length}}, "done": true, "records": [ {{string.Join(", ", records)}} ] }""";

    public static HttpResponseMessage SessionEnded(string message = "Session expired or invalid") =>
        Error(401, "INVALID_SESSION_ID", message);

    public void Dispose() => _client.Dispose();
}

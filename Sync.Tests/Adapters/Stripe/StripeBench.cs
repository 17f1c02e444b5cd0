using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Client;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>The real adapter, SDK included, over a vendor of a few lines.</summary>
sealed class StripeBench : IDisposable
{
    public static readonly Guid Command = new("11111111-2222-4333-8444-555555555555");

    readonly StripeLimits _limits;
    readonly StripeApi _api;

    public StripeBench(
        Func<SentRequest, HttpResponseMessage> answer,
        SyncConfig? config = null,
        StripeOptions? options = null
    )
        : this(new StubHttp(answer), config, options) { }

    public StripeBench(HttpMessageHandler http, SyncConfig? config = null, StripeOptions? options = null)
    {
        options ??= new();
        options.ApiKey = "sk_test_bench";
        options.WritesPerSecond = options.ReadsPerSecond = 1_000;
        Mapping = new(config ?? TestMapping.Shipped);
        _limits = new(options, TimeProvider.System);
        _api = new(options, _limits, Mapping, NullLogger<StripeApi>.Instance, http);
        Http = http as StubHttp;
        Vendor = new StripeVendor(_api, Mapping, Time, NullLogger<StripeVendor>.Instance);
    }

    public StubHttp? Http { get; }
    public StripeMapping Mapping { get; }
    public IVendor Vendor { get; }
    public FakeTimeProvider Time { get; } = new(new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero));

    public static CreateRequest Create(params (string Path, string? Value)[] write) =>
        new("c-1", Command, "csync:test:create:c-1:1", Write(write));

    public static UpdateRequest Update(params (string Path, string? Value)[] write) =>
        new("cus_1", "c-1", Command, $"csync:test:upd:{Command}", Write(write), Guard: null);

    public async Task<VendorResult> CreateOne(params (string Path, string? Value)[] write) =>
        Assert.Single(await Vendor.Create([Create(write)], CancellationToken.None));

    public async Task<VendorResult> UpdateOne(params (string Path, string? Value)[] write) =>
        Assert.Single(await Vendor.Update([Update(write)], CancellationToken.None));

    public async Task<VendorResult> ReadOne(string id = "cus_1") =>
        Assert.Single(await Vendor.Read([id], CancellationToken.None));

    public async Task<VendorResult> DeleteOne(bool unlessSubscribed = false) =>
        Assert.Single(await Vendor.Delete([new("cus_1", unlessSubscribed)], CancellationToken.None));

    public static HttpResponseMessage Customer(
        string id = "cus_1",
        string members = "\"name\": \"Jane\"",
        string metadata = "{}",
        params (string, string)[] headers
    ) =>
        StubHttp.Json(
            200,
            $$"""{ "id": "{{id}}", "object": "customer", "created": 1795000000, "livemode": false, "metadata": {{metadata}}, {{members}} }""",
            [("Request-Id", "req_1"), .. headers]
        );

    public static HttpResponseMessage Error(int status, string error, params (string, string)[] headers) =>
        StubHttp.Json(status, $$"""{ "error": { {{error}} } }""", [("Request-Id", "req_1"), .. headers]);

    public void Dispose()
    {
        _api.Dispose();
        _limits.Dispose();
    }

    static Dictionary<string, string?> Write((string Path, string? Value)[] write) =>
        write.ToDictionary(w => w.Path, w => w.Value);
}

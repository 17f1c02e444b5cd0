using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Adapter.Vendors;
using Sync.Sandbox;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Stripe;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Client;
using Sync.Tests.Support;
using StripeApi = Sync.Stripe.Adapter.Client.StripeApi;

namespace Sync.Tests.Adapters.Stripe;

public sealed class StripeInSandboxTests : VendorSuite
{
    internal override async Task<VendorBench> Start() => new Bench(await VendorBench.StartSandbox(), ownsSandbox: true);

    [Theory]
    [InlineData("trialing", true)]
    [InlineData("canceled", false)]
    public async Task A_customer_with_a_live_subscription_stays(string status, bool stays)
    {
        await using var bench = await Start();
        var created = await bench.Vendor.Create([StripeBench.Create(("name", "Jane"))], CancellationToken.None);
        var id = Assert.IsType<VendorResult.Ok>(Assert.Single(created)).ExternalId!;
        bench.Sandbox.Stripe.Subscribe(id, status);

        var deleted = Assert.Single(
            await bench.Vendor.Delete([new(id, UnlessSubscribed: true)], CancellationToken.None)
        );

        Assert.Equal(stays, deleted is VendorResult.Refused { Code: "subscribed" });
        Assert.Equal(!stays, Assert.Single(await bench.Vendor.Read([id], CancellationToken.None)) is VendorResult.Gone);
    }

    [Fact]
    public async Task A_customer_that_is_gone_has_no_subscription()
    {
        await using var bench = await Start();

        var deleted = await bench.Vendor.Delete([new(bench.UnknownId, UnlessSubscribed: true)], CancellationToken.None);

        Assert.IsType<VendorResult.Gone>(Assert.Single(deleted));
    }

    [Fact]
    public async Task A_key_that_was_used_for_something_else_is_spent_and_its_effect_open()
    {
        await using var bench = await Start();
        await bench.Vendor.Create([StripeBench.Create(("name", "A"))], CancellationToken.None);

        var again = await bench.Vendor.Create([StripeBench.Create(("name", "B"))], CancellationToken.None);

        Assert.True(Assert.IsType<VendorResult.Failed>(Assert.Single(again)) is { Definite: false, KeySpent: true });
    }

    /// <summary>Stripe keeps a 500 under the key and repeats it: without this a create would wait for the key to die.</summary>
    [Fact]
    public async Task A_server_error_that_is_kept_under_the_key_is_told_from_a_fresh_one()
    {
        await using var bench = await Start();
        await bench.Sandbox.AddFault(
            new()
            {
                Vendor = "stripe",
                Kind = FaultKind.ErrorAfter,
                Next = 1,
            }
        );

        var first = await bench.Vendor.Create([StripeBench.Create(("name", "A"))], CancellationToken.None);
        var second = await bench.Vendor.Create([StripeBench.Create(("name", "A"))], CancellationToken.None);

        Assert.True(Assert.IsType<VendorResult.Failed>(Assert.Single(first)) is { Definite: false, KeySpent: false });
        Assert.True(Assert.IsType<VendorResult.Failed>(Assert.Single(second)) is { Definite: false, KeySpent: true });
    }

    sealed class Bench : VendorBench
    {
        readonly StripeLimits _limits;
        readonly StripeApi _api;
        readonly bool _ownsSandbox;

        public Bench(SandboxHost sandbox, bool ownsSandbox, bool wrongCredentials = false, int timeoutSeconds = 30)
            : base(sandbox)
        {
            _ownsSandbox = ownsSandbox;
            StripeOptions options = new()
            {
                ApiKey = wrongCredentials ? "sk_test_wrong" : sandbox.Options.StripeApiKey,
                ApiBase = sandbox.StripeAddress.ToString().TrimEnd('/'),
                WritesPerSecond = 1_000,
                ReadsPerSecond = 1_000,
                TimeoutSeconds = timeoutSeconds,
            };
            StripeMapping mapping = new(TestMapping.Shipped);
            _limits = new(options, TimeProvider.System);
            _api = new(options, _limits, mapping, NullLogger<StripeApi>.Instance);
            Vendor = new StripeVendor(_api, mapping, TimeProvider.System, NullLogger<StripeVendor>.Instance);
        }

        public override IVendor Vendor { get; }
        public override string UnknownId => "cus_NeverWasThere1";
        public override string CreateOne => "customers.create";
        public override string CreateMany => CreateOne;
        public override string UpdateOne => "customers.update";
        public override string DeleteOne => "customers.delete";

        public override int CallsFor(int creates) => creates;

        public override Task<VendorBench> Another(bool wrongCredentials = false, int timeoutSeconds = 30) =>
            Task.FromResult<VendorBench>(new Bench(Sandbox, ownsSandbox: false, wrongCredentials, timeoutSeconds));

        public override void PutForeignData(string id)
        {
            using var json = JsonDocument.Parse("""{ "metadata": { "other_app": "keep me" } }""");
            Sandbox.Stripe.Update(id, StripeForm.FromJson(json.RootElement).Root);
        }

        public override bool HasForeignData(string id) =>
            (string?)Sandbox.Stripe.Get(id)["metadata"]!["other_app"] == "keep me";

        public override async ValueTask DisposeAsync()
        {
            _api.Dispose();
            _limits.Dispose();
            if (_ownsSandbox)
                await Sandbox.DisposeAsync();
        }
    }
}

using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Sandbox;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Salesforce;

public sealed class SalesforceInSandboxTests : VendorSuite
{
    internal override async Task<VendorBench> Start() => new Bench(await VendorBench.StartSandbox(), ownsSandbox: true);

    [Fact]
    public async Task A_guarded_update_does_not_write_over_a_person_s_edit()
    {
        await using var bench = await Start();
        var id = await Created(bench, "c-1");
        var before = await Read(bench, id);
        Edit(bench, id, """{ "Phone": "+4611" }""");

        var moved = await bench.Vendor.Update(
            [SalesforceBench.Update(id, before.Guard, ("phone", "+4622"))],
            CancellationToken.None
        );
        var edited = await Read(bench, id);
        var done = await bench.Vendor.Update(
            [SalesforceBench.Update(id, edited.Guard, ("phone", "+4622"))],
            CancellationToken.None
        );

        Assert.NotNull(before.Guard);
        Assert.IsType<VendorResult.Moved>(Assert.Single(moved));
        Assert.Equal(("+4611", false), (edited.Fields["phone"], edited.LastModifiedByUs));
        Assert.IsType<VendorResult.Ok>(Assert.Single(done));
        Assert.Equal(
            ("+4622", true),
            await Read(bench, id) is var now ? (now.Fields["phone"], now.LastModifiedByUs) : default
        );
    }

    [Fact]
    public async Task A_deleted_record_is_found_as_deleted()
    {
        await using var bench = await Start();
        var id = await Created(bench, "c-1");
        await bench.Vendor.Delete([new(id, false)], CancellationToken.None);

        var found = Assert.Single(await bench.Vendor.Find([new("c-1", default, null)], CancellationToken.None));

        Assert.True(Assert.Single(found.Objects) is { Deleted: true } gone && gone.ExternalId == id);
    }

    [Fact]
    public async Task A_session_that_ended_is_renewed_unseen()
    {
        await using var bench = await Start();
        var id = await Created(bench, "c-1");
        bench.Sandbox.SalesforceTokens.RevokeAll();

        var results = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => bench.Vendor.Read([id], CancellationToken.None))
        );

        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(Assert.Single(r)));
        Assert.Equal(2, bench.Sandbox.Calls.Of("salesforce").Operations["token"]);
    }

    [Fact]
    public async Task A_day_without_calls_left_pauses_everything()
    {
        await using var sandbox = await SandboxHost.Start(new() { Kafka = false, SalesforceDailyRequests = 1 });
        await using var bench = new Bench(sandbox, ownsSandbox: false);
        await Created(bench, "c-1");

        var failed = Assert.IsType<VendorResult.Failed>(
            Assert.Single(await bench.Vendor.Read([bench.UnknownId], CancellationToken.None))
        );

        // What the last answer told is enough: no call is made to hear it once more.
        Assert.Equal((FailureClass.PauseAll, "api_reserve"), (failed.Class, failed.Code));
        Assert.Equal((1L, 1L), ((Bench)bench).Usage is var u ? (u.Used, u.Limit) : default);
    }

    [Fact]
    public async Task Two_thousand_are_read_in_one_call()
    {
        await using var bench = await Start();
        var ids = new List<string>();
        foreach (var chunk in Enumerable.Range(0, 2_000).Chunk(500))
        {
            var created = await bench.Vendor.Create(
                [.. chunk.Select(i => SalesforceBench.Create($"c-{i}", ("name", $"N{i}")))],
                CancellationToken.None
            );
            ids.AddRange(created.Select(r => Assert.IsType<VendorResult.Ok>(r).ExternalId!));
        }

        var read = await bench.Vendor.Read(ids, CancellationToken.None);

        Assert.Equal(ids, read.Select(r => Assert.IsType<VendorResult.Ok>(r).ExternalId));
        var calls = bench.Sandbox.Calls.Of("salesforce").Operations;
        Assert.Equal((1, 12), (calls["collections.retrieve"], calls["collections.create"]));
        Assert.Equal((2_000, 200), (bench.Vendor.Traits.MaxReadBatch, bench.Vendor.Traits.MaxBatch));
    }

    [Fact]
    public async Task A_value_of_the_wrong_type_refuses_its_own_record_only()
    {
        await using var bench = await Start();
        bench.Sandbox.Salesforce.AddField("Score__c", isNumber: true);
        var config = TestMapping.Of(
            "salesforce",
            """ "name": { "to": "Name" }, "attributes.score": { "to": "Score__c" } """
        );
        await using var mapped = new Bench(bench.Sandbox, ownsSandbox: false, config: config);

        var results = await mapped.Vendor.Create(
            [
                .. Enumerable
                    .Range(0, 9)
                    .Select(i =>
                        SalesforceBench.Create($"c-{i}", ("name", "Jane"), ("attributes.score", i == 4 ? "high" : "1"))
                    ),
            ],
            CancellationToken.None
        );

        Assert.Equal("JSON_PARSER_ERROR", Assert.IsType<VendorResult.Refused>(results[4]).Code);
        Assert.Equal(8, results.Count(r => r is VendorResult.Ok));
    }

    /// <summary>A trigger that queries for each record works for one and fails for two hundred.</summary>
    [Fact]
    public async Task A_list_that_meets_a_governor_limit_goes_again_as_smaller_ones()
    {
        await using var bench = await Start();
        bench.Sandbox.Salesforce.Flow = (_, records) =>
            records <= 100
                ? null
                : new SalesforceProblem(
                    400,
                    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                    "AccountTrigger: System.LimitException: Too many SOQL queries: 101"
                );

        var results = await bench.Vendor.Create(
            [.. Enumerable.Range(0, 200).Select(i => SalesforceBench.Create($"c-{i}", ("name", "Jane")))],
            CancellationToken.None
        );

        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(r));
        Assert.Equal(3, bench.Sandbox.Calls.Of("salesforce").Operations["collections.create"]);
        Assert.Equal(200, bench.Sandbox.Salesforce.Find(_ => true, 1_000).Count);
    }

    [Fact]
    public async Task Lists_of_writes_are_as_long_as_the_setting_says()
    {
        await using var bench = await Start();
        await using var few = new Bench(bench.Sandbox, ownsSandbox: false, writeBatch: 50);

        var results = await few.Vendor.Create(
            [.. Enumerable.Range(0, 120).Select(i => SalesforceBench.Create($"c-{i}", ("name", "Jane")))],
            CancellationToken.None
        );

        Assert.All(results, r => Assert.IsType<VendorResult.Ok>(r));
        Assert.Equal(3, bench.Sandbox.Calls.Of("salesforce").Operations["collections.create"]);
        Assert.Equal(50, few.Vendor.Traits.MaxBatch);
    }

    static async Task<string> Created(VendorBench bench, string customerId) =>
        Assert
            .IsType<VendorResult.Ok>(
                Assert.Single(
                    await bench.Vendor.Create(
                        [SalesforceBench.Create(customerId, ("name", "Jane"))],
                        CancellationToken.None
                    )
                )
            )
            .ExternalId!;

    static async Task<VendorObject> Read(VendorBench bench, string id) =>
        Assert.IsType<VendorResult.Ok>(Assert.Single(await bench.Vendor.Read([id], CancellationToken.None))).Object!;

    static void Edit(VendorBench bench, string id, string json)
    {
        using var body = JsonDocument.Parse(json);
        bench.Sandbox.Salesforce.Update(id, body.RootElement, SalesforceOrg.Human);
    }

    sealed class Bench : VendorBench
    {
        readonly SalesforceClient _client;
        readonly bool _ownsSandbox;

        public Bench(
            SandboxHost sandbox,
            bool ownsSandbox,
            bool wrongCredentials = false,
            int timeoutSeconds = 30,
            SyncConfig? config = null,
            int writeBatch = 200
        )
            : base(sandbox)
        {
            _ownsSandbox = ownsSandbox;
            SalesforceOptions options = new()
            {
                LoginUrl = sandbox.SalesforceAddress.ToString(),
                ClientId = sandbox.Options.SalesforceClientId,
                ClientSecret = wrongCredentials ? "wrong" : sandbox.Options.SalesforceClientSecret,
                TimeoutSeconds = timeoutSeconds,
                WriteBatch = writeBatch,
            };
            SalesforceMapping mapping = new(config ?? TestMapping.Shipped);
            _client = new(options, Usage, TimeProvider.System, NullLogger<AccessTokens>.Instance);
            Vendor = new SalesforceVendor(_client, mapping, NullLogger<SalesforceVendor>.Instance);
        }

        public ApiBudget Usage { get; } = new();
        public override IVendor Vendor { get; }
        public override string UnknownId => RecordIds.To18("001000000999999");
        public override string CreateOne => "account.create";
        public override string CreateMany => "collections.create";
        public override string UpdateOne => "account.update";
        public override string DeleteOne => "account.delete";

        public override int CallsFor(int creates) => (creates + 199) / 200;

        public override Task<VendorBench> Another(bool wrongCredentials = false, int timeoutSeconds = 30) =>
            Task.FromResult<VendorBench>(new Bench(Sandbox, ownsSandbox: false, wrongCredentials, timeoutSeconds));

        // Every field that this Account has and a person can write is mapped.
        public override void PutForeignData(string id) { }

        public override bool HasForeignData(string id) => true;

        public override async ValueTask DisposeAsync()
        {
            _client.Dispose();
            if (_ownsSandbox)
                await Sandbox.DisposeAsync();
        }
    }
}

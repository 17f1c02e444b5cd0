using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Sandbox;
using Sync.Sandbox.Faults;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters;

/// <summary>
/// What the frame may expect of every vendor, played against its stand-in over HTTP. One set of rules: where vendors differ,
/// the bench says how, and the rule stays.
/// </summary>
public abstract class VendorSuite : IAsyncLifetime
{
    VendorBench _bench = null!;

    internal abstract Task<VendorBench> Start();

    IVendor Vendor => _bench.Vendor;

    SystemMap Map => TestMapping.Shipped.System(Vendor.Name);

    public async ValueTask InitializeAsync() => _bench = await Start();

    public async ValueTask DisposeAsync()
    {
        await _bench.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_created_object_has_what_was_written_and_who_it_is()
    {
        var command = Guid.NewGuid();

        var id = await Create("c-1", command, Everything);
        var seen = await Read(id);

        Assert.Equal(id, seen.ExternalId);
        Assert.Equal(("c-1", command), (seen.CustomerId, seen.Stamp));
        Assert.Equal(Map.Fields.Keys.Order(), seen.Fields.Keys.Order());
        AssertHolds(Everything, seen);
        Assert.False(seen.Deleted);
    }

    [Fact]
    public async Task An_update_changes_what_it_names_and_the_stamp()
    {
        var command = Guid.NewGuid();
        var id = await Create("c-1", Guid.NewGuid(), Everything);

        await Update(id, command, null, ("address.city", "Malmö"), ("attributes.tier", "silver"));

        var seen = await Read(id);
        AssertHolds(new(Everything) { ["address.city"] = "Malmö", ["attributes.tier"] = "silver" }, seen);
        Assert.Equal(("c-1", command), (seen.CustomerId, seen.Stamp));
    }

    [Fact]
    public async Task Null_clears_and_what_is_not_named_stays()
    {
        var id = await Create("c-1", Guid.NewGuid(), Everything);

        await Update(
            id,
            Guid.NewGuid(),
            null,
            ("email", null),
            ("phone", ""),
            ("address.line1", null),
            ("attributes.tier", null)
        );

        AssertHolds(
            new(Everything)
            {
                ["email"] = null,
                ["phone"] = null,
                ["address.line1"] = null,
                ["attributes.tier"] = null,
            },
            await Read(id)
        );
    }

    [Fact]
    public async Task Every_field_but_the_name_can_be_cleared_at_once_and_others_data_stays()
    {
        var id = await Create("c-1", Guid.NewGuid(), Everything);
        _bench.PutForeignData(id);

        await Update(
            id,
            Guid.NewGuid(),
            null,
            [.. Everything.Keys.Where(p => p != "name").Select(p => (p, (string?)null))]
        );

        var seen = await Read(id);
        Assert.Equal(["name"], seen.Fields.Where(f => f.Value is not null).Select(f => f.Key));
        Assert.Equal("c-1", seen.CustomerId);
        Assert.True(_bench.HasForeignData(id));
    }

    [Theory]
    [InlineData("Zoë Ångström 林さん 🦊")]
    [InlineData("'; DROP TABLE customer; --")]
    [InlineData("a&b=c+d%20e[f]#g?h/../\\\"i\"")]
    [InlineData("{\"name\":null}")]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("line one\nline two")]
    public async Task Text_arrives_as_it_is(string text)
    {
        var id = await Create("c-1", Guid.NewGuid(), new() { ["name"] = text, ["attributes.tier"] = text });
        await Update(id, Guid.NewGuid(), null, ("address.city", text[..Math.Min(40, text.Length)]));

        AssertHolds(
            new()
            {
                ["name"] = text,
                ["attributes.tier"] = text,
                ["address.city"] = text[..Math.Min(40, text.Length)],
            },
            await Read(id)
        );
    }

    [Theory]
    [InlineData("it's")]
    [InlineData("a\\' OR Name != '")]
    [InlineData("../../x?y=z#w")]
    [InlineData("ÅÄÖ 林 🦊")]
    [InlineData(
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
    )]
    public async Task A_customer_id_is_found_again_whatever_is_in_it(string customerId)
    {
        var id = await Create(customerId, Guid.NewGuid(), new() { ["name"] = "Jane" });

        Assert.Equal(customerId, (await Read(id)).CustomerId);
        Assert.Equal([id], (await Find(customerId)).Select(o => o.ExternalId));
    }

    [Fact]
    public async Task Ids_that_differ_in_case_are_two_customers()
    {
        var lower = await Create("abc", Guid.NewGuid(), new() { ["name"] = "A" });
        var upper = await Create("ABC", Guid.NewGuid(), new() { ["name"] = "B" });

        Assert.NotEqual(lower, upper);
        Assert.Equal([lower], (await Find("abc")).Select(o => o.ExternalId));
        Assert.Equal([upper], (await Find("ABC")).Select(o => o.ExternalId));
    }

    [Fact]
    public async Task The_longest_values_that_the_mapping_allows_fit()
    {
        var longest = Map.Fields.Values.ToDictionary(f => f.Path, string? (f) => Longest(f));

        var id = await Create("c-1", Guid.NewGuid(), longest);

        AssertHolds(longest, await Read(id));
    }

    [Fact]
    public async Task A_value_that_is_too_long_is_refused_naming_its_path_and_not_its_text()
    {
        var name = Longest(Map.Fields["name"]) + "x";

        var created = Assert.IsType<VendorResult.Refused>(
            await TryCreate("c-1", Guid.NewGuid(), new() { ["name"] = name })
        );
        var id = await Create("c-1", Guid.NewGuid(), new() { ["name"] = "Jane" });
        var updated = Assert.IsType<VendorResult.Refused>(await TryUpdate(id, Guid.NewGuid(), null, ("name", name)));

        Assert.All([created, updated], r => Assert.Equal(["name"], r.Fields.Keys));
        Assert.All(
            [created, updated],
            r => Assert.DoesNotContain("xxx", r.Reason + string.Join(' ', r.Fields.Values), StringComparison.Ordinal)
        );
        AssertHolds(new() { ["name"] = "Jane" }, await Read(id));
    }

    [Fact]
    public async Task What_is_deleted_is_gone_for_every_call()
    {
        var id = await Create("c-1", Guid.NewGuid(), Everything);

        Assert.IsType<VendorResult.Ok>(await Delete(id));

        Assert.IsType<VendorResult.Gone>(Assert.Single(await Vendor.Read([id], Stop)));
        Assert.IsType<VendorResult.Gone>(await TryUpdate(id, Guid.NewGuid(), null, ("name", "B")));
        Assert.IsType<VendorResult.Gone>(await Delete(id));
        Assert.All(await Find("c-1"), o => Assert.True(o.Deleted));
    }

    [Fact]
    public async Task What_never_was_is_gone_for_every_call()
    {
        var id = _bench.UnknownId;

        Assert.IsType<VendorResult.Gone>(Assert.Single(await Vendor.Read([id], Stop)));
        Assert.IsType<VendorResult.Gone>(await TryUpdate(id, Guid.NewGuid(), null, ("name", "B")));
        Assert.IsType<VendorResult.Gone>(await Delete(id));
        Assert.Empty(await Find("c-1"));
    }

    [Fact]
    public async Task A_create_that_is_repeated_makes_no_second_object()
    {
        var command = Guid.NewGuid();
        var id = await Create("c-1", command, Everything);

        var again = await TryCreate("c-1", command, Everything);

        Assert.Equal(
            id,
            again switch
            {
                VendorResult.Ok { Replayed: true } replayed => replayed.ExternalId,
                VendorResult.Taken taken => taken.ExternalId,
                _ => null,
            }
        );
        Assert.Equal([id], (await Find("c-1")).Select(o => o.ExternalId));
    }

    [Fact]
    public async Task Many_keep_their_order_and_one_bad_one_is_bad_alone()
    {
        const int count = 210;
        var results = await Vendor.Create(
            [
                .. Enumerable
                    .Range(0, count)
                    .Select(i =>
                        Creation(
                            $"c-{i}",
                            Guid.NewGuid(),
                            new() { ["name"] = i == 7 ? Longest(Map.Fields["name"]) + "x" : $"N{i}" }
                        )
                    ),
            ],
            Stop
        );

        Assert.IsType<VendorResult.Refused>(results[7]);
        var ids = results.Select(r => (r as VendorResult.Ok)?.ExternalId).ToList();
        Assert.Equal(count - 1, ids.OfType<string>().Distinct().Count());
        Assert.Equal(_bench.CallsFor(count), _bench.Sandbox.Calls.Of(Vendor.Name).Operations[_bench.CreateMany]);

        var asked = ids.OfType<string>().Append(_bench.UnknownId).ToList();
        var read = await Vendor.Read(asked, Stop);
        Assert.IsType<VendorResult.Gone>(read[^1]);
        Assert.Equal(asked[..^1], read.OfType<VendorResult.Ok>().Select(r => r.ExternalId));
        Assert.Equal(
            ["N3"],
            read.OfType<VendorResult.Ok>()
                .Where(r => r.Object!.CustomerId == "c-3")
                .Select(r => r.Object!.Fields["name"])
        );

        var updated = await Vendor.Update(
            [
                .. asked.Select(
                    (id, i) => Updating(id, $"c-{(i < 7 ? i : i + 1)}", Guid.NewGuid(), null, ("phone", $"+46{i:D6}"))
                ),
            ],
            Stop
        );
        Assert.IsType<VendorResult.Gone>(updated[^1]);
        Assert.All(updated.SkipLast(1), r => Assert.IsType<VendorResult.Ok>(r));
        AssertHolds(new() { ["name"] = "N3", ["phone"] = "+46000003" }, await Read(asked[3]));

        var deleted = await Vendor.Delete([.. asked.Select(id => new DeleteRequest(id, false))], Stop);
        Assert.IsType<VendorResult.Gone>(deleted[^1]);
        Assert.All(deleted.SkipLast(1), r => Assert.IsType<VendorResult.Ok>(r));
        Assert.All(await Vendor.Read(asked, Stop), r => Assert.IsType<VendorResult.Gone>(r));
    }

    [Fact]
    public async Task A_batch_of_look_ups_finds_each_its_own()
    {
        var results = await Vendor.Create(
            [.. Enumerable.Range(0, 30).Select(i => Creation($"c-{i}", Guid.NewGuid(), new() { ["name"] = "N" }))],
            Stop
        );

        var found = await Vendor.Find([.. Enumerable.Range(0, 40).Select(i => Look($"c-{i}"))], Stop);

        Assert.All(found, f => Assert.Null(f.Failure));
        Assert.Equal(
            results.Select(r => Assert.IsType<VendorResult.Ok>(r).ExternalId),
            found.Take(30).Select(f => Assert.Single(f.Objects).ExternalId)
        );
        Assert.All(found.Skip(30), f => Assert.Empty(f.Objects));
    }

    // ---- faults ----

    [Theory]
    [InlineData(nameof(FaultKind.RateLimit), FailureClass.SlowDown, true)]
    [InlineData(nameof(FaultKind.LockTimeout), FailureClass.Retry, true)]
    [InlineData(nameof(FaultKind.ErrorBefore), FailureClass.Retry, false)]
    [InlineData(nameof(FaultKind.Unavailable), FailureClass.Retry, false)]
    [InlineData(nameof(FaultKind.Html), FailureClass.Retry, false)]
    public async Task A_write_that_failed_before_its_effect_left_nothing_and_works_later(
        string fault,
        FailureClass expected,
        bool definite
    )
    {
        var id = await Create("c-0", Guid.NewGuid(), Everything);
        await Fault(fault, _bench.CreateOne);
        await Fault(fault, _bench.UpdateOne);
        await Fault(fault, _bench.DeleteOne);

        foreach (
            var result in (VendorResult[])
                [
                    await TryCreate("c-1", Guid.NewGuid(), Everything),
                    await TryUpdate(id, Guid.NewGuid(), null, ("name", "B")),
                    await Delete(id),
                ]
        )
        {
            var failed = Assert.IsType<VendorResult.Failed>(result);
            Assert.Equal((expected, definite), (failed.Class, failed.Definite));
        }

        Assert.Empty(await Find("c-1"));
        AssertHolds(Everything, await Read(id));
        await Create("c-1", Guid.NewGuid(), Everything, attempt: 2);
        Assert.IsType<VendorResult.Ok>(await Delete(id));
    }

    [Theory]
    [InlineData(nameof(FaultKind.ErrorAfter))]
    [InlineData(nameof(FaultKind.DropAfter))]
    [InlineData(nameof(FaultKind.HangAfter))]
    public async Task A_write_whose_answer_is_lost_is_open_and_a_look_tells(string fault)
    {
        await using var impatient = await _bench.Another(timeoutSeconds: 5);
        var id = await Create("c-0", Guid.NewGuid(), Everything);
        var (created, updated) = (Guid.NewGuid(), Guid.NewGuid());
        await Fault(fault, _bench.CreateOne);
        await Fault(fault, _bench.UpdateOne);

        var creating = impatient.Vendor.Create([Creation("c-1", created, Everything)], Stop);
        var updating = impatient.Vendor.Update([Updating(id, "c-0", updated, null, ("name", "B"))], Stop);
        var creation = Assert.IsType<VendorResult.Failed>(Assert.Single(await creating));
        var update = Assert.IsType<VendorResult.Failed>(Assert.Single(await updating));

        Assert.Equal((FailureClass.Retry, false), (creation.Class, creation.Definite));
        Assert.Equal((FailureClass.Retry, false), (update.Class, update.Definite));
        Assert.Equal(created, Assert.Single(await Find("c-1")).Stamp);
        Assert.Equal((updated, "B"), await Read(id) is var seen ? (seen.Stamp, seen.Fields["name"]) : default);
    }

    [Fact]
    public async Task A_vendor_that_is_down_was_sent_nothing_and_is_there_again_later()
    {
        var id = await Create("c-0", Guid.NewGuid(), Everything);
        await _bench.Sandbox.AddFault(new() { Vendor = Vendor.Name, Kind = FaultKind.Down });

        foreach (
            var result in (VendorResult[])
                [
                    await TryCreate("c-1", Guid.NewGuid(), Everything),
                    await TryUpdate(id, Guid.NewGuid(), null, ("name", "B")),
                    await Delete(id),
                    Assert.Single(await Vendor.Read([id], Stop)),
                ]
        )
        {
            var failed = Assert.IsType<VendorResult.Failed>(result);
            Assert.Equal((FailureClass.Retry, true), (failed.Class, failed.Definite));
        }

        Assert.NotNull(Assert.Single(await Vendor.Find([Look("c-1")], Stop)).Failure);
        await _bench.Sandbox.ClearFaults();
        AssertHolds(Everything, await Read(id));
    }

    [Fact]
    public async Task Wrong_credentials_pause_everything()
    {
        await using var stranger = await _bench.Another(wrongCredentials: true);

        var read = Assert.IsType<VendorResult.Failed>(
            Assert.Single(await stranger.Vendor.Read([_bench.UnknownId], Stop))
        );
        var created = Assert.IsType<VendorResult.Failed>(
            Assert.Single(await stranger.Vendor.Create([Creation("c-1", Guid.NewGuid(), Everything)], Stop))
        );

        Assert.Equal((FailureClass.PauseAll, true), (read.Class, read.Definite));
        Assert.Equal((FailureClass.PauseAll, true), (created.Class, created.Definite));
        Assert.DoesNotContain("wrong", read.ToString() + created, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Calls_are_counted()
    {
        var id = await Create("c-1", Guid.NewGuid(), Everything);
        var before = _bench.Sandbox.Calls.Of(Vendor.Name).Total;

        var results = await Vendor.Read([id], Stop);
        results = [.. results, await TryUpdate(id, Guid.NewGuid(), null, ("name", "B"))];
        results = [.. results, .. await Vendor.Read([id, id, _bench.UnknownId], Stop)];
        results = [.. results, await Delete(id)];

        Assert.Equal(_bench.Sandbox.Calls.Of(Vendor.Name).Total - before, results.Sum(r => r.Calls), 6);
    }

    // ----

    static CancellationToken Stop => TestContext.Current.CancellationToken;

    Dictionary<string, string?> Everything =>
        new Dictionary<string, string?>
        {
            ["name"] = "Jane Ångström",
            ["email"] = "jane@example.com",
            ["phone"] = "+46701234567",
            ["address.line1"] = "Storgatan 1",
            ["address.line2"] = "B",
            ["address.city"] = "Lund",
            ["address.state"] = "Skåne",
            ["address.postalCode"] = "223 50",
            ["address.country"] = "SE",
            ["attributes.tier"] = "gold",
        }
            .Where(f => Map.Maps(f.Key))
            .ToDictionary();

    async Task<string> Create(string customerId, Guid command, Dictionary<string, string?> write, int attempt = 1) =>
        Assert
            .IsType<VendorResult.Ok>(
                Assert.Single(await Vendor.Create([Creation(customerId, command, write, attempt)], Stop))
            )
            .ExternalId!;

    async Task<VendorResult> TryCreate(string customerId, Guid command, Dictionary<string, string?> write) =>
        Assert.Single(await Vendor.Create([Creation(customerId, command, write)], Stop));

    static CreateRequest Creation(
        string customerId,
        Guid command,
        Dictionary<string, string?> write,
        int attempt = 1
    ) =>
        new(
            customerId,
            command,
            $"csync:test:create:{Sync.Contracts.CustomerIds.CorrelationId(customerId)}:{attempt}",
            write
        );

    async Task Update(string id, Guid command, string? guard, params (string, string?)[] write) =>
        Assert.IsType<VendorResult.Ok>(await TryUpdate(id, command, guard, write));

    async Task<VendorResult> TryUpdate(string id, Guid command, string? guard, params (string, string?)[] write) =>
        Assert.Single(await Vendor.Update([Updating(id, "c-1", command, guard, write)], Stop));

    static UpdateRequest Updating(
        string id,
        string customerId,
        Guid command,
        string? guard,
        params (string Path, string? Value)[] write
    ) =>
        new(id, customerId, command, $"csync:test:upd:{command}", write.ToDictionary(w => w.Path, w => w.Value), guard);

    async Task<VendorResult> Delete(string id) => Assert.Single(await Vendor.Delete([new(id, false)], Stop));

    async Task<VendorObject> Read(string id) =>
        Assert.IsType<VendorResult.Ok>(Assert.Single(await Vendor.Read([id], Stop))).Object!;

    async Task<IReadOnlyList<VendorObject>> Find(string customerId)
    {
        var result = Assert.Single(await Vendor.Find([Look(customerId)], Stop));
        Assert.Null(result.Failure);
        return result.Objects;
    }

    static FindRequest Look(string customerId) =>
        new(customerId, TimeProvider.System.GetUtcNow().AddMinutes(-10), "jane@example.com");

    Task Fault(string kind, string operation) =>
        _bench.Sandbox.AddFault(
            new()
            {
                Vendor = Vendor.Name,
                Kind = Enum.Parse<FaultKind>(kind),
                Operation = operation,
                Next = 1,
            }
        );

    void AssertHolds(Dictionary<string, string?> written, VendorObject seen)
    {
        foreach (var (path, map) in Map.Fields)
        {
            Assert.True(
                Normaliser.Same(map, written.GetValueOrDefault(path), seen.Fields[path]),
                $"{path}: {written.GetValueOrDefault(path)} is held as {seen.Fields[path]}"
            );
        }
    }

    static string Longest(FieldMap map)
    {
        var max = Math.Min(map.Max!.Value, 5_000);
        return map.Path switch
        {
            "email" => new string('x', Math.Min(64, max - 12)) + "@example.com",
            "phone" => "+" + new string('1', max - 1),
            _ => new string('x', max),
        };
    }
}

/// <summary>One vendor, its stand-in, and in what it differs.</summary>
abstract class VendorBench(SandboxHost sandbox) : IAsyncDisposable
{
    public SandboxHost Sandbox => sandbox;

    public abstract IVendor Vendor { get; }
    public abstract string UnknownId { get; }
    public abstract string CreateOne { get; }
    public abstract string CreateMany { get; }
    public abstract string UpdateOne { get; }
    public abstract string DeleteOne { get; }

    /// <summary>Calls that creating so many takes.</summary>
    public abstract int CallsFor(int creates);

    /// <summary>Another adapter of the same stand-in, which it leaves running.</summary>
    public abstract Task<VendorBench> Another(bool wrongCredentials = false, int timeoutSeconds = 30);

    /// <summary>Something on the object that belongs to somebody else.</summary>
    public abstract void PutForeignData(string id);

    public abstract bool HasForeignData(string id);

    public abstract ValueTask DisposeAsync();

    public static Task<SandboxHost> StartSandbox() =>
        SandboxHost.Start(
            new()
            {
                Kafka = false,
                StripeCallsPerSecond = 100_000,
                StripeCallsPerEndpointSecond = 100_000,
            },
            cancellationToken: TestContext.Current.CancellationToken
        );
}

using Sync.Adapter.Hosting;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.FakeVendor;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>A vendor that does not answer, answers nonsense, limits us or refuses us: nothing is lost, nobody is hammered.</summary>
public sealed class FailureTests
{
    static PushCustomer Create(string customer = Customer) =>
        Command(Operation.Create, Values(("name", "Ada")), customer: customer);

    static async Task Again(Frame frame)
    {
        await frame.BackoffsEnd();
        await frame.Work();
    }

    [Fact]
    public async Task A_lane_waits_longer_after_each_failure_and_says_why()
    {
        await using var frame = await Start();
        await frame.TakeIn(Create());
        List<double> waits = [];
        for (var i = 1; i <= 4; i++)
        {
            frame.Vendor.Next("create", Fault.Before);
            await Again(frame);
            Assert.Equal(i, await frame.OfLink<int>("attempts"));
            Assert.Equal("unavailable", await frame.OfLink<string>("reason"));
            waits.Add(await frame.OfLink<double>("extract(epoch from due_at - now())::float8"));
        }

        Assert.True(waits[3] > waits[0]);
        await Again(frame);
        Assert.Equal(0, await frame.OfLink<int>("attempts"));
        Assert.True(await frame.OfLink<bool>("reason is null and due_at is null"));
        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public void Waits_double_up_to_a_bound_with_jitter_between_half_and_whole()
    {
        var backoff = new Backoff(new AdapterOptions { BackoffMaxSeconds = 60 }, new Random(1));

        for (var attempts = 0; attempts < 40; attempts++)
        {
            var whole = Math.Min(0.25 * Math.Pow(2, attempts), 60);
            Assert.InRange(backoff.Delay(attempts).TotalSeconds, whole / 2, whole);
        }
    }

    [Theory]
    [InlineData(Fault.WrongCount)]
    [InlineData(Fault.Throw)]
    [InlineData(Fault.WrongRecord)]
    public async Task Nonsense_is_a_named_failure_and_nothing_is_lost(Fault fault)
    {
        await using var frame = await Start();
        var made = await frame.Do(Create());
        frame.Vendor.Next("read", fault);
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId);
        await frame.TakeIn(command);
        await frame.Work();

        Assert.Equal(fault == Fault.Throw ? "exception" : "nonsense", await frame.OfLink<string>("reason"));
        Assert.Equal(1, await frame.WorkRows());
        Assert.Contains(frame.Log.Lines, l => l.Id is 3035 or 3036);

        await Again(frame);
        Assert.Equal("Eva", frame.Vendor[made.ExternalId!].Fields["name"]);
    }

    [Theory]
    [InlineData(Fault.WrongCount)]
    [InlineData(Fault.Throw)]
    public async Task A_write_that_was_answered_with_nonsense_may_have_happened(Fault fault)
    {
        await using var frame = await Start(v => v.UniqueIds = false);
        frame.Vendor.Next("create", fault);
        await frame.TakeIn(Create());
        await frame.Work();

        await Again(frame);

        Assert.Single(frame.Vendor.Live);
        Assert.Single(frame.Vendor.CallsOf("find"));
    }

    [Fact]
    public async Task A_call_without_an_answer_in_time_has_an_unknown_outcome()
    {
        await using var frame = await Start(
            options: new AdapterOptions
            {
                ListFirst = false,
                GatherMs = 5,
                CallTimeoutSeconds = 1,
            }
        );
        var hangs = true;
        frame.Vendor.Hangs = operation => operation == "create" && hangs;
        await frame.TakeIn(Create());
        await frame.Work();
        Assert.Equal("timeout", await frame.OfLink<string>("reason"));

        hangs = false;
        await Again(frame);

        Assert.Single(frame.Vendor.Live);
        Assert.Single(frame.Vendor.CallsOf("find"));
    }

    [Fact]
    public async Task When_the_vendor_limits_us_all_lanes_slow_down()
    {
        await using var frame = await Start();
        frame.Vendor.Next("create", Fault.SlowDown);
        await frame.TakeIn(Create());
        await frame.Work();

        Assert.Equal("rate_limit", await frame.OfLink<string>("reason"));
        Assert.Equal(0, frame.Gate.Lanes(10, 0));
        Assert.Equal("vendor: rate_limit", frame.Health.Reasons["vendor-limit"]);

        frame.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(10, frame.Gate.Lanes(10, 0));
        await Again(frame);
        Assert.Single(frame.Vendor.Live);
        Assert.Empty(frame.Health.Reasons);
    }

    [Fact]
    public async Task Slowing_down_doubles_and_calls_under_way_together_are_one_sign()
    {
        await using var frame = await Start(v => v.Traits = v.Traits with { MaxBatch = 1 });
        var together = new TaskCompletionSource();
        frame.Vendor.Entered = async operation =>
        {
            if (frame.Vendor.CallsOf("create").Count() >= 3)
                together.TrySetResult();
            await together.Task;
        };
        for (var i = 0; i < 3; i++)
            frame.Vendor.Next("create", Fault.SlowDown);
        await frame.TakeIn(Create("c1"), Create("c2"), Create("c3"));
        await frame.Work();

        Assert.Equal(TimeSpan.FromMilliseconds(500), frame.Gate.Remaining);
        frame.Clock.Advance(TimeSpan.FromSeconds(1));
        frame.Vendor.Next("find", Fault.SlowDown);
        await frame.Database.Execute($"update {frame.Schema}.link set due_at = now() where lane = 'customer:c1'");
        await frame.Work();
        Assert.Equal(TimeSpan.FromSeconds(1), frame.Gate.Remaining);
    }

    [Fact]
    public async Task Wrong_credentials_pause_the_vendor_name_configuration_and_do_not_hammer()
    {
        await using var frame = await Start();
        var refused = true;
        frame.Vendor.Always = operation => refused ? Fault.PauseAll : null;
        await frame.TakeIn([.. Enumerable.Range(0, 5).Select(i => Create($"c{i}"))]);

        for (var i = 0; i < 20; i++)
            await Again(frame);

        Assert.Equal("configuration:invalid_key", await frame.OfLink<string>("reason", "customer:c3"));
        Assert.Equal("vendor: configuration: invalid_key", frame.Health.Reasons["vendor-configuration"]);
        Assert.Single(frame.Vendor.Calls);
        Assert.Equal(0, frame.Gate.Lanes(10, 0));
        Assert.Contains(frame.Log.Lines, l => l.Id == 3032);
        Assert.Equal(5, await frame.WorkRows());

        // One try in a while, with one lane.
        frame.Clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(1, frame.Gate.Lanes(10, 0));
        Assert.Equal(0, frame.Gate.Lanes(10, 1));
        await Again(frame);
        Assert.InRange(frame.Vendor.Calls.Count, 2, 3);

        refused = false;
        frame.Clock.Advance(TimeSpan.FromSeconds(31));
        await Again(frame);
        await Again(frame);
        Assert.Equal(5, frame.Vendor.Live.Count);
        Assert.Empty(frame.Health.Reasons);
        Assert.Equal(10, frame.Gate.Lanes(10, 0));
    }

    [Fact]
    public async Task An_open_circuit_is_workers_that_take_nothing()
    {
        await using var frame = await Start();
        var down = true;
        frame.Vendor.Always = operation => down ? Fault.Before : null;
        await frame.TakeIn([.. Enumerable.Range(0, 3).Select(i => Create($"c{i}"))]);
        for (var i = 0; i < 20; i++)
            await Again(frame);

        var calls = frame.Vendor.Calls.Count;
        Assert.InRange(calls, 8, 16);
        Assert.Equal(0, frame.Gate.Lanes(10, 0));
        Assert.Contains("vendor-unavailable", frame.Health.Reasons.Keys);
        Assert.Equal("circuit-open", await frame.OfLink<string>("reason", "customer:c0"));
        Assert.Equal(3, await frame.WorkRows());

        // Lanes that were not even tried are not backed off further.
        var attempts = await frame.OfLink<int>("attempts", "customer:c0");
        await Again(frame);
        Assert.Equal(attempts, await frame.OfLink<int>("attempts", "customer:c0"));

        down = false;
        frame.Clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(1, frame.Gate.Lanes(10, 0));
        await Again(frame);
        await Again(frame);
        Assert.Equal(3, frame.Vendor.Live.Count);
        Assert.Equal(10, frame.Gate.Lanes(10, 0));
        Assert.DoesNotContain("vendor-unavailable", frame.Health.Reasons.Keys);
    }

    [Fact]
    public async Task One_customer_that_fails_stops_no_other()
    {
        await using var frame = await Start(v => v.Traits = v.Traits with { MaxBatch = 1 });
        frame.Vendor.FailsFor = subject => subject == "c-bad";
        await frame.TakeIn([Create("c-bad"), .. Enumerable.Range(0, 12).Select(i => Create($"c{i}"))]);

        await frame.Work();

        Assert.Equal(12, (await frame.Reports()).Count);
        Assert.Equal("unavailable", await frame.OfLink<string>("reason", "customer:c-bad"));
        Assert.Equal(10, frame.Gate.Lanes(10, 0));
    }

    [Fact]
    public async Task A_round_that_fails_by_our_own_mistake_waits_and_loses_nothing()
    {
        await using var frame = await Start();
        await frame.TakeIn(Create());
        // A row that this version cannot read.
        await frame.Database.Execute(
            $"update {frame.Schema}.work set body = body || '{{\"operation\": \"nobody-knows\"}}'"
        );

        await frame.Work();

        Assert.Equal("internal-error", await frame.OfLink<string>("reason"));
        Assert.Equal(1, await frame.WorkRows());
        Assert.Contains(frame.Log.Lines, l => l.Id == 3022);
    }

    [Fact]
    public async Task No_value_of_a_customer_stands_in_a_log_a_reason_or_an_idle_table()
    {
        await using var frame = await Start(v =>
            v.Refuses = (path, value) => path == "phone" && value == "Secretphone" ? "is no number" : null
        );
        var made = await frame.Do(Command(Operation.Create, Values(("name", "Secretname"), ("email", "s@secret.org"))));
        await frame.Do(
            Command(Operation.Update, Values(("phone", "Secretphone")), Values(("phone", null)), made.ExternalId)
        );
        await frame.Do(
            Command(Operation.Update, Values(("name", new string('S', 30) + "ecret")), ext: made.ExternalId)
        );
        frame.Vendor.Next("read", Fault.Throw);
        await frame.TakeIn(new Hint { ExternalId = made.ExternalId!, Kind = HintKind.Look });
        await frame.Work();
        await Again(frame);
        await frame.Do(Command(Operation.Delete));

        Assert.DoesNotContain("secret", frame.Log.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.All(
            await frame.Reports(),
            r => Assert.DoesNotContain("secret", r.Reason ?? "", StringComparison.OrdinalIgnoreCase)
        );
        foreach (var table in (string[])["link", "work", "ledger"])
            Assert.Equal(
                0,
                await frame.Database.Scalar<long>(
                    $"select count(*) from {frame.Schema}.{table} t where t::text ilike '%secret%'"
                )
            );
    }
}

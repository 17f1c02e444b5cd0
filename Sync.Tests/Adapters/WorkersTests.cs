using System.Diagnostics;
using Sync.Adapter.Hosting;
using Sync.Contracts.Systems;
using Sync.Messaging.Hosting;
using Sync.Tests.Support;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>The workers themselves: many lanes, few calls, bounded in number; how they begin and end.</summary>
public sealed class WorkersTests
{
    static PushCustomer Create(string customer) =>
        Command(Operation.Create, Values(("name", "Ada")), customer: customer);

    static Task Answered(Frame frame, int count) =>
        Eventually.Is(async () => await frame.Messages() >= count, $"{count} answers; {frame.Log}");

    [Fact]
    public async Task Many_lanes_share_few_calls()
    {
        await using var frame = await Start(
            v => v.Traits = v.Traits with { MaxBatch = 50, MaxReadBatch = 200 },
            options: new AdapterOptions { ListFirst = false, GatherMs = 100 }
        );
        await frame.TakeIn([.. Enumerable.Range(0, 200).Select(i => Create($"c{i}"))]);

        await frame.StartWorkers();
        await Answered(frame, 200);
        await frame.StopWorkers();

        Assert.Equal(200, frame.Vendor.Live.Count);
        Assert.InRange(frame.Vendor.CallsOf("create").Count(), 4, 8);
        Assert.InRange(frame.Vendor.CallsOf("read").Count(), 1, 8);
    }

    [Fact]
    public async Task Calls_at_the_same_time_are_bounded()
    {
        await using var frame = await Start(
            v => v.Traits = v.Traits with { MaxBatch = 1 },
            options: new AdapterOptions
            {
                ListFirst = false,
                GatherMs = 5,
                Workers = 3,
            }
        );
        var running = 0;
        var most = 0;
        var full = new TaskCompletionSource();
        frame.Vendor.Entered = async _ =>
        {
            var now = Interlocked.Increment(ref running);
            InterlockedMax(ref most, now);
            if (now == 3)
                full.TrySetResult();
            await full.Task;
            await Task.Yield();
            Interlocked.Decrement(ref running);
        };
        await frame.TakeIn([.. Enumerable.Range(0, 30).Select(i => Create($"c{i}"))]);

        await frame.StartWorkers();
        await Answered(frame, 30);
        await frame.StopWorkers();

        Assert.Equal(3, most);

        static void InterlockedMax(ref int target, int value)
        {
            for (var seen = target; value > seen; seen = target)
                Interlocked.CompareExchange(ref target, value, seen);
        }
    }

    [Fact]
    public async Task Work_that_comes_in_is_found_without_a_restart_also_from_another_process()
    {
        await using var frame = await Start();
        await frame.StartWorkers();
        await frame.TakeIn(Create("c1"));
        await Answered(frame, 1);

        // No signal: as if another replica had taken it in.
        await frame.Database.Execute(
            $$"""
            insert into {{frame.Schema}}.work (id, lane, kind, body) values (gen_random_uuid(), 'customer:c2', 'command',
              '{"commandId": "{{Guid.NewGuid()}}", "system": "vendor", "customerId": "c2", "generation": 0,
                "operation": "create", "revision": 1, "write": {"name": "Eva"}, "expect": { } }');
            insert into {{frame.Schema}}.link (lane, version, due_at) values ('customer:c2', 0, now());
            """
        );
        await Answered(frame, 2);
        await frame.StopWorkers();
    }

    [Fact]
    public async Task No_lane_is_taken_before_the_process_has_claimed_its_partitions()
    {
        await using var frame = await Start();
        frame.MayWork.Now = false;
        await frame.TakeIn(Create("c1"));
        await frame.StartWorkers();
        // Had it taken the lane, it would have asked the gate and the database by now, many times.
        await Eventually.Is(() => frame.MayWork.Asked > 5, "the workers ask whether they may");
        Assert.True(await frame.OfLink<bool>("taken_by is null", "customer:c1"));
        Assert.Empty(frame.Vendor.Calls);

        frame.MayWork.Now = true;
        await Answered(frame, 1);
        await frame.StopWorkers();
    }

    [Fact]
    public async Task No_lane_is_taken_while_a_restore_is_put_right_also_by_workers_that_have_begun()
    {
        await using var frame = await Start();
        await frame.StartWorkers();
        await frame.TakeIn(Create("c1"));
        await Answered(frame, 1);

        frame.MayWork.Now = false;
        // The second look from now on begins after the take that the first one may have been for.
        var asked = frame.MayWork.Asked;
        await Eventually.Is(() => frame.MayWork.Asked > asked + 1, "the workers ask again");
        await frame.TakeIn(Create("c2"));
        asked = frame.MayWork.Asked;
        await Eventually.Is(() => frame.MayWork.Asked > asked + 2, "the workers ask on");
        Assert.True(await frame.OfLink<bool>("taken_by is null", "customer:c2"));
        Assert.Single(frame.Vendor.CallsOf("create"));

        frame.MayWork.Now = true;
        await Answered(frame, 2);
        await frame.StopWorkers();
    }

    [Fact]
    public void Workers_wait_for_a_claim_once_and_for_a_restore_whenever_one_is_found()
    {
        var consumer = new Consumer();
        var mayWork = new ClaimedOnce(consumer);
        (ConsumerPhase Phase, bool MayWork)[] life =
        [
            (ConsumerPhase.NeverAssigned, false),
            (ConsumerPhase.Assigned, false),
            (ConsumerPhase.Restoring, false),
            (ConsumerPhase.Claimed, true),
            (ConsumerPhase.Assigned, true),
            (ConsumerPhase.Restoring, false),
            (ConsumerPhase.Idle, true),
        ];

        Assert.Equal(
            life,
            life.Select(step =>
            {
                consumer.Phase = step.Phase;
                return (step.Phase, mayWork.Now);
            })
        );
    }

    sealed class Consumer : IConsumerHealth
    {
        public ConsumerPhase Phase { get; set; }

        public ConsumerState State => new(Phase, DateTimeOffset.UnixEpoch, null, null, null, []);
    }

    [Fact]
    public async Task A_stop_gives_lanes_back_at_once_and_another_worker_ends_what_was_begun()
    {
        await using var frame = await Start(
            options: new AdapterOptions
            {
                ListFirst = false,
                GatherMs = 5,
                StopSeconds = 1,
            }
        );
        var hangs = true;
        frame.Vendor.Hangs = operation => operation == "create" && hangs;
        await frame.TakeIn(Create("c1"));
        await frame.StartWorkers();
        await Eventually.Is(() => frame.Vendor.CallsOf("create").Any(), "the call hangs");

        await frame.StopWorkers();

        Assert.True(await frame.OfLink<bool>("taken_by is null and due_at <= now()", "customer:c1"));
        hangs = false;
        await frame.Work();
        Assert.Single(frame.Vendor.Live);
        Assert.Equal(1, await frame.Messages());
    }

    [Fact]
    public async Task Vendor_calls_and_reports_belong_to_the_trace_of_the_customer()
    {
        await using var frame = await Start();
        List<Activity> spans = [];
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == AdapterTelemetry.Name,
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                lock (spans)
                    spans.Add(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        var product = new Activity("product").SetIdFormat(ActivityIdFormat.W3C).Start();
        await frame.TakeIn(Create("c1"));
        product.Stop();

        await frame.Work();

        var traceParent = await frame.Database.Scalar<string>($"select traceparent from {frame.Schema}.test_outbox");
        Assert.Contains(product.TraceId.ToString(), traceParent);
        lock (spans)
        {
            var mine = spans.Where(s => s.TraceId == product.TraceId).Select(s => s.OperationName).ToList();
            Assert.Contains("vendor create", mine);
            Assert.Contains("vendor read", mine);
            Assert.Contains("adapter create", mine);
        }
    }

    [Fact]
    public async Task Calls_are_counted_by_hour_and_operation()
    {
        await using var frame = await Start();
        await frame.TakeIn(Create("c1"), Create("c2"));
        await frame.Work();

        await frame.Usage.Flush(frame.Database.DataSource, default);
        await frame.TakeIn(Create("c3"));
        await frame.Work();
        await frame.Usage.Flush(frame.Database.DataSource, default);

        Assert.Equal(
            3,
            await frame.Database.Scalar<long>(
                $"select sum(items)::bigint from {frame.Schema}.api_usage where operation = 'create' and replica = 'replica'"
            )
        );
        Assert.Equal(
            frame.Vendor.CallsOf("create").Count(),
            await frame.Database.Scalar<long>(
                $"select sum(calls)::bigint from {frame.Schema}.api_usage where operation = 'create'"
            )
        );
    }

    [Fact]
    public async Task What_waits_and_why_is_one_query()
    {
        await using var frame = await Start();
        frame.Vendor.Next("create", FakeVendor.Fault.Before);
        await frame.TakeIn(Create("c1"));
        await frame.Work();
        await frame.TakeIn(Create("c2"));

        var (due, failing, oldest) = await frame.Store.Waiting(default);

        Assert.Equal((1, 1), (due, failing));
        Assert.True(oldest >= 0);
    }
}

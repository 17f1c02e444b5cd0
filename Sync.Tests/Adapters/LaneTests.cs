using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>Leases, the fence, intake: one order for each lane, whoever works on it.</summary>
public sealed class LaneTests
{
    static async Task<string> Made(Frame frame, params (string, string?)[] values)
    {
        var made = await frame.Do(Command(Operation.Create, Values(values)));
        frame.Vendor.Calls.Clear();
        return made.ExternalId!;
    }

    static Hint Look(string ext) => new() { ExternalId = ext, Kind = HintKind.Look };

    [Fact]
    public async Task A_lane_is_taken_by_one_worker_at_a_time()
    {
        await using var frame = await Start();
        await frame.TakeIn([
            .. Enumerable.Range(0, 20).Select(i => Command(Operation.Create, Values(("name", "A")), customer: $"c{i}")),
        ]);

        var takes = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => frame.Store.Take($"w{i}", 7, default)));

        var lanes = takes.SelectMany(t => t).Select(l => l.Link.Lane).ToList();
        Assert.Equal(20, lanes.Distinct().Count());
        Assert.Equal(20, lanes.Count);
        Assert.Empty(await frame.Store.Take("late", 100, default));
    }

    [Fact]
    public async Task A_lease_that_ran_out_is_taken_again()
    {
        await using var frame = await Start();
        await frame.TakeIn(Command(Operation.Create, Values(("name", "A"))));
        Assert.Single(await frame.Store.Take("w1", 1, default));

        await frame.LeasesRunOut();

        Assert.Single(await frame.Store.Take("w2", 1, default));
    }

    [Fact]
    public async Task A_restarted_replica_ends_the_leases_of_its_earlier_life_and_no_others()
    {
        await using var frame = await Start();
        await frame.TakeIn([
            .. Enumerable.Range(0, 3).Select(i => Command(Operation.Create, Values(("name", "A")), customer: $"c{i}")),
        ]);
        var mine = Assert.Single(await frame.Store.Take("one/1", 1, default));
        Assert.Single(await frame.Store.Take("one-more/1", 1, default));
        Assert.Single(await frame.Store.Take("two/1", 1, default));

        Assert.Equal(1, await frame.Store.EndLeases("one", default));

        Assert.Equal(mine.Link.Lane, Assert.Single(await frame.Store.Take("one/2", 9, default)).Link.Lane);
    }

    [Fact]
    public async Task A_slow_worker_is_fenced_and_what_it_read_is_thrown_away()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Edit(ext, "name", "First");
        await frame.TakeIn(Look(ext));
        var slow = await frame.Begin();
        await slow.Through<Need.Read>();

        await frame.LeasesRunOut();
        frame.Vendor.Edit(ext, "name", "Second");
        await frame.TakeIn(Look(ext));
        await frame.Work();
        var newer = (await frame.Reports())[^1];
        var finished = await slow.Finish();

        Assert.False(finished);
        Assert.Equal("Second", newer.Fields!["name"]);
        Assert.Equal(newer.Obs, (await frame.Reports())[^1].Obs);
        Assert.Equal("Second", await frame.OfLink<string>("last->>'name'"));
    }

    [Fact]
    public async Task A_slow_worker_cannot_open_the_ledger_and_so_calls_nobody()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        var slow = await frame.Begin();
        await slow.Through<Need.Read>();

        await frame.LeasesRunOut();
        await frame.Work();
        var opened = await slow.Step();

        Assert.False(opened);
        Assert.Single(frame.Vendor.CallsOf("update"));
    }

    [Fact]
    public async Task A_repeat_is_fenced_before_its_call_too()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", FakeVendor.Fault.LostBefore);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await frame.BackoffsEnd();
        var slow = await frame.Begin();
        await slow.Through<Need.Read>();

        await frame.LeasesRunOut();
        await frame.Work();
        frame.Vendor.Edit(ext, "name", "Person");

        Assert.False(await slow.Step());
        Assert.Equal("Person", frame.Vendor[ext].Fields["name"]);
    }

    [Fact]
    public async Task A_fenced_lane_holds_no_other_of_its_commit()
    {
        await using var frame = await Start();
        await frame.TakeIn(
            Command(Operation.Create, Values(("name", "A")), customer: "c1"),
            Command(Operation.Create, Values(("name", "B")), customer: "c2")
        );
        var lanes = await frame.Store.Take("w", 10, default);
        await frame.Database.Execute(
            $"update {frame.Schema}.link set version = version + 1 where lane = 'customer:c1'"
        );

        var result = await frame.Store.Commit(
            [.. lanes.Select(l => new LaneWrite.Finish("w", l.Link, l.Link) { Done = [l.Work[0].Id] })],
            default
        );

        Assert.Equal(["customer:c1"], result.Fenced);
        Assert.Equal("customer:c1", await frame.Database.Scalar<string>($"select lane from {frame.Schema}.work"));
        // The lease was still this worker's, so the lane is free at once.
        Assert.Single(await frame.Store.Take("next", 10, default));
    }

    [Fact]
    public async Task The_lease_of_a_successor_is_not_taken_from_it()
    {
        await using var frame = await Start();
        await frame.TakeIn(Command(Operation.Create, Values(("name", "A"))));
        var first = Assert.Single(await frame.Store.Take("w1", 1, default));
        await frame.LeasesRunOut();
        Assert.Single(await frame.Store.Take("w2", 1, default));

        await frame.Store.Commit(
            [new LaneWrite.GiveBack("w1", first.Link, TimeSpan.FromHours(1), "timeout", Counts: true)],
            default
        );

        Assert.Equal("w2", await frame.OfLink<string>("taken_by"));
        Assert.Equal(0, await frame.OfLink<int>("attempts"));
    }

    [Fact]
    public async Task What_the_database_refuses_for_one_lane_holds_no_other()
    {
        await using var frame = await Start();
        var taken = frame.Vendor.Make("c1", ("name", "A"));
        await frame.Database.Execute(
            $"insert into {frame.Schema}.link (lane, version, ext) values ('customer:other', 0, '{taken}')"
        );
        await frame.TakeIn([
            .. Enumerable.Range(1, 8).Select(i => Command(Operation.Create, Values(("name", "A")), customer: $"c{i}")),
        ]);

        await frame.Work();

        Assert.Equal(7, (await frame.Reports()).Count);
        Assert.Equal("commit-23505", await frame.OfLink<string>("reason", "customer:c1"));
        Assert.Equal(1, await frame.WorkRows());
    }

    [Fact]
    public async Task Answers_and_observations_are_one_rising_sequence_and_the_number_is_the_rows_version()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        for (var i = 0; i < 3; i++)
        {
            frame.Vendor.Edit(ext, "phone", $"{i}");
            await frame.TakeIn(Look(ext));
            await frame.Work();
            Assert.Equal(await frame.OfLink<long>("version"), (await frame.Reports())[^1].Obs);
            await frame.Do(
                Command(
                    Operation.Update,
                    Values(("name", $"N{i}")),
                    Values(("name", i == 0 ? "Ada" : $"N{i - 1}")),
                    ext
                )
            );
            Assert.Equal(await frame.OfLink<long>("version"), (await frame.Reports())[^1].Obs);
        }

        var numbers = (await frame.Reports()).Select(r => r.Obs).ToList();
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal(numbers.Count, numbers.Distinct().Count());
    }

    [Fact]
    public async Task After_a_restore_old_and_new_lanes_number_above_what_was_seen()
    {
        await using var frame = await Start();
        var before = await frame.Do(Command(Operation.Create, Values(("name", "A"))));

        await frame.Store.RaiseVersions(default);

        var old = await frame.Do(Command(Operation.Delete));
        var young = await frame.Do(Command(Operation.Create, Values(("name", "B")), customer: "c-2"));
        Assert.True(old.Obs > before.Obs + 1_000_000_000);
        Assert.True(young.Obs > 1_000_000_000);
    }

    [Fact]
    public async Task A_restore_changes_one_row_whatever_the_number_of_lanes()
    {
        await using var frame = await Start();
        await frame.Database.Execute(
            $"insert into {frame.Schema}.link (lane, version) select 'customer:n' || i, 7 from generate_series(1, 1000) i"
        );
        // xmin is the transaction that wrote a row last.
        var writers = $"select md5(string_agg(lane || xmin::text, ',' order by lane)) from {frame.Schema}.link";
        var before = await frame.Database.Scalar<string>(writers);

        await frame.Store.RaiseVersions(default);

        Assert.Equal(before, await frame.Database.Scalar<string>(writers));
        var report = await frame.Do(Command(Operation.Create, Values(("name", "A")), customer: "n500"));
        Assert.True(report.Obs > 1_000_000_007);
    }

    // ---- intake ----

    [Fact]
    public async Task Intake_wakes_an_idle_lane_and_never_shortens_a_back_off()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        Assert.True(await frame.OfLink<bool>("due_at is null"));
        frame.Vendor.Next("read", FakeVendor.Fault.Before);

        await frame.TakeIn(Look(ext));
        Assert.True(await frame.OfLink<bool>("due_at <= now()"));
        await frame.Work();
        await frame.Database.Execute($"update {frame.Schema}.link set due_at = now() + interval '1 h'");
        await frame.TakeIn(Look(ext));

        Assert.True(await frame.OfLink<bool>("due_at > now() + interval '50 min'"));
    }

    [Fact]
    public async Task Work_that_comes_while_a_round_ends_is_not_forgotten()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        await frame.TakeIn(Look(ext));
        var worker = await frame.Begin();
        await worker.Through<Need.Read>();

        // Intake has written and locked, and commits only after the round has asked for the lane.
        await using var connection = await frame.Database.DataSource.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        frame.Vendor.Edit(ext, "name", "Person");
        await frame.Hints.Take(connection, [(Guid.NewGuid(), Look(ext))], default);
        var finishing = worker.Finish();
        await transaction.CommitAsync();
        Assert.True(await finishing);
        await frame.Work();

        Assert.Equal(0, await frame.WorkRows());
        Assert.Equal("Person", (await frame.Reports())[^1].Fields!["name"]);
    }

    [Fact]
    public async Task Work_whose_intake_waits_for_a_round_to_end_wakes_the_lane_after_it()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        // The round's commit holds the lane; intake has inserted its row and waits for the lock.
        await using var holder = await frame.Database.DataSource.OpenConnectionAsync();
        var round = await holder.BeginTransactionAsync();
        await using (var hold = holder.CreateCommand())
        {
            hold.CommandText = $"update {frame.Schema}.link set due_at = null where lane = 'customer:c-1'";
            await hold.ExecuteNonQueryAsync();
        }

        var intake = frame.TakeIn(Look(ext));
        await Support.Eventually.Is(
            async () =>
                await frame.Database.Scalar<long>(
                    $"select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%{frame.Schema}%'"
                ) > 0,
            "intake waits for the lane"
        );
        await round.CommitAsync();
        await intake;

        Assert.True(await frame.OfLink<bool>("due_at <= now()"));
    }

    [Fact]
    public async Task Commands_of_a_lane_are_worked_in_the_order_in_which_they_came()
    {
        await using var frame = await Start();
        var create = Command(Operation.Create, Values(("name", "0")));
        var updates = Enumerable
            .Range(1, 5)
            .Select(i => Command(Operation.Update, Values(("name", $"{i}")), Values(("name", $"{i - 1}"))))
            .ToArray();

        await frame.TakeIn([create, .. updates]);
        await frame.Work();

        Assert.Equal(
            [create.CommandId, .. updates.Select(u => u.CommandId)],
            (await frame.Reports()).Select(r => r.Ack!.Value)
        );
        Assert.Equal("5", Assert.Single(frame.Vendor.Live).Fields["name"]);
    }

    [Fact]
    public async Task Intake_and_workers_lock_lanes_in_one_order()
    {
        await using var frame = await Start(v => v.Traits = v.Traits with { MaxBatch = 100, MaxReadBatch = 100 });
        var random = new Random(7);
        var customers = Enumerable.Range(0, 40).Select(i => $"c{random.Next(1_000_000)}").Distinct().ToArray();
        var commands = customers
            .SelectMany(c =>
                Enumerable.Range(0, 6).Select(i => Command(Operation.Create, Values(("name", "A")), customer: c))
            )
            .ToArray();
        random.Shuffle(commands);

        var intakes = commands.Chunk(30).Select(chunk => Task.Run(() => frame.TakeIn(chunk))).ToList();
        while (!intakes.TrueForAll(i => i.IsCompleted))
            await frame.Work();
        await Task.WhenAll(intakes);
        await frame.Work();

        Assert.Equal(commands.Length, (await frame.Reports()).Count);
        Assert.Equal(customers.Length, frame.Vendor.Live.Count);
        Assert.DoesNotContain(frame.Log.Lines, l => l.Id == 3041);
    }

    [Fact]
    public async Task Work_knows_the_trace_that_it_belongs_to()
    {
        await using var frame = await Start();
        using var activity = new System.Diagnostics.Activity("product")
            .SetIdFormat(System.Diagnostics.ActivityIdFormat.W3C)
            .Start();

        var row = WorkRow.Of(Command(Operation.Create));

        Assert.Equal(activity.Id, row.TraceParent);
    }
}

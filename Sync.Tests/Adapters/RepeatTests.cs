using Sync.Adapter.Vendors;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.FakeVendor;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>Crashes, lost answers, late writes and commands delivered again: a command takes effect once.</summary>
public sealed class RepeatTests
{
    static void LikeStripe(FakeVendor vendor)
    {
        vendor.Guards = false;
        vendor.Keys = true;
        vendor.Traits = new VendorTraits(1, TimeSpan.FromHours(24), TimeSpan.FromHours(24), AnswersWithRecord: true);
    }

    static async Task<string> Made(Frame frame, params (string, string?)[] values)
    {
        var made = await frame.Do(Command(Operation.Create, Values(values)));
        frame.Vendor.Calls.Clear();
        return made.ExternalId!;
    }

    static async Task Again(Frame frame)
    {
        await frame.BackoffsEnd();
        await frame.Work();
    }

    // ---- crashes ----

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    public async Task A_worker_that_dies_after_any_step_of_an_update_leaves_it_to_take_effect_once(
        int steps,
        int writes
    )
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);
        await frame.TakeIn(command);

        var dead = await frame.Begin();
        for (var i = 0; i < steps; i++)
            Assert.True(await dead.Step());
        await frame.LeasesRunOut();
        await frame.Work();

        var report = (await frame.Reports())[^1];
        Assert.Equal(command.CommandId, report.Ack);
        Assert.Equal("Eva", report.Written!["name"]);
        Assert.Equal("Eva", frame.Vendor[ext].Fields["name"]);
        Assert.Equal(writes, frame.Vendor.CallsOf("update").Count());
        Assert.Equal("done", await frame.LedgerState(command.CommandId));
        Assert.Equal(0, await frame.WorkRows());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_worker_that_dies_after_any_step_of_a_create_leaves_one_record(int steps)
    {
        await using var frame = await Start();
        var command = Command(Operation.Create, Values(("name", "Ada")));
        await frame.TakeIn(command);

        var dead = await frame.Begin();
        for (var i = 0; i < steps; i++)
            Assert.True(await dead.Step());
        await frame.LeasesRunOut();
        await frame.Work();

        var report = (await frame.Reports())[^1];
        var row = Assert.Single(frame.Vendor.Live);
        Assert.Equal(row.Id, report.ExternalId);
        Assert.Equal("Ada", report.Written!["name"]);
    }

    // ---- lost answers ----

    [Fact]
    public async Task A_repeat_looks_first_and_does_not_write_over_a_persons_edit()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.After);
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);
        await frame.TakeIn(command);
        await frame.Work();
        frame.Vendor.Edit(ext, "name", "Person");

        await Again(frame);

        var report = (await frame.Reports())[^1];
        Assert.Single(frame.Vendor.CallsOf("update"));
        Assert.Equal("Person", frame.Vendor[ext].Fields["name"]);
        Assert.Equal(command.CommandId, report.Ack);
        Assert.Empty(report.Written!);
        Assert.Equal("Person", report.Fields!["name"]);
        Assert.Equal("abandoned", await frame.LedgerState(command.CommandId));
    }

    [Fact]
    public async Task A_repeat_is_the_same_request_with_the_guard_of_the_first_look()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Next("update", Fault.Late);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        // Another field moves the version: the guard of the first look no longer fits, so nothing may be repeated.
        frame.Vendor.Edit(ext, "phone", "2");

        await Again(frame);
        frame.Vendor.Land();

        var report = (await frame.Reports())[^1];
        Assert.Single(frame.Vendor.CallsOf("update"));
        Assert.Empty(report.Written!);
        Assert.Equal("Ada", frame.Vendor[ext].Fields["name"]);
    }

    [Fact]
    public async Task A_repeat_carries_the_same_key()
    {
        await using var frame = await Start(LikeStripe);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.LostBefore);
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);
        await frame.TakeIn(command);
        await frame.Work();

        await Again(frame);

        Assert.Equal(
            [$"csync:test:upd:{command.CommandId}", $"csync:test:upd:{command.CommandId}"],
            frame.Vendor.CallsOf("update").SelectMany(c => c.Keys)
        );
        Assert.Equal("Eva", (await frame.Reports())[^1].Written!["name"]);
    }

    [Fact]
    public async Task A_replayed_answer_is_old_so_the_record_is_read()
    {
        await using var frame = await Start(LikeStripe);
        frame.Vendor.Next("create", Fault.After);
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();
        frame.Vendor.Edit(frame.Vendor.Live[0].Id, "name", "Person");

        await Again(frame);

        var report = (await frame.Reports())[^1];
        Assert.Single(frame.Vendor.Live);
        Assert.Equal("Person", report.Fields!["name"]);
        Assert.DoesNotContain("name", report.Written!.Keys);
    }

    [Fact]
    public async Task A_spent_key_is_followed_by_a_look_and_a_new_key()
    {
        await using var frame = await Start(LikeStripe);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.KeySpent);
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);

        var report = await frame.Do(command);

        Assert.Equal(
            [$"csync:test:upd:{command.CommandId}", $"csync:test:upd:{command.CommandId}:2"],
            frame.Vendor.CallsOf("update").SelectMany(c => c.Keys)
        );
        Assert.Equal("Eva", report.Written!["name"]);
    }

    // ---- repeated creates ----

    [Fact]
    public async Task A_create_without_a_key_is_looked_up_before_it_is_repeated()
    {
        // Nothing else would stop a second record: this vendor's ids are not unique.
        await using var frame = await Start(v => v.UniqueIds = false);
        frame.Vendor.Next("create", Fault.After);
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();

        await Again(frame);

        var row = Assert.Single(frame.Vendor.Live);
        Assert.Equal(row.Id, (await frame.Reports())[^1].ExternalId);
        Assert.Single(frame.Vendor.CallsOf("create"));
    }

    [Fact]
    public async Task A_create_whose_key_may_be_forgotten_is_looked_up_before_it_is_repeated()
    {
        await using var frame = await Start(LikeStripe);
        frame.Vendor.Next("create", Fault.After);
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();
        frame.Vendor.ForgetKeys();
        await frame.Database.Execute($"update {frame.Schema}.ledger set opened_at = now() - interval '23 h 56 min'");

        await Again(frame);

        Assert.Single(frame.Vendor.Live);
        Assert.Single(frame.Vendor.CallsOf("find"));
        Assert.Equal("Ada", (await frame.Reports())[^1].Written!["name"]);
    }

    [Fact]
    public async Task A_create_within_the_life_of_its_key_needs_no_look_up()
    {
        await using var frame = await Start(LikeStripe);
        frame.Vendor.Next("create", Fault.After);
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();

        await Again(frame);

        Assert.Single(frame.Vendor.Live);
        Assert.Empty(frame.Vendor.CallsOf("find"));
    }

    [Fact]
    public async Task A_failed_look_up_is_no_empty_one()
    {
        await using var frame = await Start(v => v.UniqueIds = false);
        frame.Vendor.Next("create", Fault.After);
        frame.Vendor.Next("find", Fault.Before);
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();

        await Again(frame);
        Assert.Single(frame.Vendor.CallsOf("create"));
        await Again(frame);

        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public async Task A_look_up_that_finds_a_deleted_record_reports_it_gone_instead_of_making_another()
    {
        await using var frame = await Start();
        frame.Vendor.Next("create", Fault.After);
        var command = Command(Operation.Create, Values(("name", "Ada")));
        await frame.TakeIn(command);
        await frame.Work();
        frame.Vendor.Remove(frame.Vendor.Live[0].Id);

        await Again(frame);

        var report = (await frame.Reports())[^1];
        Assert.Equal((Outcome.Gone, true), (report.Outcome!.Value, report.Gone));
        Assert.Empty(frame.Vendor.Live);
    }

    // ---- commands delivered again ----

    [Theory]
    [InlineData("create")]
    [InlineData("update")]
    [InlineData("moved")]
    [InlineData("refused")]
    [InlineData("delete")]
    public async Task An_answered_command_delivered_again_says_how_things_stand_and_calls_no_writer(string which)
    {
        await using var frame = await Start();
        var ext = which == "create" ? null : await Made(frame, ("name", "Ada"));
        if (which == "moved")
            frame.Vendor.Edit(ext!, "name", "Person");
        var command = which switch
        {
            "create" => Command(Operation.Create, Values(("name", "Ada"))),
            "refused" => Command(Operation.Update, Values(("phone", new string('1', 99))), ext: ext),
            "delete" => Command(Operation.Delete, ext: ext),
            _ => Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext),
        };
        var first = await frame.Do(command);
        // The value is what the command expected once more: without a closed entry it would be written now.
        if (which == "moved")
            frame.Vendor.Edit(ext!, "name", "Ada");
        if (which == "delete")
            frame.Vendor.Undelete(ext!);
        frame.Vendor.Calls.Clear();

        var second = await frame.Do(command);

        Assert.All(frame.Vendor.Calls, c => Assert.Equal("read", c.Operation));
        Assert.True(second.Obs > first.Obs);
        Assert.Empty(second.Written!);
        Assert.Equal("Ada" == frame.Vendor.Live[0].Fields["name"] ? "Ada" : "Eva", second.Fields!["name"]);
    }

    [Fact]
    public async Task A_command_taken_in_twice_is_one_row()
    {
        await using var frame = await Start();
        var command = Command(Operation.Create, Values(("name", "Ada")));

        await frame.TakeIn(command, command);
        await frame.TakeIn(command);

        Assert.Equal(1, await frame.WorkRows());
    }

    // ---- late writes ----

    [Fact]
    public async Task A_write_of_ours_that_lands_late_is_own_and_not_news()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.Late);
        await frame.TakeIn(Command(Operation.Update, Values(("name", " Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await Again(frame);
        await frame.Do(Command(Operation.Update, Values(("name", "Ida")), Values(("name", "Eva")), ext));

        frame.Vendor.Land();
        await frame.TakeIn(new Sync.Adapter.Links.Hint { ExternalId = ext, Kind = Sync.Adapter.Links.HintKind.Look });
        await frame.Work();

        var report = (await frame.Reports())[^1];
        Assert.Equal("Eva", report.Fields!["name"]);
        Assert.Equal(" Eva", report.Own!["name"]);
    }

    [Fact]
    public async Task A_late_write_below_our_next_write_is_own_by_the_next_ones_stamp()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Next("update", Fault.Late);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await Again(frame);
        await frame.Do(Command(Operation.Update, Values(("name", "Ida")), Values(("name", "Eva")), ext));
        // It lands between the read and the write of the next command, whose stamp hides it.
        var landed = false;
        frame.Vendor.Entered = operation =>
        {
            if (operation == "update" && !landed)
            {
                landed = true;
                frame.Vendor.Land();
            }

            return Task.CompletedTask;
        };

        var report = await frame.Do(Command(Operation.Update, Values(("phone", "2")), Values(("phone", "1")), ext));

        Assert.Equal("Eva", report.Fields!["name"]);
        Assert.Equal("Eva", report.Own!["name"]);
    }

    [Fact]
    public async Task The_same_value_typed_by_a_person_later_is_news_and_not_own()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.LostBefore);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await Again(frame);
        await frame.Do(Command(Operation.Update, Values(("name", "Ida")), Values(("name", "Eva")), ext));

        // The stamp that stands there is the last command's, of which nothing can land any more.
        frame.Vendor.Edit(ext, "name", "Eva");
        await frame.TakeIn(new Sync.Adapter.Links.Hint { ExternalId = ext, Kind = Sync.Adapter.Links.HintKind.Look });
        await frame.Work();

        var report = (await frame.Reports())[^1];
        Assert.Equal("Eva", report.Fields!["name"]);
        Assert.Null(report.Own);
    }

    [Fact]
    public async Task Our_write_seen_before_its_answer_is_own()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.After);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await frame.TakeIn(new Sync.Adapter.Links.Hint { ExternalId = ext, Kind = Sync.Adapter.Links.HintKind.Look });
        await frame.BackoffsEnd();

        var worker = await frame.Begin();
        await worker.Finish();

        var report = (await frame.Reports())[^1];
        Assert.Null(report.Ack);
        Assert.Equal("Eva", report.Own!["name"]);
    }

    // ---- what stays in the ledger ----

    [Fact]
    public async Task A_closed_entry_keeps_hashes_and_a_suspect_one_its_values_until_nothing_can_land()
    {
        await using var frame = await Start(v => v.Guards = false);
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Next("update", Fault.LostBefore);
        await frame.TakeIn(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext));
        await frame.Work();
        await Again(frame);

        Assert.Equal(
            1,
            await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.ledger where write is null")
        );
        Assert.Equal(
            1,
            await frame.Database.Scalar<long>(
                $"select count(*) from {frame.Schema}.ledger where write is not null and suspect_until > now() and state = 'done'"
            )
        );
        Assert.Equal(
            0,
            await frame.Database.Scalar<long>(
                $"select count(*) from {frame.Schema}.ledger where hashes::text like '%Eva%'"
            )
        );

        await frame.Database.Execute($"update {frame.Schema}.ledger set suspect_until = now() - interval '1 s'");
        await frame.Store.CleanUp(TimeSpan.FromDays(30), 100, default);
        Assert.Equal(
            2,
            await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.ledger where write is null")
        );

        await frame.Database.Execute($"update {frame.Schema}.ledger set closed_at = now() - interval '31 days'");
        Assert.Equal(1, await frame.Store.CleanUp(TimeSpan.FromDays(30), 1, default));
        Assert.Equal(1, await frame.Store.CleanUp(TimeSpan.FromDays(30), 1, default));
        Assert.Equal(0, await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.ledger"));
    }
}

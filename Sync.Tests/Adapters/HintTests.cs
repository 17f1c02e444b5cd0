using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.FakeVendor;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>Hints say "look at this object", and no more.</summary>
public sealed class HintTests
{
    static async Task<string> Made(Frame frame, params (string, string?)[] values)
    {
        var made = await frame.Do(Command(Operation.Create, Values(values)));
        frame.Vendor.Calls.Clear();
        return made.ExternalId!;
    }

    static Hint Changed(string ext, params (string, string?)[] fields) =>
        new()
        {
            ExternalId = ext,
            Kind = HintKind.Updated,
            Fields = Values(fields),
        };

    static Hint Look(string ext) => new() { ExternalId = ext, Kind = HintKind.Look };

    static async Task<IReadOnlyList<object>> After(Frame frame, params Hint[] hints)
    {
        var before = await frame.Messages();
        await frame.TakeIn(hints);
        await frame.Work();
        Assert.Equal(0, await frame.WorkRows());
        return [.. (await frame.Outbox.All(frame.Database)).Skip(before)];
    }

    [Fact]
    public async Task The_echo_of_our_own_write_ends_without_a_call()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"), ("email", "A@x.org"));

        var messages = await After(frame, Changed(ext, ("name", "Ada"), ("email", "a@x.org")));

        Assert.Empty(messages);
        Assert.Empty(frame.Vendor.Calls);
    }

    [Fact]
    public async Task A_payload_with_none_of_our_fields_says_nothing()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        Assert.Empty(await After(frame, Changed(ext, ("attributes.tier", "gold")), Changed(ext)));
        Assert.Empty(frame.Vendor.Calls);
    }

    [Fact]
    public async Task A_payload_is_never_trusted_as_the_state_of_the_object()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Edit(ext, "name", "Second");

        // Two changes, told in the wrong order: the older one comes last.
        var messages = await After(frame, Changed(ext, ("name", "Second")), Changed(ext, ("name", "First")));

        var report = Assert.IsType<CustomerReported>(Assert.Single(messages));
        Assert.Equal("Second", report.Fields!["name"]);
        Assert.Single(frame.Vendor.CallsOf("read"));
    }

    [Fact]
    public async Task A_look_that_shows_nothing_new_is_not_reported()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        Assert.Empty(await After(frame, Look(ext), Changed(ext, ("name", "Old"))));
        Assert.Single(frame.Vendor.CallsOf("read"));
    }

    [Fact]
    public async Task What_somebody_asked_for_is_reported_also_when_nothing_differs()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        var messages = await After(frame, Look(ext) with { Always = true });

        Assert.Equal("Ada", Assert.IsType<CustomerReported>(Assert.Single(messages)).Fields!["name"]);
    }

    [Fact]
    public async Task A_record_that_is_gone_is_reported_gone()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Remove(ext);

        var messages = await After(frame, new Hint { ExternalId = ext, Kind = HintKind.Deleted });

        var report = Assert.IsType<CustomerReported>(Assert.Single(messages));
        Assert.True(report.Gone);
        Assert.Equal(ext, report.ExternalId);
        Assert.Empty(await After(frame, Look(ext)));
    }

    [Fact]
    public async Task A_record_taken_out_of_the_recycle_bin_is_reported_as_undeleted_also_when_nothing_differs()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        var messages = await After(
            frame,
            new Hint
            {
                ExternalId = ext,
                Kind = HintKind.Undeleted,
                Fields = Values(("name", "Ada")),
            }
        );

        Assert.True(Assert.IsType<CustomerReported>(Assert.Single(messages)).Undelete);
    }

    [Fact]
    public async Task All_hints_of_an_object_are_one_read_and_come_before_commands()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Edit(ext, "name", "Person");
        await frame.TakeIn(Command(Operation.Update, Values(("phone", "2")), Values(("phone", "1")), ext));

        var messages = await After(
            frame,
            [.. Enumerable.Range(0, 20).Select(i => Changed(ext, ("name", $"Person {i}")))]
        );

        Assert.Equal(["read", "read", "update", "read"], frame.Vendor.Calls.Select(c => c.Operation));
        Assert.Null(((CustomerReported)messages[0]).Ack);
        Assert.NotNull(((CustomerReported)messages[1]).Ack);
    }

    // ---- whose object it is ----

    [Fact]
    public async Task A_hint_goes_to_the_lane_that_has_the_object_whatever_its_payload_says()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));

        await frame.TakeIn(Look(ext) with { CustomerId = "c-other" });

        Assert.Equal("customer:c-1", await frame.Database.Scalar<string>($"select lane from {frame.Schema}.work"));
    }

    [Fact]
    public async Task An_object_of_nobody_is_found_once()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(null, ("name", "Ada"), ("email", "a@x.org"));

        var messages = await After(frame, Look(ext));

        var found = Assert.IsType<ObjectFound>(Assert.Single(messages));
        Assert.Equal((ext, "Ada"), (found.ExternalId, found.Fields["name"]));
        Assert.Empty(await After(frame, Look(ext)));
    }

    [Fact]
    public async Task An_object_of_nobody_is_found_again_when_somebody_asks_and_its_end_is_said()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(null, ("name", "Ada"));
        await After(frame, Look(ext));
        frame.Vendor.Edit(ext, "name", "Bea");

        var again = Assert.IsType<ObjectFound>(
            Assert.Single(await After(frame, Look(ext), Look(ext) with { Always = true, RequestedBy = "kim" }))
        );
        Assert.Equal(("Bea", false, "kim"), (again.Fields["name"], again.Gone, again.RequestedBy));

        frame.Vendor.Remove(ext);
        var gone = Assert.IsType<ObjectFound>(
            Assert.Single(await After(frame, new Hint { ExternalId = ext, Kind = HintKind.Deleted }))
        );
        Assert.Equal((ext, true), (gone.ExternalId, gone.Gone));
        // Said once; asked for, it is said again.
        Assert.Empty(await After(frame, Look(ext)));
        Assert.True(
            Assert.IsType<ObjectFound>(Assert.Single(await After(frame, Look(ext) with { Always = true }))).Gone
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_merged_into_another_is_reported_with_the_one_that_is_left_and_whose_it_is(bool twice)
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        var winner = frame.Vendor.Make(twice ? null : "c-2", ("name", "Bea"));
        frame.Vendor.Merge(ext, winner);
        if (twice)
        {
            var last = frame.Vendor.Make(null, ("name", "Cy"));
            frame.Vendor.Merge(winner, last);
            winner = last;
        }

        var messages = await After(frame, new Hint { ExternalId = ext, Kind = HintKind.Deleted });

        var report = Assert.IsType<CustomerReported>(Assert.Single(messages));
        Assert.Equal((true, winner, twice ? null : "c-2"), (report.Gone, report.ReplacedBy, report.ReplacedByCustomer));
    }

    [Fact]
    public async Task An_object_that_is_only_out_of_sight_is_reported_as_that_by_a_look_and_by_a_command()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Hide(ext);

        var report = Assert.IsType<CustomerReported>(
            Assert.Single(await After(frame, new Hint { ExternalId = ext, Kind = HintKind.Deleted }))
        );
        Assert.Equal((true, true), (report.Gone, report.OutOfSight));
        var answer = await frame.Do(
            Command(Operation.Update, Values(("name", "Cy")), expect: Values(("name", "Ada")), ext: ext)
        );
        Assert.Equal((Outcome.Gone, true, true), (answer.Outcome, answer.Gone, answer.OutOfSight));

        frame.Vendor.Hide(ext, hidden: false);
        var back = Assert.IsType<CustomerReported>(Assert.Single(await After(frame, Look(ext))));
        Assert.Equal((false, false, "Ada"), (back.Gone, back.OutOfSight, back.Fields!["name"]));

        frame.Vendor.Remove(ext);
        var gone = Assert.IsType<CustomerReported>(Assert.Single(await After(frame, Look(ext))));
        Assert.Equal((true, false), (gone.Gone, gone.OutOfSight));
    }

    [Fact]
    public async Task A_write_to_an_object_merged_into_another_says_so_too()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        var winner = frame.Vendor.Make(null, ("name", "Bea"));
        frame.Vendor.Merge(ext, winner);

        var answer = await frame.Do(
            Command(Operation.Update, Values(("name", "Cy")), expect: Values(("name", "Ada")), ext: ext)
        );

        Assert.Equal((Outcome.Gone, true, winner), (answer.Outcome, answer.Gone, answer.ReplacedBy));
        Assert.Empty(frame.Vendor.CallsOf("update"));
    }

    [Fact]
    public async Task An_object_that_carries_our_id_is_read_in_its_customers_lane_and_adopted()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(Customer, ("name", "Ada"));

        var messages = await After(frame, Look(ext));

        var report = Assert.IsType<CustomerReported>(Assert.Single(messages));
        Assert.Equal((Customer, ext, true), (report.CustomerId, report.ExternalId, report.IdOnObject));
        Assert.Equal(ext, await frame.OfLink<string>("ext"));
        // Read in the lane of the object, thrown away, and read again in the customer's: one object, one order.
        Assert.Equal(2, frame.Vendor.CallsOf("read").Count());
        Assert.Equal(1, await frame.OfLink<long>("version"));
    }

    [Fact]
    public async Task A_hint_whose_customer_turned_out_to_be_known_moves_without_a_read()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(null, ("name", "Ada"));
        await frame.TakeIn(Changed(ext, ("name", "Old")));
        await frame.Database.Execute(
            $"insert into {frame.Schema}.link (lane, version, ext) values ('customer:c-1', 0, '{ext}')"
        );

        await frame.Work();

        Assert.Single(frame.Vendor.CallsOf("read"));
        Assert.Equal(Customer, (await frame.Message<CustomerReported>()).CustomerId);
    }

    [Fact]
    public async Task A_second_object_with_our_id_is_reported_and_never_linked()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        var copy = frame.Vendor.Make(Customer, ("name", "Ada"));

        var messages = await After(frame, Look(copy));

        var duplicate = Assert.IsType<ObjectDuplicated>(Assert.Single(messages));
        Assert.Equal((copy, false), (duplicate.ExternalId, duplicate.Ours));
        Assert.Equal(ext, await frame.OfLink<string>("ext"));

        // Also when the linked one is gone: only the saga changes a link.
        frame.Vendor.Remove(ext);
        Assert.IsType<ObjectDuplicated>(Assert.Single(await After(frame, Look(copy))));
        Assert.Equal(ext, await frame.OfLink<string>("ext"));
    }

    /// <summary>A create of ours that landed late may be deleted with its customer, so whose it is must be known.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public async Task A_vendor_that_does_not_tell_who_made_a_second_object_is_asked_by_its_stamp(
        bool made,
        bool updated
    )
    {
        await using var frame = await Start();
        frame.Vendor.TellsWhoMade = false;
        var ext = await Made(frame, ("name", "Ada"));
        if (updated)
            await frame.Do(Command(Operation.Update, Values(("name", "Bob")), Values(("name", "Ada"))));
        // Some attempt had no answer, else nothing could land late.
        await frame.Database.Execute($"update {frame.Schema}.ledger set suspect_until = now() + interval '1 hour'");
        var first = frame.Vendor.Live.Single(r => r.Id == ext).Stamp;
        var copy = frame.Vendor.Make(Customer, ("name", "Ada"));
        frame.Vendor.Live.Single(r => r.Id == copy).Stamp = made ? first : Guid.NewGuid();

        var duplicate = Assert.IsType<ObjectDuplicated>(Assert.Single(await After(frame, Look(copy))));

        // A person who copies our record copies the stamp of its last update, too.
        Assert.Equal(made && !updated, duplicate.Ours);
    }

    /// <summary>Somebody took our id off the object: the fields are as reported, and still there is news.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("c-9")]
    public async Task An_object_that_lost_our_id_is_news_though_its_fields_are_as_reported(string? instead)
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Live.Single(r => r.Id == ext).CustomerId = instead;

        var report = Assert.IsType<CustomerReported>(Assert.Single(await After(frame, Look(ext))));

        Assert.Equal((ext, false), (report.ExternalId, report.IdOnObject));
    }

    [Fact]
    public async Task An_object_of_an_earlier_generation_is_not_adopted()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        await frame.Do(Command(Operation.Delete, generation: 1));
        frame.Vendor.Calls.Clear();

        Assert.Empty(await After(frame, Look(ext)));
        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public async Task An_unknown_object_that_is_gone_is_nothing()
    {
        await using var frame = await Start();

        Assert.Empty(await After(frame, Look("v99")));
    }

    [Fact]
    public async Task A_field_that_is_missing_from_an_answer_is_not_an_empty_one()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor[ext].Fields.Remove("phone");
        await frame.TakeIn(Look(ext));

        await frame.Work();

        Assert.Equal(1, await frame.Messages());
        Assert.Equal("nonsense", await frame.OfLink<string>("reason"));
        Assert.Equal(1, await frame.WorkRows());
    }

    // ---- what a write of ours replaced ----

    [Fact]
    public async Task A_value_that_our_write_replaced_unexpectedly_is_reported()
    {
        await using var frame = await Start(guard: "none");
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Edit(ext, "name", "Person");
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);
        await frame.Do(command);

        var messages = await After(
            frame,
            Changed(ext, ("name", "Eva")) with
            {
                CommandId = command.CommandId,
                Previous = Values(("name", "Person")),
            }
        );

        var report = Assert.IsType<CustomerReported>(Assert.Single(messages));
        Assert.Equal(new Overwritten("Person", "Eva"), report.Over!["name"]);
    }

    [Theory]
    [InlineData("Ada")]
    [InlineData(" Ada ")]
    [InlineData("Zoe")]
    public async Task A_value_that_was_expected_or_ours_was_not_overwritten(string previous)
    {
        await using var frame = await Start(guard: "none");
        var ext = await Made(frame, ("name", "Ada"));
        await frame.Do(Command(Operation.Update, Values(("name", "Zoe")), Values(("name", "Ada")), ext));
        var command = Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), ext);
        await frame.Do(command);

        Assert.Empty(
            await After(
                frame,
                Changed(ext, ("name", "Eva")) with
                {
                    CommandId = command.CommandId,
                    Previous = Values(("name", previous)),
                }
            )
        );
    }

    [Fact]
    public async Task Somebody_elses_change_overwrites_nothing_of_ours()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Edit(ext, "name", "Person");

        var messages = await After(
            frame,
            Changed(ext, ("name", "Person")) with
            {
                Previous = Values(("name", "Other")),
            }
        );

        Assert.Null(Assert.IsType<CustomerReported>(Assert.Single(messages)).Over);
    }

    [Fact]
    public async Task A_hint_waits_for_the_vendor_like_everything_else()
    {
        await using var frame = await Start();
        var ext = await Made(frame, ("name", "Ada"));
        frame.Vendor.Edit(ext, "name", "Person");
        frame.Vendor.Next("read", Fault.Before);
        await frame.TakeIn(Look(ext));
        await frame.Work();
        Assert.Equal(1, await frame.WorkRows());

        await frame.BackoffsEnd();
        await frame.Work();

        Assert.Equal("Person", (await frame.Reports())[^1].Fields!["name"]);
    }
}

using Sync.Adapter.Vendors;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using static Sync.Tests.Adapters.Frame;

namespace Sync.Tests.Adapters;

/// <summary>What one command does and how it is answered.</summary>
public sealed class CommandTests
{
    static Task<CustomerReported> Create(Frame frame, params (string, string?)[] values) =>
        frame.Do(Command(Operation.Create, Values(values)));

    [Fact]
    public async Task An_erased_customer_leaves_ids_only_and_a_late_copy_of_its_commands_does_nothing()
    {
        await using var frame = await Start();
        var create = Command(Operation.Create, Values(("name", "Ada"), ("email", "ada@x.org")));
        var ext = (await frame.Do(create)).ExternalId!;
        frame.Vendor.Next("update", FakeVendor.Fault.After);
        var update = Command(Operation.Update, Values(("name", "Bea")), expect: Values(("name", "Ada")), ext: ext);
        await frame.TakeIn(update);
        await frame.Work();
        await frame.BackoffsEnd();
        await frame.Work();
        await frame.Do(Command(Operation.Delete, ext: ext));
        frame.Vendor.Calls.Clear();

        await frame.Database.Execute(
            $"""
            insert into {frame.Schema}.dead_letter (id, direction, consumer_group, topic, key, value, reason_code, reason)
            select gen_random_uuid(), 'in', 'g', 't', convert_to(k, 'UTF8'), '1', 'bad-json', 'broken'
              from unnest(array['{Customer}', '{ext}', 'somebody else']) k
            """
        );

        var erase = Command(Operation.Erase, ext: ext);
        var answer = await frame.Do(erase);

        Assert.Equal((Outcome.Done, false, null), (answer.Outcome, answer.Gone, answer.Fields));
        Assert.Empty(frame.Vendor.Calls);
        Assert.Equal(1, await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.dead_letter"));
        // The receipt: the entries of create and update kept hashes; the deletion's had none.
        Assert.Equal(
            new Dictionary<string, long>
            {
                ["deadLetters"] = 2,
                ["ledger"] = 2,
                ["record"] = 0,
                ["work"] = 0,
            },
            answer.Forgotten!.OrderBy(f => f.Key).ToDictionary()
        );
        Assert.Equal(
            0L,
            await frame.Database.Scalar<long>(
                $"""
                select (select count(*) from {frame.Schema}.link where last is not null)
                     + (select count(*) from {frame.Schema}.ledger
                         where write is not null or expect is not null or hashes <> '{"{}"}' or state = 'open')
                     + (select count(*) from {frame.Schema}.work)
                """
            )
        );
        Assert.Equal(ext, await frame.OfLink<string>("ext"));

        await frame.TakeIn(create);
        await frame.Work();
        Assert.Empty(frame.Vendor.CallsOf("create"));
        Assert.Empty(frame.Vendor.Live);
        Assert.Equal(Outcome.Done, (await frame.Do(erase)).Outcome);
    }

    [Fact]
    public async Task A_create_is_inserted_and_answered_with_what_the_vendor_stores()
    {
        await using var frame = await Start();

        var report = await Create(frame, ("name", " Ada "), ("email", "Ada@Example.org"), ("phone", null));

        var row = Assert.Single(frame.Vendor.Live);
        Assert.Equal(row.Id, report.ExternalId);
        Assert.Equal(Customer, row.CustomerId);
        Assert.True(report.IdOnObject);
        Assert.Equal(Outcome.Done, report.Outcome);
        Assert.Equal(" Ada ", report.Written!["name"]);
        Assert.Equal("Ada", report.Stored!["name"]);
        Assert.Equal("ada@example.org", report.Fields!["email"]);
        Assert.Null(report.Own);
        Assert.Equal("hash", report.ConfigHash);
        Assert.Equal(await frame.OfLink<long>("version"), report.Obs);
        Assert.Equal(0, await frame.WorkRows());
    }

    [Fact]
    public async Task An_answer_that_carries_the_record_spares_the_read()
    {
        await using var frame = await Start(v => v.Traits = v.Traits with { AnswersWithRecord = true });
        var made = await Create(frame, ("name", "Ada"));

        await frame.Do(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId));

        Assert.Equal(["create", "read", "update"], frame.Vendor.Calls.Select(c => c.Operation));
    }

    [Fact]
    public async Task An_update_patches_the_named_fields_only()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"), ("email", "a@x.org"));
        frame.Vendor.Edit(made.ExternalId!, "phone", "123");

        var report = await frame.Do(
            Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId)
        );

        Assert.Equal("Eva", frame.Vendor[made.ExternalId!].Fields["name"]);
        Assert.Equal("123", frame.Vendor[made.ExternalId!].Fields["phone"]);
        Assert.Equal("Eva", report.Written!["name"]);
        Assert.Equal("123", report.Fields!["phone"]);
        Assert.True(report.Obs > made.Obs);
    }

    static VendorResult.Gone Ambiguous { get; } =
        new()
        {
            IfThere = new VendorResult.Refused(
                new Dictionary<string, string>(),
                "BAD_REFERENCE",
                "a reference points to no record"
            ),
        };

    /// <summary>A lookup that a flow of the vendor fills with a wrong id is answered as if the record were not there.</summary>
    [Theory]
    [InlineData("read")]
    [InlineData("none")]
    public async Task A_write_that_is_answered_gone_is_refused_when_a_read_finds_the_record(string guard)
    {
        await using var frame = await Start(guard: guard);
        var made = await Create(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Says = operation => operation is "update" or "delete" ? Ambiguous : null;

        var command = Command(Operation.Update, Values(("phone", "2")), Values(("phone", "1")), made.ExternalId);
        var update = await frame.Do(command);
        var delete = await frame.Do(Command(Operation.Delete, ext: made.ExternalId));
        var deleteObject = await frame.Do(Command(Operation.DeleteObject, ext: made.ExternalId));

        foreach (var report in (CustomerReported[])[update, delete, deleteObject])
        {
            Assert.Equal((Outcome.Refused, false), (report.Outcome!.Value, report.Gone));
            Assert.Contains("BAD_REFERENCE", report.Reason, StringComparison.Ordinal);
        }

        Assert.Equal(["phone"], update.Refused!.Keys);
        Assert.Equal("abandoned", await frame.LedgerState(command.CommandId));
        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public async Task A_record_that_was_gone_for_a_moment_is_written_again()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Says = operation => operation == "update" ? new VendorResult.Gone() : null;
        await frame.TakeIn(Command(Operation.Update, Values(("phone", "2")), Values(("phone", "1")), made.ExternalId));
        await frame.Work();
        Assert.Equal(1, await frame.WorkRows());
        frame.Vendor.Says = _ => null;

        await frame.BackoffsEnd();
        await frame.Work();

        Assert.Equal(
            (Outcome.Done, false),
            await frame.Message<CustomerReported>() is var r ? (r.Outcome!.Value, r.Gone) : default
        );
        Assert.Equal("2", frame.Vendor[made.ExternalId!].Fields["phone"]);
    }

    /// <summary>Taken for ours, the next update would write golden, stamp and our id over it.</summary>
    [Fact]
    public async Task A_create_does_not_adopt_a_stranger_s_object()
    {
        await using var frame = await Start();
        var stranger = frame.Vendor.Make(customerId: "c-9", ("name", "Bob"));
        frame.Vendor.Says = operation => operation == "create" ? new VendorResult.Taken(stranger) : null;

        var report = await Create(frame, ("name", "Ada"));

        Assert.Equal((Outcome.Refused, null), (report.Outcome!.Value, report.ExternalId));
        Assert.Equal(["name"], report.Refused!.Keys);
        Assert.Equal("Bob", frame.Vendor[stranger].Fields["name"]);
        Assert.Equal(
            1L,
            await frame.Database.Scalar<long>($"select count(*) from {frame.Schema}.link where ext is null")
        );
    }

    [Fact]
    public async Task A_create_that_met_an_object_which_is_not_there_looks_before_it_says_that_anything_is_gone()
    {
        await using var frame = await Start();
        frame.Vendor.Says = operation => operation == "create" ? new VendorResult.Taken("v99") : null;
        await frame.TakeIn(Command(Operation.Create, Values(("name", "Ada"))));
        await frame.Work();
        Assert.Equal((0, 1L), (await frame.Messages(), await frame.WorkRows()));
        frame.Vendor.Says = _ => null;

        await frame.BackoffsEnd();
        await frame.Work();

        var report = await frame.Message<CustomerReported>();
        Assert.Equal((Outcome.Done, false), (report.Outcome!.Value, report.Gone));
        Assert.Equal(Assert.Single(frame.Vendor.Live).Id, report.ExternalId);
    }

    [Fact]
    public async Task Null_clears_a_field()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"), ("phone", "1"));

        var report = await frame.Do(
            Command(Operation.Update, Values(("phone", null)), Values(("phone", "1")), made.ExternalId)
        );

        Assert.Null(frame.Vendor[made.ExternalId!].Fields["phone"]);
        Assert.True(report.Written!.ContainsKey("phone"));
        Assert.Null(report.Written["phone"]);
    }

    [Fact]
    public async Task A_field_that_moved_is_not_overwritten_and_nothing_of_the_command_is()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"), ("phone", "1"));
        frame.Vendor.Edit(made.ExternalId!, "name", "Person");

        var report = await frame.Do(
            Command(
                Operation.Update,
                Values(("name", "Eva"), ("phone", "2")),
                Values(("name", "Ada"), ("phone", "1")),
                made.ExternalId
            )
        );

        Assert.Empty(frame.Vendor.CallsOf("update"));
        Assert.Empty(report.Written!);
        Assert.Equal("Person", report.Fields!["name"]);
        Assert.Equal(Outcome.Done, report.Outcome);
    }

    [Fact]
    public async Task A_field_that_holds_the_value_already_in_the_vendors_form_has_not_moved()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("email", "a@x.org"));
        frame.Vendor.Edit(made.ExternalId!, "email", "new@x.org");

        var report = await frame.Do(
            Command(Operation.Update, Values(("email", " New@x.org")), Values(("email", "a@x.org")), made.ExternalId)
        );

        Assert.Equal(" New@x.org", report.Written!["email"]);
        Assert.Equal("new@x.org", report.Stored!["email"]);
    }

    [Fact]
    public async Task Without_the_guard_the_read_before_the_write_is_left_out()
    {
        await using var frame = await Start(guard: "none");
        var made = await Create(frame, ("name", "Ada"));
        frame.Vendor.Edit(made.ExternalId!, "name", "Person");
        frame.Vendor.Calls.Clear();

        await frame.Do(Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId));

        Assert.Equal(["update", "read"], frame.Vendor.Calls.Select(c => c.Operation));
        Assert.Equal("Eva", frame.Vendor[made.ExternalId!].Fields["name"]);
    }

    [Fact]
    public async Task A_record_that_changed_between_read_and_write_is_left_alone()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"), ("phone", "1"));
        var edited = false;
        frame.Vendor.Entered = operation =>
        {
            if (operation == "update" && !edited)
            {
                edited = true;
                frame.Vendor.Edit(made.ExternalId!, "name", "Person");
                frame.Vendor.Edit(made.ExternalId!, "phone", "2");
            }

            return Task.CompletedTask;
        };
        var command = Command(
            Operation.Update,
            Values(("name", "Eva"), ("phone", "2")),
            Values(("name", "Ada"), ("phone", "1")),
            made.ExternalId
        );

        var report = await frame.Do(command);

        Assert.Equal("Person", frame.Vendor[made.ExternalId!].Fields["name"]);
        Assert.Equal(["phone"], report.Written!.Keys);
        Assert.Equal("Person", report.Fields!["name"]);
        Assert.Equal("abandoned", await frame.LedgerState(command.CommandId));
    }

    /// <summary>Else each answer would make the saga ask again at once, for ever.</summary>
    [Fact]
    public async Task A_version_that_never_fits_is_left_out_once_and_that_is_logged()
    {
        await using var frame = await Start(v => v.ComparesAnotherVersion = true);
        var made = await Create(frame, ("name", "Ada"));

        var report = await frame.Do(
            Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId)
        );

        Assert.Equal("Eva", frame.Vendor[made.ExternalId!].Fields["name"]);
        Assert.Equal(["name"], report.Written!.Keys);
        Assert.Equal(2, frame.Vendor.CallsOf("update").Count());
        Assert.Contains(frame.Log.Lines, l => l.Id == 3014);
    }

    [Fact]
    public async Task What_the_vendor_makes_of_our_value_is_its_form_while_our_stamp_stands_there()
    {
        await using var frame = await Start(v =>
            v.Undeclared = (path, value) => path == "phone" ? value?.Replace("-", "") : value
        );
        var made = await Create(frame, ("name", "Ada"));

        var report = await frame.Do(
            Command(Operation.Update, Values(("phone", "1-2")), Values(("phone", null)), made.ExternalId)
        );

        Assert.Equal("1-2", report.Written!["phone"]);
        Assert.Equal("12", report.Stored!["phone"]);
    }

    [Fact]
    public async Task An_edit_right_after_our_write_is_news_and_the_write_happened_all_the_same()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("email", "a@x.org"));
        var reads = 0;
        frame.Vendor.Entered = operation =>
        {
            if (operation == "read" && ++reads == 2)
                frame.Vendor.Edit(made.ExternalId!, "email", "person@x.org");
            return Task.CompletedTask;
        };

        var report = await frame.Do(
            Command(Operation.Update, Values(("email", "Eva@x.org")), Values(("email", "a@x.org")), made.ExternalId)
        );

        Assert.Equal("Eva@x.org", report.Written!["email"]);
        Assert.Equal("eva@x.org", report.Stored!["email"]);
        Assert.Equal("person@x.org", report.Fields!["email"]);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_before_the_call_naming_field_and_limit()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"));
        frame.Vendor.Calls.Clear();

        var report = await frame.Do(
            Command(
                Operation.Update,
                Values(("name", "Eva"), ("phone", "1234567890123"), ("address.city", "Ulm")),
                Values(("name", "Ada"), ("phone", null), ("address.city", null)),
                made.ExternalId
            )
        );

        Assert.Empty(frame.Vendor.Calls);
        Assert.Equal(Outcome.Refused, report.Outcome);
        Assert.Equal(["address.city", "phone"], report.Refused!.Keys.Order());
        Assert.Equal("address.city is not mapped; phone has 13 characters, the limit is 12", report.Reason);
    }

    [Fact]
    public async Task What_the_vendor_refuses_is_named_and_the_rest_may_be_asked_for_again()
    {
        await using var frame = await Start(v =>
            v.Refuses = (path, value) => path == "phone" && value == "bad" ? "is no number" : null
        );

        var refused = await Create(frame, ("name", "Ada"), ("phone", "bad"));
        var made = await Create(frame, ("name", "Ada"));

        Assert.Equal(Outcome.Refused, refused.Outcome);
        Assert.Equal(["phone"], refused.Refused!.Keys);
        Assert.DoesNotContain("bad", refused.Reason);
        Assert.Equal(Outcome.Done, made.Outcome);
        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public async Task A_record_that_is_gone_is_reported_gone_and_never_made_again_by_an_update()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"));
        frame.Vendor.Remove(made.ExternalId!);

        var report = await frame.Do(
            Command(Operation.Update, Values(("name", "Eva")), Values(("name", "Ada")), made.ExternalId)
        );

        Assert.Equal(Outcome.Gone, report.Outcome);
        Assert.True(report.Gone);
        Assert.Empty(frame.Vendor.Live);
    }

    [Fact]
    public async Task An_update_writes_our_id_onto_an_object_that_lost_it()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(null, ("name", "Ada"));

        var report = await frame.Do(Command(Operation.Update, ext: ext));

        Assert.Equal(Customer, frame.Vendor[ext].CustomerId);
        Assert.True(report.IdOnObject);
    }

    [Fact]
    public async Task A_create_that_meets_our_id_adopts_the_record_and_overwrites_nothing()
    {
        await using var frame = await Start();
        var ext = frame.Vendor.Make(Customer, ("name", "Person"), ("phone", "1"));

        var report = await Create(frame, ("name", "Ada"), ("phone", "1"));

        Assert.Equal(ext, report.ExternalId);
        Assert.Equal(["phone"], report.Written!.Keys);
        Assert.Equal("Person", report.Fields!["name"]);
        Assert.Equal("Person", Assert.Single(frame.Vendor.Live).Fields["name"]);
    }

    // ---- delete ----

    [Fact]
    public async Task A_delete_is_answered_done_and_gone()
    {
        await using var frame = await Start();
        await Create(frame, ("name", "Ada"));

        var report = await frame.Do(Command(Operation.Delete));

        Assert.Empty(frame.Vendor.Live);
        Assert.True(report.Gone);
        Assert.Equal(Outcome.Done, report.Outcome);
        Assert.Null(report.Fields);
    }

    [Fact]
    public async Task Not_there_is_success_for_a_delete()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"));
        frame.Vendor.Remove(made.ExternalId!);

        var there = await frame.Do(Command(Operation.Delete, ext: made.ExternalId));
        var unknown = await frame.Do(Command(Operation.Delete, customer: "c-2"));

        Assert.Equal((Outcome.Done, true), (there.Outcome!.Value, there.Gone));
        Assert.Equal((Outcome.Done, true), (unknown.Outcome!.Value, unknown.Gone));
    }

    [Fact]
    public async Task A_customer_with_a_live_subscription_is_not_deleted_and_the_reason_is_said()
    {
        await using var frame = await Start(onDelete: "delete-unless-subscribed");
        var made = await Create(frame, ("name", "Ada"));
        frame.Vendor[made.ExternalId!].Subscribed = true;

        var report = await frame.Do(Command(Operation.Delete));

        Assert.Equal(Outcome.Refused, report.Outcome);
        Assert.Contains("subscription", report.Reason);
        Assert.False(report.Gone);
        Assert.Single(frame.Vendor.Live);
    }

    [Fact]
    public async Task Keep_deletes_nothing_and_calls_nobody()
    {
        await using var frame = await Start(onDelete: "keep");
        await Create(frame, ("name", "Ada"));
        frame.Vendor.Calls.Clear();

        var report = await frame.Do(Command(Operation.Delete));

        Assert.Equal(Outcome.Refused, report.Outcome);
        Assert.Contains("keep", report.Reason);
        Assert.Empty(frame.Vendor.Calls);
    }

    [Fact]
    public async Task DeleteObject_deletes_that_object_and_leaves_the_customers_own()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"));
        var second = frame.Vendor.Make(Customer, ("name", "Ada"));

        var report = await frame.Do(Command(Operation.DeleteObject, ext: second));

        Assert.Equal(made.ExternalId, Assert.Single(frame.Vendor.Live).Id);
        Assert.Equal(second, report.ExternalId);
        Assert.True(report.Gone);
        Assert.Equal(made.ExternalId, await frame.OfLink<string>("ext"));
        Assert.Equal("Ada", await frame.OfLink<string>("last->>'name'"));
    }

    // ---- generations ----

    [Fact]
    public async Task A_command_of_an_earlier_generation_is_dropped()
    {
        await using var frame = await Start();
        await frame.Do(Command(Operation.Create, Values(("name", "Ada")), generation: 1));
        var late = Command(Operation.Delete, generation: 0);

        await frame.TakeIn(late);
        await frame.Work();

        Assert.Single(frame.Vendor.Live);
        Assert.DoesNotContain(await frame.Reports(), r => r.Ack == late.CommandId);
        Assert.Equal(0, await frame.WorkRows());
    }

    [Fact]
    public async Task A_new_generation_makes_a_new_object_and_its_look_ups_ignore_the_dead_one()
    {
        await using var frame = await Start();
        var first = await Create(frame, ("name", "Ada"));
        frame.Vendor.Remove(first.ExternalId!);
        frame.Vendor.Next("create", FakeVendor.Fault.LostBefore);
        var again = Command(Operation.Create, Values(("name", "Ada")), generation: 1);

        await frame.TakeIn(again);
        await frame.Work();
        await frame.BackoffsEnd();
        await frame.Work();

        var report = (await frame.Reports())[^1];
        Assert.Single(frame.Vendor.CallsOf("find"));
        Assert.Equal(1, report.Generation);
        Assert.Equal(Outcome.Done, report.Outcome);
        Assert.NotEqual(first.ExternalId, report.ExternalId);
        Assert.Equal(first.ExternalId, await frame.OfLink<string>("dead_exts[1]"));
    }

    [Fact]
    public async Task A_read_is_reported_also_when_nothing_differs_and_settles_nothing()
    {
        await using var frame = await Start();
        var made = await Create(frame, ("name", "Ada"));
        await frame.TakeIn(Command(Operation.Read, ext: made.ExternalId));

        await frame.Work();

        var report = (await frame.Reports())[^1];
        Assert.Null(report.Ack);
        Assert.Equal("Ada", report.Fields!["name"]);
        Assert.True(report.Obs > made.Obs);
    }

    [Fact]
    public void Idempotency_keys_say_environment_customer_and_generation_or_the_command()
    {
        var rules = new Rules(MapOf(), new VendorTraits(1, null, TimeSpan.Zero, true), "dev", "");
        var id = Guid.Parse("11111111-2222-3333-4444-555555555555");

        Assert.Equal(
            $"csync:dev:create:{Sync.Contracts.CustomerIds.CorrelationId("c-1")}:3",
            rules.CreateKey("c-1", 3, 0)
        );
        Assert.Equal($"csync:dev:upd:{id}", rules.UpdateKey(id, 0));
        Assert.Equal($"csync:dev:upd:{id}:2", rules.UpdateKey(id, 1));
    }
}

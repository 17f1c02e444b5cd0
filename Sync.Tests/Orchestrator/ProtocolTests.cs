using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// The ways in which a synchronisation loses edits, loops or brings the dead back, as far as the saga's side answers them.
/// The number is that of the counterexample in the protocol.
/// </summary>
public sealed class ProtocolTests
{
    /// <summary>1. Vendors re-case what they store: with one base every report is news for the others, for ever.</summary>
    [Fact]
    public async Task A_vendor_s_own_form_is_no_news()
    {
        await using var story = await Scenario.InStep();

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Cd2"));
        await story.AnswerAll();
        story.Take();
        await story.Edit(Billing);
        await story.Edit(Crm);

        Assert.Equal("Cd2", story.Golden("phone"));
        Assert.Equal(
            ("cd2", "CD2"),
            (story.Customer.System(Billing).Base["phone"], story.Customer.System(Crm).Base["phone"])
        );
        Assert.Equal("Cd2", story.Customer.System(Crm).At["phone"]);
        Assert.Empty(story.Take());
        Assert.Empty(story.Customer.Behind);
    }

    /// <summary>1. A form that no mapping declares ends all the same: the answer says how it is stored.</summary>
    [Fact]
    public async Task An_undeclared_form_is_learnt_from_the_answer()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "  Bea  "), ("email", "ann@example.com"), ("phone", "Ab1"));

        var sent = story.Sent(Crm)!;
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("name", "BEA")) with
                {
                    Ack = sent.Id,
                    Outcome = Outcome.Done,
                    Written = sent.Write.ToWire(),
                    Stored = new() { ["name"] = "BEA" },
                }
            )
        );
        await story.AnswerAll();

        Assert.Equal("  Bea  ", story.Golden("name"));
        Assert.Empty(story.Customer.Behind);
    }

    /// <summary>2. The answer says what is there now, so an edit made after our write is not lost under it.</summary>
    [Fact]
    public async Task An_edit_made_after_our_write_is_taken_from_the_answer()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Ann"), ("email", "v2@example.com"), ("phone", "Ab1"));
        story.Take();

        await story.Answer(Crm, ("email", "v3@example.com"));

        Assert.Equal("v3@example.com", story.Golden("email"));
        await story.AnswerAll();
        Assert.All(Config.Systems.Keys, s => Assert.Equal("v3@example.com", story.Customer.System(s).Base["email"]));
        Assert.DoesNotContain(
            story.Take().OfType<PushCustomer>(),
            p => p.System == Crm && p.Write.ContainsKey("email")
        );
    }

    /// <summary>2. The answer says what was really written, not what was sent.</summary>
    [Fact]
    public async Task What_a_command_did_not_write_is_asked_for_again()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Ann"), ("email", "v2@example.com"), ("phone", "Ab1"));
        var sent = story.Sent(Crm)!;
        story.Take();

        Assert.Null(await story.Send(story.Report(Crm) with { Ack = sent.Id, Outcome = Outcome.Done, Written = [] }));

        Assert.Equal("v2@example.com", story.Golden("email"));
        var again = Assert.Single(story.TakePushes());
        Assert.NotEqual(sent.Id, again.CommandId);
        Assert.Equal("v2@example.com", again.Write["email"]);
    }

    /// <summary>3. Our own write, seen before its answer, after golden has moved on: not a conflict.</summary>
    [Fact]
    public async Task Our_own_write_seen_before_its_answer_is_no_edit()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Ann"), ("email", "x@example.com"), ("phone", "Ab1"));
        await story.Snapshot(("name", "Ann"), ("email", "y@example.com"), ("phone", "Ab1"));

        Assert.Null(
            await story.Send(
                story.Report(Crm, ("email", "x@example.com")) with
                {
                    Own = new() { ["email"] = "x@example.com" },
                }
            )
        );

        Assert.Equal("y@example.com", story.Golden("email"));
        await story.AnswerAll();
        Assert.Equal("y@example.com", story.Customer.System(Crm).Base["email"]);
        Assert.Empty(story.Customer.Behind);
    }

    /// <summary>5. Rebuilt from a newer golden, the trace of the first attempt would read as a person's edit.</summary>
    [Fact]
    public async Task A_command_is_repeated_unchanged_although_golden_has_moved_on()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Ann"), ("email", "v2@example.com"), ("phone", "Ab1"));
        var first = story.TakePushes();
        await story.Snapshot(("name", "Eve"), ("email", "v5@example.com"), ("phone", "Ab1"));
        Assert.Empty(story.Take());

        await story.Ring();

        Assert.Equivalent(first, story.TakePushes(), strict: true);
        Assert.Equal(2, story.Sent(Crm)!.Attempt);
    }

    [Fact]
    public async Task A_repeat_comes_after_ten_minutes_then_after_twice_as_long_and_at_most_after_six_hours()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        await story.Answer(Billing);
        List<double> minutes = [];
        for (var i = 0; i < 9; i++)
        {
            var before = story.Harness.Time.GetUtcNow();
            await story.Ring();
            minutes.Add((story.Harness.Time.GetUtcNow() - before).TotalMinutes);
        }

        Assert.Equal([10, 20, 40, 80, 160, 320, 360, 360, 360], minutes);
    }

    [Fact]
    public async Task A_customer_has_one_timer_and_one_with_nothing_in_flight_is_the_last()
    {
        await using var story = await Scenario.InStep();
        Assert.Single(story.Harness.Caught.Timers);
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        Assert.Single(story.Harness.Caught.Timers);
        await story.AnswerAll();
        story.Take();

        await story.Ring();

        Assert.Empty(story.Take());
        Assert.Empty(story.Harness.Caught.Timers);
        Assert.Null(story.Customer.DueAt);
        await story.Snapshot(("name", "Cia"), ("email", "ann@example.com"), ("phone", "Ab1"));
        Assert.Single(story.Harness.Caught.Timers);
    }

    [Fact]
    public async Task A_timer_that_rings_early_repeats_only_what_is_due()
    {
        await using var story = await Scenario.InStep();
        // The timer of the first commands is still set when the next command leaves, five minutes later.
        story.Harness.Time.Advance(TimeSpan.FromMinutes(5));
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        story.Take();

        await story.Ring();
        Assert.Empty(story.Take());
        await story.Ring();

        Assert.Equal(Vendors, story.TakePushes().Select(p => p.System));
    }

    [Fact]
    public async Task A_timer_that_was_replaced_does_nothing()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        story.Take();
        story.Harness.Time.Advance(TimeSpan.FromDays(1));

        Assert.Null(await story.Harness.Send(new Due { CustomerId = Scenario.Id }, schedulingToken: Guid.NewGuid()));

        Assert.Empty(story.Take());
    }

    /// <summary>8. The outbox repeats r1 r2 after r1 r2.</summary>
    [Fact]
    public async Task A_late_copy_of_a_report_changes_nothing()
    {
        await using var story = await Scenario.InStep();
        var first = story.Report(Crm, ("email", "one@example.com"));
        var second = story.Report(Crm, ("email", "two@example.com"));
        Assert.Null(await story.Send(first));
        Assert.Null(await story.Send(second));
        await story.AnswerAll();
        story.Take();
        var before = States.Text(story.Customer);

        Assert.Null(await story.Send(first));
        Assert.Null(await story.Send(second));

        Assert.Equal(before, States.Text(story.Customer));
        Assert.Empty(story.Take());
    }

    /// <summary>11. The product is one system more, and its echo of our command must not beat its owner's edit.</summary>
    [Fact]
    public async Task The_product_s_echo_of_a_command_does_not_beat_its_user_s_edit()
    {
        await using var story = await Scenario.InStep();
        await story.Edit(Crm, ("name", "Ann from crm"));
        var command = story.Take().OfType<UpdateCustomer>().Single();
        Assert.Equal(("Ann from crm", "Ann"), (command.Write["name"], command.Expect["name"]));

        // The user was faster: the product finds another value than expected, writes nothing, and says so.
        await story.Snapshot(("name", "Ann of the user"), ("email", "ann@example.com"), ("phone", "Ab1"));
        await story.Snapshot(
            new AppliedCommand(command.CommandId, Outcome.Done, []),
            ("name", "Ann of the user"),
            ("email", "ann@example.com"),
            ("phone", "Ab1")
        );

        Assert.Equal("Ann of the user", story.Golden("name"));
        Assert.Null(story.Sent(Product));
        await story.AnswerAll();
        Assert.Equal("Ann of the user", story.Customer.System(Crm).Base["name"]);
        Assert.Empty(story.Customer.Behind);
    }

    /// <summary>12. The snapshot that acknowledges may be coalesced away: the next one names the command, too.</summary>
    [Fact]
    public async Task A_later_snapshot_acknowledges_what_a_lost_one_would_have()
    {
        await using var story = await Scenario.InStep();
        await story.Edit(Crm, ("email", "new@example.com"));
        var command = story.Take().OfType<UpdateCustomer>().Single();
        story.Revision++;

        await story.Snapshot(
            new AppliedCommand(command.CommandId, Outcome.Done, command.Write),
            ("name", "Bea"),
            ("email", "new@example.com"),
            ("phone", "Ab1")
        );

        Assert.Null(story.Sent(Product));
        Assert.Equal("Bea", story.Golden("name"));
        Assert.Equal("new@example.com", story.Golden("email"));
    }

    /// <summary>15. A customer made for a found object asks the product alone until it agrees.</summary>
    [Fact]
    public async Task Only_the_product_is_asked_for_a_customer_made_for_an_object()
    {
        await using var story = await Scenario.Start();
        var found = new Dictionary<string, string?> { ["name"] = "Ann", ["email"] = "ann@example.com" };

        Assert.Null(await story.Send(Requests.Link(Crm, "crm-9", minted: true, found)));

        Assert.Equal("Proposed", story.State);
        var messages = story.Take();
        var create = Assert.Single(messages.OfType<CreateCustomer>());
        Assert.Equal(["email", "name"], create.Write.Keys.Order());
        Assert.Single(messages.OfType<ObjectLinked>());
        Assert.Empty(messages.OfType<PushCustomer>());

        await story.ProductApplies();

        Assert.Equal("Live", story.State);
        Assert.Equal(
            [(Billing, Operation.Create), (Crm, Operation.Update)],
            story.TakePushes().Select(p => (p.System, p.Operation))
        );
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_customer_that_the_product_has_already_becomes_that_one()
    {
        await using var story = await Scenario.Start();
        var found = new Dictionary<string, string?> { ["name"] = "Ann", ["email"] = "ann@example.com" };
        Assert.Null(await story.Send(Requests.Link(Crm, "crm-9", minted: true, found)));
        var create = story.Take().OfType<CreateCustomer>().Single();

        Assert.Null(
            await story.Send(
                new CustomerExists
                {
                    CustomerId = Scenario.Id,
                    CommandId = create.CommandId,
                    Existing = "c-77",
                }
            )
        );

        Assert.Equal("Merged", story.State);
        Assert.Equal("c-77", Assert.IsType<RelinkObject>(Assert.Single(story.Take())).To);
        Assert.Empty(story.Customer.Golden);
        Assert.Null(await story.Send(Requests.Link(Crm, "crm-10", minted: false, found)));
        Assert.Equal("c-77", Assert.IsType<RelinkObject>(Assert.Single(story.Take())).To);
    }

    [Fact]
    public async Task An_object_that_asks_before_the_first_snapshot_makes_nobody()
    {
        await using var story = await Scenario.Start();

        Assert.Null(await story.Send(Requests.Link(Crm, "crm-9", minted: false, [])));

        Assert.Null(story.Found);
        Assert.Empty(story.Take());
    }

    /// <summary>16. A held deletion is not "unlinked": nothing is created while it is undecided.</summary>
    [Fact]
    public async Task Nothing_is_created_while_a_deletion_is_undecided()
    {
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });

        await story.Gone(Crm);
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        Assert.Null(await story.Send(Requests.Link(Crm, "crm-other", minted: false, [])));

        Assert.DoesNotContain(story.TakePushes(), p => p.System == Crm);
        Assert.Contains(story.Harness.Caught.Messages, m => m is ObjectParked { ExternalId: "crm-other" });
    }

    /// <summary>17. What a late write of ours replaced counts only while golden still is what that write wrote.</summary>
    [Fact]
    public async Task An_overwritten_edit_counts_only_while_golden_is_what_overwrote_it()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(
            await story.Send(
                story.Report(Crm) with
                {
                    Over = new() { ["email"] = new Overwritten("person@example.com", "ann@example.com") },
                }
            )
        );
        Assert.Equal("person@example.com", story.Golden("email"));

        await story.AnswerAll();
        Assert.Null(
            await story.Send(
                story.Report(Crm) with
                {
                    Over = new() { ["email"] = new Overwritten("older@example.com", "ann@example.com") },
                }
            )
        );

        Assert.Equal("person@example.com", story.Golden("email"));
        Assert.Equal(2, story.Codes.Count(c => c == Codes.Overwritten));
    }

    /// <summary>18. The write-back of our id may be lost with any command: it is asked for until a report shows it.</summary>
    [Fact]
    public async Task Our_id_is_asked_for_until_it_stands_on_the_object()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(await story.Send(story.Report(Crm) with { IdOnObject = false }));

        var push = Assert.Single(story.TakePushes());
        Assert.Equal(Operation.Update, push.Operation);
        Assert.Empty(push.Write);
        Assert.Null(await story.Send(story.Done(Crm) with { IdOnObject = false }));
        Assert.Single(story.TakePushes());
        await story.Answer(Crm);
        Assert.Empty(story.Take());
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_refusal_does_not_say_that_our_id_is_gone()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Too long"), ("email", "ann@example.com"));
        var push = Assert.Single(story.TakePushes(), p => p.System == Crm);

        Assert.Null(
            await story.Send(
                story.Report(Crm) with
                {
                    Ack = push.CommandId,
                    Outcome = Outcome.Refused,
                    Refused = push.Write,
                    Reason = "name: longer than 8",
                    Fields = null,
                    IdOnObject = false,
                }
            )
        );

        Assert.DoesNotContain(story.TakePushes(), p => p.System == Crm);
        Assert.True(story.Customer.System(Crm).IdOnObject);
    }

    /// <summary>19. Only the saga changes a link: a report of a copy with our id is parked, and nothing of it is used.</summary>
    [Fact]
    public async Task A_report_of_a_second_object_is_parked_and_not_used()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(
            await story.Send(story.Report(Crm, ("email", "copy@example.com")) with { ExternalId = "crm-copy" })
        );

        Assert.Equal("ann@example.com", story.Golden("email"));
        Assert.Equal("crm-copy", Assert.IsType<ObjectParked>(Assert.Single(story.Take())).ExternalId);
        Assert.NotEqual("crm-copy", story.Customer.System(Crm).Ext);
    }

    /// <summary>20. First contact has no common ancestor: golden wins, an absent golden value is taken.</summary>
    [Fact]
    public async Task At_first_contact_golden_wins_and_what_it_lacks_is_taken()
    {
        await using var story = await Scenario.Start();
        await story.Snapshot(("name", "Ann"));
        await story.Answer(Billing);
        var sent = story.Sent(Crm)!;

        // The create found an object there: a person's, with a name and an e-mail of its own.
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("name", "Old record"), ("email", "old@example.com")) with
                {
                    Ack = sent.Id,
                    Outcome = Outcome.Done,
                    Written = [],
                }
            )
        );

        Assert.Equal("Ann", story.Golden("name"));
        Assert.Equal("old@example.com", story.Golden("email"));
        await story.AnswerAll();
        Assert.Equal("Ann", story.Customer.System(Crm).Base["name"]);
    }

    [Fact]
    public async Task A_field_mapped_later_is_first_contact_and_no_news()
    {
        await using var story = await Scenario.InStep();
        // As if the mapping had had no telephone number when this customer was last seen.
        story.Customer.System(Crm).Base.Remove("phone");
        story.Customer.System(Crm).At.Remove("phone");

        await story.Edit(Crm, ("phone", "FROM-CRM"));

        Assert.Equal("Ab1", story.Golden("phone"));
        Assert.Equal("Ab1", story.Take().OfType<PushCustomer>().Single().Write["phone"]);
    }

    [Fact]
    public async Task A_field_that_a_system_does_not_map_is_never_read_from_it()
    {
        await using var story = await Scenario.InStep();

        Assert.Null(await story.Send(story.Report(Billing, ("attributes.tier", "gold"))));

        Assert.Null(story.Golden("attributes.tier"));
        Assert.Empty(story.Take());
    }

    /// <summary>What was known of it before the mapping was removed must not meet a report that lacks it.</summary>
    [Fact]
    public async Task A_field_whose_mapping_was_removed_is_not_taken_for_cleared()
    {
        await using var story = await Scenario.InStep(OneOwner("any"), ("name", "Ann"), ("attributes.tier", "gold"));
        // As if billing had had the tier when this customer was last seen.
        story.Customer.System(Billing).Base["attributes.tier"] = "gold";
        story.Customer.System(Billing).At["attributes.tier"] = "gold";

        await story.Edit(Billing, ("name", "Anna"));

        Assert.Equal(("Anna", "gold"), (story.Golden("name"), story.Golden("attributes.tier")));
    }

    /// <summary>25. Candidates may be old, so the customer checks its own slot.</summary>
    [Fact]
    public async Task A_filled_slot_turns_the_next_object_away_and_its_own_object_is_told_again()
    {
        await using var story = await Scenario.InStep();
        var own = story.Customer.System(Crm).Ext!;

        Assert.Null(await story.Send(Requests.Link(Crm, "crm-second", minted: false, [])));
        Assert.Null(await story.Send(Requests.Link(Crm, own, minted: false, [])));

        var messages = story.Take();
        Assert.Equal(2, messages.Count);
        Assert.Equal("crm-second", Assert.IsType<ObjectParked>(messages[0]).ExternalId);
        Assert.Equal(own, Assert.IsType<ObjectLinked>(messages[1]).ExternalId);
    }

    [Fact]
    public async Task A_second_object_is_deleted_only_if_we_made_it_and_the_customer_is_gone()
    {
        await using var story = await Scenario.InStep();
        Assert.Null(await story.Send(Requests.Duplicate(Crm, "crm-copy", ours: true)));
        Assert.IsType<ObjectParked>(Assert.Single(story.Take()));

        await story.Deleted();
        await story.AnswerAll();
        story.Take();
        Assert.Null(await story.Send(Requests.Duplicate(Crm, "crm-person", ours: false)));
        Assert.IsType<ObjectParked>(Assert.Single(story.Take()));
        Assert.Null(await story.Send(Requests.Duplicate(Crm, "crm-copy", ours: true)));

        var delete = Assert.IsType<PushCustomer>(Assert.Single(story.Take()));
        Assert.Equal((Operation.DeleteObject, "crm-copy"), (delete.Operation, delete.ExternalId));
    }

    /// <summary>27. A side that was overwritten meanwhile does not hold what it held when the conflict began.</summary>
    [Fact]
    public async Task A_side_is_chosen_by_what_a_system_holds_now()
    {
        await using var story = await Scenario.InStep(null, ("address.city", "Rome"));
        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Ab1"), ("address.city", "Oslo"));
        // The adapter finds Kyiv there and writes nothing, it believes.
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("address.city", "Kyiv")) with
                {
                    Ack = story.Sent(Crm)!.Id,
                    Outcome = Outcome.Done,
                    Written = [],
                }
            )
        );
        Assert.Equal("conflict-held golden address.city", story.Customer.Attention);
        Assert.Equal("Oslo", story.Golden("address.city"));

        // Our own write of Oslo lands after all.
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("address.city", "Oslo")) with
                {
                    Own = new() { ["address.city"] = "Oslo" },
                }
            )
        );
        Assert.Null(await story.Send(Requests.TakeSide("address.city", Crm)));
        Assert.Equal("Kyiv", story.Golden("address.city"));
        Assert.Null(story.Customer.Attention);

        await story.AnswerAll();
        Assert.All(Config.Systems.Keys, s => Assert.Equal("Kyiv", story.Customer.System(s).Base["address.city"]));
    }

    [Fact]
    public async Task A_held_conflict_ends_by_itself_when_all_sides_agree()
    {
        await using var story = await Scenario.InStep(null, ("address.city", "Rome"));
        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Ab1"), ("address.city", "Oslo"));
        await story.Edit(Crm, ("address.city", "Kyiv"));

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Ab1"), ("address.city", "Kyiv"));

        Assert.Null(story.Customer.Attention);
        Assert.Equal("Kyiv", story.Golden("address.city"));
    }

    [Fact]
    public async Task A_held_field_is_not_written_anywhere()
    {
        await using var story = await Scenario.InStep(null, ("address.city", "Rome"));
        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Ab1"), ("address.city", "Oslo"));
        await story.Edit(Crm, ("address.city", "Kyiv"));
        await story.Answer(Crm, ("address.city", "Kyiv"));
        story.Take();

        await story.Answer(Billing);

        Assert.DoesNotContain(story.TakePushes(), p => p.Write.ContainsKey("address.city"));
    }

    [Fact]
    public async Task A_field_that_only_its_owner_may_write_is_put_back()
    {
        await using var story = await Scenario.InStep();
        await story.Edit(Crm, ("attributes.tier", "gold"));
        await story.AnswerAll();
        Assert.Equal("gold", story.Golden("attributes.tier"));
        story.Take();

        await story.Snapshot(
            ("name", "Ann"),
            ("email", "ann@example.com"),
            ("phone", "Ab1"),
            ("attributes.tier", "platinum")
        );

        Assert.Equal("gold", story.Golden("attributes.tier"));
        Assert.Equal("gold", story.Take().OfType<UpdateCustomer>().Single().Write["attributes.tier"]);
    }

    [Theory]
    [InlineData("name", false)]
    [InlineData("email", true)]
    public async Task A_conflict_goes_to_whom_the_mapping_says(string path, bool laterWins)
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "product's name"), ("email", "product@example.com"), ("phone", "Ab1"));
        var products = story.Golden(path);

        await story.Edit(Crm, (path, "crm's own"));

        Assert.Equal(laterWins ? "crm's own" : products, story.Golden(path));
        Assert.Contains(Codes.Overruled, story.Codes);
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task An_uncontended_edit_is_taken_from_anybody()
    {
        await using var story = await Scenario.InStep();

        await story.Edit(Billing, ("name", "Ann of billing"));

        Assert.Equal("Ann of billing", story.Golden("name"));
    }

    [Fact]
    public async Task A_report_of_a_newer_generation_is_taken_as_first_contact()
    {
        await using var story = await Scenario.InStep();

        // This saga's database is the older one: it never heard of the restore that made this generation.
        Assert.Null(
            await story.Send(
                story.Report(Crm, ("email", "newer@example.com")) with
                {
                    Generation = 3,
                    ExternalId = "crm-3",
                }
            )
        );

        Assert.Equal((3, "crm-3"), (story.Customer.System(Crm).Gen, story.Customer.System(Crm).Ext));
        Assert.Equal("ann@example.com", story.Golden("email"));
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_system_that_keeps_deleted_customers_counts_as_gone()
    {
        var config = SyncConfig.Parse(
            """
            [ { "name": "product", "fields": { "name": { "to": "name" } } },
              { "name": "billing", "onDelete": "keep", "fields": { "name": { "to": "name" } } },
              { "name": "crm", "fields": { "name": { "to": "Name" } } } ]
            """u8,
            "[]"u8
        );
        await using var story = await Scenario.Start(TwoWay with { Config = config });
        await story.Snapshot(("name", "Ann"));
        await story.AnswerAll();
        story.Take();

        await story.Deleted();

        Assert.Equal([Crm], story.TakePushes().Select(p => p.System));
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
        Assert.Equal("kept", story.Customer.System(Billing).Brake);
    }
}

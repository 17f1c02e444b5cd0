using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Messaging.DeadLetters;
using Sync.Orchestrator.Customers.Merging;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>A customer's life through the states, in MassTransit's test harness.</summary>
public sealed class LifeTests
{
    [Fact]
    public async Task A_customer_of_the_product_is_created_in_every_system()
    {
        await using var story = await Scenario.Start();

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"));

        Assert.Equal("Live", story.State);
        var pushes = story.TakePushes();
        Assert.Equal(Vendors, pushes.Select(p => p.System));
        Assert.All(pushes, p => Assert.Equal(Operation.Create, p.Operation));
        Assert.All(pushes, p => Assert.Equal(["email", "name"], p.Write.Keys.Order()));
        Assert.Equal(Vendors, story.Customer.Behind);

        await story.AnswerAll();

        Assert.Empty(story.Customer.Behind);
        Assert.Null(story.Customer.Attention);
        Assert.All(Vendors, v => Assert.Equal(story.Customer.Revision, story.Customer.System(v).Reached));
    }

    [Fact]
    public async Task A_changed_field_is_written_alone_and_names_what_is_expected_there()
    {
        await using var story = await Scenario.InStep();

        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));

        var pushes = story.TakePushes();
        Assert.Equal(Vendors, pushes.Select(p => p.System));
        Assert.All(pushes, p => Assert.Equal(Operation.Update, p.Operation));
        Assert.All(pushes, p => Assert.Equal([KeyValuePair.Create("name", (string?)"Bea")], p.Write));
        Assert.All(pushes, p => Assert.Equal([KeyValuePair.Create("name", (string?)"Ann")], p.Expect));
    }

    [Fact]
    public async Task An_answer_says_how_long_the_change_took_that_its_command_carried()
    {
        await using var story = await Scenario.Start();

        await story.Snapshot(("name", "Ann"));
        Assert.NotNull(story.Customer.MovedAt);
        Assert.All(Vendors, v => Assert.Equal(story.Customer.MovedAt, story.Sent(v)!.ChangedAt));
        var first = story.Customer.MovedAt;
        await story.AnswerAll();

        await story.Snapshot(("name", "Bea"));
        Assert.NotEqual(first, story.Customer.MovedAt);
        Assert.All(Vendors, v => Assert.Equal(story.Customer.MovedAt, story.Sent(v)!.ChangedAt));
        await story.AnswerAll();

        var timeline = story.Harness.Caught.Timeline;
        Assert.All(
            timeline,
            entry => Assert.Equal(entry.Code == Codes.Answered && entry.System != Product, entry.LatencyMs is not null)
        );
        Assert.Equal(2 * Vendors.Length, timeline.Count(entry => entry.LatencyMs >= 0));
    }

    [Fact]
    public async Task A_cleared_field_is_cleared_everywhere()
    {
        await using var story = await Scenario.InStep();

        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"));

        Assert.All(story.TakePushes(), p => Assert.Equal([KeyValuePair.Create("phone", (string?)null)], p.Write));
    }

    [Fact]
    public async Task A_burst_while_a_command_is_in_flight_becomes_one_more_command()
    {
        await using var story = await Scenario.InStep();

        for (var i = 1; i <= 50; i++)
            await story.Snapshot(("name", $"Ann {i}"), ("email", "ann@example.com"), ("phone", $"p{i}"));
        Assert.Equal(2, story.TakePushes().Count);

        await story.Answer(Crm);

        var next = Assert.Single(story.TakePushes());
        Assert.Equal("Ann 50", next.Write["name"]);
        Assert.Equal("p50", next.Write["phone"]);
    }

    [Fact]
    public async Task An_edit_in_a_vendor_reaches_product_and_the_other_vendor()
    {
        await using var story = await Scenario.InStep();

        await story.Edit(Crm, ("email", "new@example.com"));

        var messages = story.Take();
        Assert.Equal("new@example.com", Assert.Single(messages.OfType<UpdateCustomer>()).Write["email"]);
        Assert.Equal("new@example.com", Assert.Single(messages.OfType<PushCustomer>()).Write["email"]);
        Assert.Equal(Billing, Assert.Single(messages.OfType<PushCustomer>()).System);
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_deletion_in_the_product_deletes_everywhere_and_leaves_a_tombstone()
    {
        await using var story = await Scenario.InStep();

        await story.Deleted();

        Assert.Equal("Removing", story.State);
        var pushes = story.TakePushes();
        Assert.Equal(Vendors, pushes.Select(p => p.System));
        Assert.All(pushes, p => Assert.Equal(Operation.Delete, p.Operation));

        await story.AnswerAll();

        Assert.Equal("Removed", story.State);
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_deletion_in_a_vendor_deletes_in_the_product_and_the_other_vendor()
    {
        await using var story = await Scenario.InStep();

        await story.Gone(Billing);

        var messages = story.Take();
        Assert.Single(messages.OfType<DeleteCustomer>());
        Assert.Equal(Crm, Assert.Single(messages.OfType<PushCustomer>()).System);
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
    }

    [Fact]
    public async Task A_tombstone_holds_no_personal_data()
    {
        await using var story = await Scenario.InStep(null, ("attributes.tier", "tier-secret"));
        await story.Edit(Crm, ("address.city", "city-secret"));
        await story.Deleted();
        await story.AnswerAll();

        Assert.Equal("Removed", story.State);
        var text = States.Text(story.Customer);
        Assert.All(
            (string[])["Ann", "ann@example.com", "Ab1", "tier-secret", "city-secret"],
            value => Assert.DoesNotContain(value, text, StringComparison.OrdinalIgnoreCase)
        );
        Assert.Null(story.Customer.EmailKey);
        Assert.All(Vendors, v => Assert.NotNull(story.Customer.System(v).Ext));
    }

    [Fact]
    public async Task A_deletion_of_an_unknown_customer_leaves_a_tombstone()
    {
        await using var story = await Scenario.Start();

        await story.Deleted();

        Assert.Equal("Removed", story.State);
        Assert.Empty(story.Take());
    }

    [Fact]
    public async Task A_delete_waits_for_the_command_in_flight()
    {
        await using var story = await Scenario.Start();
        await story.Snapshot(("name", "Ann"));
        story.Take();

        await story.Deleted();

        Assert.Equal("Removing", story.State);
        Assert.Empty(story.Take());
        await story.Answer(Crm);
        Assert.Equal(Operation.Delete, Assert.Single(story.TakePushes()).Operation);
    }

    [Fact]
    public async Task A_refused_deletion_keeps_the_customer_in_removal_until_an_operator_decides()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.Answer(Crm);

        var refusal = story.Report(Billing) with
        {
            Ack = story.Sent(Billing)!.Id,
            Outcome = Outcome.Refused,
            Reason = "has a live subscription",
        };
        Assert.Null(await story.Send(refusal));

        Assert.Equal("Removing", story.State);
        Assert.Equal("deletion-refused billing", story.Customer.Attention);
        Assert.Empty(story.Customer.Behind);

        Assert.Null(await story.Send(Requests.Ignore()));

        Assert.Equal("Removed", story.State);
        Assert.Equal("kept", story.Customer.System(Billing).Brake);
    }

    [Fact]
    public async Task A_retried_deletion_is_asked_again()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.Answer(Crm);
        Assert.Null(
            await story.Send(
                story.Report(Billing) with
                {
                    Ack = story.Sent(Billing)!.Id,
                    Outcome = Outcome.Refused,
                    Reason = "has a live subscription",
                }
            )
        );
        story.Take();

        Assert.Null(await story.Send(Requests.Retry(Billing)));

        Assert.Equal(Operation.Delete, Assert.Single(story.TakePushes()).Operation);
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
    }

    [Fact]
    public async Task A_removed_id_created_again_is_dropped_and_parked()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        story.Take();

        await story.Snapshot(("name", "Ann"));

        Assert.Equal("Removed", story.State);
        Assert.Equal("recreated product", story.Customer.Attention);
        Assert.Empty(story.Take());
        Assert.Empty(story.Customer.Golden);
    }

    [Fact]
    public async Task A_late_create_of_ours_after_the_removal_is_answered_with_a_delete()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        story.Take();

        Assert.Null(await story.Send(story.Report(Crm) with { ExternalId = "crm-late" }));

        Assert.Equal("Removing", story.State);
        var delete = Assert.Single(story.TakePushes());
        Assert.Equal((Operation.Delete, "crm-late"), (delete.Operation, delete.ExternalId));
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
        Assert.Empty(story.Customer.Golden);
    }

    [Fact]
    public async Task An_object_undeleted_by_a_person_waits_for_a_person()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        story.Take();

        Assert.Null(await story.Send(story.Report(Crm) with { Undelete = true }));

        Assert.Equal("Removed", story.State);
        Assert.Equal("undeleted crm", story.Customer.Attention);
        Assert.Empty(story.Take());
    }

    /// <summary>
    /// Only a feed that saw the deletion itself can say "undeleted". After a restart it cannot, and the account was deleted
    /// again as often as a person took it out of the bin.
    /// </summary>
    [Fact]
    public async Task An_object_that_went_away_and_stands_there_again_waits_for_a_person_whoever_tells_of_it()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        story.Take();

        Assert.Null(await story.Send(story.Report(Crm)));

        Assert.Equal("Removed", story.State);
        Assert.Equal("undeleted crm", story.Customer.Attention);
        Assert.Empty(story.Take());
    }

    [Fact]
    public async Task A_held_deletion_asks_nobody_for_anything_until_it_is_released()
    {
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });

        await story.Gone(Billing);
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));

        Assert.Equal("Live", story.State);
        Assert.Equal("deletion-held billing", story.Customer.Attention);
        Assert.Equal([Crm], story.TakePushes().Select(p => p.System));

        Assert.Null(await story.Send(Requests.Release(Billing, spread: true)));

        Assert.Equal("Removing", story.State);
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
    }

    [Fact]
    public async Task A_restored_object_starts_a_new_generation_and_older_reports_are_dropped()
    {
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });
        await story.Gone(Billing);
        var old = story.Report(Billing, ("email", "old@example.com"));

        Assert.Null(await story.Send(Requests.Release(Billing, spread: false)));

        var create = Assert.Single(story.TakePushes());
        Assert.Equal((Operation.Create, 1), (create.Operation, create.Generation));
        Assert.Null(await story.Send(old with { Obs = story.NextObs(Billing) }));
        Assert.Equal("ann@example.com", story.Golden("email"));
        // The object of the earlier life must not become the new one's.
        Assert.Null(story.Customer.System(Billing).Ext);
        await story.AnswerAll();
        Assert.Equal("Live", story.State);
        Assert.Null(story.Customer.Attention);
    }

    [Fact]
    public async Task A_deletion_undone_while_it_is_held_is_over()
    {
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });
        await story.Gone(Billing);

        Assert.Null(await story.Send(story.Report(Billing) with { Undelete = true }));

        Assert.Equal("Live", story.State);
        Assert.Null(story.Customer.Attention);
        Assert.False(story.Customer.System(Billing).Gone);
    }

    [Fact]
    public async Task A_refused_value_is_not_asked_again_until_golden_changes()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Zz9"));
        story.Take();

        var refusal = story.Report(Billing) with
        {
            Ack = story.Sent(Billing)!.Id,
            Outcome = Outcome.Refused,
            Refused = new() { ["phone"] = "Zz9" },
        };
        Assert.Null(await story.Send(refusal));

        // The rest of the command is asked for without the refused field.
        Assert.Equal(["name"], Assert.Single(story.TakePushes()).Write.Keys);
        Assert.Equal("value-refused billing phone", story.Customer.Attention);
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);
        story.Take();

        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Yy8"));

        Assert.Equal("Yy8", story.TakePushes().Single(p => p.System == Billing).Write["phone"]);
        Assert.Null(story.Customer.Attention);
    }

    [Fact]
    public async Task A_refused_value_is_asked_again_on_retry()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Ann"), ("email", "ann@example.com"), ("phone", "Zz9"));
        Assert.Null(
            await story.Send(
                story.Report(Billing) with
                {
                    Ack = story.Sent(Billing)!.Id,
                    Outcome = Outcome.Refused,
                    Refused = new() { ["phone"] = "Zz9" },
                }
            )
        );
        story.Take();

        Assert.Null(await story.Send(Requests.Retry(Billing)));

        Assert.Equal("Zz9", Assert.Single(story.TakePushes()).Write["phone"]);
    }

    [Fact]
    public async Task A_command_refused_as_a_whole_is_not_asked_again_until_golden_changes()
    {
        await using var story = await Scenario.Start();
        await story.Snapshot(("email", "ann@example.com"));
        story.Take();

        Assert.Null(
            await story.Send(
                new CustomerReported
                {
                    System = Crm,
                    CustomerId = Scenario.Id,
                    Generation = 0,
                    Obs = story.NextObs(Crm),
                    Ack = story.Sent(Crm)!.Id,
                    Outcome = Outcome.Refused,
                    Reason = "a required field is missing",
                }
            )
        );

        Assert.Empty(story.Take());
        Assert.Equal("command-refused crm", story.Customer.Attention);
        await story.Snapshot(("email", "ann@example.com"), ("name", "Ann"));
        Assert.Equal(Operation.Create, story.TakePushes().Single(p => p.System == Crm).Operation);
        Assert.Null(story.Customer.Attention);
    }

    [Fact]
    public async Task An_object_is_not_created_empty_where_every_value_was_refused()
    {
        await using var story = await Scenario.Start();
        await story.Snapshot(("email", "ann@example.com"), ("name", "Ann"));
        var sent = story.Sent(Crm)!;
        story.Take();

        Assert.Null(
            await story.Send(
                new CustomerReported
                {
                    System = Crm,
                    CustomerId = Scenario.Id,
                    Generation = 0,
                    Obs = story.NextObs(Crm),
                    Ack = sent.Id,
                    Outcome = Outcome.Refused,
                    Refused = sent.Write.ToWire(),
                }
            )
        );

        Assert.Empty(story.Take());
        Assert.Equal("value-refused crm name,email", story.Customer.Attention);
        Assert.DoesNotContain(Crm, story.Customer.Behind);
        Assert.Null(await story.Send(Requests.Retry(Crm)));
        Assert.Equal(["email", "name"], Assert.Single(story.TakePushes()).Write.Keys.Order());
    }

    [Fact]
    public async Task What_was_ignored_is_seen_again_when_the_reason_changes()
    {
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });
        await story.Gone(Billing);

        Assert.Null(await story.Send(Requests.Ignore()));
        Assert.Null(story.Customer.Attention);
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        Assert.Null(story.Customer.Attention);
        await story.AnswerAll();

        Assert.Null(await story.Send(story.Report(Billing) with { Undelete = true }));
        await story.AnswerAll();
        await story.Gone(Billing);
        Assert.Equal("deletion-held billing", story.Customer.Attention);
    }

    [Fact]
    public async Task A_partial_snapshot_is_refused_by_path_and_nothing_of_it_is_used()
    {
        await using var story = await Scenario.InStep();
        var before = States.Text(story.Customer);
        var partial = Scenario.ProductSays(++story.Revision, applied: null, ("name", "Bea"));
        partial.Customer.Remove("phone");

        var fault = Assert.IsType<RefusedMessageException>(await story.Send(partial));

        Assert.Equal("schema", fault.ReasonCode);
        Assert.Contains("phone", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Bea", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("name", fault.Message, StringComparison.Ordinal);
        Assert.Equal(before, States.Text(story.Customer));
    }

    [Fact]
    public async Task An_attribute_missing_in_a_present_map_is_an_empty_one()
    {
        await using var story = await Scenario.InStep(OneOwner("product"), ("attributes.tier", "gold"));
        story.Take();
        var cleared = Scenario.ProductSays(
            ++story.Revision,
            applied: null,
            ("name", "Ann"),
            ("email", "ann@example.com"),
            ("phone", "Ab1")
        );
        cleared.Customer.Remove("attributes.tier");
        cleared.Customer.HasAttributes = true;

        Assert.Null(await story.Send(cleared));

        Assert.Null(story.Golden("attributes.tier"));
        Assert.Equal([Crm], story.TakePushes().Select(p => p.System));
    }

    [Fact]
    public async Task A_product_without_attributes_is_never_asked_for_one()
    {
        await using var story = await Scenario.Start(OneOwner("any"));
        var snapshot = Scenario.ProductSays(++story.Revision, applied: null, ("name", "Ann"));
        snapshot.Customer.Remove("attributes.tier");
        Assert.Null(await story.Send(snapshot));
        await story.Answer(Billing);
        await story.Answer(Crm);
        story.Take();

        await story.Edit(Crm, ("attributes.tier", "gold"));

        Assert.Equal("gold", story.Golden("attributes.tier"));
        Assert.Empty(story.Take());
        Assert.Empty(story.Customer.Behind);
    }

    [Fact]
    public async Task A_value_that_no_database_takes_is_refused_by_path()
    {
        await using var story = await Scenario.Start();

        var fault = Assert.IsType<RefusedMessageException>(
            await story.Send(Scenario.ProductSays(1, applied: null, ("name", "nul\0inside")))
        );

        Assert.Equal("schema", fault.ReasonCode);
        Assert.StartsWith("name:", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("inside", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_report_of_an_unknown_system_is_refused()
    {
        await using var story = await Scenario.InStep();

        var fault = Assert.IsType<RefusedMessageException>(
            await story.Send(
                new CustomerReported
                {
                    System = "fax",
                    CustomerId = Scenario.Id,
                    Generation = 0,
                    Obs = 1,
                }
            )
        );

        Assert.Equal("unknown-system", fault.ReasonCode);
    }

    [Fact]
    public async Task A_report_about_an_unknown_customer_parks_the_object_and_makes_nobody()
    {
        await using var story = await Scenario.Start();

        Assert.Null(
            await story.Send(
                new CustomerReported
                {
                    System = Crm,
                    CustomerId = Scenario.Id,
                    Generation = 0,
                    Obs = 1,
                    ExternalId = "crm-1",
                    Fields = [],
                }
            )
        );

        Assert.Null(story.Found);
        var parked = Assert.IsType<Sync.Contracts.Requests.ObjectParked>(Assert.Single(story.Take()));
        Assert.Equal(("crm-1", "unknown customer"), (parked.ExternalId, parked.Reason));
    }

    [Fact]
    public async Task A_request_without_a_meaning_in_a_state_is_a_row_that_says_so()
    {
        await using var story = await Scenario.InStep();
        await story.Deleted();
        await story.AnswerAll();
        object[] requests =
        [
            Requests.Retry(null),
            Requests.TakeSide("name", "golden"),
            Requests.Release(Crm, spread: true),
            Requests.Resync(null),
            Requests.ReleaseLoop(),
        ];

        foreach (var request in requests)
        {
            Assert.Null(await story.Send(request));
            var row = story.Harness.Caught.Timeline[^1];
            Assert.Equal(
                ("kim", "the customer is Removed; the request changed nothing"),
                (row.RequestedBy, row.Reason)
            );
        }

        Assert.Equal(requests.Length, story.Codes.Count(c => c.StartsWith("operator.", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_request_about_an_unknown_customer_is_refused()
    {
        await using var story = await Scenario.Start();

        var fault = Assert.IsType<RefusedMessageException>(await story.Send(Requests.Retry(Crm)));

        Assert.Equal("unknown-customer", fault.ReasonCode);
    }

    [Fact]
    public async Task A_product_that_is_only_read_never_gets_a_command()
    {
        await using var story = await Scenario.InStep(OneWay);

        await story.Edit(Crm, ("email", "new@example.com"));

        // What the product has is its own alone: the edit is put back.
        Assert.Equal("ann@example.com", story.Golden("email"));
        var push = Assert.Single(story.Take().Cast<PushCustomer>());
        Assert.Equal((Crm, "ann@example.com"), (push.System, push.Write["email"]));
        await story.AnswerAll();
        Assert.Empty(story.Customer.Behind);

        await story.Gone(Crm);
        Assert.Equal("Live", story.State);
        Assert.Equal("deletion-held crm", story.Customer.Attention);
        Assert.Null(await story.Send(Requests.Release(Crm, spread: true)));
        await story.AnswerAll();
        Assert.Equal("Removed", story.State);
        Assert.Empty(story.Harness.Caught.Messages.OfType<CustomerCommand>());
    }

    [Fact]
    public async Task A_lower_revision_of_the_product_is_ignored_and_told_and_a_repeat_is_silent()
    {
        await using var story = await Scenario.InStep();
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        await story.AnswerAll();
        story.Take();
        var rows = story.Harness.Caught.Timeline.Count;

        Assert.Null(
            await story.Send(
                Scenario.ProductSays(
                    story.Revision,
                    applied: null,
                    ("name", "Bea"),
                    ("email", "ann@example.com"),
                    ("phone", "Ab1")
                )
            )
        );
        Assert.Equal(rows, story.Harness.Caught.Timeline.Count);

        Assert.Null(await story.Send(Scenario.ProductSays(1, applied: null, ("name", "Old"))));
        Assert.Null(await story.Send(Scenario.ProductSays(story.Revision, applied: null, ("name", "Other"))));

        Assert.Equal("Bea", story.Golden("name"));
        Assert.Empty(story.Take());
        Assert.Equal(
            [Codes.RevisionBackwards, Codes.RevisionNotRaised],
            story.Harness.Caught.Timeline.Skip(rows).Select(t => t.Code)
        );

        await story.Deleted();
        await story.AnswerAll();
        rows = story.Harness.Caught.Timeline.Count;
        Assert.Null(await story.Send(new CustomerDeleted { CustomerId = Scenario.Id, Revision = story.Revision }));
        Assert.Equal(rows, story.Harness.Caught.Timeline.Count);
    }

    [Fact]
    public async Task A_resync_has_every_linked_object_read_again_and_changes_no_state()
    {
        await using var story = await Scenario.InStep();
        var before = States.Text(story.Customer);

        Assert.Null(await story.Send(Requests.Resync(system: null)));

        var pushes = story.TakePushes();
        Assert.Equal(Vendors, pushes.Select(p => p.System));
        Assert.All(pushes, p => Assert.Equal(Operation.Read, p.Operation));
        Assert.Equal(before, States.Text(story.Customer));
    }

    [Fact]
    public async Task Another_mapping_is_warned_of_once()
    {
        await using var story = await Scenario.InStep();

        for (var i = 0; i < 3; i++)
            Assert.Null(await story.Send(story.Report(Crm) with { ConfigHash = "other" }));
        Assert.Null(await story.Send(story.Report(Crm) with { ConfigHash = Config.Hash }));

        Assert.Single(story.Harness.Logs, line => line.StartsWith("Warning 1002", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Logs_and_timeline_hold_identifiers_paths_and_codes_but_no_value()
    {
        await using var story = await Scenario.InStep(null, ("address.city", "Secretville"));
        await story.Edit(Crm, ("email", "private@example.com"), ("address.city", "Hiddenburg"));
        await story.AnswerAll();
        // A conflict that crm loses, and one that it wins.
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"));
        await story.Edit(Crm, ("name", "Loserson"), ("email", "winner@example.com"));
        Assert.Equal("Bea", story.Golden("name"));
        Assert.Equal("winner@example.com", story.Golden("email"));
        await story.AnswerAll();
        await story.Send(Scenario.ProductSays(1, applied: null, ("name", "Confidentia")));
        var partial = Scenario.ProductSays(++story.Revision, applied: null, ("name", "Confidentia"));
        partial.Customer.Remove("phone");
        var fault = await story.Send(partial);
        await story.Deleted();
        await story.AnswerAll();

        var told = string.Join(
            '\n',
            [
                .. story.Harness.Logs.Where(line => !line.Contains(" 0 ", StringComparison.Ordinal)),
                .. story.Harness.Caught.Timeline.Select(t => System.Text.Json.JsonSerializer.Serialize(t)),
                fault!.Message,
            ]
        );
        Assert.All(
            (string[])
                [
                    "Secretville",
                    "Hiddenburg",
                    "private@",
                    "Confidentia",
                    "Loserson",
                    "winner@",
                    "ann@example.com",
                    "\"Ann\"",
                    "Ab1",
                    "AB1",
                ],
            value => Assert.DoesNotContain(value, told, StringComparison.Ordinal)
        );
        Assert.Contains("address.city", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_that_failed_and_is_tried_again_is_decided_anew_and_once()
    {
        await using var story = await Scenario.Start();
        story.Harness.Caught.FailNext = new InvalidOperationException("on purpose");

        Assert.NotNull(await story.Send(Scenario.ProductSays(++story.Revision, applied: null, ("name", "Ann"))));
        Assert.Null(story.Found);
        await story.Snapshot(("name", "Bea"));

        Assert.All(story.TakePushes(), p => Assert.Equal("Bea", p.Write["name"]));
        Assert.Equal("Bea", story.Golden("name"));
        Assert.Equal(2, story.Customer.System(Product).Obs);
        Assert.Equal(Vendors, story.Customer.Behind);
    }
}

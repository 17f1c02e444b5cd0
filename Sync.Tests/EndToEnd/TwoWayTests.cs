using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Sync.Sandbox.Demo;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Salesforce.Events;
using Sync.Sandbox.Stripe;
using Sync.Tests.Orchestrator;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>People who edit everywhere at once, vendors that say nothing, say it twice or say nonsense: over real processes.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class TwoWayTests(RunningStack running)
{
    const string P = RunningStack.Personal;

    FlowRun Run => running.Run;

    // ---- conflicts ----

    [Fact]
    public async Task Of_one_field_that_goes_to_the_latest_all_places_end_with_one_of_two_edits_of_one_moment()
    {
        var id = await Customer("latest");

        await AtOnce(
            Change(Place.Stripe, id, "phone", "+442079460011"),
            Change(Place.Salesforce, id, "phone", "+442079460022")
        );

        await Run.InStep(id);
        Assert.Contains(Value(Place.Product, id, "phone"), (string[])["+442079460011", "+442079460022"]);
    }

    [Fact]
    public async Task Of_one_field_that_the_product_owns_its_edit_wins_over_another_of_the_same_moment()
    {
        var id = await Customer("owner");

        await AtOnce(
            Change(Place.Salesforce, id, "address.city", "Bristol"),
            Change(Place.Product, id, "address.city", "Leeds")
        );

        // In step before either was heard of says nothing.
        await Run.Until(
            "the product's city everywhere",
            () => Place.All.All(place => Value(place, id, "address.city") == "Leeds"),
            () => "another city"
        );
        await Run.InStep(id);
    }

    [Fact]
    public async Task Of_one_field_whose_conflicts_are_held_both_edits_of_one_moment_stay_until_a_person_decides()
    {
        var id = await Customer("hold");

        await AtOnce(
            Change(Place.Stripe, id, "attributes.tier", "silver"),
            Change(Place.Salesforce, id, "attributes.tier", "bronze")
        );

        await Attention(id, "conflict-held", "attributes.tier");
        Assert.Equal("silver", Value(Place.Stripe, id, "attributes.tier"));
        Assert.Equal("bronze", Value(Place.Salesforce, id, "attributes.tier"));
        // The customer is not stuck: what is not in conflict goes on.
        await Change(Place.Stripe, id, "phone", "+442079460033")();
        await Run.Until(
            "the phone everywhere",
            () => Place.All.All(place => Value(place, id, "phone") == "+442079460033"),
            () => "another phone"
        );
    }

    /// <summary>What came first is the golden record's by then, and what came second is held beside it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_person_ends_a_held_conflict_and_the_side_that_was_taken_is_everywhere(bool golden)
    {
        var id = await Customer($"take-{(golden ? "golden" : "other")}");
        await AtOnce(
            Change(Place.Stripe, id, "attributes.tier", "silver"),
            Change(Place.Salesforce, id, "attributes.tier", "bronze")
        );
        await Attention(id, "conflict-held", "attributes.tier");
        var sides = JsonNode
            .Parse(
                await running.Postgres.Scalar<string>(
                    $"select held #>> array['fields', 'attributes.tier'] from sync.customer where customer_id = '{id}'"
                )
            )!
            .AsObject()
            .ToDictionary(side => side.Key, side => (string)side.Value!, StringComparer.Ordinal);
        Assert.Equal(["bronze", "silver"], sides.Values.Order(StringComparer.Ordinal));
        var (taken, value) = sides.Single(side => (side.Key == "golden") == golden);

        var printed = await CommandLineStage.Run(
            running
                .Stack.OrchestratorSettings()
                .ToDictionary(s => s.Key.Replace("__", ":", StringComparison.Ordinal), s => (string?)s.Value),
            typed: null,
            ["customer", "take", id, "attributes.tier", taken, "--wait", "180"]
        );

        Assert.True(printed.ExitCode == 0, printed.Out + printed.Error);
        await Run.Until(
            "the value of the side that was taken everywhere",
            () => Place.All.All(place => Value(place, id, "attributes.tier") == value),
            () => string.Join(", ", Place.All.Select(place => Value(place, id, "attributes.tier")))
        );
        await Run.InStep(id);
    }

    [Fact]
    public async Task Different_fields_of_one_customer_edited_in_three_places_at_once_all_survive()
    {
        var id = await Customer("three");

        await AtOnce(
            Change(Place.Product, id, "name", $"{P} Three"),
            Change(Place.Stripe, id, "phone", "+442079460044"),
            Change(Place.Salesforce, id, "address.city", "Cardiff")
        );

        await Run.Until(
            "all three edits in all three places",
            () =>
                Place.All.All(place =>
                    Value(place, id, "name") == $"{P} Three"
                    && Value(place, id, "phone") == "+442079460044"
                    && Value(place, id, "address.city") == "Cardiff"
                ),
            () => "one of them is not there"
        );
        await Run.InStep(id);
    }

    // ---- identity ----

    /// <summary>
    /// The product decides who is one person, and both records may have been there before it did: the one that the customer
    /// does not have waits for a person, and is never a second customer.
    /// </summary>
    [Fact]
    public async Task One_new_person_reported_by_two_vendors_at_once_is_one_customer()
    {
        var email = Address("newcomer");
        var form = new Dictionary<string, string?> { ["name"] = $"{P} Newcomer", ["email"] = email };

        await AtOnce(Create(Place.Stripe, form), Create(Place.Salesforce, form));

        var id = await CustomerWith(email);
        await Run.InStep(id);
        foreach (var place in (Place[])[Place.Stripe, Place.Salesforce])
        {
            var records = place.WithEmail(Run.Sandbox, email);
            if (records.Count > 1)
                await Parked(records.Select(record => (string)record[place.IdField]!), "duplicate");
            Assert.InRange(records.Count, 1, 2);
        }

        Assert.Single(Place.Product.WithEmail(Run.Sandbox, email));
    }

    [Fact]
    public async Task Of_two_new_records_of_one_person_in_one_vendor_one_is_the_customer_and_one_waits_for_a_person()
    {
        var email = Address("twins");
        var form = new Dictionary<string, string?> { ["name"] = $"{P} Twin", ["email"] = email };

        await AtOnce(Create(Place.Stripe, form), Create(Place.Stripe, form));

        var id = await CustomerWith(email);
        await Run.InStep(id);
        var records = Place.Stripe.WithEmail(Run.Sandbox, email).Select(record => (string)record["id"]!).ToList();
        Assert.Equal(2, records.Count);
        await Parked(records, "duplicate");
        Assert.Single(Place.Salesforce.WithEmail(Run.Sandbox, email));
    }

    [Fact]
    public async Task A_record_with_the_id_of_another_customer_waits_for_a_person_and_that_customer_goes_on()
    {
        var id = await Customer("copied");
        var form = Place.Stripe.Form(
            new Dictionary<string, string?> { ["name"] = $"{P} Copy", ["email"] = Address("copy") }
        );
        form["metadata"] = new JsonObject { ["customer_id"] = id };
        var own = (string)Assert.Single(Run.Eyes.Stripe()[id])["id"]!;

        await Run.Send(HttpMethod.Post, Place.Stripe.Root, form);

        var copy = (string)Run.Eyes.Stripe()[id].Single(record => (string)record["id"]! != own)["id"]!;
        await Parked([copy], "duplicate");
        await Run.Change(id, """{ "phone": "+442079460055" }""");
        await Run.Until(
            "the customer's own record and its account follow",
            () =>
                (string?)Run.Eyes.Stripe()[id].Single(record => (string)record["id"]! == own)["phone"]
                    == "+442079460055"
                && Value(Place.Salesforce, id, "phone") == "+442079460055",
            () => "another phone"
        );
        Assert.Null((string?)Run.Eyes.Stripe()[id].Single(record => (string)record["id"]! == copy)["phone"]);
    }

    // ---- echo ----

    [Fact]
    public async Task What_a_vendor_trims_and_writes_in_lower_case_is_written_once()
    {
        var id = await Customer("form");
        Run.CountCalls();

        await Run.Change(
            id,
            new JsonObject
            {
                ["name"] = $"{P} Trimmed  ",
                ["email"] = Address("another-form").ToUpperInvariant(),
                ["phone"] = " +442079460066 ",
            }
        );
        await Run.InStep(id);
        // A later change of the same feed: when it is here, what the first write came back as was heard.
        await Change(Place.Salesforce, id, "address.city", "Truro")();
        await Run.Until(
            "the later edit in Stripe",
            () => Value(Place.Stripe, id, "address.city") == "Truro",
            () => "another city"
        );
        await Run.InStep(id);

        Assert.Equal(1, Place.Salesforce.Writes(Run.Sandbox));
        Assert.Equal(2, Place.Stripe.Writes(Run.Sandbox));
        Assert.Equal(Address("another-form"), Value(Place.Salesforce, id, "email"));
        Assert.Equal(Address("another-form").ToUpperInvariant(), Value(Place.Stripe, id, "email"));
    }

    [Fact]
    public async Task What_a_vendor_cuts_off_is_written_once_and_lost_nowhere_else()
    {
        const int kept = 20;
        var id = await Customer("cut");
        var name = $"{P} of a name that one system keeps the beginning of";
        var salesforce = Run.Sandbox.Salesforce;
        salesforce.BeforeSave = (field, value) => field == "Name" && value?.Length > kept ? value[..kept] : value;
        try
        {
            Run.CountCalls();
            await Run.Change(id, new JsonObject { ["name"] = name });
            await Run.Until(
                "the name in Stripe, and its beginning in Salesforce",
                () => Value(Place.Stripe, id, "name") == name && Value(Place.Salesforce, id, "name") == name[..kept],
                () => "another name"
            );
            // Who edits before the adapter has looked at what became of its write is taken to have cut it.
            await Settled(id);
            // A later change of the same feed: when it is here, what the first write came back as was heard.
            await Change(Place.Salesforce, id, "address.city", "Truro")();
            await Run.Until(
                "the later edit everywhere",
                () => Place.All.All(place => Value(place, id, "address.city") == "Truro"),
                () => "another city"
            );
            await Settled(id);

            Assert.Equal(1, Place.Salesforce.Writes(Run.Sandbox));
            Assert.Equal(2, Place.Stripe.Writes(Run.Sandbox));
            Assert.Equal(name[..kept], Value(Place.Salesforce, id, "name"));
            Assert.All([Place.Product, Place.Stripe], place => Assert.Equal(name, Value(place, id, "name")));
        }
        finally
        {
            salesforce.BeforeSave = null;
        }
    }

    /// <summary>Everything is answered; not that the values are the same.</summary>
    Task Settled(string id) =>
        Eventually.Is(
            async () =>
                (await Run.Eyes.Saga([id], CancellationToken.None)).GetValueOrDefault(id)
                    is { State: "Live", Behind.Count: 0, Attention: null },
            "nothing is under way"
        );

    // ---- feeds ----

    [Fact]
    public async Task A_webhook_that_never_comes_is_caught_up_with()
    {
        var id = await Customer("lost");
        Run.Sandbox.Stripe.Webhooks.AddFault(new EventFaultOrder { Kind = EventFaultKind.Lose, Next = 1 });
        try
        {
            await Change(Place.Stripe, id, "phone", "+442079460077")();

            await Run.Until(
                "the phone everywhere",
                () => Place.All.All(place => Value(place, id, "phone") == "+442079460077"),
                () => "another phone"
            );
        }
        finally
        {
            Run.Sandbox.Stripe.Webhooks.ClearFaults();
        }
    }

    [Fact]
    public async Task While_change_events_do_not_come_the_sweep_tells_and_a_lost_place_in_them_is_a_gap_that_closes()
    {
        var id = await Customer("swept");
        var gaps = await Gaps();
        await Run.Sandbox.AddFault(new FaultOrder { Vendor = PubSub.Vendor, Kind = FaultKind.Down });
        try
        {
            await Change(Place.Salesforce, id, "phone", "+442079460088")();

            await Run.Until(
                "the phone everywhere",
                () => Place.All.All(place => Value(place, id, "phone") == "+442079460088"),
                () => "another phone"
            );
            Run.Sandbox.Salesforce.Events.Expire();
        }
        finally
        {
            await Run.Sandbox.ClearFaults(PubSub.Vendor);
        }

        await ClosedGap(gaps);
        await Change(Place.Salesforce, id, "phone", "+442079460089")();
        await Run.Until(
            "the next phone everywhere",
            () => Place.All.All(place => Value(place, id, "phone") == "+442079460089"),
            () => "another phone"
        );
    }

    [Fact]
    public async Task An_event_of_a_schema_that_nobody_knows_is_a_gap_with_a_reason_and_the_next_one_is_followed()
    {
        var id = await Customer("schema");
        var gaps = await Gaps();

        Run.Sandbox.Salesforce.Events.Append(
            "nobody-knows-this-one",
            [
                [1, 2, 3],
            ]
        );
        await Change(Place.Salesforce, id, "phone", "+442079460090")();

        await ClosedGap(gaps);
        await Run.Until(
            "the phone everywhere",
            () => Place.All.All(place => Value(place, id, "phone") == "+442079460090"),
            () => "another phone"
        );
    }

    // ---- bad input ----

    [Fact]
    public async Task No_webhook_that_is_forged_replayed_cut_off_or_too_large_is_believed_and_nobody_waits()
    {
        var id = await Customer("forged");
        var record = (string)Assert.Single(Run.Eyes.Stripe()[id])["id"]!;
        var body =
            $$"""{ "id": "evt_forged", "object": "event", "type": "customer.deleted", "data": { "object": { "id": "{{record}}", "object": "customer" } } }""";
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        Run.CountCalls();

        Assert.Equal(HttpStatusCode.BadRequest, await Knock(body, null));
        Assert.Equal(HttpStatusCode.BadRequest, await Knock(body, Signature(body, now, "whsec_somebody_elses")));
        Assert.Equal(HttpStatusCode.BadRequest, await Knock(body, Signature(body, now - 3_600)));
        Assert.Equal(HttpStatusCode.BadRequest, await Knock(body[..^20], Signature(body, now)));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await Knock(new string('x', 300_000), Signature("x", now)));
        // Stripe's own hand, and yet no event: it is kept for a person.
        Assert.Equal(HttpStatusCode.OK, await Knock(body[..^20], Signature(body[..^20], now)));

        await Run.Until(
            "the one that cannot be read is a dead letter with a reason",
            async () =>
                await running.Postgres.Scalar<long>(
                    "select count(*) from stripe.dead_letter where direction = 'webhook' and reason_code = 'schema' and reason <> ''"
                ) == 1
                    ? []
                    : ["there is none"]
        );
        await Change(Place.Stripe, id, "phone", "+442079460091")();
        await Run.Until(
            "the phone everywhere",
            () => Place.All.All(place => Value(place, id, "phone") == "+442079460091"),
            () => "another phone"
        );
        Assert.Equal(0, Place.Stripe.Writes(Run.Sandbox));
    }

    [Fact]
    public async Task A_value_too_long_for_another_vendor_is_refused_there_by_field_and_limit_and_the_others_have_it()
    {
        var id = await Customer("long");
        var name = P + new string('n', 256 - P.Length);

        await Change(Place.Stripe, id, "name", name)();

        await Attention(id, "value-refused salesforce", "name");
        Assert.Equal(name, Value(Place.Product, id, "name"));
        Assert.Equal($"{P} long", Value(Place.Salesforce, id, "name"));
        Assert.Contains(
            await Run.Eyes.Timeline(id, "answered.refused", Run.Cancelled),
            reason => reason.Contains("255", StringComparison.Ordinal)
        );
    }

    [Theory]
    [InlineData("stripe", "customers.update")]
    [InlineData("salesforce", "account.update")]
    public async Task A_vendor_that_answers_200_with_nonsense_is_a_named_reason_and_delays_nobody_else(
        string vendor,
        string operation
    )
    {
        var id = await Customer($"nonsense-{vendor}");
        var other = vendor == "stripe" ? Place.Salesforce : Place.Stripe;
        await Run.Sandbox.AddFault(
            new FaultOrder
            {
                Vendor = vendor,
                Kind = FaultKind.Nonsense,
                Operation = operation,
            }
        );
        try
        {
            await Run.Change(id, """{ "phone": "+442079460092" }""");

            await Run.Until(
                "the other vendor has it",
                () => Value(other, id, "phone") == "+442079460092",
                () => "it has not"
            );
            await Run.Until(
                "the lane says why it waits",
                async () =>
                    await running.Postgres.Scalar<long>(
                        $"select count(*) from {vendor}.link where lane = 'customer:{id}' and reason <> '' and attempts > 0"
                    ) == 1
                        ? []
                        : ["it does not"]
            );

            // Nor a neighbour at the same vendor: what is nonsense here is an answer to an update, and this one is created.
            await Customer($"nonsense-{vendor}-neighbour");
        }
        finally
        {
            await Run.Sandbox.ClearFaults(vendor);
        }

        await Run.InStep(id);
    }

    // ---- hands and eyes ----

    async Task<string> Customer(string about)
    {
        var id = $"e2e-two-way-{about}";
        await Run.Create(
            id,
            new JsonObject
            {
                ["name"] = $"{P} {about}",
                ["email"] = Address(about),
                ["phone"] = "+442079460001",
                ["address"] = new JsonObject { ["city"] = "London" },
                ["attributes"] = new JsonObject { ["tier"] = "gold" },
            }.ToJsonString()
        );
        await Run.InStep(id);
        return id;
    }

    static string Address(string about) => $"{about}.{P}@example.org".ToLowerInvariant();

    Func<Task> Create(Place place, IReadOnlyDictionary<string, string?> values) =>
        () => Run.Send(HttpMethod.Post, place.Root, place.Form(values));

    Func<Task> Change(Place place, string id, string path, string value)
    {
        var record = Record(place, id);
        return () =>
            Run.Send(
                HttpMethod.Patch,
                $"{place.Root}/{Uri.EscapeDataString((string)record[place.IdField]!)}",
                place.Form(new Dictionary<string, string?> { [path] = value })
            );
    }

    static Task AtOnce(params Func<Task>[] edits) => Task.WhenAll(edits.Select(edit => edit()));

    string? Value(Place place, string id, string path) => place.Read(Record(place, id), path);

    JsonObject Record(Place place, string id) =>
        place == Place.Product ? place.Live(Run.Sandbox).Single(record => (string?)record["id"] == id)
        : place == Place.Stripe ? Assert.Single(Run.Eyes.Stripe()[id])
        : Assert.Single(Run.Eyes.Salesforce()[id]);

    async Task<string> CustomerWith(string email)
    {
        await Run.Until(
            "the product has one customer with this e-mail",
            () => Place.Product.WithEmail(Run.Sandbox, email).Count == 1,
            () => $"{Place.Product.WithEmail(Run.Sandbox, email).Count}"
        );
        return (string)Place.Product.WithEmail(Run.Sandbox, email)[0]["id"]!;
    }

    Task<TimeSpan> Attention(string id, string reason, string path) =>
        Run.Until(
            $"{reason} {path} waits for a person",
            async () =>
                (await Run.Eyes.Saga([id], Run.Cancelled)).GetValueOrDefault(id) is { Behind: [] } row
                && row.Attention?.StartsWith(reason, StringComparison.Ordinal) == true
                && row.Attention.Contains(path, StringComparison.Ordinal)
                    ? []
                    : [$"{(await Run.Eyes.Saga([id], Run.Cancelled)).GetValueOrDefault(id)}"]
        );

    Task<TimeSpan> Parked(IEnumerable<string> records, string reason) =>
        Run.Until(
            "one of the records waits for a person, with its reason",
            async () =>
                await running.Postgres.Scalar<long>(
                    $"select count(*) from dashboard.attention where kind = 'object' and reason = '{reason}' and external_id in ({string.Join(", ", records.Select(record => $"'{record}'"))})"
                ) == 1
                    ? []
                    : ["none does"]
        );

    Task<long> Gaps() =>
        running.Postgres.Scalar<long>("select count(*) from sync.feed_gap where system = 'salesforce'");

    Task<TimeSpan> ClosedGap(long before) =>
        Run.Until(
            "a gap is recorded with its reason, and closed",
            async () =>
                await Gaps() > before
                && await running.Postgres.Scalar<long>(
                    "select count(*) from sync.feed_gap where system = 'salesforce' and (state = 'open' or reason = '')"
                ) == 0
                    ? []
                    : [$"{await Gaps() - before} recorded"]
        );

    async Task<HttpStatusCode> Knock(string body, string? signature)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, running.Stack.WebhookAddress)
        {
            Content = new StringContent(body),
        };
        if (signature is not null)
            request.Headers.Add("Stripe-Signature", signature);
        using var answer = await http.SendAsync(request, Run.Cancelled);
        return answer.StatusCode;
    }

    string Signature(string body, long at, string? secret = null) =>
        $"t={at},v1="
        + Convert.ToHexStringLower(
            HMACSHA256.HashData(
                Encoding.UTF8.GetBytes(secret ?? running.Stack.WebhookSecret),
                Encoding.UTF8.GetBytes($"{at}.{body}")
            )
        );
}

using System.Text;
using Sync.Adapter.Links;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Events;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>An event says whom to look at; what is not as expected is a look, what cannot be read is said.</summary>
public sealed class EventReaderTests
{
    const string Endive = "2026-10-28.endive";
    static readonly Guid Command = new("3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11");

    static readonly EventReader Reader = new(new StripeMapping(TestMapping.Shipped), "test");

    static StripeEvent Read(string json) => Reader.Read(Encoding.UTF8.GetBytes(json));

    static StripeEvent.Told Told(string json) => Assert.IsType<StripeEvent.Told>(Read(json));

    static string Event(
        string type = "customer.updated",
        string version = Endive,
        string customer =
            """ "name": "Ada", "email": "ada@x.org", "phone": null, "address": null, "metadata": { "customer_id": "c-1" } """,
        string previous = "null",
        string request = "null",
        string more = ""
    ) =>
        $$"""
            { "id": "evt_1", "object": "event", "type": "{{type}}", "api_version": "{{version}}", "created": 1795000000{{more}},
              "request": {{request}}, "data": { "object": { "id": "cus_1", "object": "customer", {{customer}} }, "previous_attributes": {{previous}} } }
            """;

    [Fact]
    public void An_update_tells_the_whole_record_and_what_the_changed_fields_held()
    {
        var told = Told(
            Event(
                customer: """ "name": "Ada", "email": "", "address": { "line1": "L1", "city": null }, "metadata": { "customer_id": "c-1", "tier": "gold" } """,
                previous: """{ "name": "Bob", "address": { "line1": "Old" }, "metadata": { "tier": null } }"""
            )
        );

        Assert.Equal(("evt_1", DateTimeOffset.FromUnixTimeSeconds(1_795_000_000)), (told.Id, told.Created));
        Assert.Equal((HintKind.Updated, "cus_1", "c-1"), (told.Hint.Kind, told.Hint.ExternalId, told.Hint.CustomerId));
        Assert.Equal("Ada", told.Hint.Fields!["name"]);
        Assert.Equal("L1", told.Hint.Fields["address.line1"]);
        Assert.Null(told.Hint.Fields["email"]);
        Assert.Null(told.Hint.Fields["address.city"]);
        Assert.Equal("Bob", told.Hint.Previous!["name"]);
        Assert.Equal("Old", told.Hint.Previous["address.line1"]);
        Assert.DoesNotContain("email", told.Hint.Previous.Keys);
        Assert.DoesNotContain("address.city", told.Hint.Previous.Keys);
        Assert.Null(told.Hint.CommandId);
    }

    [Fact]
    public void An_address_that_was_not_there_before_held_nothing_in_any_of_its_fields()
    {
        var told = Told(Event(customer: """ "address": { "line1": "L1" } """, previous: """{ "address": null }"""));

        Assert.Null(told.Hint.Previous!["address.line1"]);
        Assert.Contains("address.city", told.Hint.Previous.Keys);
    }

    [Theory]
    [InlineData("customer.created", HintKind.Created)]
    [InlineData("customer.deleted", HintKind.Deleted)]
    public void Kinds_follow_the_type_and_never_the_object(string type, HintKind kind) =>
        Assert.Equal(kind, Told(Event(type, customer: """ "deleted": true """)).Hint.Kind);

    [Theory]
    [InlineData("2022-11-15")]
    [InlineData("2025-04-30.basil")]
    [InlineData("nonsense")]
    public void Another_api_version_is_a_look(string version) =>
        Assert.True(Told(Event(version: version)).Hint is { Kind: HintKind.Look, Fields: null, Previous: null });

    /// <summary>The SDK's own reader ends with a null reference there.</summary>
    [Theory]
    [InlineData("null")]
    [InlineData("7")]
    public void An_event_without_an_api_version_is_a_look(string version) =>
        Assert.True(
            Told(Event(version: "none").Replace("\"none\"", version, StringComparison.Ordinal)).Hint
                is { Kind: HintKind.Look, Fields: null }
        );

    [Theory]
    [InlineData(
        """{ "id": "req_1", "idempotency_key": "csync:test:upd:3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11" }""",
        true
    )]
    [InlineData(
        """{ "id": "req_1", "idempotency_key": "csync:test:upd:3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11:2" }""",
        true
    )]
    [InlineData(
        """{ "id": "req_1", "idempotency_key": "csync:other:upd:3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11" }""",
        false
    )]
    [InlineData("""{ "id": null, "idempotency_key": "3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11" }""", false)]
    [InlineData("\"req_1\"", false)]
    [InlineData("null", false)]
    public void Our_own_write_is_known_by_the_key_of_its_request_and_by_no_other(string request, bool ours) =>
        Assert.Equal(
            ours ? Command : null,
            Told(
                Event(
                    customer: $$""" "metadata": { "csync_command": "{{Command}}" } """,
                    previous: """{ "name": "x" }""",
                    request: request
                )
            ).Hint.CommandId
        );

    [Fact]
    public void A_change_of_the_stamp_is_that_commands_write()
    {
        var told = Told(
            Event(
                customer: $$""" "metadata": { "csync_command": "{{Command}}" } """,
                previous: """{ "metadata": { "csync_command": null } }"""
            )
        );

        Assert.Equal(Command, told.Hint.CommandId);
    }

    [Theory]
    [InlineData("invoice.paid", "")]
    [InlineData("customer.subscription.updated", "")]
    [InlineData("customer.updated", ", \"account\": \"acct_other\"")]
    public void What_is_not_about_our_customers_is_ignored(string type, string more) =>
        Assert.IsType<StripeEvent.Ignored>(Read(Event(type, more: more)));

    [Fact]
    public void A_thin_event_is_a_look()
    {
        var told = Told(
            """
            { "id": "evt_t", "object": "v2.core.event", "type": "v1.customer.updated", "created": "2026-11-24T10:00:00.123Z",
              "related_object": { "id": "cus_9", "type": "customer", "url": "/v1/customers/cus_9" } }
            """
        );

        Assert.True(told.Hint is { ExternalId: "cus_9", Kind: HintKind.Look, Fields: null });
        Assert.IsType<StripeEvent.Ignored>(
            Read("""{ "id": "evt_t", "object": "v2.core.event", "type": "v1.billing.meter.error", "created": "x" }""")
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"customer.updated\",\"created\":1")]
    [InlineData("{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"customer.updated\",\"created\":1}")]
    [InlineData(
        "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"customer.updated\",\"created\":1,\"data\":{\"object\":{}}}"
    )]
    [InlineData(
        "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"customer.updated\",\"created\":\"x\",\"data\":{\"object\":{\"id\":\"cus_1\"}}}"
    )]
    [InlineData(
        "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"customer.updated\",\"created\":1,\"data\":{\"object\":{\"id\":\"cus\\n1\"}}}"
    )]
    [InlineData("{\"id\":\"evt_1\",\"object\":\"charge\",\"type\":\"customer.updated\"}")]
    public void What_cannot_be_read_is_said_without_its_values(string body)
    {
        var unreadable = Assert.IsType<StripeEvent.Unreadable>(Read(body));

        Assert.DoesNotContain("cus", unreadable.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_unreadable()
    {
        Assert.IsType<StripeEvent.Unreadable>(Reader.Read(new byte[] { 0xff, 0xfe, 0x00 }));
        byte[] body =
        [
            .. Encoding.UTF8.GetBytes("{\"id\":\"evt_"),
            0xc3,
            0x28,
            .. Encoding.UTF8.GetBytes("\",\"object\":\"event\"}"),
        ];
        Assert.IsType<StripeEvent.Unreadable>(Reader.Read(body));
    }

    [Theory]
    [InlineData(""" "name": 5 """)]
    [InlineData(""" "address": "Main St" """)]
    [InlineData(""" "metadata": [] """)]
    [InlineData(""" "name": "a\u0000b" """)]
    public void A_member_that_is_not_of_its_kind_makes_it_a_look(string customer) =>
        Assert.Equal(HintKind.Look, Told(Event(customer: customer)).Hint.Kind);

    [Theory]
    [InlineData("")]
    [InlineData("a\\u0007b")]
    public void A_note_under_our_key_that_is_no_id_makes_the_object_nobodys(string note) =>
        Assert.Null(Told(Event(customer: $$""" "metadata": { "customer_id": "{{note}}" } """)).Hint.CustomerId);

    [Theory]
    [InlineData("cus_1", """{"data":{"object":{"id":"cus_1"}}}""")]
    [InlineData(
        "cus_1",
        """{"data":{"previous_attributes":{"id":"cus_2"},"object":{"x":[{"id":"cus_3"}],"id":"cus_1","na"""
    )]
    [InlineData(null, """{"data":{"object":{"name":"cut off before the id""")]
    [InlineData(null, """{"data":{"object":{"id":"card_1"}}}""")]
    [InlineData(null, """{"data":{"object":{"id":"cus_ Ada"}}}""")]
    [InlineData(null, """{"data":{"object":{"id":"cus_\ud800"}}}""")]
    [InlineData(null, """{"data":{"object":{"id":7}}}""")]
    [InlineData(null, """{"data":{"object":"cus_1"}}""")]
    [InlineData(null, """{"data":[{"object":{"id":"cus_1"}}]}""")]
    [InlineData(null, """{"object":{"id":"cus_1"}}""")]
    [InlineData(null, "cus_1")]
    [InlineData(null, "")]
    public void The_customer_of_an_event_is_read_as_far_as_the_body_goes(string? expected, string body) =>
        Assert.Equal(expected, EventReader.CustomerOf(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void An_id_of_any_length_or_depth_is_nobody_s() =>
        Assert.All(
            [
                $$$$"""{"data":{"object":{"id":"cus_{{{{new string('a', 252)}}}}"}}}""",
                $$$$"""{"x":{{{{new string('[', 100)}}}}{{{{new string(']', 100)}}}},"data":{"object":{"id":"cus_1"}}}""",
            ],
            body => Assert.Null(EventReader.CustomerOf(Encoding.UTF8.GetBytes(body)))
        );
}

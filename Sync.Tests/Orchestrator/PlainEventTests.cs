using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Mapping;
using Sync.Messaging.Wire;
using Sync.Orchestrator.PlainEvents;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>A product's own JSON, read through <c>product.json</c>: the same events as the contract's, or a reason without values.</summary>
public sealed class PlainEventTests
{
    const string Person = "Ada-Secretta";

    static readonly MessageCatalog Catalog = MakeCatalog();

    static readonly PlainEventMap Shipped = PlainEventMap.Load(
        Path.Combine(Repository.Root, "config"),
        TestMapping.Shipped
    );

    const string Changed = """
        { "event": "CustomerChanged",
          "customer": { "id": "c-1", "version": 7, "fullName": "Ada",
            "contact": { "email": "ada@example.com", "phones": [ "+46 1", "+46 2" ] },
            "home": { "street": "1 Main St", "town": "Lund", "zip": 22100, "country": null },
            "plan": true } }
        """;

    [Fact]
    public void An_event_of_the_product_s_own_becomes_a_whole_snapshot()
    {
        var read = Read(Changed);

        var snapshot = Assert.IsType<CustomerUpdated>(read.Message);
        Assert.Equal(("c-1", 7), (snapshot.CustomerId, snapshot.Revision));
        Assert.Null(snapshot.Applied);
        Assert.True(snapshot.Customer.HasAttributes);
        Assert.Equal(
            new Dictionary<string, string?>
            {
                ["name"] = "Ada",
                ["email"] = "ada@example.com",
                ["phone"] = "+46 1",
                ["address.line1"] = "1 Main St",
                ["address.city"] = "Lund",
                ["address.postalCode"] = "22100",
                ["address.country"] = null,
                ["attributes.tier"] = "true",
            },
            snapshot.Customer.ToDictionary()
        );
    }

    [Theory]
    [InlineData("CustomerRegistered", typeof(CustomerCreated))]
    [InlineData("CustomerMoved", typeof(CustomerUpdated))]
    [InlineData("CustomerClosed", typeof(CustomerDeleted))]
    public void Each_name_of_the_product_s_is_an_event_of_the_contract(string name, Type type) =>
        Assert.IsType(type, Read(Changed.Replace("CustomerChanged", name, StringComparison.Ordinal)).Message);

    [Fact]
    public void A_deletion_needs_the_id_and_the_revision_alone()
    {
        var deleted = Assert.IsType<CustomerDeleted>(
            Read("""{ "event": "CustomerClosed", "customer": { "id": "c-1", "version": 9 } }""").Message
        );

        Assert.Equal(("c-1", 9), (deleted.CustomerId, deleted.Revision));
    }

    [Fact]
    public void An_event_about_something_else_is_passed_over()
    {
        var read = Read("""{ "event": "CustomerSignedIn", "at": "Ada-Secretta" }""");

        Assert.Equal((true, null, null), (read.IsPassed, read.Message, read.Refusal));
    }

    /// <summary>A second copy is known as one, and another revision is another event.</summary>
    [Fact]
    public void The_id_of_an_event_is_made_of_what_it_says()
    {
        var first = Read(Changed).Headers.Text(CloudEventNames.Id);

        Assert.Equal(first, Read(Changed).Headers.Text(CloudEventNames.Id));
        Assert.True(Guid.TryParse(first, out _));
        Assert.NotEqual(
            first,
            Read(Changed.Replace("7", "8", StringComparison.Ordinal)).Headers.Text(CloudEventNames.Id)
        );
    }

    [Fact]
    public void What_is_not_there_is_empty_or_unknown_as_the_map_says()
    {
        const string bare =
            """{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 7, "fullName": "Ada" } }""";

        var empty = Assert.IsType<CustomerUpdated>(Read(bare).Message).Customer;
        var unknown = Assert.IsType<CustomerUpdated>(Read(bare, Map("""  "absent": "refused", """)).Message).Customer;

        Assert.Equal((8, null), (empty.Count, empty["email"]));
        Assert.Equal(["name"], unknown.Keys);
    }

    [Theory]
    [InlineData("\"2026-01-02T03:04:05.000001Z\"", 1_767_323_045_000_001)]
    [InlineData("\"2026-01-02T04:04:05+01:00\"", 1_767_323_045_000_000)]
    [InlineData("\"2026-01-02 03:04:05\"", 1_767_323_045_000_000)]
    [InlineData("\"12\"", 12)]
    [InlineData("12", 12)]
    public void A_revision_is_a_whole_number_or_a_time_in_microseconds(string revision, long expected) =>
        Assert.Equal(
            expected,
            Assert
                .IsType<CustomerUpdated>(
                    Read(
                        Changed.Replace("\"version\": 7", $"\"version\": {revision}", StringComparison.Ordinal)
                    ).Message
                )
                .Revision
        );

    [Fact]
    public void Id_revision_and_type_may_stand_in_headers_and_in_the_key()
    {
        var map = Parse(
            """
            { "topic": "crm.people", "id": "key", "revision": "header:version", "type": { "from": "header:event", "created": ["new"] },
              "fields": { "name": "0.name" } }
            """
        );

        var read = Decode(
            map,
            "c-9",
            """{ "0": { "name": "Ada" } }""",
            h =>
            {
                h.Add("event", "new");
                h.Add("version", "3");
            }
        );

        var created = Assert.IsType<CustomerCreated>(read.Message);
        Assert.Equal(("c-9", 3, "Ada"), (created.CustomerId, created.Revision, created.Customer["name"]));
    }

    [Fact]
    public void A_key_is_the_customer_s_id_unless_the_map_lets_it_go()
    {
        Assert.Equal("bad-key", Decode(Shipped, "other", Changed).Refusal?.Code);
        Assert.Equal("bad-key", Decode(Shipped, null, Changed).Refusal?.Code);

        var any = Map("\"key\": \"any\",");
        Assert.NotNull(Decode(any, "other", Changed).Message);
        Assert.NotNull(Decode(any, null, Changed).Message);
    }

    public static TheoryData<string, string, string> Broken =>
        new()
        {
            // what, reason, the record
            { "no JSON", "bad-json", $$"""{ "event": "{{Person}}" """ },
            { "a member twice", "bad-json", $$"""{ "event": "a", "event": "{{Person}}" }""" },
            { "a list", "schema", $$"""[ "{{Person}}" ]""" },
            { "no type", "no-type", $$"""{ "customer": { "id": "c-1", "version": 7, "fullName": "{{Person}}" } }""" },
            { "null as type", "no-type", """{ "event": null }""" },
            { "an object as type", "schema", $$"""{ "event": { "name": "{{Person}}" } }""" },
            { "an unknown type", "unknown-type", $$"""{ "event": "{{Person}}" }""" },
            {
                "no id",
                "schema",
                $$"""{ "event": "CustomerChanged", "customer": { "version": 7, "fullName": "{{Person}}" } }"""
            },
            { "an empty id", "schema", """{ "event": "CustomerChanged", "customer": { "id": "", "version": 7 } }""" },
            { "a list as customer", "schema", $$"""{ "event": "CustomerChanged", "customer": [ "{{Person}}" ] }""" },
            { "a text as customer", "schema", $$"""{ "event": "CustomerChanged", "customer": "{{Person}}" }""" },
            { "no revision", "schema", """{ "event": "CustomerChanged", "customer": { "id": "c-1" } }""" },
            {
                "a revision below 1",
                "schema",
                """{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 0 } }"""
            },
            {
                "a negative revision",
                "schema",
                """{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": -1 } }"""
            },
            {
                "a fraction as revision",
                "schema",
                """{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 1.5 } }"""
            },
            {
                "a name as revision",
                "schema",
                $$"""{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": "{{Person}}" } }"""
            },
            {
                "an object as value",
                "schema",
                $$"""{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 7, "fullName": { "first": "{{Person}}" } } }"""
            },
            {
                "a value too long",
                "schema",
                $$"""{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 7, "fullName": "{{Person}}{{new string('x', 5_000)}}" } }"""
            },
            {
                "half a surrogate pair",
                "schema",
                """{ "event": "CustomerChanged", "customer": { "id": "c-1", "version": 7, "fullName": "\ud800" } }"""
            },
        };

    [Theory]
    [MemberData(nameof(Broken))]
    public void What_cannot_be_read_has_a_reason_without_values(string what, string code, string body)
    {
        var refusal = Read(body).Refusal;

        Assert.NotNull(refusal);
        Assert.True(refusal.Code == code, $"{what}: {refusal}");
        Assert.DoesNotContain(Person, refusal.Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Bytes_that_are_no_text_and_no_value_at_all_have_their_reasons()
    {
        var decoder = new MessageDecoder(Catalog, [new PlainEventReader(Shipped)]);

        Assert.Equal("no-value", decoder.Decode(Shipped.Topic, "c-1"u8.ToArray(), null, []).Refusal?.Code);
        Assert.Equal(
            "bad-json",
            decoder.Decode(Shipped.Topic, "c-1"u8.ToArray(), [0x7B, 0x22, 0xC3, 0x28, 0x22], []).Refusal?.Code
        );
        Assert.Equal(
            "too-large",
            decoder
                .Decode(Shipped.Topic, "c-1"u8.ToArray(), new byte[MessageDecoder.MaxValueBytes + 1], [])
                .Refusal?.Code
        );
    }

    [Fact]
    public void Every_fault_of_the_map_is_named_at_once()
    {
        var faults = Assert
            .Throws<SyncConfigException>(() =>
                Parse(
                    """
                    { "topic": "two words", "id": "", "revision": "header:", "type": { "from": "a..b", "updated": ["x"], "deleted": ["x"] },
                      "fields": { "nickname": "n", "name": "" } }
                    """
                )
            )
            .Faults;

        Assert.Equal(7, faults.Count);
        Assert.All(faults, f => Assert.StartsWith("product.json: ", f, StringComparison.Ordinal));
        Assert.All(
            (string[])["topic:", "id:", "revision:", "type: from:", "\"x\"", "\"nickname\"", "fields: name:"],
            part => Assert.Contains(faults, f => f.Contains(part, StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData("""{ "id": "id" }""", "required")]
    [InlineData(
        """{ "id": "id", "revision": "r", "type": { "from": "t", "updated": ["u"] }, "fields": {}, "filds": {} }""",
        "filds"
    )]
    [InlineData(
        """{ "id": "id", "revision": "r", "type": { "from": "t", "updated": ["u"] }, "fields": {} }""",
        "maps no field"
    )]
    [InlineData(
        """{ "id": "id", "revision": "r", "type": { "from": "t" }, "fields": { "name": "n" } }""",
        "brings a customer"
    )]
    [InlineData("null", "no map")]
    [InlineData("{", "product.json")]
    public void A_map_that_cannot_be_used_says_why(string json, string part) =>
        Assert.Contains(
            Assert.Throws<SyncConfigException>(() => Parse(json)).Faults,
            f => f.Contains(part, StringComparison.Ordinal)
        );

    [Fact]
    public void The_example_of_the_product_s_page_is_the_shipped_file() =>
        Assert.Contains(
            Repository.Read($"config/{PlainEventMap.File}").Trim(),
            Repository.Read("docs/product.md"),
            StringComparison.Ordinal
        );

    [Fact]
    public void Whatever_comes_there_is_a_message_or_a_reason()
    {
        var good = Encoding.UTF8.GetBytes(Changed);
        var changed = Gen.Select(Gen.Int[0, good.Length - 1], Gen.Byte, Gen.Int[0, good.Length], Gen.Bool)
            .Select(
                (at, value, cut, isCut) =>
                {
                    byte[] copy = isCut ? good[..cut] : [.. good];
                    if (at < copy.Length)
                        copy[at] = value;
                    return copy;
                }
            );
        // Known members with values of any kind in them.
        var shaped = Gen.Select(AnyJson.Node, AnyJson.Node, AnyJson.Node, AnyJson.Node)
            .Select(
                (id, version, contact, home) =>
                    Encoding.UTF8.GetBytes(
                        new JsonObject
                        {
                            ["event"] = "CustomerChanged",
                            ["customer"] = new JsonObject
                            {
                                ["id"] = id?.DeepClone(),
                                ["version"] = version?.DeepClone(),
                                ["contact"] = contact?.DeepClone(),
                                ["home"] = home?.DeepClone(),
                            },
                        }.ToJsonString()
                    )
            );
        PlainEventMap[] maps = [Shipped, Map("\"key\": \"any\", \"absent\": \"refused\",")];
        MessageDecoder[] decoders = [.. maps.Select(m => new MessageDecoder(Catalog, [new PlainEventReader(m)]))];
        Gen.Select(
                Gen.Frequency((1, Gen.Byte.Array[0, 200]), (1, AnyJson.Bytes), (3, shaped), (3, changed)),
                AnyJson.Of(decoders),
                AnyJson.Of("c-1", "", "1")
            )
            .Sample(
                (bytes, decoder, key) =>
                {
                    var read = decoder.Decode(Shipped.Topic, Encoding.UTF8.GetBytes(key), bytes, []);
                    return read.Message is null
                        ? read.IsPassed || read.Refusal is { Code.Length: > 0, Reason.Length: > 0 and <= 300 }
                        : read.Refusal is null;
                },
                iter: 20_000
            );
    }

    static Decoded Read(string body, PlainEventMap? map = null) => Decode(map ?? Shipped, "c-1", body);

    static Decoded Decode(PlainEventMap map, string? key, string body, Action<MessageHeaders>? headers = null)
    {
        MessageHeaders all = [new("content-type", "application/json"u8.ToArray())];
        headers?.Invoke(all);
        return new MessageDecoder(Catalog, [new PlainEventReader(map)]).Decode(
            map.Topic,
            key is null ? null : Encoding.UTF8.GetBytes(key),
            Encoding.UTF8.GetBytes(body),
            all
        );
    }

    /// <summary>The shipped map, with other members in front.</summary>
    static PlainEventMap Map(string members)
    {
        var map = JsonNode.Parse(Repository.Read($"config/{PlainEventMap.File}"))!.AsObject();
        foreach (var (name, value) in JsonNode.Parse("{" + members.Trim().TrimEnd(',') + "}")!.AsObject())
            map[name] = value?.DeepClone();
        return Parse(map.ToJsonString());
    }

    static PlainEventMap Parse(string json) => PlainEventMap.Parse(Encoding.UTF8.GetBytes(json), TestMapping.Shipped);

    static MessageCatalog MakeCatalog()
    {
        var catalog = new MessageCatalog();
        foreach (var m in Wire.All)
            catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        return catalog;
    }
}

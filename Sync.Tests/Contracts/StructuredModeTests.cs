using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Sync.Contracts;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Contracts;

/// <summary>An event whose attributes stand in its body is the same event; what is wrong with it has a reason without values.</summary>
public sealed class StructuredModeTests
{
    const string Updated = "product.customer.updated.v1";
    const string Person = "Ada-Secretta";
    const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    static readonly MessageCatalog Catalog = MakeCatalog();
    static readonly MessageDecoder Decoder = new(Catalog);

    public static TheoryData<string> Types => [.. Wire.All.Select(m => m.Type)];

    [Theory]
    [MemberData(nameof(Types))]
    public void The_same_message_is_read_from_both_modes(string type)
    {
        var (key, body) = Sample(type);
        var structured = Envelope(type, body);

        var read = Decode(key, structured.ToJsonString());
        structured.Remove("data");
        structured["data_base64"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(body.ToJsonString()));
        var encoded = Decode(key, structured.ToJsonString());

        Assert.Null(read.Refusal);
        Assert.Equal(type, read.TypeName);
        var json = Catalog.Find(type)!.Json;
        Assert.True(
            JsonNode.DeepEquals(body, JsonNode.Parse(JsonSerializer.Serialize(read.Message, json))),
            "the message is another one"
        );
        Assert.Equal(JsonSerializer.Serialize(read.Message, json), JsonSerializer.Serialize(encoded.Message, json));
    }

    [Fact]
    public void Attributes_are_what_headers_are_in_the_other_mode()
    {
        var (key, body) = Sample(Updated);
        var envelope = Envelope(Updated, body);
        envelope["time"] = "2026-01-02T03:04:05.678Z";
        envelope["traceparent"] = Trace;
        envelope["partition"] = 7;
        envelope["dataschema"] = null;

        var headers = Decode(key, envelope.ToJsonString(), h => h.Add("x-own", "kept")).Headers;

        Assert.Equal("e-1", headers.Text(CloudEventNames.Id));
        Assert.Equal("2026-01-02T03:04:05.678Z", headers.Text(CloudEventNames.Time));
        Assert.Equal(Trace, headers.Text(CloudEventNames.TraceParent));
        Assert.Equal("7", headers.Text("ce_partition"));
        Assert.Equal("kept", headers.Text("x-own"));
        Assert.Null(headers.Text("ce_dataschema"));
    }

    [Fact]
    public void Headers_that_claim_to_be_attributes_count_for_nothing()
    {
        var (key, body) = Sample(Updated);

        var read = Decode(
            key,
            Envelope(Updated, body).ToJsonString(),
            h => h.Add(CloudEventNames.Type, "product.customer.deleted.v1")
        );

        Assert.Equal((null, Updated), (read.Refusal, read.TypeName));
    }

    public static TheoryData<string, string, string> Broken =>
        new()
        {
            // what, reason, the envelope; DATA is a good message
            { "no JSON", "bad-json", $$"""{ "type": "{{Person}}" """ },
            { "a member twice", "bad-json", $$"""{ "type": "a", "type": "{{Person}}" }""" },
            { "a list of events", "bad-cloudevent", $$"""[ { "type": "{{Person}}" } ]""" },
            { "a text", "bad-cloudevent", $"\"{Person}\"" },
            { "no type", "no-type", """{ "specversion": "1.0", "id": "1", "source": "s", "data": DATA }""" },
            {
                "an empty type",
                "bad-cloudevent",
                """{ "specversion": "1.0", "id": "1", "source": "s", "type": "", "data": DATA }"""
            },
            {
                "an unknown type",
                "unknown-type",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "test.unknown.v1", "data": { "name": "{{Person}}" } }"""
            },
            {
                "no version",
                "bad-cloudevent",
                $$"""{ "id": "1", "source": "s", "type": "{{Updated}}", "data": DATA }"""
            },
            {
                "another version",
                "bad-cloudevent",
                $$"""{ "specversion": "0.3", "id": "1", "source": "s", "type": "{{Updated}}", "data": DATA }"""
            },
            {
                "no id",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "source": "s", "type": "{{Updated}}", "data": DATA }"""
            },
            {
                "no source",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "type": "{{Updated}}", "data": DATA }"""
            },
            {
                "no message",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}" }"""
            },
            {
                "two messages",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "data": DATA, "data_base64": "e30=" }"""
            },
            {
                "no base64",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "data_base64": "{{Person}}!" }"""
            },
            {
                "a message of another kind",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "datacontenttype": "text/xml", "data": "<x>{{Person}}</x>" }"""
            },
            {
                "an attribute that is an object",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "own": { "name": "{{Person}}" }, "data": DATA }"""
            },
            {
                "an attribute with a name of its own kind",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "{{Person}}": "x", "data": DATA }"""
            },
            {
                "half a surrogate pair as id",
                "bad-cloudevent",
                $$"""{ "specversion": "1.0", "id": "\ud800", "source": "s", "type": "{{Updated}}", "data": DATA }"""
            },
            {
                "a message that its type does not allow",
                "schema",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "data": { "customerId": "c-1", "revision": "{{Person}}" } }"""
            },
            {
                "null as message",
                "schema",
                $$"""{ "specversion": "1.0", "id": "1", "source": "s", "type": "{{Updated}}", "data": null }"""
            },
        };

    [Theory]
    [MemberData(nameof(Broken))]
    public void What_is_wrong_has_a_reason_without_values(string what, string code, string envelope)
    {
        var (key, body) = Sample(Updated);

        var refusal = Decode(key, envelope.Replace("DATA", body.ToJsonString(), StringComparison.Ordinal)).Refusal;

        Assert.NotNull(refusal);
        Assert.True(refusal.Code == code, $"{what}: {refusal}");
        Assert.DoesNotContain(Person, refusal.Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("application/cloudevents-batch+json", "bad-cloudevent")]
    [InlineData("application/cloudevents+avro", "bad-cloudevent")]
    [InlineData("application/cloudevents", "bad-cloudevent")]
    [InlineData("Application/CloudEvents+JSON; charset=UTF-8", null)]
    public void One_event_as_JSON_is_all_that_is_read(string contentType, string? code)
    {
        var (key, body) = Sample(Updated);

        Assert.Equal(code, Decode(key, Envelope(Updated, body).ToJsonString(), contentType: contentType).Refusal?.Code);
    }

    [Fact]
    public void Another_key_than_the_message_names_is_refused_in_both_modes()
    {
        var (_, body) = Sample(Updated);

        Assert.Equal("bad-key", Decode("c-2", Envelope(Updated, body).ToJsonString()).Refusal?.Code);
        Assert.Equal("bad-key", Decode("", Envelope(Updated, body).ToJsonString()).Refusal?.Code);
    }

    [Fact]
    public void The_envelope_is_one_level_more_and_the_message_has_no_more_than_it_may()
    {
        var (key, body) = Sample(Updated);
        body["addedLater"] = JsonNode.Parse(
            $"{new string('[', MessageDecoder.MaxDepth - 1)}{new string(']', MessageDecoder.MaxDepth - 1)}"
        );
        Assert.Null(Decode(key, Envelope(Updated, body).ToJsonString()).Refusal);

        var deeper = Envelope(Updated, body)
            .ToJsonString()
            .Replace("\"addedLater\":[", "\"addedLater\":[[", StringComparison.Ordinal)
            .Replace("]}}", "]]}}", StringComparison.Ordinal);
        Assert.Equal("bad-json", Decode(key, deeper).Refusal?.Code);
    }

    /// <summary>Bytes, JSON of any shape, and good events of which something was changed: a message or a reason, never an exception.</summary>
    [Fact]
    public void Whatever_comes_there_is_a_message_or_a_reason()
    {
        var good = Wire
            .All.Select(m => (m.Type, Sample(m.Type).Body))
            .SelectMany(m => (string[])[Envelope(m.Type, m.Body).ToJsonString(), m.Body.ToJsonString()])
            .Select(Encoding.UTF8.GetBytes)
            .ToArray();
        var changed = Gen.Select(AnyJson.Of(good), Gen.Int[0, 2_000], Gen.Byte, Gen.Int[0, 2_000], Gen.Bool)
            .Select(
                (bytes, at, value, cut, isCut) =>
                {
                    byte[] copy = isCut ? bytes[..Math.Min(cut, bytes.Length)] : [.. bytes];
                    if (at < copy.Length)
                        copy[at] = value;
                    return copy;
                }
            );
        var value = Gen.Frequency((1, Gen.Byte.Array[0, 200]), (2, AnyJson.Bytes), (5, changed));
        var contentType = AnyJson.Of(
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "application/json",
            "text/plain"
        );
        var type = AnyJson.Of([.. Wire.All.Select(m => m.Type), "no.such.type", ""]);
        Gen.Select(value, contentType, type, AnyJson.Of("c-1", "", "x"))
            .Sample(
                (bytes, content, name, key) =>
                {
                    MessageHeaders headers =
                    [
                        new(CloudEventNames.ContentType, Encoding.UTF8.GetBytes(content)),
                        new(CloudEventNames.Type, Encoding.UTF8.GetBytes(name)),
                        new(CloudEventNames.SpecVersion, "1.0"u8.ToArray()),
                        new(CloudEventNames.Id, "1"u8.ToArray()),
                        new(CloudEventNames.Source, "s"u8.ToArray()),
                    ];
                    var read = Decoder.Decode(Topics.Customers, Encoding.UTF8.GetBytes(key), bytes, headers);
                    return read.Message is null
                        ? read.Refusal is { Code.Length: > 0, Reason.Length: > 0 and <= 300 }
                        : read.Refusal is null && Catalog.Get(read.Message.GetType()).Name == read.TypeName;
                },
                iter: 20_000
            );
    }

    static Decoded Decode(
        string key,
        string envelope,
        Action<MessageHeaders>? more = null,
        string contentType = "application/cloudevents+json"
    )
    {
        MessageHeaders headers = [new(CloudEventNames.ContentType, Encoding.UTF8.GetBytes(contentType))];
        more?.Invoke(headers);
        return Decoder.Decode(Topics.Customers, Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(envelope), headers);
    }

    static JsonObject Envelope(string type, JsonNode body) =>
        new()
        {
            ["specversion"] = "1.0",
            ["id"] = "e-1",
            ["source"] = "shop",
            ["type"] = type,
            ["datacontenttype"] = "application/json",
            ["data"] = body.DeepClone(),
        };

    static (string Key, JsonObject Body) Sample(string type)
    {
        var sample = JsonNode.Parse(Repository.Read($"Sync.Tests/Approved/wire/{type}.json"))!;
        return (sample["key"]!.GetValue<string>(), sample["body"]!.DeepClone().AsObject());
    }

    static MessageCatalog MakeCatalog()
    {
        var catalog = new MessageCatalog();
        foreach (var m in Wire.All)
            catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        return catalog;
    }
}

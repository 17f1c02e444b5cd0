using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Messaging.Kafka;
using Sync.Sandbox.Admin;
using Sync.Sandbox.Demo;
using Sync.Tests.Support;

namespace Sync.Tests.EndToEnd;

/// <summary>What a product may do wrong: each gets its reason, nothing is lost, nobody else waits.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class BadInputTests(RunningStack running)
{
    const string Created = "product.customer.created.v1";
    const string Updated = "product.customer.updated.v1";

    static int _number;

    public static TheoryData<string, string, string?, string> Unreadable =>
        new()
        {
            // what, reason, type, body with KEY for the customer's id
            {
                "malformed JSON",
                "bad-json",
                Created,
                $$"""{ "customerId": "KEY", "revision": 1, "customer": { "name": "{{P}}" """
            },
            { "a list", "schema", Created, $$"""[ "KEY", "{{P}}" ]""" },
            {
                "a number where text belongs",
                "schema",
                Created,
                """{ "customerId": "KEY", "revision": 1, "customer": { "name": 4711 } }"""
            },
            {
                "text where a number belongs",
                "schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": "{{P}}", "customer": { "name": "{{P}}" } }"""
            },
            {
                "a number as text",
                "schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": "1", "customer": { "name": "{{P}}" } }"""
            },
            {
                "revision zero",
                "schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": 0, "customer": { "name": "{{P}}" } }"""
            },
            { "no revision", "schema", Created, $$"""{ "customerId": "KEY", "customer": { "name": "{{P}}" } }""" },
            { "no customer", "schema", Created, """{ "customerId": "KEY", "revision": 1 }""" },
            {
                "an address that is text",
                "schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": 1, "customer": { "address": "{{P}}" } }"""
            },
            {
                "a member twice",
                "bad-json|schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": 1, "customer": { "name": "a", "name": "{{P}}" } }"""
            },
            { "no id", "schema", Created, $$"""{ "revision": 1, "customer": { "name": "{{P}}" } }""" },
            {
                "an empty id",
                "schema",
                Created,
                $$"""{ "customerId": "", "revision": 1, "customer": { "name": "{{P}}" } }"""
            },
            {
                "an id of 129 characters",
                "schema",
                Created,
                $$"""{ "customerId": "{{new string('x', 129)}}", "revision": 1, "customer": { "name": "{{P}}" } }"""
            },
            {
                "an id with a line break",
                "schema",
                Created,
                $$"""{ "customerId": "a\r\nX-Injected: 1", "revision": 1, "customer": { "name": "{{P}}" } }"""
            },
            {
                "a value of 5,001 characters",
                "schema",
                Created,
                $$"""{ "customerId": "KEY", "revision": 1, "customer": { "name": "{{new string('x', 5_001)}}" } }"""
            },
            {
                "an unknown type",
                "unknown-type",
                "product.customer.promoted.v1",
                $$"""{ "customerId": "KEY", "name": "{{P}}" }"""
            },
            { "no type", "no-type", null, $$"""{ "customerId": "KEY", "name": "{{P}}" }""" },
            { "nothing", "no-value", Created, "" },
        };

    const string P = RunningStack.Personal;

    [Theory]
    [MemberData(nameof(Unreadable))]
    public async Task What_cannot_be_read_is_kept_whole_with_a_reason(
        string what,
        string reasons,
        string? type,
        string body
    )
    {
        var key = Next();
        var value =
            body.Length == 0 ? null : Encoding.UTF8.GetBytes(body.Replace("KEY", key, StringComparison.Ordinal));

        await KeptWith(what, reasons, key, type, value);
    }

    [Fact]
    public async Task Invalid_UTF_8_is_kept_whole_with_a_reason()
    {
        var key = Next();
        byte[] value =
        [
            .. Encoding.UTF8.GetBytes($$"""{ "customerId": "{{key}}", "revision": 1, "customer": { "name": "{{P}}"""),
            0xC3,
            0x28,
            0xFF,
            .. "\" } }"u8,
        ];

        await KeptWith("invalid UTF-8", "bad-json|schema", key, Created, value);
    }

    [Fact]
    public async Task A_message_above_the_limit_is_kept_whole_with_a_reason()
    {
        var key = Next();
        var value = Encoding.UTF8.GetBytes(
            $$"""{ "customerId": "{{key}}", "revision": 1, "note": "{{new string('n', 1_100_000)}}", "customer": { "name": "{{P}}" } }"""
        );

        await KeptWith("too large", "too-large", key, Created, value);
    }

    [Fact]
    public async Task A_snapshot_that_lacks_a_member_it_had_is_refused_and_the_customer_stays_as_it_is()
    {
        var key = Next();
        var run = running.Run;
        await run.Create(key, $$"""{ "name": "{{P}}", "phone": "+442079460018" }""");
        await run.InStep(key);

        await KeptWith(
            "a partial snapshot",
            "schema",
            key,
            Updated,
            Encoding.UTF8.GetBytes(
                $$"""{ "customerId": "{{key}}", "revision": 5, "customer": { "name": "{{P}} 2" } }"""
            )
        );

        await run.InStep(key);
        Assert.Equal("+442079460018", (string?)Assert.Single(run.Eyes.Stripe()[key])["phone"]);
    }

    [Fact]
    public async Task A_revision_that_goes_backwards_changes_nothing()
    {
        var key = Next();
        var run = running.Run;
        await run.Create(key, $$"""{ "name": "{{P}}", "phone": "+442079460018" }""");
        await run.Change(key, """{ "phone": "+442079460099" }""");
        await run.InStep(key);
        run.CountCalls();

        // The first snapshot once more, whole and well formed, but of revision 1.
        await Produce(
            key,
            Created,
            Encoding.UTF8.GetBytes(
                $$$"""
                { "customerId": "{{{key}}}", "revision": 1, "customer": { "name": "{{{P}}}", "email": null, "phone": "+442079460018",
                  "address": { "line1": null, "line2": null, "city": null, "state": null, "postalCode": null, "country": null },
                  "attributes": { "tier": null } } }
                """
            )
        );

        var reason = await Support.Eventually.Get(
            () => run.Eyes.Timeline(key, "product.revision-backwards", run.Cancelled),
            reasons => reasons.Count == 1,
            "the timeline names the revision"
        );
        Assert.DoesNotContain(P, Assert.Single(reason), StringComparison.Ordinal);
        await run.InStep(key);
        Assert.Equal(0, run.StripeCalls.Total);
        Assert.Equal(0, run.SalesforceCalls.Total);
        Assert.Equal("+442079460099", (string?)Assert.Single(run.Eyes.Stripe()[key])["phone"]);
        Assert.Null(await run.Eyes.DeadLetter(key, run.Cancelled));
        await NobodyWaits();
    }

    [Theory]
    [InlineData("'; drop table sync.customer; --")]
    [InlineData("x' OR Name LIKE '%")]
    [InlineData("{{constructor.constructor('return 1')()}} ${jndi:ldap://127.0.0.1/a} $(id) `id`")]
    [InlineData("a\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1")]
    [InlineData("../../../../etc/passwd")]
    [InlineData("<script>alert(1)</script>&amp;%00%0d%0a")]
    [InlineData("\u202Eevil\u200B\uFEFF \\u0000 \\ \" /")]
    public async Task A_hostile_value_is_only_a_value(string hostile)
    {
        var key = Next();
        var run = running.Run;
        var body = new JsonObject
        {
            ["name"] = hostile,
            ["address"] = new JsonObject { ["line1"] = hostile, ["city"] = "London" },
            ["attributes"] = new JsonObject { ["tier"] = hostile },
        };

        await run.Create(key, body.ToJsonString());
        await run.InStep(key);

        Assert.Equal(hostile.Trim(), ((string?)Assert.Single(run.Eyes.Stripe()[key])["name"])?.Trim());
        await NobodyWaits();
    }

    [Theory]
    [InlineData("\\u0000")]
    [InlineData("\\u0001\\u001f\\u007f")]
    [InlineData("\\u2028\\ufffe\\uffff")]
    [InlineData("\\ud83d")]
    public async Task A_character_that_no_text_should_hold_is_taken_or_refused_but_never_lost(string escaped)
    {
        var key = Next();
        var run = running.Run;
        var value = Encoding.UTF8.GetBytes(
            $$"""{ "customerId": "{{key}}", "revision": 1, "customer": { "name": "{{P}} {{escaped}}" } }"""
        );

        await Produce(key, Created, value);
        await NobodyWaits();

        await run.Until(
            "in both vendors, or in sync.dead_letter, or refused with a reason",
            async () =>
            {
                if (await run.Eyes.DeadLetter(key, run.Cancelled) is { } letter)
                {
                    Assert.DoesNotContain(P, letter.Reason, StringComparison.Ordinal);
                    Assert.Equal(value, letter.Value);
                    return [];
                }

                var row = (await run.Eyes.Saga([key], run.Cancelled)).GetValueOrDefault(key);
                if (row is not { State: "Live", Behind: [] })
                    return [$"{row}"];
                // What is said to be there is there, whole, or a reason names the system that refused it.
                var name = (string)JsonNode.Parse($"\"{P} {escaped}\"")!;
                return
                [
                    .. Held("stripe", run.Eyes.Stripe()[key].Select(record => (string?)record["name"])),
                    .. Held("salesforce", run.Eyes.Salesforce()[key].Select(record => (string?)record["Name"])),
                ];

                IEnumerable<string> Held(string system, IEnumerable<string?> names) =>
                    names.Any(held => held?.Trim() == name.Trim())
                    || row.Attention?.Contains(system, StringComparison.Ordinal) == true
                        ? []
                        : [$"{system} holds another name, and nobody says why"];
            }
        );
    }

    [Theory]
    [InlineData("../../v1/account")]
    [InlineData("' or '1'='1")]
    [InlineData("x%' OR Name LIKE '%")]
    [InlineData("a?limit=1#b&c=d;e")]
    [InlineData("%2e%2e%2f%00")]
    [InlineData("\\'; drop table stripe.link; --")]
    [InlineData("\U0001F9E1 \u6771\u4EAC \u0628")]
    [InlineData("customer:x\\object:y")]
    public async Task A_hostile_id_is_only_an_id(string hostile)
    {
        var key = $"{Next()} {hostile}";
        var run = running.Run;

        await run.Create(key, $$"""{ "name": "{{P}}", "email": "hostile@example.org" }""");
        await run.InStep(key);
        await run.Change(key, """{ "phone": "+442079460099" }""");
        await run.InStep(key);
        await run.Delete(key);
        await run.Gone(key);
    }

    [Fact]
    public async Task Ids_that_differ_in_case_or_form_alone_are_two_customers()
    {
        var upper = Next() + "-\u00C9";
        var lower = upper.ToLowerInvariant();
        var decomposed = upper.Normalize(NormalizationForm.FormD);
        var run = running.Run;

        await run.Create(upper, $$"""{ "name": "{{P}} upper" }""");
        await run.Create(lower, $$"""{ "name": "{{P}} lower" }""");
        await run.Create(decomposed, $$"""{ "name": "{{P}} decomposed" }""");

        await run.InStep(upper, lower, decomposed);
    }

    [Fact]
    public async Task Who_watches_the_topic_of_dead_letters_gets_the_record_as_it_was_and_why()
    {
        var key = Next();
        var value = Encoding.UTF8.GetBytes($$"""{ "customerId": "{{key}}", "revision": "{{P}}" }""");
        using var watcher = new KafkaReader(
            running.Stack.Sandbox.BootstrapServers,
            Topics.Partitions,
            Topics.DeadLetters
        );

        await KeptWith("text where a number belongs", "schema", key, Created, value);

        var copies = await watcher.Until(r => r.Any(c => c.Key == key), "the copy");
        var copy = Assert.Single(copies, c => c.Key == key);
        Assert.Equal(Encoding.UTF8.GetString(value), copy.Value);
        Assert.Equal(Created, copy.Header("ce_type"));
        Assert.Equal("schema", copy.Header("dead_letter_reason_code"));
        Assert.Contains("revision", copy.Header("dead_letter_reason"), StringComparison.Ordinal);
        Assert.DoesNotContain(P, copy.Header("dead_letter_reason"), StringComparison.Ordinal);
        Assert.Equal(Groups.Orchestrator, copy.Header("dead_letter_group"));
        Assert.Equal(Topics.Customers, copy.Header("dead_letter_topic"));
        Assert.Equal(
            Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(value)),
            copy.Header("dead_letter_sha256"),
            ignoreCase: true
        );
        // Where it lay is enough to find it again.
        using var reader = new KafkaReader(running.Stack.Sandbox.BootstrapServers, Topics.Partitions, Topics.Customers);
        var where = (
            int.Parse(copy.Header("dead_letter_partition")!, CultureInfo.InvariantCulture),
            long.Parse(copy.Header("dead_letter_offset")!, CultureInfo.InvariantCulture)
        );
        var all = await reader.Until(r => r.Any(c => (c.Partition, c.Offset) == where), "the record itself");
        Assert.Equal(key, all.Single(c => (c.Partition, c.Offset) == where).Key);
    }

    async Task KeptWith(string what, string reasons, string key, string? type, byte[]? value)
    {
        var run = running.Run;
        var neighbour = NeighbourOf(key);
        var person = $$"""{ "name": "{{P}} neighbour", "email": "{{neighbour}}@example.org" }""";
        // Behind it on the same partition, and sent in the same moment.
        await Task.WhenAll(Produce(key, type, value), run.Create(neighbour, person));
        await run.InStep(neighbour);

        (string Code, string Reason, byte[]? Value)? letter = null;
        await run.Until(
            $"{what} lies in sync.dead_letter",
            async () => (letter = await run.Eyes.DeadLetter(key, run.Cancelled)) is null ? ["no row with its key"] : []
        );
        Assert.Contains(letter!.Value.Code, reasons.Split('|'));
        Assert.NotEmpty(letter.Value.Reason);
        Assert.DoesNotContain(P, letter.Value.Reason, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(value, letter.Value.Value);
    }

    /// <summary>Somebody whose events lie on the same partition, so that they come by whatever this key's do.</summary>
    static string NeighbourOf(string key)
    {
        while (true)
        {
            var other = Next();
            if (PartitionOf(other) == PartitionOf(key))
                return other;
        }
    }

    static int PartitionOf(string key) => Murmur2.Partition(Encoding.UTF8.GetBytes(key), Topics.Partitions);

    /// <summary>Somebody who did nothing wrong is in step.</summary>
    async Task NobodyWaits()
    {
        var run = running.Run;
        var neighbour = Next();
        await run.Create(neighbour, $$"""{ "name": "{{P}} neighbour", "email": "{{neighbour}}@example.org" }""");
        await run.InStep(neighbour);
    }

    async Task Produce(string key, string? type, byte[]? value)
    {
        var headers = new Headers
        {
            { "ce_specversion", "1.0"u8.ToArray() },
            { "ce_id", Encoding.UTF8.GetBytes(Guid.NewGuid().ToString()) },
            { "ce_source", "a-product"u8.ToArray() },
            { "content-type", "application/json"u8.ToArray() },
        };
        if (type is not null)
            headers.Add("ce_type", Encoding.UTF8.GetBytes(type));
        await running.Stack.Sandbox.Produce(
            new global::Sync.Sandbox.Admin.KafkaRecord(
                Topics.Customers,
                null,
                new Message<byte[]?, byte[]?>
                {
                    Key = Encoding.UTF8.GetBytes(key),
                    Value = value,
                    Headers = headers,
                }
            ),
            TestContext.Current.CancellationToken
        );
    }

    static string Next() => $"e2e-bad-{Interlocked.Increment(ref _number)}";
}

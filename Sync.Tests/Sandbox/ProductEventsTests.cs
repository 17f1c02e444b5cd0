using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Sandbox.Kafka;
using Sync.Sandbox.Product;

namespace Sync.Tests.Sandbox;

/// <summary>The product on Kafka: events out, commands in.</summary>
public sealed class ProductEventsTests : IAsyncLifetime
{
    TestSandbox _sandbox = null!;

    public async ValueTask InitializeAsync() =>
        _sandbox = await TestSandbox.Start(TestSandbox.Quiet with { Kafka = true });

    public ValueTask DisposeAsync() => _sandbox.DisposeAsync();

    [Fact]
    public async Task Changes_come_as_whole_snapshots_in_order_with_cloud_event_headers()
    {
        const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        // Where another test has its process's telemetry on, the HTTP client writes this one's span over the header.
        using var span = new Activity("test").SetParentId(Trace).Start();
        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/customers",
            TestSandbox.Json("""{"id":"c1","name":"Ada"}"""),
            ("traceparent", Trace)
        );
        await Patch("c1", """{"phone":"1"}""");
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Delete, "/customers/c1");

        var records = _sandbox.Records(r => r.Count >= 3);

        Assert.Equal(
            ["product.customer.created.v1", "product.customer.updated.v1", "product.customer.deleted.v1"],
            records.Select(r => Header(r, "ce_type"))
        );
        Assert.Equal([1L, 2L, 3L], records.Select(r => (long)Body(r)["revision"]!));
        Assert.All(records, r => Assert.Equal("c1", r.Message.Key));
        Assert.Equal(
            """{"customerId":"c1","revision":2,"customer":{"name":"Ada","email":null,"phone":"1","address":{"city":null,"country":null,"line1":null,"line2":null,"postalCode":null,"state":null},"attributes":{"tier":null}}}""",
            Encoding.UTF8.GetString(records[1].Message.Value)
        );
        Assert.Equal("""{"customerId":"c1","revision":3}""", Encoding.UTF8.GetString(records[2].Message.Value));
        Assert.Equal("1.0", Header(records[0], "ce_specversion"));
        Assert.Equal("c1", Header(records[0], "ce_subject"));
        Assert.Equal("application/json", Header(records[0], "content-type"));
        Assert.Equal(3, records.Select(r => Header(r, "ce_id")).Distinct().Count());
        Assert.True(DateTimeOffset.TryParse(Header(records[0], "ce_time"), out _));
        Assert.StartsWith(
            "00-0af7651916cd43dd8448eb211c80319c-",
            Header(records[0], "traceparent"),
            StringComparison.Ordinal
        );
        Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", Header(records[1], "traceparent")!);
    }

    [Theory]
    [InlineData("21", -973932308)]
    [InlineData("foobar", -790332482)]
    [InlineData("a-little-bit-longer-string", -1486304829)]
    public async Task A_key_goes_to_the_partition_that_java_clients_choose(string id, int hash)
    {
        // The hashes are those of Kafka's own tests.
        Assert.Equal(hash, Murmur2.Hash(Encoding.UTF8.GetBytes(id)));
        var partition = (hash & 0x7FFFFFFF) % Topics.Partitions;

        await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/customers",
            TestSandbox.Json(new JsonObject { ["id"] = id }.ToJsonString())
        );

        Assert.Equal(partition, _sandbox.Records(r => r.Count >= 1)[0].Partition.Value);
    }

    [Fact]
    public async Task Events_wait_while_kafka_is_down_and_come_in_order_when_it_is_back()
    {
        await Create("c1", """{"name":"0"}""");
        _sandbox.Records(r => r.Count >= 1);
        await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, "/sandbox/kafka/down");
        for (var i = 1; i <= 20; i++)
            await Patch("c1", $$"""{"name":"{{i}}"}""");
        Assert.True(_sandbox.Host.Product.Outbox.Pending > 0);

        await TestSandbox.Send(_sandbox.Product, HttpMethod.Post, "/sandbox/kafka/up");

        var records = _sandbox.Records(r => r.Count >= 21);
        Assert.Equal(Enumerable.Range(1, 21).Select(i => (long)i), records.Select(r => (long)Body(r)["revision"]!));
    }

    [Fact]
    public async Task A_command_writes_a_field_only_where_the_expected_value_still_stands()
    {
        await Create("c1", """{"name":"Ada","phone":"1","email":"a@x.org"}""");
        var command = new UpdateCustomer
        {
            CommandId = Guid.NewGuid(),
            CustomerId = "c1",
            Revision = 9,
            Write = new()
            {
                ["name"] = "Eve",
                ["phone"] = "2",
                ["email"] = "a@x.org",
                ["address.city"] = "C",
            },
            // The name has moved on meanwhile; the e-mail is there already; the city was empty.
            Expect = new()
            {
                ["name"] = "Bob",
                ["phone"] = "1",
                ["email"] = "b@x.org",
            },
        };

        await Send(command);

        var snapshot = _sandbox.Records(r => r.Count >= 2)[1];
        Assert.Equal("product.customer.updated.v1", Header(snapshot, "ce_type"));
        Assert.Equal(
            $$$"""{"commandId":"{{{command.CommandId}}}","outcome":"done","written":{"phone":"2","email":"a@x.org","address.city":"C"}}""",
            Body(snapshot)["applied"]!.ToJsonString()
        );
        Assert.Equal("Ada", (string?)Body(snapshot)["customer"]!["name"]);
        Assert.Equal("2", (string?)Body(snapshot)["customer"]!["phone"]);
        Assert.Equal(2, (long)Body(snapshot)["revision"]!);
    }

    [Theory]
    [InlineData("01")]
    [InlineData("00")]
    public async Task What_answers_a_command_goes_on_with_its_trace_under_a_span_of_the_product(string sampled)
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        const string Asked = "b7ad6b7169203331";
        await Create("c1", """{"email":"ada@x.org"}""");

        await Send(
            Update("c1", new() { ["phone"] = "2" }, new() { ["phone"] = null }),
            $"00-{Trace}-{Asked}-{sampled}"
        );
        await Send(Command<CreateCustomer>("c2", new() { ["email"] = "ada@x.org" }), $"00-{Trace}-{Asked}-{sampled}");

        var records = _sandbox.Records(r => r.Count >= 3);
        foreach (var answer in (string[])["product.customer.updated.v1", "product.customer.exists.v1"])
        {
            var parent = Header(records.Single(r => Header(r, "ce_type") == answer), "traceparent")!;
            Assert.Matches($"^00-{Trace}-[0-9a-f]{{16}}-{sampled}$", parent);
            Assert.DoesNotContain(Asked, parent, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_command_that_could_write_nothing_is_answered_with_a_new_revision()
    {
        await Create("c1", """{"name":"Ada"}""");

        await Send(Update("c1", new() { ["name"] = "Eve" }, new() { ["name"] = "Bob" }));

        var snapshot = Body(_sandbox.Records(r => r.Count >= 2)[1]);
        Assert.Equal(2, (long)snapshot["revision"]!);
        Assert.Equal("{}", snapshot["applied"]!["written"]!.ToJsonString());
    }

    [Fact]
    public async Task A_repeated_command_is_not_applied_again_but_answered_again()
    {
        await Create("c1", """{"phone":"1"}""");
        var command = Update("c1", new() { ["phone"] = "2" }, new() { ["phone"] = "1" });
        await Send(command);
        _sandbox.Records(r => r.Count >= 2);
        await Patch("c1", """{"phone":"1"}""");

        await Send(command);

        var records = _sandbox.Records(r => r.Count >= 4);
        Assert.Equal([1L, 2L, 3L, 3L], records.Select(r => (long)Body(r)["revision"]!));
        Assert.Equal("1", (string?)Body(records[3])["customer"]!["phone"]);
        // Every snapshot repeats the newest command applied.
        Assert.All(
            records.Skip(1),
            r => Assert.Equal(command.CommandId.ToString(), (string?)Body(r)["applied"]!["commandId"])
        );
    }

    [Fact]
    public async Task A_created_customer_is_new_unless_somebody_has_its_email()
    {
        await Create("c1", """{"email":" Ada@X.org "}""");
        var second = Command<CreateCustomer>("c2", new() { ["email"] = "ada@x.ORG" });
        var third = Command<CreateCustomer>("c3", new() { ["email"] = "eve@x.org", ["name"] = "Eve" });
        await Send(second);
        await Send(second);
        await Send(third);

        var records = _sandbox.Records(r => r.Count >= 4);

        foreach (var exists in records.Where(r => r.Message.Key == "c2"))
        {
            Assert.Equal("product.customer.exists.v1", Header(exists, "ce_type"));
            Assert.Equal(
                $$"""{"customerId":"c2","commandId":"{{second.CommandId}}","existing":"c1"}""",
                Encoding.UTF8.GetString(exists.Message.Value)
            );
        }

        Assert.Equal(2, records.Count(r => r.Message.Key == "c2"));
        var created = records.Single(r => r.Message.Key == "c3");
        Assert.Equal("product.customer.created.v1", Header(created, "ce_type"));
        Assert.Equal("done", (string?)Body(created)["applied"]!["outcome"]);
    }

    [Fact]
    public async Task A_customer_without_its_old_email_is_no_namesake_any_more()
    {
        await Create("c1", """{"email":"a@x.org"}""");
        await Patch("c1", """{"email":"b@x.org"}""");
        await Send(Command<CreateCustomer>("c2", new() { ["email"] = "a@x.org" }));
        await Send(Command<CreateCustomer>("c3", new() { ["email"] = "B@x.org" }));

        var records = _sandbox.Records(r => r.Count >= 4);

        Assert.Equal("product.customer.created.v1", Header(records.Single(r => r.Message.Key == "c2"), "ce_type"));
        Assert.Equal("product.customer.exists.v1", Header(records.Single(r => r.Message.Key == "c3"), "ce_type"));
    }

    [Fact]
    public async Task Commands_for_who_is_not_there_are_answered_too()
    {
        await Create("c1", "{}");
        await Send(Command<DeleteCustomer>("c1", []));
        await Send(Command<UpdateCustomer>("c1", new() { ["name"] = "x" }));
        await Send(Command<CreateCustomer>("c1", new() { ["name"] = "x" }));
        await Send(Command<UpdateCustomer>("never", new() { ["name"] = "x" }));
        await Send(Command<DeleteCustomer>("never-2", []));

        var records = _sandbox.Records(r => r.Count >= 6);

        Assert.Equal(["1 ", "2 done", "3 gone", "4 refused"], records.Where(r => r.Message.Key == "c1").Select(Told));
        Assert.Equal("1 gone", Told(records.Single(r => r.Message.Key == "never")));
        Assert.Equal("1 done", Told(records.Single(r => r.Message.Key == "never-2")));
        Assert.Equal(404, (await TestSandbox.Send(_sandbox.Product, HttpMethod.Get, "/customers/c1")).Status);

        static string Told(ConsumeResult<string, byte[]> r) =>
            $"{(long)Body(r)["revision"]!} {(string?)Body(r)["applied"]?["outcome"]}";
    }

    [Fact]
    public async Task A_command_that_cannot_be_read_stops_nothing()
    {
        await Create("c1", """{"phone":"1"}""");
        foreach (var value in new[] { "nonsense", "{}", "null" })
        {
            await Raw(
                new JsonObject
                {
                    ["topic"] = Topics.CustomerCommands,
                    ["key"] = "c1",
                    ["value"] = value,
                    ["headers"] = new JsonObject { ["ce_type"] = "product.customer.update.v1" },
                }
            );
        }

        await Raw(new JsonObject { ["topic"] = Topics.CustomerCommands, ["key"] = "c1" });
        await Send(Update("c1", new() { ["phone"] = "2" }, new() { ["phone"] = "1" }));

        Assert.Equal("2", (string?)Body(_sandbox.Records(r => r.Count >= 2)[1])["customer"]!["phone"]);
    }

    [Fact]
    public async Task A_raw_record_is_put_onto_kafka_as_it_is()
    {
        var placed = await Raw(
            new JsonObject
            {
                ["key"] = "c9",
                ["valueBase64"] = Convert.ToBase64String([0xFF, 0x00, 0x7B]),
                ["headers"] = new JsonObject { ["ce_type"] = "product.customer.exploded.v1", ["x"] = null },
                ["headersBase64"] = new JsonObject { ["ce_id"] = Convert.ToBase64String([0xC3, 0x28]) },
            }
        );

        var record = _sandbox.Records(r => r.Count >= 1)[0];
        Assert.Equal(201, placed.Status);
        Assert.Equal((long)placed.Json!["offset"]!, record.Offset.Value);
        Assert.Equal([0xFF, 0x00, 0x7B], record.Message.Value);
        Assert.Equal(3, record.Message.Headers.Count);
        Assert.Equal(400, (await Raw(new JsonObject { ["topic"] = "other" })).Status);
        Assert.Equal(400, (await Raw(new JsonObject { ["body"] = "x" })).Status);
        Assert.Equal(400, (await Raw(new JsonObject { ["partition"] = 32 })).Status);
    }

    static UpdateCustomer Update(string id, Dictionary<string, string?> write, Dictionary<string, string?> expect) =>
        new()
        {
            CommandId = Guid.NewGuid(),
            CustomerId = id,
            Revision = 1,
            Write = write,
            Expect = expect,
        };

    static CustomerCommand Command<T>(string id, Dictionary<string, string?> write)
        where T : CustomerCommand =>
        typeof(T).Name switch
        {
            nameof(CreateCustomer) => new CreateCustomer
            {
                CommandId = Guid.NewGuid(),
                CustomerId = id,
                Revision = 1,
                Write = write,
            },
            nameof(DeleteCustomer) => new DeleteCustomer
            {
                CommandId = Guid.NewGuid(),
                CustomerId = id,
                Revision = 1,
            },
            _ => Update(id, write, []),
        };

    Task<Reply> Create(string id, string body)
    {
        var customer = JsonNode.Parse(body)!;
        customer["id"] = id;
        return TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/customers",
            TestSandbox.Json(customer.ToJsonString())
        );
    }

    Task<Reply> Patch(string id, string body) =>
        TestSandbox.Send(_sandbox.Product, HttpMethod.Patch, $"/customers/{id}", TestSandbox.Json(body));

    Task<Reply> Raw(JsonObject record) =>
        TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            "/sandbox/kafka/records",
            TestSandbox.Json(record.ToJsonString())
        );

    async Task Send(CustomerCommand command, string? traceParent = null)
    {
        var kind = Wire.All.Single(k => k.Json.Type == command.GetType());
        var headers = new JsonObject { ["ce_type"] = kind.Type };
        if (traceParent is not null)
            headers["traceparent"] = traceParent;
        var reply = await Raw(
            new JsonObject
            {
                ["topic"] = kind.Topic(command),
                ["key"] = kind.Key(command),
                ["value"] = JsonSerializer.Serialize(command, kind.Json),
                ["headers"] = headers,
            }
        );
        Assert.Equal(201, reply.Status);
    }

    static string? Header(ConsumeResult<string, byte[]> record, string name) =>
        record.Message.Headers.TryGetLastBytes(name, out var value) ? Encoding.UTF8.GetString(value) : null;

    static JsonNode Body(ConsumeResult<string, byte[]> record) => JsonNode.Parse(record.Message.Value)!;
}

/// <summary>Kafka's murmur2 as Java's DefaultPartitioner uses it: an implementation of its own, to compare with.</summary>
static class Murmur2
{
    public static int Hash(byte[] data)
    {
        const uint M = 0x5BD1E995;
        var h = 0x9747B28C ^ (uint)data.Length;
        var i = 0;
        for (; data.Length - i >= 4; i += 4)
        {
            var k = BitConverter.ToUInt32(data, i) * M;
            h = (h * M) ^ ((k ^ (k >> 24)) * M);
        }

        if (data.Length - i >= 3)
            h ^= (uint)data[i + 2] << 16;
        if (data.Length - i >= 2)
            h ^= (uint)data[i + 1] << 8;
        if (data.Length - i >= 1)
            h = (h ^ data[i]) * M;
        h = (h ^ (h >> 13)) * M;
        return (int)(h ^ (h >> 15));
    }
}

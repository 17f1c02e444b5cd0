using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Contracts;

/// <summary>
/// What travels is approved, message by message. Within <c>.v1</c> only optional members are added, so a sample of today
/// must be readable for as long as there is a <c>.v1</c>.
/// </summary>
public sealed class WireTests
{
    static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);
    static readonly Guid Command = new("3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11");
    static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    static readonly CustomerFields Customer = new()
    {
        HasAttributes = true,
        ["name"] = "Zoë ☃",
        ["email"] = "zoe@example.com",
        ["phone"] = null,
        ["address.line1"] = "1 Main St",
        ["address.line2"] = null,
        ["address.city"] = "Oslo",
        ["address.state"] = null,
        ["address.postalCode"] = "0150",
        ["address.country"] = "NO",
        ["attributes.tier"] = "gold",
    };

    static readonly Dictionary<string, string?> Write = new() { ["email"] = "zoe@example.com", ["phone"] = null };
    static readonly Dictionary<string, string?> Expect = new()
    {
        ["email"] = "old@example.com",
        ["phone"] = "+4712345678",
    };
    static readonly AppliedCommand Applied = new(Command, Outcome.Done, Write);

    /// <summary>One full message of every kind.</summary>
    static readonly object[] Samples =
    [
        new CustomerCreated
        {
            CustomerId = "c-1",
            Revision = 1,
            Customer = Customer,
        },
        new CustomerUpdated
        {
            CustomerId = "c-1",
            Revision = 2,
            Customer = Customer,
            Applied = Applied,
        },
        new CustomerDeleted
        {
            CustomerId = "c-1",
            Revision = 3,
            Applied = Applied,
        },
        new CustomerExists
        {
            CustomerId = "c-1",
            CommandId = Command,
            Existing = "c-2",
        },
        new CreateCustomer
        {
            CommandId = Command,
            CustomerId = "c-1",
            Revision = 4,
            Write = Write,
        },
        new UpdateCustomer
        {
            CommandId = Command,
            CustomerId = "c-1",
            Revision = 4,
            Write = Write,
            Expect = Expect,
        },
        new DeleteCustomer
        {
            CommandId = Command,
            CustomerId = "c-1",
            Revision = 4,
        },
        new PushCustomer
        {
            CommandId = Command,
            System = "billing",
            CustomerId = "c-1",
            Generation = 1,
            Operation = Operation.Update,
            ExternalId = "cus_1",
            Revision = 4,
            Write = Write,
            Expect = Expect,
        },
        new CustomerReported
        {
            System = "billing",
            CustomerId = "c-1",
            Generation = 1,
            Obs = 17,
            ExternalId = "cus_1",
            IdOnObject = true,
            Ack = Command,
            Outcome = Outcome.Refused,
            Written = Write,
            Stored = Write,
            Refused = new() { ["phone"] = "x" },
            Reason = "phone: at most 20 characters",
            Fields = Expect,
            Own = Write,
            Over = new() { ["email"] = new Overwritten("person@example.com", "zoe@example.com") },
            Undelete = true,
            ConfigHash = "0123456789ab",
            VendorRequestId = "req_1",
            Calls = 0.5,
            DurationMs = 12,
            Forgotten = new() { ["ledger"] = 3, ["record"] = 1 },
        },
        new ObjectFound
        {
            System = "billing",
            ExternalId = "cus_9",
            Fields = Write,
        },
        new ObjectDuplicated
        {
            System = "billing",
            CustomerId = "c-1",
            ExternalId = "cus_9",
            Ours = true,
        },
        new FeedGapReported
        {
            GapId = Command,
            System = "billing",
            Feed = "events",
            Reason = "expired: older than what the vendor keeps",
            From = Now.AddDays(-31),
            To = Now,
            OpenedAt = Now,
            ClosedAt = Now.AddMinutes(1),
        },
        new LinkObject
        {
            CustomerId = "c-1",
            System = "billing",
            ExternalId = "cus_9",
            Fields = Write,
            Minted = true,
        },
        new ObjectLinked
        {
            CustomerId = "c-1",
            System = "billing",
            ExternalId = "cus_9",
        },
        new ObjectParked
        {
            CustomerId = "c-1",
            System = "billing",
            ExternalId = "cus_9",
            Reason = "duplicate of customer c-1",
        },
        new RelinkObject
        {
            CustomerId = "c-1",
            System = "billing",
            ExternalId = "cus_9",
            To = "c-2",
        },
        new Due { CustomerId = "c-1" },
        new ObjectDue { System = "billing", ExternalId = "cus_9" },
        new Retry
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
            System = "billing",
        },
        new TakeSide
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
            Field = "email",
            Side = "golden",
        },
        new Release
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
            System = "billing",
            Spread = true,
        },
        new Ignore
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new Resync
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
            System = "billing",
        },
        new Erase
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new ReleaseLoop
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new AllowRecreate
        {
            CustomerId = "c-1",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new LinkTo
        {
            System = "billing",
            ExternalId = "cus_9",
            RequestedBy = "kim",
            RequestedAt = Now,
            CustomerId = "c-1",
        },
        new RetryObject
        {
            System = "billing",
            ExternalId = "cus_9",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new IgnoreObject
        {
            System = "billing",
            ExternalId = "cus_9",
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new ForgetObject
        {
            CustomerId = "c-1",
            System = "billing",
            ExternalId = "cus_9",
        },
        new ReadObject
        {
            System = "billing",
            ExternalId = "cus_9",
            RequestedBy = "kim",
        },
        new RequestScan { System = "billing", RequestId = Command },
        new ObjectsListed
        {
            System = "billing",
            RequestId = Command,
            Objects =
            [
                new()
                {
                    ExternalId = "cus_9",
                    CustomerId = "c-1",
                    Fields = Write,
                },
            ],
            Done = true,
        },
        new Compare
        {
            ComparisonId = Command,
            System = "billing",
            Kind = ComparisonKind.Import,
            Apply = true,
            RequestedBy = "kim",
            RequestedAt = Now,
        },
        new ApplyFindings { ComparisonId = Command, After = "object:cus_9" },
    ];

    static readonly MessageCatalog Catalog = MakeCatalog();

    public static TheoryData<string> Types => [.. Wire.All.Select(m => m.Type)];

    [Theory]
    [MemberData(nameof(Types))]
    public void A_message_on_the_wire_is_the_approved_one(string type)
    {
        var encoder = new MessageEncoder(Catalog, "sync/test", new FakeTimeProvider(Now));
        var message = encoder.Encode(Sample(type));

        Approved.Matches(
            $"wire/{type}.json",
            new JsonObject
            {
                ["topic"] = message.Topic,
                ["key"] = Utf8.Decode(message.Key),
                ["headers"] = new JsonObject(
                    message
                        .Headers.Where(h => h.Key is not (CloudEventNames.TraceParent or CloudEventNames.TraceState))
                        .Select(h =>
                            KeyValuePair.Create(
                                h.Key,
                                (JsonNode?)(h.Key == CloudEventNames.Id ? "(a new UUID)" : Utf8.Decode(h.Value))
                            )
                        )
                ),
                ["body"] = JsonNode.Parse(message.Body),
            }.ToJsonString(Indented)
        );
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void An_approved_sample_is_read_whole_with_members_that_this_version_does_not_know(string type)
    {
        var body = JsonNode.Parse(Repository.Read($"Sync.Tests/Approved/wire/{type}.json"))!["body"]!.AsObject();
        var kind = Catalog.Find(type)!;
        var before = body.ToJsonString();
        body["addedLater"] = new JsonObject { ["x"] = 1 };

        var message = JsonSerializer.Deserialize(body.ToJsonString(), kind.Json)!;

        Assert.Null(kind.Problem(message));
        Assert.Equal(before, JsonNode.Parse(JsonSerializer.Serialize(message, kind.Json))!.ToJsonString());
    }

    [Fact]
    public void Every_message_has_one_sample_and_no_approved_one_is_forgotten()
    {
        Assert.Equal(Wire.All.Select(m => m.Json.Type).ToHashSet(), Samples.Select(s => s.GetType()).ToHashSet());
        Assert.Equal(
            Wire.All.Select(m => $"{m.Type}.json").Order(StringComparer.Ordinal),
            Directory
                .EnumerateFiles(Path.Combine(Repository.Root, "Sync.Tests", "Approved", "wire"))
                .Select(f => Path.GetFileName(f)!)
                .Where(f => !f.Contains(".received.", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void Attributes_that_are_there_and_empty_differ_from_none_at_all()
    {
        var type = (System.Text.Json.Serialization.Metadata.JsonTypeInfo<CustomerUpdated>)
            Catalog.Find("product.customer.updated.v1")!.Json;
        CustomerUpdated Read(string attributes) =>
            JsonSerializer.Deserialize(
                $$$"""{"customerId":"c-1","revision":1,"customer":{"name":"Ann"{{{attributes}}}}}""",
                type
            )!;

        Assert.True(Read(""","attributes":{}""").Customer.HasAttributes);
        Assert.False(Read(""","attributes":null""").Customer.HasAttributes);
        Assert.False(Read("").Customer.HasAttributes);
        Assert.Contains(
            "\"attributes\":{}",
            JsonSerializer.Serialize(Read(""","attributes":{}"""), type),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_value_that_a_write_emptied_or_that_was_empty_before_is_read_as_it_was_sent()
    {
        var report = new CustomerReported
        {
            System = "billing",
            CustomerId = "c-1",
            Generation = 1,
            Obs = 17,
            Over = new() { ["email"] = new(null, "zoe@example.com"), ["phone"] = new("+4712345678", null) },
        };

        var type = (System.Text.Json.Serialization.Metadata.JsonTypeInfo<CustomerReported>)
            Catalog.Find("sync.customer.reported.v1")!.Json;
        var read = JsonSerializer.Deserialize(JsonSerializer.Serialize(report, type), type)!;

        Assert.Equal(report.Over, read.Over);
    }

    static object Sample(string type) => Samples.Single(s => s.GetType() == Catalog.Find(type)!.Type);

    static MessageCatalog MakeCatalog()
    {
        var catalog = new MessageCatalog();
        foreach (var m in Wire.All)
            catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        return catalog;
    }
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;

namespace Sync.Sandbox.Salesforce.Events;

/// <summary>
/// The Avro schema of an Account's change events as the org's fields make it. Another field is another schema with another
/// id; events that were made before keep theirs.
/// </summary>
sealed class ChangeEventSchema
{
    /// <summary>Address fields that this org keeps, by their place in the compound field.</summary>
    static readonly string[] Parts = ["Street", "City", "State", "PostalCode", "Country"];

    static readonly string[] Types =
    [
        "CREATE",
        "UPDATE",
        "DELETE",
        "UNDELETE",
        "GAP_CREATE",
        "GAP_UPDATE",
        "GAP_DELETE",
        "GAP_UNDELETE",
        "GAP_OVERFLOW",
        "SNAPSHOT",
    ];

    const string Billing = "Billing";

    readonly List<Field> _fields = [];

    public ChangeEventSchema(IEnumerable<AccountField> fields)
    {
        var schema = new JsonArray(
            new JsonObject { ["name"] = "ChangeEventHeader", ["type"] = Header() },
            Add(
                "Name",
                account => account.Values.GetValueOrDefault("Name"),
                "Data:Switchable_PersonName",
                new JsonArray("null", "string", PersonName())
            ),
            Add("Type", _ => null, "Data:DynamicEnum"),
            Add("ParentId", _ => null, "Data:EntityId"),
            Add("BillingAddress", null, "Data:Address", new JsonArray("null", Address())),
            // A type that was defined before is only named.
            Add("ShippingAddress", _ => null, "Data:Address", new JsonArray("null", "Address")),
            Add("Phone", account => account.Values.GetValueOrDefault("Phone"), "Data:PhoneNumber"),
            Add("OwnerId", account => account.CreatedBy, "Data:EntityId"),
            Add("CreatedDate", account => account.Created, "CreatedDate:DateTime", new JsonArray("null", "long")),
            Add("CreatedById", account => account.CreatedBy, "CreatedBy:EntityId"),
            Add(
                "LastModifiedDate",
                account => account.Modified,
                "LastModifiedDate:DateTime",
                new JsonArray("null", "long")
            ),
            Add("LastModifiedById", account => account.ModifiedBy, "LastModifiedBy:EntityId")
        );
        foreach (var (index, field) in fields.Where(f => f.Custom).Index())
        {
            schema.Add(
                (JsonNode)Add(
                    field.Name,
                    account => account.Values.GetValueOrDefault(field.Name),
                    string.Create(CultureInfo.InvariantCulture, $"Data:Text:00NSb00000{index:D5}")
                )
            );
        }

        Json = new JsonObject
        {
            ["name"] = "AccountChangeEvent",
            ["type"] = "record",
            ["namespace"] = "com.sforce.eventbus",
            ["fields"] = schema,
        }.ToJsonString();
        Id = WebEncoders.Base64UrlEncode(SHA256.HashData(Encoding.UTF8.GetBytes(Json)).AsSpan(0, 16));
    }

    /// <summary>22 characters, as the real ones.</summary>
    public string Id { get; }

    public string Json { get; }

    public static bool IsType(string type) => Types.Contains(type);

    /// <summary>One event, as raw Avro without a container.</summary>
    /// <param name="ids">Several where one transaction did the same to several records.</param>
    public static byte[] Write(ChangeHeader header, IReadOnlyCollection<string> ids, int sequence, byte[] body) =>
        new AvroWriter()
            .Text("Account")
            .Texts(ids)
            .Long(Array.IndexOf(Types, header.Type))
            .Text(header.Origin)
            .Text(header.TransactionKey)
            .Long(sequence)
            .Long(header.At.ToUnixTimeMilliseconds())
            .Long(header.CommitNumber)
            .Text(header.User)
            .Texts(header.Nulled)
            .Texts(header.Diff)
            .Texts(header.Changed)
            .Raw(body)
            .ToArray();

    /// <summary>Every field of a new or undeleted record.</summary>
    public byte[] Whole(Account account) => Body(account, static (_, _) => true);

    /// <summary>What changed; the others are null, as are those that were emptied.</summary>
    public byte[] Part(Account account, IReadOnlySet<string> changed) =>
        Body(account, (field, part) => changed.Contains(part is null ? field : $"{Billing}{part}"));

    /// <summary>No field: of a deletion and of a gap.</summary>
    public byte[] Empty()
    {
        var writer = new AvroWriter();
        foreach (var _ in _fields)
            writer.Maybe(null);
        return writer.ToArray();
    }

    /// <summary>
    /// The bitmaps of some fields: one of the top level, where bit 0 is the header, and one for each compound field of
    /// which only parts are meant, behind its index. Upper-case digits, an even number of them.
    /// </summary>
    public IReadOnlyList<string> Bitmaps(IEnumerable<string> fields)
    {
        var top = new SortedSet<int>();
        var parts = new SortedSet<int>();
        var address = 1 + _fields.FindIndex(field => field.Name == "BillingAddress");
        foreach (var name in fields)
        {
            var index = _fields.FindIndex(field => field.Name == name);
            if (index >= 0)
                top.Add(index + 1);
            else if (name.StartsWith(Billing, StringComparison.Ordinal))
                parts.Add(Array.IndexOf(Parts, name[Billing.Length..]));
        }

        List<string> bitmaps = [];
        if (top.Count > 0)
            bitmaps.Add($"0x{Hex(top)}");
        if (parts.Count > 0)
            bitmaps.Add(string.Create(CultureInfo.InvariantCulture, $"{address}-0x{Hex(parts)}"));
        return bitmaps;
    }

    static string Hex(SortedSet<int> bits)
    {
        var bytes = new byte[(bits.Max / 8) + 1];
        foreach (var bit in bits)
            bytes[^((bit / 8) + 1)] |= (byte)(1 << (bit % 8));
        return Convert.ToHexString(bytes);
    }

    byte[] Body(Account account, Func<string, string?, bool> has)
    {
        var writer = new AvroWriter();
        foreach (var field in _fields)
        {
            if (field.Value is { } value)
            {
                writer.Maybe(has(field.Name, null) ? value(account) : null);
                continue;
            }

            var parts = Parts
                .Select(part => has(field.Name, part) ? account.Values.GetValueOrDefault($"{Billing}{part}") : null)
                .ToList();
            if (parts.TrueForAll(part => part is null))
            {
                writer.Maybe(null);
                continue;
            }

            writer.Long(1);
            foreach (var part in parts)
                writer.Maybe(part);
            for (var i = Parts.Length; i < AddressFields; i++)
                writer.Maybe(null);
        }

        return writer.ToArray();
    }

    const int AddressFields = 10;

    JsonObject Add(string name, Func<Account, object?>? value, string doc, JsonArray? type = null)
    {
        _fields.Add(new Field(name, value));
        return Nullable(name, type ?? new JsonArray("null", "string"), doc);
    }

    static JsonObject Nullable(string name, JsonArray type, string? doc = null)
    {
        var field = new JsonObject
        {
            ["name"] = name,
            ["type"] = type,
            ["default"] = null,
        };
        if (doc is not null)
            field["doc"] = doc;
        return field;
    }

    static JsonObject Header()
    {
        static JsonObject Texts(string name) =>
            new()
            {
                ["name"] = name,
                ["type"] = new JsonObject { ["type"] = "array", ["items"] = "string" },
            };
        static JsonObject Plain(string name, string type) => new() { ["name"] = name, ["type"] = type };
        return new JsonObject
        {
            ["type"] = "record",
            ["name"] = "ChangeEventHeader",
            ["fields"] = new JsonArray(
                Plain("entityName", "string"),
                Texts("recordIds"),
                new JsonObject
                {
                    ["name"] = "changeType",
                    ["type"] = new JsonObject
                    {
                        ["type"] = "enum",
                        ["name"] = "ChangeType",
                        ["symbols"] = new JsonArray([.. Types.Select(type => (JsonNode)type)]),
                    },
                },
                Plain("changeOrigin", "string"),
                Plain("transactionKey", "string"),
                Plain("sequenceNumber", "int"),
                Plain("commitTimestamp", "long"),
                Plain("commitNumber", "long"),
                Plain("commitUser", "string"),
                Texts("nulledFields"),
                Texts("diffFields"),
                Texts("changedFields")
            ),
        };
    }

    static JsonObject PersonName() =>
        new()
        {
            ["type"] = "record",
            ["name"] = "Switchable_PersonName",
            ["fields"] = new JsonArray(
                Nullable("Salutation", new JsonArray("null", "string")),
                Nullable("FirstName", new JsonArray("null", "string")),
                Nullable("LastName", new JsonArray("null", "string"))
            ),
        };

    static JsonObject Address() =>
        new()
        {
            ["type"] = "record",
            ["name"] = "Address",
            ["fields"] = new JsonArray([
                .. Parts
                    .Concat(["StateCode", "CountryCode"])
                    .Select(part => (JsonNode)Nullable(part, new JsonArray("null", "string"))),
                Nullable("Latitude", new JsonArray("null", "double")),
                Nullable("Longitude", new JsonArray("null", "double")),
                Nullable("GeocodeAccuracy", new JsonArray("null", "string")),
            ]),
        };

    /// <param name="Value">Null for the compound field that is made of others.</param>
    sealed record Field(string Name, Func<Account, object?>? Value);
}

/// <summary>What an event says beside the record's fields.</summary>
/// <param name="Origin">Which API and client, in Salesforce's own form.</param>
/// <param name="TransactionKey">The same for all events of one transaction.</param>
sealed record ChangeHeader(
    string Type,
    string Origin,
    string TransactionKey,
    DateTimeOffset At,
    long CommitNumber,
    string User
)
{
    public IReadOnlyCollection<string> Nulled { get; init; } = [];
    public IReadOnlyCollection<string> Diff { get; init; } = [];
    public IReadOnlyCollection<string> Changed { get; init; } = [];
}

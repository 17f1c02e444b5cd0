using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Json;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Wire;
using Sync.Tests.Support;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.EventEmitters;

namespace Sync.Tests.Contracts;

/// <summary>
/// The contract as strangers read it, AsyncAPI 3.0 and JSON Schema 2020-12, made from the catalog of the wire, its JSON and
/// the approved samples: what the code reads is what the documents say, since nobody writes it twice.
/// </summary>
static class PublishedContract
{
    public const string Folder = "docs/contract";
    public const string ProductDocument = "docs/contract/asyncapi.yaml";
    public const string InternalDocument = "docs/contract/asyncapi-internal.yaml";

    /// <summary>The schemas use only what draft-07 means by the same words, since that is what AsyncAPI's tools read.</summary>
    const string Dialect = "https://json-schema.org/draft/2020-12/schema";

    const string UuidPattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

    /// <summary>The system of the approved samples; any system's name may stand there.</summary>
    const string SampleSystem = "billing";

    static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>What a reader of the documents wants to know of a message, and no code can tell.</summary>
    static readonly Dictionary<Type, string> Summaries = new()
    {
        [typeof(CustomerCreated)] = "The product has a new customer; a whole snapshot.",
        [typeof(CustomerUpdated)] = "A customer of the product changed; a whole snapshot.",
        [typeof(CustomerDeleted)] = "The product deleted a customer.",
        [typeof(CustomerExists)] =
            "Answer to a create: the product has this person already, as another customer, or under an id of its own.",
        [typeof(CreateCustomer)] = "Create the customer under this id, or answer with exists.",
        [typeof(UpdateCustomer)] = "Write each value whose field still holds what is expected there.",
        [typeof(DeleteCustomer)] = "Delete the customer.",
        [typeof(PushCustomer)] = "One command to one vendor for one customer.",
        [typeof(CustomerReported)] = "What an adapter saw of a customer's object, and which command that settles.",
        [typeof(ObjectFound)] = "An object without our id.",
        [typeof(ObjectDuplicated)] = "A second object that carries a customer's id.",
        [typeof(LinkObject)] = "Object to customer: take this object as yours, if your slot is free.",
        [typeof(ObjectLinked)] = "Customer to object: you are mine.",
        [typeof(ObjectParked)] = "Customer to object: you are not mine, because.",
        [typeof(RelinkObject)] = "Customer to object: I became another customer; ask that one.",
        [typeof(Due)] = "Timer: repeat every command in flight whose time has come.",
        [typeof(ObjectDue)] = "Timer of an object that waits for a customer's answer: ask again.",
        [typeof(Retry)] = "Operator: ask again for what was refused.",
        [typeof(TakeSide)] = "Operator: resolve a held conflict.",
        [typeof(Release)] = "Operator: resolve a held deletion.",
        [typeof(Ignore)] = "Operator: hide what is parked until its reason changes.",
        [typeof(Resync)] = "Operator: read again what the vendors hold.",
        [typeof(Erase)] = "Operator: delete the person everywhere by policy, and forget everything but ids.",
        [typeof(ReleaseLoop)] = "Operator: follow a customer again that the loop brake stopped.",
        [typeof(AllowRecreate)] = "Operator: follow a removed id that the product created again, as a new life.",
        [typeof(LinkTo)] = "Operator: this object is that customer's, if its slot is free.",
        [typeof(RetryObject)] = "Operator: read a parked object again, and decide anew whose it is.",
        [typeof(IgnoreObject)] = "Operator: hide a parked object until its reason changes.",
        [typeof(ForgetObject)] = "Customer to object: the person was erased; forget the record, keep the id.",
        [typeof(ReadObject)] = "Read an object that is no customer's yet, and report it as found.",
        [typeof(RequestScan)] = "List every object of the vendor, and tell what each is; nothing is written.",
        [typeof(ObjectsListed)] = "A part of what a vendor holds, because somebody asked.",
        [typeof(Compare)] = "Operator: compare a vendor's objects with the golden record, and act on it if asked to.",
        [typeof(ApplyFindings)] = "Orchestrator to itself: act on the next piece of what a comparison found.",
        [typeof(FeedGapReported)] = "A window in which a feed may have lost changes, opened or closed.",
    };

    static readonly Dictionary<string, string> Members = new()
    {
        ["customerId"] = "The product's id of the customer, and the key of the record.",
        ["existing"] = "The id under which the product has this person.",
        ["revision"] =
            "Rises with every change of the customer, also with one made by a command; an older one is ignored.",
        ["customer"] =
            "All that the product has. An absent member is a field that this product does not have; null is an empty one.",
        ["applied"] = "The newest command that the product applied to this customer. Every later snapshot repeats it.",
        ["commandId"] = "The command.",
        ["outcome"] =
            "done: written, as far as it could be; refused: the product does not take it; gone: there is no such customer.",
        ["written"] = "What was really written: fields that held something else than expected are left out.",
        ["write"] = "Values to write, by path; null empties the field. Always there.",
        ["expect"] =
            "What the product is believed to hold, by path. A field that holds something else is not written. Always there.",
        ["address"] = "Null and absent are alike.",
        ["attributes"] =
            "Free keys. While the object is there, a key that is missing in it is an empty attribute; without the object this product has no attributes.",
    };

    public static IEnumerable<WireMessage> OfProduct => Wire.All.Where(IsOfProduct);

    public static bool IsOfProduct(WireMessage message) =>
        message.Type.StartsWith("product.", StringComparison.Ordinal);

    public static string SchemaFile(WireMessage message) => $"{Folder}/schemas/{message.Type}.json";

    /// <summary>A product's message as JSON Schema, with the limits that the code holds it to.</summary>
    public static string Schema(WireMessage message)
    {
        var schema = new JsonObject
        {
            ["$schema"] = Dialect,
            ["title"] = message.Type,
            ["description"] =
                $"{Summary(message)} Lengths are counted in UTF-16 code units, as Java, JavaScript and .NET do.",
        };
        foreach (var (name, node) in Exported(message))
            schema[name] = node?.DeepClone();
        return schema.ToJsonString(Indented);
    }

    /// <summary>What a product reads and writes.</summary>
    public static string ForProducts() =>
        Yaml(
            Document(
                "Sync, the product's side",
                """
                What a product sends to Sync and receives from it, seen from Sync. Everything is CloudEvents 1.0 in Kafka's
                binary mode with a JSON body. Members that a reader does not know are to be ignored: within v1 only optional
                ones are added. What Sync cannot read goes whole to a dead-letter table with a reason; nothing else waits
                for it. What a product must do stands in docs/product.md.
                """,
                [.. OfProduct]
            )
        );

    /// <summary>What Sync's own processes tell each other: for whoever builds an adapter, and no promise to a product.</summary>
    public static string ForSync() =>
        Yaml(
            Document(
                "Sync, inside",
                """
                What Sync's own processes tell each other, seen from the orchestrator: commands to adapters, their reports,
                and requests of timers, objects and operators. For whoever builds an adapter; a product never meets it.
                """,
                [.. Wire.All.Where(m => !IsOfProduct(m))]
            )
        );

    static JsonObject Document(string title, string description, IReadOnlyList<WireMessage> messages)
    {
        var channels = new JsonObject();
        var operations = new JsonObject();
        foreach (var topic in messages.GroupBy(Address))
        {
            var name = Name(topic.Key);
            var channel = new JsonObject
            {
                ["address"] = topic.Key,
                ["description"] =
                    $"Kafka topic with {Topics.Partitions} partitions, as all of them. Keys are text as UTF-8 bytes; every producer picks the partition with murmur2 over the key, as Java clients do (librdkafka: partitioner=murmur2_random).",
            };
            if (topic.Key.Contains("{system}", StringComparison.Ordinal))
                channel["parameters"] = new JsonObject
                {
                    ["system"] = new JsonObject
                    {
                        ["description"] = "A system of config/systems.json other than the product.",
                        ["examples"] = new JsonArray(SystemNames.Stripe, SystemNames.Salesforce),
                    },
                };
            channel["messages"] = Map(topic, m => m.Type, m => Reference($"#/components/messages/{m.Type}"));
            channel["bindings"] = new JsonObject
            {
                ["kafka"] = new JsonObject { ["partitions"] = Topics.Partitions, ["bindingVersion"] = "0.5.0" },
            };
            channels[name] = channel;
            foreach (var action in Actions(topic.Key))
                operations[$"{action}.{name}"] = new JsonObject
                {
                    ["action"] = action,
                    ["channel"] = Reference($"#/channels/{name}"),
                };
        }

        return new JsonObject
        {
            ["asyncapi"] = "3.0.0",
            ["info"] = new JsonObject
            {
                ["title"] = title,
                ["version"] = "1.0.0",
                ["description"] = description.ReplaceLineEndings(" "),
            },
            ["defaultContentType"] = "application/json",
            ["channels"] = channels,
            ["operations"] = operations,
            ["components"] = new JsonObject { ["messages"] = Map(messages, m => m.Type, Message) },
        };
    }

    static JsonObject Message(WireMessage message)
    {
        var sample = Sample(message);
        var body = sample["body"]!.AsObject();
        var key = body.Single(member =>
            member.Key is "customerId" or "externalId" or "feed" or "requestId" or "comparisonId" && IsKey(member.Value)
        ).Key;

        return new JsonObject
        {
            ["name"] = message.Type,
            ["summary"] = Summary(message),
            ["contentType"] = "application/json",
            ["headers"] = Headers(message),
            ["payload"] = IsOfProduct(message) ? Reference($"./schemas/{message.Type}.json") : Exported(message),
            ["bindings"] = new JsonObject
            {
                ["kafka"] = new JsonObject
                {
                    ["key"] = new JsonObject
                    {
                        ["type"] = "string",
                        ["description"] = $"The value of {key}, as UTF-8 bytes.",
                    },
                    ["bindingVersion"] = "0.5.0",
                },
            },
            ["examples"] = new JsonArray(new JsonObject { ["name"] = "sample", ["payload"] = body.DeepClone() }),
        };

        bool IsKey(JsonNode? value) => (string?)value == (string?)sample["key"];
    }

    static JsonObject Headers(WireMessage message) =>
        new()
        {
            ["type"] = "object",
            ["required"] = new JsonArray(
                CloudEventNames.SpecVersion,
                CloudEventNames.Id,
                CloudEventNames.Type,
                CloudEventNames.Source
            ),
            ["properties"] = new JsonObject
            {
                [CloudEventNames.SpecVersion] = Constant("1.0"),
                [CloudEventNames.Id] = Text("Unique among the events of its source. A repeat keeps it."),
                [CloudEventNames.Type] = Constant(message.Type),
                [CloudEventNames.Source] = Text("Who sent it."),
                [CloudEventNames.Time] = Text("When it happened: RFC 3339, UTC. Decides nothing."),
                [CloudEventNames.Subject] = Text("What it is about: the key again."),
                [CloudEventNames.Sequence] = Text("The number by which late copies are dropped, for tools."),
                [CloudEventNames.CausationId] = Text("The id of the event that caused this one."),
                [CloudEventNames.TraceParent] = Text("W3C trace context."),
                [CloudEventNames.TraceState] = Text("W3C trace context."),
                [CloudEventNames.ContentType] = Text("application/json, which is also what an absent one means."),
            },
        };

    /// <summary>The JSON of a message as the serialiser understands it, with what its converters and checks add.</summary>
    public static JsonObject Exported(WireMessage message) =>
        message
            .Json.GetJsonSchemaAsNode(
                new JsonSchemaExporterOptions
                {
                    TreatNullObliviousAsNonNullable = true,
                    TransformSchemaNode = (context, node) => Transform(context, node, IsOfProduct(message)),
                }
            )
            .AsObject();

    static JsonNode Transform(JsonSchemaExporterContext context, JsonNode node, bool ofProduct)
    {
        var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        var name = context.PropertyInfo?.Name;
        var schema = type switch
        {
            _ when type == typeof(CustomerFields) => Customer(),
            _ when type == typeof(Guid) => new JsonObject
            {
                ["type"] = "string",
                ["format"] = "uuid",
                ["pattern"] = UuidPattern,
            },
            _ when type == typeof(Dictionary<string, string?>) => Values(ofProduct),
            { IsEnum: true } => new JsonObject
            {
                ["type"] = "string",
                // The member 0 is what a name reads as that this version does not know; nobody sends it.
                ["enum"] = new JsonArray([
                    .. Enum.GetValues(type)
                        .Cast<object>()
                        .Where(value => (int)value != 0)
                        .Select(value => (JsonNode)JsonNamingPolicy.CamelCase.ConvertName(value.ToString()!)),
                ]),
            },
            _ => node.AsObject(),
        };
        if (name is "customerId" or "existing")
            Limit(schema);
        if (name == "revision" && ofProduct)
            schema["minimum"] = 1;
        if (type != typeof(object) && IsNullable(context) && !ReferenceEquals(schema, node))
            AllowNull(schema);
        if (ofProduct && name is not null && Members.TryGetValue(name, out var description))
            schema.Insert(0, "description", description);
        return schema;
    }

    static bool IsNullable(JsonSchemaExporterContext context) =>
        context.PropertyInfo is { } property
        && (property.IsGetNullable || property.IsSetNullable || property.AssociatedParameter is { IsNullable: true });

    /// <summary>What <see cref="CustomerIds.Problem"/> holds an id to.</summary>
    static void Limit(JsonObject schema)
    {
        schema["minLength"] = 1;
        schema["maxLength"] = CustomerIds.MaxLength;
        schema["not"] = Containing(@"[\u0000-\u001f\u007f-\u009f]");
    }

    /// <summary>What <see cref="CustomerFieldsConverter"/> reads: members that it does not know are skipped.</summary>
    static JsonObject Customer()
    {
        var properties = new JsonObject();
        foreach (var path in (string[])[Paths.Name, Paths.Email, Paths.Phone])
            properties[path] = Value();
        properties["address"] = new JsonObject
        {
            ["description"] = Members["address"],
            ["type"] = new JsonArray("object", "null"),
            ["properties"] = Map(Paths.AddressMembers, member => member, _ => Value()),
        };
        properties["attributes"] = new JsonObject
        {
            ["description"] = Members["attributes"],
            ["type"] = new JsonArray("object", "null"),
            ["maxProperties"] = CustomerFieldsConverter.MaxAttributes,
            ["patternProperties"] = new JsonObject { [$@"^[\s\S]{{1,{CustomerIds.MaxLength}}}$"] = Value() },
            ["additionalProperties"] = false,
        };
        return new JsonObject { ["type"] = "object", ["properties"] = properties };
    }

    static JsonObject Values(bool ofProduct) =>
        new()
        {
            ["type"] = "object",
            ["additionalProperties"] = ofProduct
                ? Value()
                : new JsonObject { ["type"] = new JsonArray("string", "null") },
        };

    /// <summary>A mapped value. U+0000 is text for JSON and for no database.</summary>
    static JsonObject Value() =>
        new()
        {
            ["type"] = new JsonArray("string", "null"),
            ["maxLength"] = CustomerFields.MaxValueLength,
            ["not"] = Containing(@"\u0000"),
        };

    /// <summary>Text in which the pattern is found: a pattern alone holds for all that is no text.</summary>
    static JsonObject Containing(string pattern) => new() { ["type"] = "string", ["pattern"] = pattern };

    static void AllowNull(JsonObject schema)
    {
        if (schema["type"] is JsonValue single)
            schema["type"] = new JsonArray(single.GetValue<string>(), "null");
        if (schema["enum"] is JsonArray values)
            values.Add((JsonNode?)null);
    }

    static string Address(WireMessage message)
    {
        var sample = JsonSerializer.Deserialize(Sample(message)["body"]!, message.Json)!;
        return message.Topic(sample).Replace($".{SampleSystem}.", ".{system}.", StringComparison.Ordinal);
    }

    /// <summary>A channel's name in the documents: its topic without what all have in common.</summary>
    static string Name(string address) =>
        address switch
        {
            Topics.Customers => "customers",
            Topics.CustomerCommands => "customerCommands",
            Topics.Requests => "requests",
            "sync.{system}.commands.v1" => "commands",
            "sync.{system}.reports.v1" => "reports",
            _ => throw new InvalidOperationException($"{address} has no name in the documents yet"),
        };

    static string[] Actions(string address) =>
        address switch
        {
            Topics.Customers or "sync.{system}.reports.v1" => ["receive"],
            Topics.Requests => ["send", "receive"],
            _ => ["send"],
        };

    static JsonObject Sample(WireMessage message) =>
        JsonNode.Parse(Repository.Read($"Sync.Tests/Approved/wire/{message.Type}.json"))!.AsObject();

    static string Summary(WireMessage message) =>
        Summaries.GetValueOrDefault(message.Json.Type)
        ?? throw new InvalidOperationException($"{message.Type} has no sentence in the documents yet");

    static JsonObject Reference(string to) => new() { ["$ref"] = to };

    static JsonObject Constant(string value) => new() { ["type"] = "string", ["const"] = value };

    static JsonObject Text(string description) => new() { ["type"] = "string", ["description"] = description };

    static JsonObject Map<T>(IEnumerable<T> items, Func<T, string> name, Func<T, JsonNode> node) =>
        new(items.Select(item => KeyValuePair.Create(name(item), (JsonNode?)node(item))));

    static string Yaml(JsonObject document) =>
        "# Made from the code by Sync.Tests/Contracts/PublishedContract.cs. SYNC_APPROVE=1 ./sync test -class 'Sync.Tests.Contracts.*' writes it anew.\n"
        + new SerializerBuilder()
            .WithQuotingNecessaryStrings()
            .WithIndentedSequences()
            .DisableAliases()
            .WithEventEmitter(next => new PlainLists(next))
            .Build()
            .Serialize(Plain(document)!);

    static object? Plain(JsonNode? node) =>
        node switch
        {
            null => null,
            JsonObject map => map.ToDictionary(member => member.Key, member => Plain(member.Value)),
            JsonArray list => list.Select(Plain).ToList(),
            JsonValue value => value.GetValueKind() switch
            {
                JsonValueKind.String => value.GetValue<string>(),
                JsonValueKind.True => true,
                JsonValueKind.False => false,
                _ => JsonSerializer.Deserialize<decimal>(value),
            },
            _ => throw new InvalidOperationException(),
        };

    /// <summary>Lists of single words stand on one line, <c>[string, "null"]</c>, and null is written as such.</summary>
    sealed class PlainLists(IEventEmitter next) : ChainedEventEmitter(next)
    {
        public override void Emit(ScalarEventInfo eventInfo, IEmitter emitter)
        {
            if (eventInfo.Source.Value is null)
                emitter.Emit(new Scalar("null"));
            else
                nextEmitter.Emit(eventInfo, emitter);
        }

        public override void Emit(SequenceStartEventInfo eventInfo, IEmitter emitter)
        {
            if (eventInfo.Source.Value is List<object?> list && list.TrueForAll(item => item is null or string))
                eventInfo = new SequenceStartEventInfo(eventInfo.Source) { Style = SequenceStyle.Flow };
            nextEmitter.Emit(eventInfo, emitter);
        }
    }
}

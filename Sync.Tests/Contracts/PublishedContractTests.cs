using System.Text.Json;
using System.Text.Json.Nodes;
using NJsonSchema;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Json;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Customers;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.Contracts;

/// <summary>
/// The published contract is what the code does: made from it, approved, and held against it by a validator and a parser
/// that others wrote, with samples good and bad.
/// </summary>
public sealed class PublishedContractTests
{
    const string Updated = "product.customer.updated.v1";
    const string Deleted = "product.customer.deleted.v1";
    const string Exists = "product.customer.exists.v1";
    const string Update = "product.customer.update.v1";

    /// <summary>Words of a schema that the validator below looks at, and those that say nothing to a validator.</summary>
    static readonly HashSet<string> Understood =
    [
        "type",
        "properties",
        "required",
        "minLength",
        "maxLength",
        "minimum",
        "maxProperties",
        "pattern",
        "patternProperties",
        "additionalProperties",
        "not",
        "enum",
        "format",
        "$schema",
        "title",
        "description",
    ];

    static readonly MessageDecoder Decoder = new(Catalog());

    static readonly Dictionary<string, Task<JsonSchema>> Schemas = PublishedContract.OfProduct.ToDictionary(
        message => message.Type,
        message => JsonSchema.FromJsonAsync(Repository.Read(PublishedContract.SchemaFile(message)))
    );

    public static TheoryData<string> OfProduct => [.. PublishedContract.OfProduct.Select(m => m.Type)];

    /// <summary>What neither takes, each with what is wrong with it.</summary>
    public static TheoryData<string, string, string> Hostile =>
        new()
        {
            { "no object", Updated, "[]" },
            { "null", Updated, "null" },
            { "no customer id", Updated, """{"revision":1,"customer":{}}""" },
            { "no revision", Updated, """{"customerId":"c-1","customer":{}}""" },
            { "no customer", Updated, """{"customerId":"c-1","revision":1}""" },
            { "customer null", Updated, """{"customerId":"c-1","revision":1,"customer":null}""" },
            { "customer a list", Updated, """{"customerId":"c-1","revision":1,"customer":[]}""" },
            { "empty id", Updated, Snapshot(id: "") },
            { "id too long", Updated, Snapshot(id: new string('x', CustomerIds.MaxLength + 1)) },
            { "id with a control character", Updated, Snapshot(id: "c\u0007") },
            { "id with a line at its end", Updated, Snapshot(id: "c-1\n") },
            { "id with a C1 control", Updated, Snapshot(id: "c\u0085") },
            { "id a number", Updated, """{"customerId":1,"revision":1,"customer":{}}""" },
            { "revision 0", Updated, """{"customerId":"c-1","revision":0,"customer":{}}""" },
            { "revision below 0", Deleted, """{"customerId":"c-1","revision":-1}""" },
            { "revision as text", Updated, """{"customerId":"c-1","revision":"1","customer":{}}""" },
            { "revision a fraction", Updated, """{"customerId":"c-1","revision":1.5,"customer":{}}""" },
            { "value a number", Updated, Snapshot("""{"name":1}""") },
            { "value too long", Updated, Snapshot($$"""{"name":"{{Long(1)}}"}""") },
            { "value with U+0000", Updated, Snapshot("""{"name":"a\u0000b"}""") },
            { "address a text", Updated, Snapshot("""{"address":"1 Main St"}""") },
            { "address value too long", Updated, Snapshot($$$"""{"address":{"city":"{{{Long(1)}}}"}}""") },
            { "attributes a list", Updated, Snapshot("""{"attributes":[]}""") },
            { "attribute an object", Updated, Snapshot("""{"attributes":{"a":{}}}""") },
            { "attribute without a name", Updated, Snapshot("""{"attributes":{"":"x"}}""") },
            {
                "attribute with a long name",
                Updated,
                Snapshot($$$"""{"attributes":{"{{{new string('x', CustomerIds.MaxLength + 1)}}}":"x"}}""")
            },
            { "too many attributes", Updated, Snapshot(Attributes(CustomerFieldsConverter.MaxAttributes + 1)) },
            { "applied a list", Deleted, """{"customerId":"c-1","revision":1,"applied":[]}""" },
            {
                "applied without outcome",
                Deleted,
                """{"customerId":"c-1","revision":1,"applied":{"commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11"}}"""
            },
            {
                "applied without command",
                Deleted,
                """{"customerId":"c-1","revision":1,"applied":{"outcome":"done"}}"""
            },
            { "outcome a number", Deleted, Applied("""1""", "{}") },
            { "written a list", Deleted, Applied("\"done\"", "[]") },
            { "written a number", Deleted, Applied("\"done\"", """{"name":1}""") },
            { "command no UUID", Exists, """{"customerId":"c-1","commandId":"1","existing":"c-2"}""" },
            {
                "command a UUID in braces",
                Exists,
                """{"customerId":"c-1","commandId":"{3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11}","existing":"c-2"}"""
            },
            {
                "existing empty",
                Exists,
                """{"customerId":"c-1","commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11","existing":""}"""
            },
            { "no existing", Exists, """{"customerId":"c-1","commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11"}""" },
            {
                "write null",
                Update,
                """{"commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11","customerId":"c-1","revision":1,"write":null}"""
            },
            { "no command id", Update, """{"customerId":"c-1","revision":1,"write":{}}""" },
        };

    /// <summary>What both take, at the very limits.</summary>
    public static TheoryData<string, string, string> Fair =>
        new()
        {
            { "shortest", Updated, Snapshot() },
            { "id at its limit", Updated, Snapshot(id: new string('x', CustomerIds.MaxLength)) },
            { "id of any script", Updated, Snapshot(id: "Zoë ☃ 北京/\"\\") },
            { "largest revision", Deleted, $$"""{"customerId":"c-1","revision":{{long.MaxValue}}}""" },
            { "value at its limit", Updated, Snapshot($$"""{"name":"{{Long(0)}}"}""") },
            { "all null", Updated, Snapshot("""{"name":null,"email":null,"address":null,"attributes":null}""") },
            { "attributes at their limit", Updated, Snapshot(Attributes(CustomerFieldsConverter.MaxAttributes)) },
            {
                "attribute name at its limit",
                Updated,
                Snapshot($$$"""{"attributes":{"{{{new string('x', CustomerIds.MaxLength)}}}":"x"}}""")
            },
            { "applied null", Updated, """{"customerId":"c-1","revision":1,"customer":{},"applied":null}""" },
            { "written null", Deleted, Applied("\"gone\"", "null") },
            { "written empty", Deleted, Applied("\"refused\"", "{}") },
            {
                "unknown members everywhere",
                Updated,
                """{"x":1,"customerId":"c-1","revision":1,"customer":{"x":[],"address":{"x":1},"attributes":{}},"applied":{"x":{},"commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11","outcome":"done"}}"""
            },
        };

    /// <summary>
    /// Where the two differ, and why no schema can do better, or the code does not want to. One more cannot be shown with
    /// this validator: a schema counts characters, the code UTF-16 code units, and so does the validator. The schemas say it.
    /// </summary>
    public static TheoryData<string, string, string, bool> Different =>
        new()
        {
            // A matter of the JSON itself, which a schema does not see.
            {
                "a name twice",
                Updated,
                """{"customerId":"c-1","customerId":"c-1","revision":1,"customer":{}}""",
                true
            },
            // A newer product is not refused for a word that this version does not know: it reads as unknown.
            { "an outcome of later", Deleted, Applied("\"later\"", "{}"), false },
            // What was written is our own command's: it was bounded when it was asked for.
            { "a long written value", Deleted, Applied("\"done\"", $$"""{"name":"{{Long(1)}}"}"""), false },
        };

    [Fact]
    public void The_documents_are_what_the_code_makes_of_them()
    {
        Approved.MatchesDocument(PublishedContract.ProductDocument, PublishedContract.ForProducts());
        Approved.MatchesDocument(PublishedContract.InternalDocument, PublishedContract.ForSync());
        foreach (var message in PublishedContract.OfProduct)
            Approved.MatchesDocument(PublishedContract.SchemaFile(message), PublishedContract.Schema(message));
    }

    [Fact]
    public void No_schema_is_left_over() =>
        Assert.Empty(
            Directory
                .EnumerateFiles(Path.Combine(Repository.Root, PublishedContract.Folder, "schemas"))
                .Select(file => Path.GetRelativePath(Repository.Root, file))
                .Where(file => !file.Contains(".received.", StringComparison.Ordinal))
                .Except(PublishedContract.OfProduct.Select(PublishedContract.SchemaFile))
        );

    [Theory]
    [MemberData(nameof(OfProduct))]
    public void A_schema_says_nothing_that_the_validator_would_skip(string type)
    {
        var words = new List<string>();
        Collect(JsonNode.Parse(Repository.Read($"{PublishedContract.Folder}/schemas/{type}.json"))!);

        Assert.Empty(words.Except(Understood));

        void Collect(JsonNode schema)
        {
            if (schema is not JsonObject members)
                return;
            foreach (var (word, value) in members)
            {
                words.Add(word);
                if (word is "properties" or "patternProperties")
                {
                    foreach (var (_, inner) in value!.AsObject())
                        Collect(inner!);
                }
                else if (word is "not" or "additionalProperties")
                {
                    Collect(value!);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(OfProduct))]
    public async Task An_approved_sample_is_valid(string type)
    {
        var body = Sample(type)["body"]!;

        Assert.Empty(await Faults(type, body.ToJsonString()));
        body["addedLater"] = new JsonObject { ["x"] = 1 };
        Assert.Empty(await Faults(type, body.ToJsonString()));
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task What_the_code_refuses_the_schema_refuses(string what, string type, string body)
    {
        Assert.False(IsTaken(type, body), what);
        Assert.NotEmpty(await Faults(type, body));
    }

    [Theory]
    [MemberData(nameof(Fair))]
    public async Task What_the_code_takes_the_schema_takes(string what, string type, string body)
    {
        Assert.True(IsTaken(type, body), what);
        Assert.Empty(await Faults(type, body));
    }

    [Theory]
    [MemberData(nameof(Different))]
    public async Task Where_code_and_schema_differ_is_known(string what, string type, string body, bool schemaTakes)
    {
        Assert.NotEqual(schemaTakes, IsTaken(type, body));
        var faults = await Faults(type, body);
        Assert.True(schemaTakes == (faults.Count == 0), $"{what}: {string.Join(", ", faults)}");
    }

    /// <summary>Null is left out when it is sent: whoever requires it to be there cannot read what we send.</summary>
    [Fact]
    public void A_member_that_may_be_null_is_never_required()
    {
        List<string> faults = [];
        foreach (var message in Wire.All)
            Collect(PublishedContract.Exported(message), message.Type);

        Assert.Empty(faults);

        void Collect(JsonNode? node, string path)
        {
            if (node is not JsonObject schema)
                return;
            if (schema["required"] is JsonArray required && schema["properties"] is JsonObject properties)
                faults.AddRange(
                    required
                        .Select(name => (string)name!)
                        .Where(name => properties[name]!["type"] is JsonArray)
                        .Select(name => $"{path}.{name}")
                );
            foreach (var (name, inner) in schema)
                Collect(inner, $"{path}.{name}");
        }
    }

    [Fact]
    public void Every_message_stands_in_one_document_with_its_topic_and_key()
    {
        var product = Read(PublishedContract.ProductDocument);
        var inside = Read(PublishedContract.InternalDocument);

        foreach (var message in Wire.All)
        {
            var (document, other) = PublishedContract.IsOfProduct(message) ? (product, inside) : (inside, product);
            var sample = Sample(message.Type);
            var topic = ((string)sample["topic"]!).Replace(".billing.", ".{system}.", StringComparison.Ordinal);
            var channel = Children(document, "channels")
                .Select(c => c.Value)
                .Single(c => c.Children["messages"] is YamlMappingNode m && m.Children.ContainsKey(message.Type));
            Assert.Equal(topic, Scalar(channel, "address"));

            var found = Children(document, "components", "messages")[message.Type];
            Assert.Equal(message.Type, Scalar(found, "name"));
            Assert.Equal(message.Type, Scalar(found, "headers", "properties", CloudEventNames.Type, "const"));
            var key = Scalar(found, "bindings", "kafka", "key", "description").Split(' ')[3].TrimEnd(',');
            Assert.Equal((string)sample["key"]!, (string)sample["body"]![key]!);
            Assert.DoesNotContain(message.Type, Children(other, "components", "messages").Keys);
        }

        Assert.Equal(
            Wire.All.Count,
            Children(product, "components", "messages").Count + Children(inside, "components", "messages").Count
        );
    }

    [Fact]
    public void The_limits_on_the_product_s_page_are_those_of_the_code()
    {
        var page = Repository.Read("docs/product.md");
        string[] limits =
        [
            $"1 to {CustomerIds.MaxLength} characters, no control characters",
            $"at most {CustomerFields.MaxValueLength:N0} characters, without U+0000; or null",
            $"at most {CustomerFieldsConverter.MaxAttributes}, with names of 1 to {CustomerIds.MaxLength} characters",
            $"1 to {long.MaxValue:N0}",
            $"at most {MessageDecoder.MaxDepth} levels",
            $"at most {MessageDecoder.MaxValueBytes / 1024 / 1024} MiB",
            $"Topics have {Topics.Partitions} partitions",
        ];

        Assert.Empty(limits.Where(limit => !page.Contains(limit, StringComparison.Ordinal)));
    }

    [Fact]
    public void A_header_of_a_message_stands_in_the_documents()
    {
        var documented = Children(
            Children(Read(PublishedContract.ProductDocument), "components", "messages")[Updated],
            "headers",
            "properties"
        ).Keys;

        Assert.Empty(Sample(Updated)["headers"]!.AsObject().Select(h => h.Key).Except(documented));
    }

    [Fact]
    public void A_reference_in_the_documents_leads_somewhere()
    {
        foreach (var file in (string[])[PublishedContract.ProductDocument, PublishedContract.InternalDocument])
        {
            var document = Read(file);
            var references = document
                .AllNodes.OfType<YamlMappingNode>()
                .SelectMany(node => node.Children)
                .Where(member => member.Key is YamlScalarNode { Value: "$ref" })
                .Select(member => ((YamlScalarNode)member.Value).Value!)
                .ToList();

            Assert.NotEmpty(references);
            foreach (var reference in references)
            {
                if (reference.StartsWith('#'))
                    _ = reference[2..].Split('/').Aggregate((YamlNode)document, (node, step) => node[step]);
                else
                    Assert.True(File.Exists(Path.Combine(Repository.Root, PublishedContract.Folder, reference)));
            }
        }
    }

    static async Task<ICollection<NJsonSchema.Validation.ValidationError>> Faults(string type, string body) =>
        (await Schemas[type]).Validate(body);

    /// <summary>As the orchestrator reads it, and its own word on what no database takes.</summary>
    static bool IsTaken(string type, string body)
    {
        var kind = Wire.All.Single(m => m.Type == type);
        var headers = new MessageHeaders
        {
            { CloudEventNames.SpecVersion, "1.0" },
            { CloudEventNames.Id, "1" },
            { CloudEventNames.Type, type },
            { CloudEventNames.Source, "test" },
        };
        byte[] key;
        try
        {
            key = System.Text.Encoding.UTF8.GetBytes(kind.Key(JsonSerializer.Deserialize(body, kind.Json)!));
        }
        catch (Exception e) when (e is JsonException or NullReferenceException or InvalidOperationException)
        {
            key = [1];
        }

        var decoded = Decoder.Decode(Topics.Customers, key, System.Text.Encoding.UTF8.GetBytes(body), headers);
        if (decoded.Refusal is not null)
            return false;
        try
        {
            Unstorable.Refuse((decoded.Message as CustomerSnapshot)?.Customer);
            return true;
        }
        catch (RefusedMessageException)
        {
            return false;
        }
    }

    static MessageCatalog Catalog()
    {
        var catalog = new MessageCatalog();
        foreach (var m in Wire.All)
            catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        return catalog;
    }

    static JsonObject Sample(string type) =>
        JsonNode.Parse(Repository.Read($"Sync.Tests/Approved/wire/{type}.json"))!.AsObject();

    static string Snapshot(string customer = "{}", string id = "c-1") =>
        $$"""{"customerId":{{JsonSerializer.Serialize(id)}},"revision":1,"customer":{{customer}}}""";

    static string Applied(string outcome, string written) =>
        $$$"""{"customerId":"c-1","revision":1,"applied":{"commandId":"3f1d8c1e-55a3-4a55-9c7b-0d8f5c0d3b11","outcome":{{{outcome}}},"written":{{{written}}}}}""";

    static string Attributes(int count) =>
        $$$"""{"attributes":{{{{string.Join(',', Enumerable.Range(0, count).Select(i => $"\"a{i}\":\"x\""))}}}}}""";

    static string Long(int more) => new('x', CustomerFields.MaxValueLength + more);

    static YamlMappingNode Read(string file)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read(file)));
        return (YamlMappingNode)stream.Documents[0].RootNode;
    }

    static Dictionary<string, YamlMappingNode> Children(YamlNode node, params string[] path) =>
        ((YamlMappingNode)path.Aggregate(node, (at, step) => at[step])).Children.ToDictionary(
            child => ((YamlScalarNode)child.Key).Value!,
            child => (YamlMappingNode)child.Value
        );

    static string Scalar(YamlNode node, params string[] path) =>
        ((YamlScalarNode)path.Aggregate(node, (at, step) => at[step])).Value!;
}

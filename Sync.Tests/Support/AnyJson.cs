using System.Text;
using System.Text.Json.Nodes;
using CsCheck;

namespace Sync.Tests.Support;

/// <summary>JSON of any shape, with the names and values that a careless reader trips over.</summary>
static class AnyJson
{
    static readonly Gen<string> Name = Gen.Frequency(
        (
            3,
            Of(
                "id",
                "type",
                "source",
                "specversion",
                "data",
                "customerId",
                "revision",
                "customer",
                "name",
                "email",
                "address",
                "attributes",
                "event",
                "object",
                "created",
                "contact",
                "phones",
                "version"
            )
        ),
        (1, Gen.String[0, 8])
    );

    static readonly Gen<JsonNode?> Leaf = Gen.OneOf<JsonNode?>(
        Gen.Const((JsonNode?)null),
        Gen.Bool.Select(b => (JsonNode?)JsonValue.Create(b)),
        Gen.Long.Select(n => (JsonNode?)JsonValue.Create(n)),
        Of("1e400", "-0.5", "12345678901234567890123").Select(n => JsonNode.Parse(n)),
        Gen.String[0, 12].Select(s => (JsonNode?)JsonValue.Create(s)),
        Of("", "1", "c-1", "\0", "2026-01-02T03:04:05Z", "cus_1").Select(s => (JsonNode?)JsonValue.Create(s))
    );

    public static Gen<JsonNode?> Node { get; } = Nested(3);

    public static Gen<byte[]> Bytes { get; } =
        Node.Select(node => Encoding.UTF8.GetBytes(node?.ToJsonString() ?? "null"));

    /// <summary>One of these.</summary>
    public static Gen<T> Of<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    static Gen<JsonNode?> Nested(int depth) =>
        depth == 0
            ? Leaf
            : Gen.Frequency(
                (2, Leaf),
                (1, Nested(depth - 1).Array[0, 4].Select(items => (JsonNode?)new JsonArray(items))),
                (
                    4,
                    Gen.Select(Name, Nested(depth - 1))
                        .Array[0, 6]
                        .Select(members =>
                        {
                            var made = new JsonObject();
                            foreach (var (name, value) in members)
                                made[name] = value?.DeepClone();
                            return (JsonNode?)made;
                        })
                )
            );
}

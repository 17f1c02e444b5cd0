using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Events;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>Whatever comes to the door of webhooks, there is an answer and never an exception.</summary>
public sealed class WebhookFuzzTests
{
    const string Good = """
        { "id": "evt_1", "object": "event", "type": "customer.updated", "api_version": "2026-10-28.endive", "created": 1795000000, "request": null,
          "data": { "object": { "id": "cus_1", "object": "customer", "name": "Ada", "email": "ada@x.org", "phone": null,
            "address": { "line1": "L1", "city": null }, "metadata": { "customer_id": "c-1", "tier": "gold" } },
            "previous_attributes": { "name": "Bob", "address": { "line1": "Old" } } } }
        """;

    static readonly EventReader Reader = new(new StripeMapping(TestMapping.Shipped), "test");

    static readonly DateTimeOffset Now = new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_body_is_told_ignored_or_unreadable_with_a_reason()
    {
        var good = Encoding.UTF8.GetBytes(Good);
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
        // A whole event of which one member is anything.
        string[][] places =
        [
            ["id"],
            ["type"],
            ["api_version"],
            ["created"],
            ["request"],
            ["data"],
            ["data", "object"],
            ["data", "object", "id"],
            ["data", "object", "name"],
            ["data", "object", "address"],
            ["data", "object", "metadata"],
            ["data", "object", "metadata", "customer_id"],
            ["data", "previous_attributes"],
            ["data", "previous_attributes", "address"],
        ];
        var replaced = Gen.Select(AnyJson.Of(places), AnyJson.Node)
            .Select(
                (place, value) =>
                {
                    var root = JsonNode.Parse(Good)!;
                    var at = place[..^1].Aggregate(root, (node, step) => node[step]!);
                    at[place[^1]] = value?.DeepClone();
                    return Encoding.UTF8.GetBytes(root.ToJsonString());
                }
            );
        Gen.Frequency((1, Gen.Byte.Array[0, 200]), (1, AnyJson.Bytes), (3, changed), (4, replaced))
            .Sample(
                bytes =>
                    Reader.Read(bytes) switch
                    {
                        StripeEvent.Told told => told.Id.Length > 0 && told.Hint.ExternalId.Length > 0,
                        StripeEvent.Unreadable unreadable => unreadable.Reason.Length is > 0 and < 300,
                        var other => other is StripeEvent.Ignored,
                    },
                iter: 20_000
            );
    }

    /// <summary>No header that is not Stripe's own signature of this body opens the door.</summary>
    [Fact]
    public void A_header_that_nobody_signed_is_never_valid()
    {
        var part = Gen.OneOf(
            Gen.String[0, 20],
            Gen.Long.Select(n => $"t={n}"),
            Gen.Const($"t={Now.ToUnixTimeSeconds()}"),
            Gen.Byte.Array[32].Select(b => $"v1={Convert.ToHexString(b)}"),
            Gen.Byte.Array[0, 40].Select(b => $"v1={Convert.ToHexString(b)}"),
            AnyJson.Of("t=", "v1=", "v0=00", "=", ",", " t=1", "t=99999999999999999999")
        );
        Gen.Select(part.Array[0, 20], Gen.Byte.Array[0, 50])
            .Sample(
                (parts, body) =>
                    Signature.Check(body, string.Join(',', parts), ["whsec_one", "whsec_two"], Now)
                        is SignatureVerdict.Missing
                            or SignatureVerdict.Malformed
                            or SignatureVerdict.Wrong,
                iter: 20_000
            );
    }
}

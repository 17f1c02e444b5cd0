using Sync.Adapter.Vendors;
using Sync.Stripe.Adapter;
using Sync.Tests.Support;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>On the bytes that leave the SDK, since its options mean something else than they say.</summary>
public sealed class StripeMappingTests
{
    [Fact]
    public async Task A_create_sends_what_is_there_with_our_id_and_stamp()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.CreateOne(
            ("name", "Jane & Søn"),
            ("email", null),
            ("phone", "+4612345"),
            ("address.line1", "Vägen 1"),
            ("address.postalCode", null),
            ("attributes.tier", "gold")
        );

        Assert.Equal("POST /v1/customers", bench.Http!.Only.Target);
        Assert.Equal(
            "address[line1]=V%C3%A4gen+1"
                + "&metadata[customer_id]=c-1"
                + "&metadata[csync_command]=11111111-2222-4333-8444-555555555555"
                + "&metadata[tier]=gold"
                + "&name=Jane+%26+S%C3%B8n"
                + "&phone=%2B4612345",
            Form(bench.Http.Only)
        );
    }

    [Fact]
    public async Task An_update_clears_with_empty_text_and_leaves_alone_what_is_not_written()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.UpdateOne(
            ("email", null),
            ("address.line2", null),
            ("address.city", "Lund"),
            ("attributes.tier", null)
        );

        Assert.Equal("POST /v1/customers/cus_1", bench.Http!.Only.Target);
        Assert.Equal(
            "address[city]=Lund"
                + "&address[line2]="
                + "&email="
                + "&metadata[customer_id]=c-1"
                + "&metadata[csync_command]=11111111-2222-4333-8444-555555555555"
                + "&metadata[tier]=",
            Form(bench.Http.Only)
        );
    }

    /// <summary>The SDK takes an assigned null for "clear all of it", also the metadata of other apps.</summary>
    [Theory]
    [InlineData("name", "Jane")]
    [InlineData("name", null)]
    [InlineData("attributes.tier", null)]
    public async Task An_update_of_another_field_never_clears_address_or_metadata(string path, string? value)
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.UpdateOne((path, value));
        await bench.CreateOne((path, value));

        foreach (var request in bench.Http!.Requests)
        {
            Assert.DoesNotContain("address", request.Body, StringComparison.Ordinal);
            Assert.DoesNotContain("metadata=", request.Body, StringComparison.Ordinal);
            Assert.DoesNotContain("shipping", request.Body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_same_write_is_the_same_bytes_in_whatever_order_it_comes()
    {
        using var bench = new StripeBench(_ => StripeBench.Customer());

        await bench.UpdateOne(("name", "A"), ("address.city", "B"), ("attributes.tier", "C"));
        await bench.UpdateOne(("attributes.tier", "C"), ("address.city", "B"), ("name", "A"));

        Assert.Single(bench.Http!.Requests.Select(r => r.Body).Distinct());
    }

    [Fact]
    public async Task A_record_is_read_with_every_mapped_path_and_empty_is_null()
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Customer(
                members: """
                "name": "Zoë 🦊", "email": "", "phone": null,
                "address": { "line1": "L1", "line2": "", "city": null, "state": "S", "postal_code": "P", "country": "SE" }
                """,
                metadata: $$"""{ "customer_id": "c-1", "csync_command": "{{StripeBench.Command}}", "tier": "gold", "other": "x" }"""
            )
        );

        var ok = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        Assert.Equal(TestMapping.Shipped.System("stripe").Fields.Keys.Order(), ok.Object!.Fields.Keys.Order());
        Assert.Equal(
            new Dictionary<string, string?>
            {
                ["name"] = "Zoë 🦊",
                ["email"] = null,
                ["phone"] = null,
                ["address.line1"] = "L1",
                ["address.line2"] = null,
                ["address.city"] = null,
                ["address.state"] = "S",
                ["address.postalCode"] = "P",
                ["address.country"] = "SE",
                ["attributes.tier"] = "gold",
            }.OrderBy(f => f.Key),
            ok.Object.Fields.OrderBy(f => f.Key)
        );
        Assert.Equal("c-1", ok.Object.CustomerId);
        Assert.Equal(StripeBench.Command, ok.Object.Stamp);
    }

    [Theory]
    [InlineData("\"name\": \"Jane\", \"address\": null")]
    [InlineData("\"name\": \"Jane\"")]
    public async Task A_record_without_address_or_metadata_is_read(string members)
    {
        using var bench = new StripeBench(_ => StripeBench.Customer(members: members));

        var ok = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());

        Assert.Null(ok.Object!.Fields["address.line1"]);
        Assert.Null(ok.Object.Fields["attributes.tier"]);
        Assert.Null(ok.Object.CustomerId);
        Assert.Null(ok.Object.Stamp);
    }

    [Fact]
    public async Task A_stamp_that_is_no_command_of_ours_is_none()
    {
        using var bench = new StripeBench(_ =>
            StripeBench.Customer(metadata: """{ "csync_command": "somebody else's" }""")
        );

        Assert.Null(Assert.IsType<VendorResult.Ok>(await bench.ReadOne()).Object!.Stamp);
    }

    [Fact]
    public async Task A_further_field_is_a_line_of_the_mapping()
    {
        var config = TestMapping.Of(
            "stripe",
            """
            "name": { "to": "business_name" }, "attributes.note": { "to": "description" }, "attributes.colour": { "to": "metadata.colour" }
            """
        );
        using var bench = new StripeBench(
            _ =>
                StripeBench.Customer(
                    members: "\"business_name\": \"AB\", \"description\": \"text\"",
                    metadata: """{ "colour": "red" }"""
                ),
            config
        );

        var read = Assert.IsType<VendorResult.Ok>(await bench.ReadOne());
        await bench.UpdateOne(("name", null), ("attributes.note", "n"), ("attributes.colour", "blue"));

        Assert.Equal(
            ("AB", "text", "red"),
            (
                read.Object!.Fields["name"],
                read.Object.Fields["attributes.note"],
                read.Object.Fields["attributes.colour"]
            )
        );
        var sent = Form(bench.Http!.Requests.Last());
        Assert.Contains("business_name=&", sent, StringComparison.Ordinal);
        Assert.Contains("description=n&", sent, StringComparison.Ordinal);
        Assert.Contains("metadata[colour]=blue", sent, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_fault_of_the_mapping_is_named_at_once()
    {
        var config = TestMapping.Of(
            "stripe",
            """
            "name": { "to": "fullname" },
            "phone": { "to": "phone", "max": 40 },
            "email": { "to": "metadata.customer_id" },
            "address.city": { "to": "address.town" },
            "attributes.a": { "to": "metadata.a[b]" },
            "attributes.b": { "to": "metadata.12345678901234567890123456789012345678901" },
            "attributes.c": { "to": "metadata.fine", "max": 501 }
            """
        );

        var faults = StripeMapping.Faults(config).ToList();

        Assert.Equal(7, faults.Count);
        foreach (var path in config.System("stripe").Fields.Keys)
            Assert.Single(faults, f => f.Contains($" {path}: ", StringComparison.Ordinal));
    }

    [Fact]
    public void The_shipped_mapping_has_no_fault() => Assert.Empty(StripeMapping.Faults(TestMapping.Shipped));

    /// <summary>Sorted, since the SDK's order is its own.</summary>
    static string Form(SentRequest request) =>
        string.Join(
            '&',
            request
                .Body.Split('&')
                .OrderBy(
                    p => p.StartsWith("metadata[customer_id]", StringComparison.Ordinal) ? "metadata[a" : p,
                    StringComparer.Ordinal
                )
        );
}

using System.Text;
using CsCheck;
using Sync.Adapter.Links;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Following;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Salesforce.Events;
using Sync.Tests.Support;
using ChangeHeader = Sync.Sandbox.Salesforce.Events.ChangeHeader;

namespace Sync.Tests.Adapters.Salesforce;

/// <summary>Schemas, bitmaps and bytes: what is understood, and that nothing which is not understood does harm.</summary>
public sealed class EventSchemaTests
{
    static readonly ChangeEventSchema Written = new(AccountField.Standard);
    static readonly EventSchema Schema = EventSchema.Parse(Written.Json);
    static readonly SalesforceMapping Mapping = new(TestMapping.Shipped);

    static readonly int Phone = IndexOf("Phone");
    static readonly int Billing = IndexOf("BillingAddress");

    // ---- bitmaps ----

    [Fact]
    public void A_bit_is_a_field_of_the_schema_counted_from_the_end()
    {
        var read = Read($"0x{1L << Phone:X2}");

        Assert.True(read.Clear);
        Assert.True(read.Has(new("Phone", null)));
        Assert.False(read.Has(new("Name", null)));
        Assert.False(read.Has(new("BillingAddress", "City")));
    }

    [Theory]
    [InlineData("0x2")]
    [InlineData("0x02")]
    [InlineData("0x0000000000000000000000000000000000000002")]
    public void The_number_of_digits_does_not_matter(string bitmap) =>
        Assert.True(Read(bitmap) is { Clear: true } read && read.Has(new("Name", null)));

    [Fact]
    public void Digits_of_either_case_are_read()
    {
        // Bits 1, 3 and more: letters in both digits.
        Assert.Equal(Read("0xAE").Has(new("ParentId", null)), Read("0xae").Has(new("ParentId", null)));
        Assert.True(Read("0xae").Clear);
    }

    [Fact]
    public void A_nested_bitmap_is_the_parts_of_its_compound_field_also_alone()
    {
        foreach (
            string[] bitmaps in (string[][])
                [
                    [$"{Billing}-0x02"],
                    [$"0x{1L << Phone:X2}", $"{Billing}-0x02"],
                ]
        )
        {
            var read = Read(bitmaps);
            Assert.True(read.Clear);
            Assert.True(read.Has(new("BillingAddress", "City")));
            Assert.False(read.Has(new("BillingAddress", "Street")));
            Assert.False(read.Has(new("ShippingAddress", "City")));
        }
    }

    [Fact]
    public void A_compound_field_without_parts_is_meant_whole()
    {
        var read = Read($"0x{1L << Billing:X2}");

        Assert.True(read.Clear);
        Assert.True(read.Has(new("BillingAddress", "City")) && read.Has(new("BillingAddress", "Country")));
    }

    [Theory]
    [InlineData("Phone")]
    [InlineData("0x")]
    [InlineData("0xZZ")]
    [InlineData("x02")]
    [InlineData("")]
    [InlineData("-0x02")]
    [InlineData("-1-0x02")]
    [InlineData("1-2-0x02")]
    [InlineData("6-0x02")]
    [InlineData("999-0x02")]
    [InlineData("4-0xFFFFFFFF")]
    [InlineData("0x01")]
    [InlineData("0xFFFFFFFFFFFFFFFFFFFFFFFF")]
    [InlineData("0x02", "0x04")]
    [InlineData("4-0x02", "4-0x01")]
    [InlineData("0x10", "4-0x02")]
    public void What_is_not_understood_makes_the_list_unclear(params string[] bitmaps) =>
        Assert.False(Read(bitmaps).Clear);

    [Fact]
    public void A_bitmap_without_end_is_not_read()
    {
        Assert.False(Read("0x" + new string('0', 5_000) + "2").Clear);
    }

    // ---- what an update tells ----

    [Fact]
    public void Changed_fields_have_values_nulled_ones_are_null_and_others_are_not_there()
    {
        var hint = Update(changed: ["Phone", "BillingCity", "BillingState"], nulled: ["BillingState"]);

        Assert.Equal(
            new Dictionary<string, string?>
            {
                ["phone"] = "+46",
                ["address.city"] = "Lund",
                ["address.state"] = null,
            },
            hint.Fields
        );
    }

    [Theory]
    [InlineData("0x40", null)]
    [InlineData(null, "0xZZ")]
    public void A_difference_or_an_unclear_bitmap_asks_for_a_look(string? diff, string? nulled)
    {
        // Phone has index 6.
        Assert.Equal(6, Phone);
        var hint = Hint(
            Header("UPDATE") with
            {
                Changed = Written.Bitmaps(["Phone"]),
                Diff = diff is null ? [] : [diff],
                Nulled = nulled is null ? [] : [nulled],
            },
            ["Phone"]
        );

        Assert.Equal((HintKind.Look, true), (hint.Kind, hint.Fields is null));
    }

    [Fact]
    public void A_change_of_fields_that_are_not_mapped_says_nothing_new()
    {
        var hint = Update(["LastModifiedDate"], []);

        Assert.Equal(HintKind.Updated, hint.Kind);
        Assert.Empty(hint.Fields!);
    }

    [Fact]
    public void A_field_that_events_do_not_carry_is_left_out_and_found_by_the_sweep()
    {
        var narrow = new ChangeEventSchema(AccountField.Standard.Where(f => f.Name != "Product_Tier__c"));
        var schema = EventSchema.Parse(narrow.Json);
        var payload = ChangeEventSchema.Write(Header("CREATE"), [Id], 1, narrow.Whole(Record()));

        var hint = ChangeHints.Of(schema.Read(payload), "e", schema, Mapping).Hints.Single().Hint;

        Assert.False(hint.Fields!.ContainsKey("attributes.tier"));
        Assert.Equal("Ada", hint.Fields["name"]);
    }

    [Fact]
    public void A_name_that_is_a_record_of_parts_asks_for_a_look()
    {
        // Branch 2 of Name: the record that person accounts have, with three empty parts.
        var body = Written.Empty();
        byte[] person = [4, 0, 0, 0, .. body.Skip(1)];
        var payload = ChangeEventSchema.Write(Header("CREATE"), [Id], 1, person);

        Assert.Equal(
            HintKind.Look,
            ChangeHints.Of(Schema.Read(payload), "e", Schema, Mapping).Hints.Single().Hint.Kind
        );
    }

    [Fact]
    public void An_event_of_another_object_is_passed_over()
    {
        var payload = Encoding.UTF8.GetBytes("Contact").Prepend((byte)14).ToArray();
        var whole = ChangeEventSchema.Write(Header("CREATE"), [Id], 1, Written.Whole(Record()));
        // Account, 7 letters, becomes Contact.
        payload.CopyTo(whole, 0);

        var told = ChangeHints.Of(Schema.Read(whole), "e", Schema, Mapping);

        Assert.Empty(told.Hints);
        Assert.Null(told.Gap);
    }

    // ---- schemas ----

    [Theory]
    [InlineData("")]
    [InlineData("no json")]
    [InlineData("\"string\"")]
    [InlineData("{}")]
    [InlineData("""{"type":"record","name":"A","fields":[]}""")]
    [InlineData("""{"type":"record","name":"A","fields":[{"name":"Name","type":"string"}]}""")]
    [InlineData("""{"type":"record","name":"A","fields":[{"name":"ChangeEventHeader","type":["null","A"]}]}""")]
    [InlineData("""{"type":"record","name":"A","fields":[{"name":"x","type":"no such type"}]}""")]
    public void A_schema_of_something_else_has_a_named_reason(string json) =>
        Assert.NotEmpty(Assert.Throws<UnreadableEventException>(() => EventSchema.Parse(json)).Message);

    [Fact]
    public void A_schema_without_end_has_a_named_reason()
    {
        var deep = string.Concat(Enumerable.Repeat("""{"type":"array","items":""", 100_000)) + "\"null\"";

        Assert.Throws<UnreadableEventException>(() => EventSchema.Parse(deep));
        Assert.Throws<UnreadableEventException>(() => EventSchema.Parse(new string(' ', 5_000_000)));
    }

    // ---- bytes ----

    [Fact]
    public void Whatever_bytes_come_there_is_an_event_or_a_reason()
    {
        Gen.Byte.Array[0, 200].Sample(bytes => ReadsOrSays(bytes), iter: 20_000);
    }

    [Fact]
    public void An_event_of_which_bytes_were_changed_is_read_or_has_a_reason()
    {
        var whole = ChangeEventSchema.Write(
            Header("UPDATE") with
            {
                Changed = Written.Bitmaps(["Phone", "BillingCity"]),
            },
            [Id, Id],
            1,
            Written.Whole(Record())
        );
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte, Gen.Int[0, whole.Length])
            .Sample(
                (at, value, length) =>
                {
                    var bytes = whole[..length];
                    if (at < length)
                        bytes[at] = value;
                    return ReadsOrSays(bytes);
                },
                iter: 20_000
            );
    }

    [Fact]
    public void A_length_that_no_event_has_makes_no_room_for_it()
    {
        // A text of a gigabyte in an event of nine bytes.
        byte[] huge = [0x80, 0x80, 0x80, 0x80, 0x08, 1, 2, 3, 4];
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<UnreadableEventException>(() => Schema.Read(huge));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
    }

    static bool ReadsOrSays(byte[] bytes)
    {
        try
        {
            ChangeHints.Of(Schema.Read(bytes), "e", Schema, Mapping);
            return true;
        }
        catch (UnreadableEventException e)
        {
            return e.Message.Length > 0;
        }
    }

    static FieldBitmap Read(params string[] bitmaps) => FieldBitmap.Read(bitmaps, Schema);

    static Hint Update(string[] changed, string[] nulled) =>
        Hint(
            Header("UPDATE") with
            {
                Changed = Written.Bitmaps(changed),
                Nulled = Written.Bitmaps(nulled),
            },
            [.. changed.Except(nulled)]
        );

    static Hint Hint(ChangeHeader header, string[] carried) =>
        ChangeHints
            .Of(
                Schema.Read(ChangeEventSchema.Write(header, [Id], 1, Written.Part(Record(), carried.ToHashSet()))),
                "e",
                Schema,
                Mapping
            )
            .Hints.Single()
            .Hint;

    static string Id => "001000000000001AAA";

    static Account Record()
    {
        var account = new Account(Id, SalesforceOrg.HumanUser, DateTimeOffset.UnixEpoch);
        foreach (
            var (name, value) in (ReadOnlySpan<(string, string)>)
                [("Name", "Ada"), ("Phone", "+46"), ("BillingCity", "Lund"), ("BillingState", "Skåne")]
        )
            account.Values[name] = value;
        return account;
    }

    static int IndexOf(string field) => Enumerable.Range(0, Schema.Fields).First(i => Schema.NameOf(i) == field);

    static ChangeHeader Header(string type) =>
        new(type, "", "transaction", DateTimeOffset.UnixEpoch, 1, SalesforceOrg.HumanUser);
}

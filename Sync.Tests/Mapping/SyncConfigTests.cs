using System.Text;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Tests.Support;

namespace Sync.Tests.Mapping;

public sealed class SyncConfigTests
{
    const string Fields = """[{ "path": "name", "owner": "product" }]""";

    const string Product = """{ "name": "product", "fields": { "name": { "to": "name" } } }""";

    [Fact]
    public void The_mapping_that_comes_along_is_sound()
    {
        var config = SyncConfig.Load(Path.Combine(Repository.Root, "config"));

        Assert.Equal([SystemNames.Product, SystemNames.Stripe, SystemNames.Salesforce], config.Systems.Keys);
        Assert.Equal(DeletionRule.DeleteUnlessSubscribed, config.System(SystemNames.Stripe).OnDelete);
        Assert.All(
            config.Systems.Values.SelectMany(system => system.Fields.Keys),
            path => Assert.Contains(path, config.Fields.Keys)
        );
    }

    [Fact]
    public void Every_fault_of_both_files_is_named_at_once()
    {
        var faults = Faults(
            """
            [
              { "name": "Big Shop", "fields": {} },
              { "name": "stripe", "fields": { "nmae": { "to": "name" }, "phone": { "to": "" }, "email": { "to": "e", "max": 0 } } },
              { "name": "stripe", "fields": { "name": { "to": "x", "form": ["cut"] }, "email": { "to": "x" } } }
            ]
            """,
            """
            [
              { "path": "name", "owner": "nobody" },
              { "path": "name", "owner": "any", "write": "only" },
              { "path": "shoe size", "owner": "product" }
            ]
            """
        );

        string[] expected =
        [
            "system \"stripe\" stands there 2 times",
            "name \"Big Shop\"",
            "system \"Big Shop\" maps no field",
            "\"nmae\" is no path",
            "phone: \"to\" is missing",
            "\"max\" must be 1 or more",
            "form \"cut\" needs \"max\"",
            "\"x\" is the target of name, email",
            "path \"name\" stands there 2 times",
            "owner \"nobody\"",
            "\"only\" needs an owner",
            "\"shoe size\" is no path",
        ];
        Assert.All(expected, text => Assert.Contains(faults, fault => fault.Contains(text, StringComparison.Ordinal)));
    }

    [Fact]
    public void Two_broken_files_are_two_faults()
    {
        var faults = Faults("{", "[{]");

        Assert.Contains(faults, fault => fault.StartsWith("systems.json", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.StartsWith("fields.json", StringComparison.Ordinal));
    }

    [Fact]
    public void Two_missing_files_are_two_faults_that_name_the_setting()
    {
        var faults = Assert
            .Throws<SyncConfigException>(() => SyncConfig.Load(Path.Combine(Repository.Root, "no-such-folder")))
            .Faults;

        Assert.Equal(2, faults.Count);
        Assert.All(faults, fault => Assert.Contains("SYNC__CONFIG", fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(
        """[{ "name": "product", "fields": { "name": { "to": "name" } }, "onDelete": "sometimes" }]""",
        "onDelete"
    )]
    [InlineData("""[{ "name": "product", "fields": { "name": { "to": "name" } }, "ondelete": "keep" }]""", "ondelete")]
    [InlineData("""[{ "name": "product", "fields": { "name": { "to": "name", "form": ["rot13"] } } }]""", "form")]
    [InlineData("""[{ "fields": { "name": { "to": "name" } } }]""", "name")]
    [InlineData("""[{ "name": "stripe", "fields": { "name": { "to": "name" } } }]""", "\"product\" is missing")]
    public void A_typing_error_is_named_and_not_ignored(string systems, string named)
    {
        Assert.Contains(Faults(systems, Fields), fault => fault.Contains(named, StringComparison.Ordinal));
    }

    [Fact]
    public void A_system_is_added_by_configuration_alone()
    {
        var config = Parse(
            $$"""[{{Product}}, { "name": "hubspot", "onDelete": "keep", "fields": { "email": { "to": "email" } } }]""",
            Fields
        );

        Assert.True(config.System("hubspot").Maps("email"));
        Assert.Equal("sync.hubspot.commands.v1", Topics.Commands("hubspot"));
        Assert.Equal("product", config.Policy("email").Owner);
    }

    [Fact]
    public void What_a_row_does_not_say_has_its_default()
    {
        var config = Parse($"[{Product}]", Fields);

        Assert.True(config.Policy("name").Pii);
        Assert.Equal(ConflictRule.Owner, config.Policy("name").OnConflict);
        Assert.Equal(WriteRule.Any, config.Policy("name").Write);
        Assert.Equal(Guard.Read, config.System("product").Guard);
        Assert.Empty(config.System("product").Fields["name"].Form);
    }

    [Fact]
    public void The_hash_tells_two_mappings_apart_and_one_from_itself()
    {
        var one = Parse($"[{Product}]", Fields).Hash;

        Assert.Equal(one, Parse($"[{Product}]", Fields).Hash);
        Assert.NotEqual(one, Parse($"[{Product}]", Fields.Replace("product", "any", StringComparison.Ordinal)).Hash);
        Assert.NotEqual(one, Parse($"[{Product} ]", Fields).Hash);
    }

    static SyncConfig Parse(string systems, string fields) =>
        SyncConfig.Parse(Encoding.UTF8.GetBytes(systems), Encoding.UTF8.GetBytes(fields));

    static IReadOnlyList<string> Faults(string systems, string fields) =>
        Assert.Throws<SyncConfigException>(() => Parse(systems, fields)).Faults;
}

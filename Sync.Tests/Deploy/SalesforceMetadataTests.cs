using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Salesforce.Adapter;
using Sync.Sandbox.Salesforce;
using Sync.Tests.Support;

namespace Sync.Tests.Deploy;

/// <summary>
/// What is deployed into an org is what the adapter needs there: every field that it names, as long as the mapping says, and
/// a permission set that covers each and nothing else.
/// </summary>
public sealed partial class SalesforceMetadataTests
{
    const string Folder = "deploy/salesforce/";
    const string Source = Folder + "force-app/main/default/";
    const string PermissionSet = Source + "permissionsets/Product_Sync_Integration.permissionset-meta.xml";

    /// <summary>A command's id as text.</summary>
    const int StampLength = 36;

    /// <summary>Of Salesforce's type Email; it cannot be set.</summary>
    const int EmailLength = 80;

    static readonly XNamespace Namespace = "http://soap.sforce.com/2006/04/metadata";

    static readonly SyncConfig Config = SyncConfig.Load(Path.Combine(Repository.Root, "config"));

    static readonly IReadOnlyDictionary<string, FieldMap> Mapped = Config.System(SystemNames.Salesforce).Fields;

    static IEnumerable<string> Files =>
        Repository.Files().Where(path => path.StartsWith(Folder, StringComparison.Ordinal));

    static Dictionary<string, XElement> CustomFields =>
        Files
            .Where(path => path.EndsWith(".field-meta.xml", StringComparison.Ordinal))
            .ToDictionary(path => Path.GetFileName(path)[..^".field-meta.xml".Length], Root);

    [Fact]
    public void Every_file_is_what_its_name_says()
    {
        var faults = Files
            .Where(path => path.EndsWith("-meta.xml", StringComparison.Ordinal))
            .Select(path => (path, Root: Root(path)))
            .Where(file => file.Root.Name.Namespace != Namespace || file.Root.Name.LocalName != Type(file.path))
            .Select(file => $"{file.path} holds {file.Root.Name}");

        Assert.Empty(faults);
        Assert.All(CustomFields, field => Assert.Equal(field.Key, Text(field.Value, "fullName")));
        Assert.All(Files.Where(path => path.EndsWith(".json", StringComparison.Ordinal)), path => Json(path).Dispose());
    }

    [Fact]
    public void The_project_names_its_folders_and_the_adapter_s_version_of_the_API()
    {
        using var project = Json(Folder + "sfdx-project.json");

        Assert.Equal(
            new SalesforceOptions().ApiVersion,
            "v" + project.RootElement.GetProperty("sourceApiVersion").GetString()
        );
        Assert.All(
            project.RootElement.GetProperty("packageDirectories").EnumerateArray(),
            folder =>
                Assert.True(
                    Directory.Exists(Path.Combine(Repository.Root, Folder, folder.GetProperty("path").GetString()!))
                )
        );
    }

    [Fact]
    public void Every_custom_field_that_the_adapter_names_is_deployed_and_no_other()
    {
        var named = new SalesforceMapping(Config)
            .Fields.Where(field => field.EndsWith("__c", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

        Assert.Equal(named, CustomFields.Keys.Order(StringComparer.Ordinal));
        // What is no custom field is one that every org has: that the adapter itself checks at start.
        Assert.Empty(SalesforceMapping.Faults(Config));
    }

    [Fact]
    public void A_field_holds_what_the_mapping_promises()
    {
        foreach (var (path, map) in Mapped.Where(field => CustomFields.ContainsKey(field.Value.To)))
            Assert.True(
                Length(CustomFields[map.To]) == map.Max,
                $"{path}: systems.json says {map.Max}, {map.To} holds {Length(CustomFields[map.To])}"
            );

        var id = CustomFields[SalesforceMapping.CustomerIdField];
        Assert.Equal(CustomerIds.MaxLength, Length(id));
        Assert.All((string[])["externalId", "unique", "caseSensitive"], trait => Assert.Equal("true", Text(id, trait)));
        Assert.True(Length(CustomFields[SalesforceMapping.StampField]) >= StampLength);
        // A field that people must fill would refuse what the product does not have.
        Assert.All(CustomFields.Values, field => Assert.Equal("false", Text(field, "required")));
    }

    [Fact]
    public void The_sandbox_s_org_has_the_same_fields()
    {
        foreach (var (name, field) in CustomFields)
        {
            var played = AccountField.Standard.Single(f => f.Name == name);
            Assert.Equal((Length(field), Text(field, "externalId") == "true"), (played.Length, played.ExternalId));
            Assert.Equal(Text(field, "type") == "Email" ? "email" : "string", played.Type);
        }
    }

    [Fact]
    public void The_permission_set_covers_every_field_that_is_read_or_written_and_no_other()
    {
        var granted = Root(PermissionSet)
            .Elements(Namespace + "fieldPermissions")
            .ToDictionary(row => Text(row, "field"), row => (Text(row, "readable"), Text(row, "editable")));

        Assert.Equal(
            new SalesforceMapping(Config)
                .Fields.Select(Securable)
                .OfType<string>()
                .Distinct()
                .Select(field => $"{SalesforceMapping.Object}.{field}")
                .Order(StringComparer.Ordinal),
            granted.Keys.Order(StringComparer.Ordinal)
        );
        Assert.All(granted.Values, rights => Assert.Equal(("true", "true"), rights));
    }

    [Fact]
    public void The_permission_set_gives_the_API_and_all_accounts_and_nothing_else()
    {
        var set = Root(PermissionSet);

        var accounts = Assert.Single(set.Elements(Namespace + "objectPermissions"));
        Assert.Equal(SalesforceMapping.Object, Text(accounts, "object"));
        Assert.All(
            (string[])["allowRead", "allowCreate", "allowEdit", "allowDelete", "viewAllRecords", "modifyAllRecords"],
            right => Assert.Equal("true", Text(accounts, right))
        );
        Assert.Equal("ApiEnabled", Text(Assert.Single(set.Elements(Namespace + "userPermissions")), "name"));
    }

    [Fact]
    public void Change_events_of_accounts_carry_our_two_fields()
    {
        var member = Root(
            Source + "platformEventChannelMembers/ChangeEvents_AccountChangeEvent.platformEventChannelMember-meta.xml"
        );

        Assert.Equal("ChangeEvents", Text(member, "eventChannel"));
        Assert.Equal($"{SalesforceMapping.Object}ChangeEvent", Text(member, "selectedEntity"));
        Assert.Equal(
            [SalesforceMapping.CustomerIdField, SalesforceMapping.StampField],
            member.Elements(Namespace + "enrichedFields").Select(field => Text(field, "name"))
        );
    }

    [Fact]
    public void No_file_holds_a_secret_or_the_name_of_one_org_s_user()
    {
        // Where Salesforce keeps consumer keys and secrets, and who an app runs as.
        string[] kept = ["extlClntAppGlobalOauthSets", "extlClntAppOauthPolicies"];
        Assert.Empty(Files.Where(path => kept.Any(folder => path.Contains($"/{folder}/", StringComparison.Ordinal))));
        foreach (var ignore in (string[])[".gitignore", ".forceignore"])
            Assert.All(
                kept,
                folder => Assert.Contains(folder, Repository.Read(Folder + ignore), StringComparison.Ordinal)
            );
        Assert.Empty(Files.Where(path => Secret().IsMatch(Repository.Read(path))));
    }

    /// <summary>
    /// The field of a permission set that stands for a field; none where everybody who may read the object may read it: ids,
    /// what Salesforce keeps itself, and the name, which is required. An address is secured as a whole.
    /// </summary>
    static string? Securable(string field) =>
        field switch
        {
            "Id" or "Name" or "IsDeleted" or "CreatedById" or "LastModifiedById" => null,
            _ when field.StartsWith("Billing", StringComparison.Ordinal) => "BillingAddress",
            _ when field.StartsWith("Shipping", StringComparison.Ordinal) => "ShippingAddress",
            _ => field,
        };

    static int Length(XElement field) =>
        Text(field, "type") == "Email" ? EmailLength : int.Parse(Text(field, "length"), CultureInfo.InvariantCulture);

    /// <summary>Metadata types by the suffix of their files.</summary>
    static string Type(string path) =>
        Path.GetFileName(path).Split('.')[^2].Replace("-meta", "", StringComparison.Ordinal) switch
        {
            "field" => "CustomField",
            "permissionset" => "PermissionSet",
            "platformEventChannelMember" => "PlatformEventChannelMember",
            "eca" => "ExternalClientApplication",
            "ecaOauth" => "ExtlClntAppOauthSettings",
            var other => $"a type that no test knows: {other}",
        };

    static XElement Root(string path) => XDocument.Parse(Repository.Read(path)).Root!;

    static string Text(XElement parent, string name) => parent.Element(Namespace + name)?.Value ?? "";

    static JsonDocument Json(string path) => JsonDocument.Parse(Repository.Read(path));

    // Consumer keys begin with 3MVG; sessions with the org's id and an exclamation mark; secrets are long hexadecimal.
    [GeneratedRegex(
        @"3MVG[A-Za-z0-9._]{10,}|00D[A-Za-z0-9]{12,15}!|\b[0-9A-F]{40,}\b|BEGIN [A-Z ]*PRIVATE KEY|<(?:consumerKey|consumerSecret|certificate|clientCredentialsFlowUser)>",
        RegexOptions.NonBacktracking | RegexOptions.IgnoreCase
    )]
    private static partial Regex Secret();
}

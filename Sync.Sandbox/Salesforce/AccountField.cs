using System.Text.Json.Nodes;

namespace Sync.Sandbox.Salesforce;

/// <summary>A field of Account, as describe tells it.</summary>
sealed record AccountField(string Name, string Label, string Type, int Length)
{
    public bool Writable { get; init; } = true;
    public bool Required { get; init; }

    /// <summary>An external id, unique and case-sensitive.</summary>
    public bool ExternalId { get; init; }

    public bool IsText => Type is "string" or "textarea" or "phone" or "email";

    public static readonly IReadOnlyList<AccountField> All =
    [
        new("Id", "Account ID", "id", 18) { Writable = false },
        new("IsDeleted", "Deleted", "boolean", 0) { Writable = false },
        new("Name", "Account Name", "string", 255) { Required = true },
        new("Phone", "Account Phone", "phone", 40),
        new("BillingStreet", "Billing Street", "textarea", 255),
        new("BillingCity", "Billing City", "string", 40),
        new("BillingState", "Billing State/Province", "string", 80),
        new("BillingPostalCode", "Billing Zip/Postal Code", "string", 20),
        new("BillingCountry", "Billing Country", "string", 80),
        new("CreatedDate", "Created Date", "datetime", 0) { Writable = false },
        new("CreatedById", "Created By ID", "reference", 18) { Writable = false },
        new("LastModifiedDate", "Last Modified Date", "datetime", 0) { Writable = false },
        new("LastModifiedById", "Last Modified By ID", "reference", 18) { Writable = false },
        new("SystemModstamp", "System Modstamp", "datetime", 0) { Writable = false },
        new("Product_Customer_Id__c", "Product Customer Id", "string", 128) { ExternalId = true },
        new("Product_Email__c", "Product Email", "email", 80),
        new("Product_Tier__c", "Product Tier", "string", 255),
        new("Sync_Command__c", "Sync Command", "string", 64),
    ];

    static readonly Dictionary<string, AccountField> ByName = All.ToDictionary(
        field => field.Name,
        StringComparer.OrdinalIgnoreCase
    );

    /// <summary>By API name, in any case.</summary>
    public static AccountField? Find(string name) => ByName.GetValueOrDefault(name);

    public JsonObject Describe() =>
        new()
        {
            ["name"] = Name,
            ["label"] = Label,
            ["type"] = Type,
            ["length"] = Length,
            ["caseSensitive"] = ExternalId,
            ["createable"] = Writable,
            ["custom"] = Name.EndsWith("__c", StringComparison.Ordinal),
            ["externalId"] = ExternalId,
            ["filterable"] = true,
            ["idLookup"] = ExternalId || Name == "Id",
            ["nillable"] = Writable && !Required,
            ["unique"] = ExternalId,
            ["updateable"] = Writable,
        };
}

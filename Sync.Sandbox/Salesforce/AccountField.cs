using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sync.Sandbox.Salesforce;

/// <summary>A field of Account, as describe tells it.</summary>
sealed record AccountField(string Name, string Label, string Type, int Length)
{
    public bool Writable { get; init; } = true;
    public bool Required { get; init; }

    /// <summary>An external id, unique and case-sensitive.</summary>
    public bool ExternalId { get; init; }

    public bool Custom => Name.EndsWith("__c", StringComparison.Ordinal);

    /// <summary>Kept as its text: Sync writes nothing else.</summary>
    public bool IsNumber { get; init; }

    public bool IsText => Type is "string" or "textarea" or "phone" or "email";

    /// <summary>What every org of this sandbox begins with.</summary>
    public static readonly IReadOnlyList<AccountField> Standard =
    [
        new("Id", "Account ID", "id", 18) { Writable = false },
        new("IsDeleted", "Deleted", "boolean", 0) { Writable = false },
        new("MasterRecordId", "Master Record ID", "reference", 18) { Writable = false },
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

    public JsonObject Describe() =>
        new()
        {
            ["name"] = Name,
            ["label"] = Label,
            ["type"] = Type,
            ["length"] = Length,
            ["caseSensitive"] = ExternalId,
            ["createable"] = Writable,
            ["custom"] = Custom,
            ["externalId"] = ExternalId,
            ["filterable"] = true,
            ["idLookup"] = ExternalId || Name == "Id",
            ["nillable"] = Writable && !Required,
            ["unique"] = ExternalId,
            ["updateable"] = Writable,
        };
}

/// <summary>The fields of Account in one org; a person may add custom ones.</summary>
sealed partial class AccountFields
{
    /// <summary>Salesforce's own limit of custom fields, roughly.</summary>
    const int Max = 500;

    volatile IReadOnlyList<AccountField> _all = AccountField.Standard;

    public IReadOnlyList<AccountField> All => _all;

    /// <summary>By API name, in any case.</summary>
    public AccountField? Find(string name) =>
        _all.FirstOrDefault(field => field.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>A text of up to 255 characters, or a number.</summary>
    public void Add(string name, bool isNumber = false)
    {
        if (!CustomName().IsMatch(name))
            throw new FormatException("name: must be letters, digits and _ and end in __c");
        if (Find(name) is not null)
            throw new FormatException("name: there is such a field");
        if (_all.Count >= Max)
            throw new FormatException($"an Account has at most {Max} fields");
        _all = [.. _all, new AccountField(name, name[..^3].Replace('_', ' '), "string", 255) { IsNumber = isNumber }];
    }

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9_]{0,39}__c\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex CustomName();
}

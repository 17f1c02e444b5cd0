using Sync.Mapping;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Tests.Orchestrator;

/// <summary>
/// A product and two made-up vendors, by configuration alone. <c>billing</c> stores telephone numbers in lower case,
/// <c>crm</c> in upper case: vendors' own forms. <c>crm</c> owns the tier; a conflict about the name goes to the product,
/// about the address to a person, about the rest to the later one.
/// </summary>
static class TestRules
{
    public const string Product = "product";
    public const string Billing = "billing";
    public const string Crm = "crm";

    public static readonly byte[] Systems =
        """
        [
          { "name": "product", "fields": {
              "name": { "to": "name" }, "email": { "to": "email" }, "phone": { "to": "phone" },
              "address.city": { "to": "address.city" }, "attributes.tier": { "to": "attributes.tier" } } },
          { "name": "billing", "fields": {
              "name": { "to": "name" }, "email": { "to": "email" }, "phone": { "to": "phone", "form": ["lower"] },
              "address.city": { "to": "city" } } },
          { "name": "crm", "fields": {
              "name": { "to": "Name" }, "email": { "to": "Email" }, "phone": { "to": "Phone", "form": ["upper"] },
              "address.city": { "to": "City" }, "attributes.tier": { "to": "Tier" } } }
        ]
        """u8.ToArray();

    public static readonly byte[] Fields =
        """
        [
          { "path": "name", "owner": "product", "onConflict": "owner" },
          { "path": "email", "owner": "any", "onConflict": "latest" },
          { "path": "phone", "owner": "any", "onConflict": "latest" },
          { "path": "address.city", "owner": "any", "onConflict": "hold" },
          { "path": "attributes.tier", "owner": "crm", "onConflict": "owner", "write": "only" }
        ]
        """u8.ToArray();

    public static readonly SyncConfig Config = SyncConfig.Parse(Systems, Fields);

    public static readonly string[] Vendors = [Billing, Crm];

    public static Rules TwoWay => new(Config, OneWay: false, (_, _) => false);

    /// <summary>The same, with the tier owned by <paramref name="owner"/> and open to everybody.</summary>
    public static Rules OneOwner(string owner) =>
        TwoWay with
        {
            Config = SyncConfig.Parse(
                Systems,
                System.Text.Encoding.UTF8.GetBytes(
                    $$"""[{ "path": "attributes.tier", "owner": "{{owner}}", "onConflict": "latest" }]"""
                )
            ),
        };

    public static Rules OneWay => TwoWay with { OneWay = true };
}

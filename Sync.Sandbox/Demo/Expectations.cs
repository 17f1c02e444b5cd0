using System.Text;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Demo;

/// <summary>
/// What a person would expect to find in each vendor for a customer of the product, written down a second time and by hand:
/// the demo checks the result, not the mapping against itself.
/// </summary>
static class Expectations
{
    static readonly (string Path, string Stripe)[] InStripe =
    [
        ("name", "name"),
        ("email", "email"),
        ("phone", "phone"),
        ("address.line1", "address.line1"),
        ("address.line2", "address.line2"),
        ("address.city", "address.city"),
        ("address.state", "address.state"),
        ("address.postalCode", "address.postal_code"),
        ("address.country", "address.country"),
        ("attributes.tier", "metadata.tier"),
    ];

    static readonly (string Path, string Salesforce)[] InSalesforce =
    [
        ("name", "Name"),
        ("email", "Product_Email__c"),
        ("phone", "Phone"),
        ("address.line1", "BillingStreet"),
        ("address.city", "BillingCity"),
        ("address.state", "BillingState"),
        ("address.postalCode", "BillingPostalCode"),
        ("address.country", "BillingCountry"),
        ("attributes.tier", "Product_Tier__c"),
    ];

    /// <summary>Fields that differ, as <c>Stripe phone</c>; never their values.</summary>
    public static IEnumerable<string> Differences(JsonObject product, JsonObject? stripe, JsonObject? salesforce)
    {
        if (stripe is null)
            yield return "Stripe has no such customer";
        else
        {
            foreach (var (path, to) in InStripe)
            {
                if (Same(path, At(product, path), At(stripe, to)) is false)
                    yield return $"Stripe {to}";
            }
        }

        if (salesforce is null)
            yield return "Salesforce has no such account";
        else
        {
            foreach (var (path, to) in InSalesforce)
            {
                if (Same(path, At(product, path), At(salesforce, to)) is false)
                    yield return $"Salesforce {to}";
            }
        }
    }

    static bool Same(string path, string? one, string? other) =>
        string.Equals(
            Plain(one),
            Plain(other),
            path == "email" ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal
        );

    static string Plain(string? text) => (text ?? "").Normalize(NormalizationForm.FormC).Trim();

    static string? At(JsonNode node, string path)
    {
        JsonNode? at = node;
        foreach (var name in path.Split('.'))
            at = (at as JsonObject)?[name];
        return (string?)at;
    }
}

using System.Text;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Demo;

/// <summary>What a person would expect to find in each vendor for a customer of the product.</summary>
static class Expectations
{
    /// <summary>Fields that differ, as <c>Stripe phone</c>; never their values.</summary>
    public static IEnumerable<string> Differences(JsonObject product, JsonObject? stripe, JsonObject? salesforce) =>
        [.. Differences(product, Place.Stripe, stripe), .. Differences(product, Place.Salesforce, salesforce)];

    /// <summary>Whether two places mean the same: case counts but in an e-mail, outer blanks and the form of Unicode do not.</summary>
    public static bool Same(string path, string? one, string? other) =>
        string.Equals(
            Plain(one),
            Plain(other),
            path == "email" ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal
        );

    static IEnumerable<string> Differences(JsonObject product, Place vendor, JsonObject? record)
    {
        if (record is null)
            return [$"{vendor.Name} has no such customer"];
        return vendor
            .Fields.Where(field =>
                !Same(field.Key, Place.Product.Read(product, field.Key), vendor.Read(record, field.Key))
            )
            .Select(field => $"{vendor.Name} {field.Value}");
    }

    static string Plain(string? text) => (text ?? "").Normalize(NormalizationForm.FormC).Trim();
}

using System.Text.Json.Nodes;
using Sync.Contracts.Customers;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Page;

/// <summary>One person's records side by side: those that carry the same id of the product, or one that carries none.</summary>
/// <param name="Key">The product's id, or <c>stripe:cus_…</c>, <c>salesforce:001…</c> of a record that nobody linked yet.</param>
sealed record Person(string Key, string? CustomerId)
{
    public CatalogCustomer? Product { get; set; }
    public List<JsonObject> Stripe { get; } = [];
    public List<JsonObject> Salesforce { get; } = [];
}

/// <summary>Looks into the three systems as they stand, and puts together what belongs together.</summary>
sealed class People(ProductCatalog product, StripeAccount stripe, SalesforceOrg salesforce)
{
    /// <summary>More are not looked at by a person; the search finds them.</summary>
    public const int MaxShown = 50;

    const string ProductId = "Product_Customer_Id__c";

    /// <summary>
    /// The newest: records without a customer of the product first. With a text, those who have it in a name, an e-mail or
    /// an id of any system.
    /// </summary>
    /// <param name="open">The key of one who is there in any case, also when no system has them any more.</param>
    /// <returns>The people, whether there are more, and the key that <paramref name="open"/> has by now.</returns>
    public (List<Person> People, bool More, string? Open) Find(string text, string? open)
    {
        var people = new List<Person>();
        var byKey = new Dictionary<string, Person>(StringComparer.Ordinal);
        Person Get(string key, string? customerId)
        {
            if (!byKey.TryGetValue(key, out var person))
            {
                byKey[key] = person = new Person(key, customerId);
                people.Add(person);
            }

            return person;
        }

        // Who is to be shown at all; one more than can be, to know that there are more.
        bool Has(params ReadOnlySpan<string?> values)
        {
            foreach (var value in values)
            {
                if (value?.Contains(text, StringComparison.OrdinalIgnoreCase) == true)
                    return true;
            }

            return false;
        }

        bool IsLone(string? customerId) => customerId is null || !product.Has(customerId);

        foreach (
            var customer in stripe.Find(
                c => text.Length == 0 ? IsLone(CustomerId(c)) : Has(c.Name, c.Email, c.Id, CustomerId(c)),
                MaxShown + 1
            )
        )
            Get(KeyOf(customer), CustomerId(customer));
        foreach (
            var account in salesforce.Find(
                a =>
                    text.Length == 0
                        ? IsLone(CustomerId(a))
                        : Has(
                            a.Values.GetValueOrDefault("Name"),
                            a.Values.GetValueOrDefault("Product_Email__c"),
                            a.Id,
                            CustomerId(a)
                        ),
                MaxShown + 1
            )
        )
            Get(KeyOf(account), CustomerId(account));
        foreach (
            var customer in product.Newest(
                c =>
                    text.Length == 0
                    || Has(c.Id, c.Fields.GetValueOrDefault(Paths.Name), c.Fields.GetValueOrDefault(Paths.Email)),
                MaxShown + 1
            )
        )
            Get(customer.Id, customer.Id);

        var more = people.Count > MaxShown;
        foreach (var person in people.Skip(MaxShown))
            byKey.Remove(person.Key);
        people.RemoveRange(Math.Min(people.Count, MaxShown), Math.Max(0, people.Count - MaxShown));

        var now = open is null ? null : Resolve(open);
        if (now is not null && !byKey.ContainsKey(now))
        {
            var kept = Get(now, IsRecord(now) ? null : now);
            people.Remove(kept);
            people.Insert(0, kept);
        }

        foreach (var person in people.Where(p => p.CustomerId is not null))
            person.Product = product.Find(person.CustomerId!);
        foreach (var customer in stripe.Find(c => byKey.ContainsKey(KeyOf(c)), int.MaxValue))
            byKey[KeyOf(customer)].Stripe.Add(customer.ToJson());
        foreach (var account in salesforce.Find(a => byKey.ContainsKey(KeyOf(a)), int.MaxValue))
            byKey[KeyOf(account)].Salesforce.Add(account.ToJson("v66.0", salesforce.Fields.All));
        return (people, more, now);
    }

    /// <summary>Puts records that Sync has linked, and that do not carry the id yet, to their customers.</summary>
    /// <param name="saga">By customer, as <c>dashboard.customers</c> tells it.</param>
    /// <returns>The key that <paramref name="open"/> has by now.</returns>
    public static string? Join(List<Person> people, IReadOnlyDictionary<string, JsonObject> saga, string? open)
    {
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (id, row) in saga)
        {
            foreach (var system in (ReadOnlySpan<string>)[StripeApi.Vendor, SalesforceApi.Vendor])
            {
                if ((string?)row["systems"]?[system]?["externalId"] is { } externalId)
                    owners[$"{system}:{externalId}"] = id;
            }
        }

        foreach (var lone in people.Where(person => person.CustomerId is null).ToList())
        {
            if (
                !owners.TryGetValue(lone.Key, out var id)
                || people.Find(person => person.CustomerId == id) is not { } owner
            )
                continue;
            owner.Stripe.AddRange(lone.Stripe);
            owner.Salesforce.AddRange(lone.Salesforce);
            people.Remove(lone);
            if (open == lone.Key)
                open = owner.Key;
        }

        return open;
    }

    /// <summary>A record that was linked meanwhile stands under its customer; one that is gone under nobody.</summary>
    string? Resolve(string key)
    {
        if (!IsRecord(key))
            return key;
        if (stripe.Find(c => $"{StripeApi.Vendor}:{c.Id}" == key, 1) is [var customer])
            return KeyOf(customer);
        return salesforce.Find(a => $"{SalesforceApi.Vendor}:{a.Id}" == key, 1) is [var account]
            ? KeyOf(account)
            : null;
    }

    static bool IsRecord(string key) =>
        key.StartsWith($"{StripeApi.Vendor}:cus_", StringComparison.Ordinal)
        || key.StartsWith($"{SalesforceApi.Vendor}:001", StringComparison.Ordinal);

    static string? CustomerId(StripeCustomer customer) => customer.Metadata.GetValueOrDefault("customer_id");

    static string? CustomerId(Account account) => account.Values.GetValueOrDefault(ProductId);

    static string KeyOf(StripeCustomer customer) => CustomerId(customer) ?? $"{StripeApi.Vendor}:{customer.Id}";

    static string KeyOf(Account account) => CustomerId(account) ?? $"{SalesforceApi.Vendor}:{account.Id}";
}

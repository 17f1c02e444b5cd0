using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Salesforce.Events;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Demo;

/// <summary>
/// One of the three places where a customer lives and a person may edit it. The names of its fields are written down here a
/// second time and by hand: the demo checks the result, not the mapping against itself.
/// </summary>
sealed class Place
{
    public static readonly Place Product = new()
    {
        Name = "product",
        System = SystemNames.Product,
        Root = "customers",
        IdField = "id",
        Fields = Named(
            ("name", "name"),
            ("email", "email"),
            ("phone", "phone"),
            ("address.line1", "address.line1"),
            ("address.line2", "address.line2"),
            ("address.city", "address.city"),
            ("address.state", "address.state"),
            ("address.postalCode", "address.postalCode"),
            ("address.country", "address.country"),
            ("attributes.tier", "attributes.tier")
        ),
        Live = static sandbox => sandbox.Product.List(after: null, int.MaxValue).Select(CustomerInput.Write),
        Fail = static sandbox =>
        {
            sandbox.ProductCommands?.Pause();
            return Task.CompletedTask;
        },
        Recover = static sandbox =>
        {
            sandbox.ProductCommands?.Resume();
            return Task.CompletedTask;
        },
    };

    public static readonly Place Stripe = new()
    {
        Name = "Stripe",
        System = SystemNames.Stripe,
        Root = "sandbox/stripe/customers",
        IdField = "id",
        Fields = Named(
            ("name", "name"),
            ("email", "email"),
            ("phone", "phone"),
            ("address.line1", "address.line1"),
            ("address.line2", "address.line2"),
            ("address.city", "address.city"),
            ("address.state", "address.state"),
            ("address.postalCode", "address.postal_code"),
            ("address.country", "address.country"),
            ("attributes.tier", "metadata.tier")
        ),
        Live = static sandbox =>
            sandbox.Stripe.All().Select(node => node!.AsObject()).Where(customer => customer["deleted"] is null),
        Fail = static sandbox => Down(sandbox, StripeApi.Vendor),
        Recover = static sandbox => sandbox.ClearFaults(StripeApi.Vendor),
        Writes = static sandbox => Written(sandbox, StripeApi.Vendor, "customers."),
    };

    public static readonly Place Salesforce = new()
    {
        Name = "Salesforce",
        System = SystemNames.Salesforce,
        Root = "sandbox/salesforce/accounts",
        IdField = "Id",
        Fields = Named(
            ("name", "Name"),
            ("email", "Product_Email__c"),
            ("phone", "Phone"),
            ("address.line1", "BillingStreet"),
            ("address.city", "BillingCity"),
            ("address.state", "BillingState"),
            ("address.postalCode", "BillingPostalCode"),
            ("address.country", "BillingCountry"),
            ("attributes.tier", "Product_Tier__c")
        ),
        Live = static sandbox =>
            sandbox
                .Salesforce.All()
                .Select(node => node!.AsObject())
                .Where(account => (bool?)account["IsDeleted"] is not true),
        Fail = static async sandbox =>
        {
            await Down(sandbox, SalesforceApi.Vendor);
            await Down(sandbox, PubSub.Vendor);
        },
        Recover = static async sandbox =>
        {
            await sandbox.ClearFaults(SalesforceApi.Vendor);
            await sandbox.ClearFaults(PubSub.Vendor);
        },
        Writes = static sandbox => Written(sandbox, SalesforceApi.Vendor, "account.", "collections."),
    };

    public static readonly IReadOnlyList<Place> All = [Product, Stripe, Salesforce];

    public static Place Of(string name) => All.Single(place => place.Name == name);

    /// <summary>For people.</summary>
    public required string Name { get; init; }

    /// <summary>As in settings, topics and the saga.</summary>
    public required string System { get; init; }

    /// <summary>Where it is edited by hand, on the product's port.</summary>
    public required string Root { get; init; }

    public required string IdField { get; init; }

    /// <summary>Path of the contract to the field here.</summary>
    public required IReadOnlyDictionary<string, string> Fields { get; init; }

    /// <summary>What it holds and has not deleted.</summary>
    public required Func<SandboxHost, IEnumerable<JsonObject>> Live { get; init; }

    /// <summary>
    /// Makes it answer nobody of Sync until it recovers, while people may edit it: a vendor refuses connections, the product
    /// reads no commands.
    /// </summary>
    public required Func<SandboxHost, Task> Fail { get; init; }

    public required Func<SandboxHost, Task> Recover { get; init; }

    /// <summary>Writes of Sync that arrived since the calls were last counted anew; the product's are seen in its revision.</summary>
    public Func<SandboxHost, int> Writes { get; init; } = static _ => 0;

    /// <summary>A body for its API by hand: what a person would fill in.</summary>
    public JsonObject Form(IReadOnlyDictionary<string, string?> values)
    {
        var form = new JsonObject();
        foreach (var (path, value) in values)
        {
            var names = Fields[path].Split('.');
            var at = form;
            foreach (var name in names[..^1])
                at = (at[name] ??= new JsonObject()).AsObject();
            at[names[^1]] = value;
        }

        return form;
    }

    /// <summary>One field of a record of this place, by its path in the contract; null when it is empty or has no field for it.</summary>
    public string? Read(JsonObject record, string path)
    {
        if (!Fields.TryGetValue(path, out var field))
            return null;
        JsonNode? at = record;
        foreach (var name in field.Split('.'))
            at = (at as JsonObject)?[name];
        return (string?)at;
    }

    public override string ToString() => Name;

    static async Task Down(SandboxHost sandbox, string vendor) =>
        await sandbox.AddFault(new FaultOrder { Vendor = vendor, Kind = FaultKind.Down });

    static int Written(SandboxHost sandbox, string vendor, params string[] prefixes) =>
        sandbox
            .Calls.Of(vendor)
            .Operations.Where(operation =>
                prefixes.Any(prefix => operation.Key.StartsWith(prefix, StringComparison.Ordinal))
                && operation.Key.Split('.')[1] is "create" or "update" or "delete"
            )
            .Sum(operation => operation.Value);

    static Dictionary<string, string> Named(params (string Path, string Field)[] fields) =>
        fields.ToDictionary(field => field.Path, field => field.Field, StringComparer.Ordinal);
}

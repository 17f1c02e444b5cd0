using System.Text.Json.Nodes;

namespace Sync.Sandbox.Stripe;

/// <summary>A customer as this Stripe keeps it; a deleted one keeps its place and nothing else.</summary>
sealed class StripeCustomer(string id, long created, int index, string invoicePrefix)
{
    public static readonly string[] AddressMembers = ["city", "country", "line1", "line2", "postal_code", "state"];

    public string Id => id;
    public long Created => created;

    /// <summary>The place in the order of creation.</summary>
    public int Index => index;
    public bool Deleted { get; set; }

    /// <summary>When it was created or changed last; Stripe tells nobody, but its search lags behind it.</summary>
    public DateTimeOffset Changed { get; set; }
    public string? BusinessName { get; set; }
    public string? Description { get; set; }
    public string? Email { get; set; }
    public string? IndividualName { get; set; }
    public string? Name { get; set; }
    public string? Phone { get; set; }
    public string TaxExempt { get; set; } = "none";
    public List<string> PreferredLocales { get; set; } = [];
    public Dictionary<string, string?>? Address { get; set; }
    public SortedDictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);
    public List<StripeSubscription> Subscriptions { get; } = [];

    public void Erase()
    {
        Deleted = true;
        BusinessName = Description = Email = IndividualName = Name = Phone = null;
        Address = null;
        PreferredLocales = [];
        Metadata.Clear();
        foreach (var subscription in Subscriptions)
            subscription.Status = "canceled";
    }

    public JsonObject ToJson()
    {
        if (Deleted)
            return new JsonObject
            {
                ["id"] = Id,
                ["object"] = "customer",
                ["deleted"] = true,
            };

        var json = new JsonObject
        {
            ["id"] = Id,
            ["object"] = "customer",
            ["address"] = Address is null
                ? null
                : new JsonObject(
                    AddressMembers.Select(m => KeyValuePair.Create(m, (JsonNode?)Address.GetValueOrDefault(m)))
                ),
            ["balance"] = 0,
            ["created"] = Created,
            ["currency"] = null,
            ["default_source"] = null,
            ["delinquent"] = false,
            ["description"] = Description,
            ["discount"] = null,
            ["email"] = Email,
            ["invoice_prefix"] = invoicePrefix,
            ["invoice_settings"] = new JsonObject
            {
                ["custom_fields"] = null,
                ["default_payment_method"] = null,
                ["footer"] = null,
                ["rendering_options"] = null,
            },
            ["livemode"] = false,
            ["metadata"] = new JsonObject(Metadata.Select(m => KeyValuePair.Create(m.Key, (JsonNode?)m.Value))),
            ["name"] = Name,
            ["next_invoice_sequence"] = 1,
            ["phone"] = Phone,
            ["preferred_locales"] = new JsonArray([.. PreferredLocales.Select(l => (JsonNode)l)]),
            ["shipping"] = null,
            ["tax_exempt"] = TaxExempt,
            ["test_clock"] = null,
        };
        // Absent while they are not set, unlike all others.
        if (BusinessName is not null)
            json["business_name"] = BusinessName;
        if (IndividualName is not null)
            json["individual_name"] = IndividualName;
        return json;
    }
}

sealed class StripeSubscription(string id, string customer, long created)
{
    public static readonly string[] Statuses =
    [
        "active",
        "canceled",
        "incomplete",
        "incomplete_expired",
        "past_due",
        "paused",
        "trialing",
        "unpaid",
    ];

    public string Id => id;
    public required string Status { get; set; }

    public JsonObject ToJson() =>
        new()
        {
            ["id"] = Id,
            ["object"] = "subscription",
            ["cancel_at_period_end"] = false,
            ["created"] = created,
            ["currency"] = "eur",
            ["customer"] = customer,
            ["items"] = new JsonObject
            {
                ["object"] = "list",
                ["data"] = new JsonArray(),
                ["has_more"] = false,
                ["url"] = $"/v1/subscription_items?subscription={Id}",
            },
            ["livemode"] = false,
            ["metadata"] = new JsonObject(),
            ["status"] = Status,
        };
}

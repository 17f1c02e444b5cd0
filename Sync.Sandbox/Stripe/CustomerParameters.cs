using System.Text;
using System.Text.RegularExpressions;

namespace Sync.Sandbox.Stripe;

/// <summary>
/// The parameters of a customer's create and update, with Stripe's limits. Everything is checked before anything is
/// changed; what is not named stays, an empty text clears, hashes are merged.
/// </summary>
static partial class CustomerParameters
{
    public const int MaxMetadataKeys = 50;
    public const int MaxMetadataKey = 40;
    public const int MaxMetadataValue = 500;

    static readonly HashSet<string> NotPlayed = new(StringComparer.Ordinal)
    {
        "balance",
        "bank_account",
        "card",
        "cash_balance",
        "default_alipay_account",
        "default_bank_account",
        "default_card",
        "default_source",
        "invoice_prefix",
        "invoice_settings",
        "next_invoice_sequence",
        "payment_method",
        "shipping",
        "source",
        "tax",
        "tax_id_data",
        "test_clock",
    };

    /// <summary>Checks the parameters against the customer and returns what applies them.</summary>
    /// <exception cref="StripeProblem">The first parameter that Stripe would not take.</exception>
    public static Action Check(StripeForm.Node parameters, StripeCustomer customer)
    {
        var changes = new List<Action>();
        foreach (var (name, node) in parameters.Members)
        {
            changes.Add(
                name switch
                {
                    "name" => Set(Text(node, 256), v => customer.Name = v),
                    "email" => Set(Email(node), v => customer.Email = v),
                    "phone" => Set(Text(node, 20), v => customer.Phone = v),
                    "description" => Set(Text(node, 5_000), v => customer.Description = v),
                    "business_name" => Set(Text(node, 150), v => customer.BusinessName = v),
                    "individual_name" => Set(Text(node, 150), v => customer.IndividualName = v),
                    "address" => Address(node, customer),
                    "metadata" => Metadata(node, customer),
                    "preferred_locales" => Locales(node, customer),
                    "tax_exempt" => TaxExempt(node, customer),
                    "expand" => Expand(node),
                    _ when NotPlayed.Contains(name) => throw StripeProblem.NotPlayed(name),
                    _ => throw StripeProblem.Unknown(name),
                }
            );
        }

        return () => changes.ForEach(change => change());
    }

    /// <summary>Nothing of a customer can be expanded here.</summary>
    public static Action Expand(StripeForm.Node node)
    {
        var first = node.IsText ? node.Text : node.Members.Values.FirstOrDefault()?.Text;
        return string.IsNullOrEmpty(first)
            ? static () => { }
            : throw StripeProblem.Invalid($"This property cannot be expanded ({first}).", "expand");
    }

    public static string Text(StripeForm.Node node, int maxLength)
    {
        if (node.Text is not { } text)
            throw StripeProblem.Invalid($"Invalid string: {node.Name} is given as a hash", node.Name);
        // Characters, not UTF-16 units.
        var length = text.Length <= maxLength ? text.Length : text.EnumerateRunes().Count();
        return length <= maxLength
            ? text
            : throw StripeProblem.Invalid(
                $"Invalid string: {Start(text)}; must be at most {maxLength} characters",
                node.Name
            );
    }

    static string Email(StripeForm.Node node)
    {
        var text = Text(node, 512);
        return text.Length == 0 || EmailShape().IsMatch(text)
            ? text
            : throw StripeProblem.Invalid($"Invalid email address: {text}", node.Name, "email_invalid");
    }

    static Action Address(StripeForm.Node node, StripeCustomer customer)
    {
        if (node.IsText)
        {
            return node.Text!.Length == 0
                ? () => customer.Address = null
                : throw StripeProblem.Invalid("Invalid object", node.Name);
        }

        var members = new List<KeyValuePair<string, string?>>();
        foreach (var (name, member) in node.Members)
        {
            if (!StripeCustomer.AddressMembers.Contains(name))
                throw StripeProblem.Unknown(member.Name);
            members.Add(new(name, Empty(Text(member, 5_000))));
        }

        return () =>
        {
            customer.Address ??= new Dictionary<string, string?>(StringComparer.Ordinal);
            foreach (var (name, value) in members)
                customer.Address[name] = value;
        };
    }

    static Action Metadata(StripeForm.Node node, StripeCustomer customer)
    {
        if (node.IsText)
        {
            return node.Text!.Length == 0
                ? customer.Metadata.Clear
                : throw StripeProblem.Invalid("Invalid metadata: must be a hash or an empty string", node.Name);
        }

        var keys = new HashSet<string>(customer.Metadata.Keys, StringComparer.Ordinal);
        foreach (var (key, value) in node.Members)
        {
            if (key.Length is 0 or > MaxMetadataKey)
            {
                throw StripeProblem.Invalid($"Metadata keys must be 1 to {MaxMetadataKey} characters long", value.Name);
            }

            if (value.Text is not { } text)
                throw StripeProblem.Invalid("Metadata values must be strings", value.Name);
            if (text.EnumerateRunes().Count() > MaxMetadataValue)
            {
                throw StripeProblem.Invalid(
                    $"Metadata values can have up to {MaxMetadataValue} characters",
                    value.Name
                );
            }

            _ = text.Length == 0 ? keys.Remove(key) : keys.Add(key);
        }

        if (keys.Count > MaxMetadataKeys)
            throw StripeProblem.Invalid($"Metadata can have up to {MaxMetadataKeys} keys", node.Name);
        return () =>
        {
            foreach (var (key, value) in node.Members)
            {
                if (value.Text!.Length == 0)
                    customer.Metadata.Remove(key);
                else
                    customer.Metadata[key] = value.Text;
            }
        };
    }

    static Action Locales(StripeForm.Node node, StripeCustomer customer)
    {
        List<string> locales = node.IsText
            ? node.Text!.Length == 0
                ? []
                : throw StripeProblem.Invalid("Invalid array", node.Name)
            : [.. node.Members.Values.Select(member => Text(member, 5_000))];
        return () => customer.PreferredLocales = locales;
    }

    static Action TaxExempt(StripeForm.Node node, StripeCustomer customer)
    {
        var text = Text(node, 5_000);
        if (text is not ("" or "exempt" or "none" or "reverse"))
        {
            throw StripeProblem.Invalid("Invalid tax_exempt: must be one of exempt, none, or reverse", node.Name);
        }

        return () => customer.TaxExempt = text.Length == 0 ? "none" : text;
    }

    static Action Set(string text, Action<string?> set) => () => set(Empty(text));

    static string? Empty(string text) => text.Length == 0 ? null : text;

    /// <summary>Stripe repeats the beginning of what it refuses, so a caller's log must not repeat Stripe's message.</summary>
    static string Start(string text)
    {
        var start = new StringBuilder();
        foreach (var rune in text.EnumerateRunes().Take(20))
            start.Append(rune.ToString());
        return start.Append("...").ToString();
    }

    [GeneratedRegex(@"^[^@\s]+@[^@\s]+$", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex EmailShape();
}

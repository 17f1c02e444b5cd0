using System.Text.Json;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Json;

namespace Sync.Sandbox.Product;

/// <param name="Path">The member.</param>
/// <param name="Text">What is wrong with it, never what it holds.</param>
sealed record InputProblem(string Path, string Text);

/// <summary>What a caller of the product's REST API sent: every fault of it is named at once, and no value is repeated.</summary>
sealed class CustomerInput
{
    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    public string? Id { get; private set; }

    public Dictionary<string, string?> Fields { get; } = new(StringComparer.Ordinal);

    public List<InputProblem> Problems { get; } = [];

    /// <param name="creating">Whether an id may be given; a change names only what it changes, and null clears.</param>
    public static CustomerInput Read(byte[] body, bool creating)
    {
        var input = new CustomerInput();
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, Strict);
        }
        catch (Exception broken) when (broken is JsonException or InvalidOperationException)
        {
            // The second: a name with half of a surrogate pair, met in the search for doubled names.
            input.Problems.Add(new("", "the body is not JSON, names a member twice, or is nested too deep"));
            return input;
        }

        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                input.Problems.Add(new("", "the body must be an object"));
            else
                input.TryReadCustomer(document.RootElement, creating);
        }

        return input;
    }

    public static JsonObject Write(CatalogCustomer customer)
    {
        var json = new JsonObject { ["id"] = customer.Id, ["revision"] = customer.Revision };
        var fields = JsonSerializer.SerializeToNode(customer.Fields)!.AsObject();
        foreach (var (name, value) in fields.ToList())
        {
            fields.Remove(name);
            json[name] = value;
        }

        return json;
    }

    void TryReadCustomer(JsonElement customer, bool creating)
    {
        try
        {
            ReadCustomer(customer, creating);
        }
        catch (InvalidOperationException)
        {
            Problems.Add(new("", "a member's name is not valid text"));
        }
    }

    void ReadCustomer(JsonElement customer, bool creating)
    {
        foreach (var member in customer.EnumerateObject())
        {
            switch (member.Name)
            {
                case "id" when creating:
                    if (TryText("id", member.Value, out var id))
                    {
                        Id = id;
                        if (id is not null && CustomerIds.Problem(id) is { } problem)
                            Problems.Add(new("id", problem));
                    }

                    break;
                case "id" or "revision":
                    Problems.Add(new(member.Name, "cannot be set"));
                    break;
                case Paths.Name or Paths.Email or Paths.Phone:
                    ReadField(member.Name, member.Value);
                    break;
                case "address":
                    ReadAddress(member.Value);
                    break;
                case "attributes":
                    ReadAttributes(member.Value);
                    break;
                default:
                    Problems.Add(new(Shown(member.Name), "is not a member of a customer"));
                    break;
            }
        }
    }

    void ReadAddress(JsonElement address)
    {
        if (address.ValueKind == JsonValueKind.Null)
        {
            foreach (var member in Paths.AddressMembers)
                Fields[Paths.AddressPrefix + member] = null;
            return;
        }

        if (address.ValueKind != JsonValueKind.Object)
        {
            Problems.Add(new("address", "must be an object or null"));
            return;
        }

        foreach (var member in address.EnumerateObject())
        {
            if (Paths.AddressMembers.Contains(member.Name))
                ReadField(Paths.AddressPrefix + member.Name, member.Value);
            else
                Problems.Add(new("address." + Shown(member.Name), "is not a member of an address"));
        }
    }

    void ReadAttributes(JsonElement attributes)
    {
        if (attributes.ValueKind != JsonValueKind.Object)
        {
            Problems.Add(new("attributes", "must be an object; null clears a single attribute"));
            return;
        }

        var count = 0;
        foreach (var member in attributes.EnumerateObject())
        {
            if (++count > CustomerFieldsConverter.MaxAttributes)
            {
                Problems.Add(new("attributes", $"has more than {CustomerFieldsConverter.MaxAttributes} members"));
                return;
            }

            if (member.Name.Length is 0 or > CustomerIds.MaxLength || member.Name.Any(char.IsControl))
                Problems.Add(
                    new(
                        "attributes",
                        $"a name has 1 to {CustomerIds.MaxLength} characters, none of them control characters"
                    )
                );
            else
                ReadField(Paths.AttributesPrefix + member.Name, member.Value);
        }
    }

    void ReadField(string path, JsonElement value)
    {
        if (!TryText(path, value, out var text))
            return;
        if (text?.Length > CustomerFields.MaxValueLength)
            Problems.Add(
                new(path, $"has {text.Length} characters; at most {CustomerFields.MaxValueLength} are allowed")
            );
        else if (text?.Any(c => char.IsControl(c) && c is not ('\t' or '\n' or '\r')) == true)
            Problems.Add(new(path, "contains control characters"));
        else
            Fields[path] = string.IsNullOrEmpty(text) ? null : text;
    }

    bool TryText(string path, JsonElement value, out string? text)
    {
        text = null;
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return true;
            case JsonValueKind.String:
                try
                {
                    text = value.GetString();
                    return true;
                }
                catch (InvalidOperationException)
                {
                    Problems.Add(new(path, "is not valid text"));
                    return false;
                }
            default:
                Problems.Add(new(path, "must be text or null"));
                return false;
        }
    }

    static string Shown(string name) => name.Length <= 64 && !name.Any(char.IsControl) ? name : "(a long name)";
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Stripe;

/// <summary>
/// Form-encoded parameters as a tree: <c>address[line1]=x</c>, <c>preferred_locales[0]=en</c>, <c>expand[]=x</c>.
/// </summary>
sealed class StripeForm
{
    const int MaxDepth = 6;
    const int MaxParameters = 1_000;

    public Node Root { get; } = new("");

    /// <summary>Equal for requests with the same parameters, in whatever order.</summary>
    public string Fingerprint { get; private set; } = "";

    public sealed class Node(string name)
    {
        /// <summary>The whole name, as errors say it.</summary>
        public string Name => name;

        /// <summary>The text; null for a hash or a list.</summary>
        public string? Text { get; set; }

        public Dictionary<string, Node> Members { get; } = new(StringComparer.Ordinal);

        public bool IsText => Text is not null;
    }

    /// <exception cref="StripeProblem">Not UTF-8, nested too deep, or text and hash under one name.</exception>
    public static StripeForm Parse(string encoded)
    {
        var form = new StripeForm();
        var pairs = new List<string>();
        foreach (var part in encoded.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var name = RawPath.Decode(equals < 0 ? part : part.AsSpan(0, equals), plusIsSpace: true);
            var value = equals < 0 ? "" : RawPath.Decode(part.AsSpan(equals + 1), plusIsSpace: true);
            if (name is null || value is null)
                throw StripeProblem.Invalid("Invalid encoding: the parameters are not UTF-8", null);
            if (pairs.Count >= MaxParameters)
                throw StripeProblem.Invalid($"More than {MaxParameters} parameters", null);
            form.Set(Split(name), value);
            pairs.Add($"{name}\u0001{value}");
        }

        pairs.Sort(StringComparer.Ordinal);
        form.Fingerprint = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\u0002', pairs))));
        return form;
    }

    /// <summary>The same tree from JSON, in which null is the empty text that clears.</summary>
    public static StripeForm FromJson(JsonElement json)
    {
        var form = new StripeForm();
        if (json.ValueKind != JsonValueKind.Object)
            throw StripeProblem.Invalid("the body must be an object", null);
        Copy(json, form.Root, 0);
        return form;
    }

    static void Copy(JsonElement json, Node into, int depth)
    {
        if (depth > MaxDepth)
            throw StripeProblem.Invalid("Nested too deep", into.Name);
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in json.EnumerateObject())
                    Copy(member.Value, Child(into, member.Name), depth + 1);
                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in json.EnumerateArray())
                    Copy(item, Child(into, index++.ToString(CultureInfo.InvariantCulture)), depth + 1);
                break;
            case JsonValueKind.Null:
                into.Text = "";
                break;
            default:
                into.Text = json.ToString();
                break;
        }
    }

    void Set(List<string> path, string value)
    {
        var node = Root;
        foreach (var step in path)
        {
            if (node.IsText)
                throw StripeProblem.Invalid($"Invalid hash: {node.Name} is given as text, too", node.Name);
            node = Child(node, step.Length > 0 ? step : node.Members.Count.ToString(CultureInfo.InvariantCulture));
        }

        if (node.Members.Count > 0)
            throw StripeProblem.Invalid($"Invalid string: {node.Name} is given as a hash, too", node.Name);
        // The last one counts, as in any form.
        node.Text = value;
    }

    static Node Child(Node node, string step)
    {
        if (!node.Members.TryGetValue(step, out var child))
            node.Members[step] = child = new Node(node.Name.Length == 0 ? step : $"{node.Name}[{step}]");
        return child;
    }

    static List<string> Split(string name)
    {
        var open = name.IndexOf('[', StringComparison.Ordinal);
        if (open < 0)
            return [name];
        var path = new List<string> { name[..open] };
        for (var at = open; at < name.Length; )
        {
            var close = name.IndexOf(']', at);
            if (name[at] != '[' || close < 0)
                throw StripeProblem.Unknown(name);
            path.Add(name[(at + 1)..close]);
            at = close + 1;
        }

        return path.Count <= MaxDepth && path[0].Length > 0 ? path : throw StripeProblem.Unknown(name);
    }
}

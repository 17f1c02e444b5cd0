using System.Text.Json.Serialization;
using Sync.Contracts.Json;

namespace Sync.Contracts.Customers;

/// <summary>
/// A customer's members by path (<c>name</c>, <c>email</c>, <c>phone</c>, <c>address.line1</c>, <c>attributes.tier</c>).
/// A path that is absent is a field that the sender does not have; null is an empty field. On the wire it is the nested
/// object <c>{name, email, phone, address:{…}, attributes:{…}}</c>.
/// </summary>
[JsonConverter(typeof(CustomerFieldsConverter))]
public sealed class CustomerFields : SortedDictionary<string, string?>
{
    public const int MaxValueLength = 5_000;

    /// <summary>
    /// Whether the sender has attributes at all: <c>attributes</c> is a map, so a key that is missing in a present object
    /// is an empty attribute, whereas a missing object is a product without attributes.
    /// </summary>
    public bool HasAttributes { get; set; }

    public CustomerFields()
        : base(StringComparer.Ordinal) { }

    public CustomerFields(IEnumerable<KeyValuePair<string, string?>> fields)
        : this()
    {
        foreach (var (path, value) in fields)
            this[path] = value;
    }
}

/// <summary>The paths of a customer that are not attributes.</summary>
public static class Paths
{
    public const string Name = "name";
    public const string Email = "email";
    public const string Phone = "phone";
    public const string AddressPrefix = "address.";
    public const string AttributesPrefix = "attributes.";

    public static readonly IReadOnlyList<string> AddressMembers =
    [
        "line1",
        "line2",
        "city",
        "state",
        "postalCode",
        "country",
    ];

    /// <summary>Whether a path can occur in a customer.</summary>
    public static bool IsKnown(string path) =>
        path is Name or Email or Phone
        || (
            path.StartsWith(AddressPrefix, StringComparison.Ordinal)
            && AddressMembers.Contains(path[AddressPrefix.Length..])
        )
        || (path.StartsWith(AttributesPrefix, StringComparison.Ordinal) && path.Length > AttributesPrefix.Length);
}

using System.Text.Json;
using Stripe;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Mapping;

namespace Sync.Stripe.Adapter;

/// <summary>
/// Paths to Stripe's fields and back. In Stripe's API <c>""</c> clears and an absent parameter leaves alone; the SDK sends
/// nothing for null, except that it takes an <i>assigned</i> null <c>Address</c> or <c>Metadata</c> for "clear all of it",
/// other people's metadata too. So parameters are only ever assigned for paths that are written, and never null.
/// </summary>
sealed class StripeMapping
{
    public const string System = SystemNames.Stripe;

    /// <summary>Our customer id on the object.</summary>
    public const string CustomerIdKey = "customer_id";

    /// <summary>The id of the command of ours that landed last.</summary>
    public const string StampKey = "csync_command";

    const string MetadataPrefix = "metadata.";
    const int MetadataKeyMax = 40;
    const int MetadataValueMax = 500;

    /// <summary>Stripe allows 50; two are ours.</summary>
    const int MetadataKeys = 48;

    static readonly Dictionary<string, Field> Known = new Field[]
    {
        new("name", 256, (o, v) => o.Name = v, (o, v) => o.Name = v, c => c.Name),
        new("email", 512, (o, v) => o.Email = v, (o, v) => o.Email = v, c => c.Email),
        new("phone", 20, (o, v) => o.Phone = v, (o, v) => o.Phone = v, c => c.Phone),
        new("description", 5_000, (o, v) => o.Description = v, (o, v) => o.Description = v, c => c.Description),
        new("business_name", 150, (o, v) => o.BusinessName = v, (o, v) => o.BusinessName = v, c => c.BusinessName),
        new(
            "individual_name",
            150,
            (o, v) => o.IndividualName = v,
            (o, v) => o.IndividualName = v,
            c => c.IndividualName
        ),
        Address("line1", (a, v) => a.Line1 = v, a => a.Line1),
        Address("line2", (a, v) => a.Line2 = v, a => a.Line2),
        Address("city", (a, v) => a.City = v, a => a.City),
        Address("state", (a, v) => a.State = v, a => a.State),
        Address("postal_code", (a, v) => a.PostalCode = v, a => a.PostalCode),
        Address("country", (a, v) => a.Country = v, a => a.Country),
    }.ToDictionary(f => f.To);

    readonly Dictionary<string, Field> _byPath;
    readonly Dictionary<string, string> _pathByParameter;

    public StripeMapping(SyncConfig config)
    {
        var system = config.System(System);
        _byPath = system.Fields.ToDictionary(f => f.Key, f => Resolve(f.Value.To)!);
        _pathByParameter = _byPath.ToDictionary(f => f.Value.Parameter, f => f.Key);
    }

    /// <summary>What Stripe cannot do of what the mapping asks, all of it.</summary>
    public static IEnumerable<string> Faults(SyncConfig config)
    {
        if (!config.Systems.TryGetValue(System, out var system))
            yield break;

        foreach (var (path, map) in system.Fields)
        {
            if (map.To is $"{MetadataPrefix}{CustomerIdKey}" or $"{MetadataPrefix}{StampKey}")
                yield return $"systems.json: {System}: {path}: \"{map.To}\" is kept for Sync itself";
            else if (Resolve(map.To) is not { } field)
                yield return $"systems.json: {System}: {path}: Stripe has no field \"{map.To}\"; there are "
                    + $"{string.Join(", ", Known.Keys)} and metadata.<key> with a key of 1 to {MetadataKeyMax} characters without [ and ]";
            else if (map.Max > field.Max)
                yield return $"systems.json: {System}: {path}: \"max\" is {map.Max}; Stripe takes at most {field.Max} characters in \"{map.To}\"";
        }

        var keys = system.Fields.Values.Count(f => f.To.StartsWith(MetadataPrefix, StringComparison.Ordinal));
        if (keys > MetadataKeys)
            yield return $"systems.json: {System}: {keys} fields go to metadata; Stripe keeps {MetadataKeys} beside Sync's own two";
    }

    public CustomerCreateOptions ToCreate(CreateRequest request)
    {
        var options = new CustomerCreateOptions { Metadata = OurMetadata(request.CustomerId, request.CommandId) };

        // What is empty is not there before either.
        foreach (var (field, value) in Written(request.Write))
        {
            if (value.Length > 0)
                field.OnCreate(options, value);
        }

        return options;
    }

    public CustomerUpdateOptions ToUpdate(UpdateRequest request)
    {
        var options = new CustomerUpdateOptions { Metadata = OurMetadata(request.CustomerId, request.CommandId) };
        foreach (var (field, value) in Written(request.Write))
            field.OnUpdate(options, value);
        return options;
    }

    /// <param name="fresh">The answer of a write of ours at its first execution: nobody else came after it.</param>
    /// <param name="created">And that write was a create.</param>
    public VendorObject ToObject(Customer customer, bool fresh = false, bool created = false) =>
        new()
        {
            ExternalId = customer.Id,
            Fields = _byPath.ToDictionary(f => f.Key, f => Some(f.Value.Read(customer)), StringComparer.Ordinal),
            CustomerId = CustomerIdIn(customer.Metadata?.GetValueOrDefault(CustomerIdKey)),
            Stamp = Guid.TryParse(customer.Metadata?.GetValueOrDefault(StampKey), out var stamp) ? stamp : null,
            LastModifiedByUs = fresh,
            CreatedByUs = created ? true : null,
            Deleted = customer.Deleted ?? false,
        };

    /// <summary>Every mapped path of a customer in JSON; null when a member is not of the kind that it should be.</summary>
    public Dictionary<string, string?>? FieldsOf(JsonElement customer)
    {
        Dictionary<string, string?> fields = new(StringComparer.Ordinal);
        foreach (var (path, field) in _byPath)
        {
            if (!Find(customer, field.To, out _, out var value))
                return null;
            fields[path] = value;
        }

        return fields;
    }

    /// <summary>What an update's mapped paths held before: those that <c>previous_attributes</c> names, by itself or in a hash.</summary>
    public Dictionary<string, string?> PreviousOf(JsonElement attributes)
    {
        Dictionary<string, string?> fields = new(StringComparer.Ordinal);
        foreach (var (path, field) in _byPath)
        {
            if (Find(attributes, field.To, out var isThere, out var value) && isThere)
                fields[path] = value;
        }

        return fields;
    }

    /// <summary>Our customer id on a customer in JSON; null when it is none that a product could have.</summary>
    public static string? CustomerIdOf(JsonElement customer) =>
        Find(customer, MetadataPrefix + CustomerIdKey, out _, out var id) ? CustomerIdIn(id) : null;

    public static Guid? StampOf(JsonElement customer) =>
        Find(customer, MetadataPrefix + StampKey, out _, out var stamp) && Guid.TryParse(stamp, out var id) ? id : null;

    // Somebody's own note under our key is not an id, and the object is nobody's.
    static string? CustomerIdIn(string? text) => CustomerIds.Problem(text) is null ? text : null;

    /// <summary>A member, or one of a hash. False when it is neither text nor null, or no text that can be stored.</summary>
    /// <param name="isThere">It, or its whole hash, stands there, if only as null.</param>
    static bool Find(JsonElement element, string to, out bool isThere, out string? value)
    {
        (isThere, value) = (false, null);
        var dot = to.IndexOf('.', StringComparison.Ordinal);
        if (!element.TryGetProperty(dot < 0 ? to : to[..dot], out var found))
            return true;
        if (dot >= 0 && found.ValueKind is not JsonValueKind.Null)
        {
            if (found.ValueKind is not JsonValueKind.Object)
                return false;
            if (!found.TryGetProperty(to[(dot + 1)..], out found))
                return true;
        }

        isThere = true;
        if (found.ValueKind is JsonValueKind.Null)
            return true;
        if (found.ValueKind is not JsonValueKind.String)
            return false;
        value = Some(found.GetString());
        return value is null || !value.Contains('\0', StringComparison.Ordinal);
    }

    /// <summary>The path of a parameter as an error names it: <c>email</c>, <c>address[line1]</c>, <c>metadata[tier]</c>.</summary>
    public string? PathOf(string? parameter) =>
        parameter is null ? null : _pathByParameter.GetValueOrDefault(parameter);

    /// <summary>In a fixed order: a repeat is the same bytes.</summary>
    IEnumerable<(Field Field, string Value)> Written(IReadOnlyDictionary<string, string?> write)
    {
        foreach (var (path, value) in write.OrderBy(w => w.Key, StringComparer.Ordinal))
        {
            if (_byPath.TryGetValue(path, out var field))
                yield return (field, value ?? "");
        }
    }

    static Dictionary<string, string> OurMetadata(string customerId, Guid commandId) =>
        new() { [CustomerIdKey] = customerId, [StampKey] = commandId.ToString() };

    static string? Some(string? value) => string.IsNullOrEmpty(value) ? null : value;

    static Field? Resolve(string to)
    {
        if (Known.TryGetValue(to, out var field))
            return field;
        if (!to.StartsWith(MetadataPrefix, StringComparison.Ordinal))
            return null;

        var key = to[MetadataPrefix.Length..];
        if (key.Length is 0 or > MetadataKeyMax || key.Any(c => c is '[' or ']' || char.IsControl(c)))
            return null;
        return new(
            to,
            MetadataValueMax,
            (o, v) => o.Metadata[key] = v,
            (o, v) => o.Metadata[key] = v,
            c => c.Metadata?.GetValueOrDefault(key)
        );
    }

    static Field Address(string member, Action<AddressOptions, string> set, Func<Address, string?> get) =>
        new(
            $"address.{member}",
            5_000,
            (o, v) => set(o.Address ??= new AddressOptions(), v),
            (o, v) => set(o.Address ??= new AddressOptions(), v),
            c => c.Address is null ? null : get(c.Address)
        );

    sealed record Field(
        string To,
        int Max,
        Action<CustomerCreateOptions, string> OnCreate,
        Action<CustomerUpdateOptions, string> OnUpdate,
        Func<Customer, string?> Read
    )
    {
        public string Parameter
        {
            get
            {
                var dot = To.IndexOf('.', StringComparison.Ordinal);
                return dot < 0 ? To : $"{To[..dot]}[{To[(dot + 1)..]}]";
            }
        }
    }
}

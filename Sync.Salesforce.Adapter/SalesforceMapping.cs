using System.Text.RegularExpressions;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

/// <summary>
/// Paths to fields of Account and back. JSON null clears a field and an absent member leaves it alone. Address fields are
/// written one by one, since the compound one is read-only. A custom field needs nothing but its line in the mapping.
/// </summary>
sealed partial class SalesforceMapping
{
    public const string System = SystemNames.Salesforce;

    /// <summary>The only object whose single records have an ETag.</summary>
    public const string Object = "Account";

    /// <summary>Text 128, external id, unique, case-sensitive.</summary>
    public const string CustomerIdField = "Product_Customer_Id__c";

    /// <summary>The id of the command of ours that landed last.</summary>
    public const string StampField = "Sync_Command__c";

    const string NameField = "Name";
    const int TextMax = 131_072;

    static readonly string[] Own = [CustomerIdField, StampField, "LastModifiedById", "CreatedById", "IsDeleted"];

    /// <summary>Text fields that every org has, with their lengths.</summary>
    static readonly Dictionary<string, int> Standard = new()
    {
        [NameField] = 255,
        ["AccountNumber"] = 40,
        ["BillingStreet"] = 255,
        ["BillingCity"] = 40,
        ["BillingState"] = 80,
        ["BillingPostalCode"] = 20,
        ["BillingCountry"] = 80,
        ["BillingStateCode"] = 10,
        ["BillingCountryCode"] = 10,
        ["ShippingStreet"] = 255,
        ["ShippingCity"] = 40,
        ["ShippingState"] = 80,
        ["ShippingPostalCode"] = 20,
        ["ShippingCountry"] = 80,
        ["ShippingStateCode"] = 10,
        ["ShippingCountryCode"] = 10,
        ["Phone"] = 40,
        ["Fax"] = 40,
        ["Website"] = 255,
        ["Description"] = 32_000,
        ["Industry"] = 255,
        ["Type"] = 255,
        ["Rating"] = 255,
        ["Sic"] = 20,
        ["Site"] = 80,
        ["TickerSymbol"] = 20,
    };

    readonly Dictionary<string, string> _fieldByPath;
    readonly Dictionary<string, string> _pathByField;

    /// <summary>By path, where the org told: what the field holds.</summary>
    volatile IReadOnlyDictionary<string, int> _lengths = new Dictionary<string, int>();

    public SalesforceMapping(SyncConfig config)
    {
        _fieldByPath = config.System(System).Fields.ToDictionary(f => f.Key, f => f.Value.To);

        // Salesforce spells a field as it likes in an error.
        _pathByField = new(StringComparer.OrdinalIgnoreCase);
        foreach (var (path, field) in _fieldByPath)
            _pathByField[field] = path;
        Fields = ["Id", .. _fieldByPath.Values.Concat(Own).Distinct(StringComparer.Ordinal)];
    }

    public IReadOnlyDictionary<string, string> FieldByPath => _fieldByPath;

    /// <summary>The org's own limits from now on, also where the mapping names none.</summary>
    public void Learn(ObjectDescription org) =>
        _lengths = _fieldByPath
            .Where(f => org.Fields.GetValueOrDefault(f.Value) is { Length: > 0 })
            .ToDictionary(f => f.Key, f => org.Fields[f.Value].Length, StringComparer.Ordinal);

    /// <summary>What is read of a record.</summary>
    public IReadOnlyList<string> Fields { get; }

    /// <summary>What Salesforce cannot do of what the mapping asks, all of it.</summary>
    public static IEnumerable<string> Faults(SyncConfig config)
    {
        if (!config.Systems.TryGetValue(System, out var system))
            yield break;

        foreach (var (path, map) in system.Fields)
        {
            if (map.To is CustomerIdField or StampField)
                yield return $"systems.json: {System}: {path}: \"{map.To}\" is kept for Sync itself";
            else if (Limit(map.To) is not { } limit)
                yield return $"systems.json: {System}: {path}: {Object} has no text field \"{map.To}\"; there are "
                    + $"{string.Join(", ", Standard.Keys)} and custom fields, whose names end in __c";
            else if (map.Max > limit)
                yield return $"systems.json: {System}: {path}: \"max\" is {map.Max}; Salesforce takes at most {limit} characters in \"{map.To}\"";
        }

        if (system.Fields.Values.All(f => f.To != NameField))
            yield return $"systems.json: {System}: no path goes to \"{NameField}\", without which Salesforce makes no {Object}";
        if (system.OnDelete == DeletionRule.DeleteUnlessSubscribed)
            yield return $"systems.json: {System}: \"onDelete\" is \"delete-unless-subscribed\"; Salesforce knows no subscriptions: \"delete\" or \"keep\"";
    }

    public Dictionary<string, string?> ToRecord(
        string customerId,
        Guid commandId,
        IReadOnlyDictionary<string, string?> write,
        bool creates
    )
    {
        Dictionary<string, string?> record = new(StringComparer.Ordinal);

        // In a fixed order: a repeat is the same bytes. What is empty is not there before a create either.
        foreach (var (path, value) in write.OrderBy(w => w.Key, StringComparer.Ordinal))
        {
            if (_fieldByPath.TryGetValue(path, out var field) && !(creates && string.IsNullOrEmpty(value)))
                record[field] = string.IsNullOrEmpty(value) ? null : value;
        }

        record[CustomerIdField] = customerId;
        record[StampField] = commandId.ToString();
        return record;
    }

    /// <summary>
    /// Salesforce keeps no Account without a name: said here, before the call, so that one customer's missing name costs no
    /// call and joins no batch.
    /// </summary>
    public VendorResult.Refused? Problem(IReadOnlyDictionary<string, string?> write, bool creates)
    {
        var lengths = _lengths;
        Dictionary<string, string> tooLong = [];
        foreach (var (path, value) in write.OrderBy(w => w.Key, StringComparer.Ordinal))
        {
            if (value is not null && lengths.TryGetValue(path, out var length) && value.Length > length)
                tooLong[path] = $"{_fieldByPath[path]} holds {length} characters";
        }

        return tooLong.Count > 0
            ? new(
                tooLong,
                SalesforceErrors.TooLong.Code,
                string.Join("; ", tooLong.Select(fault => $"{fault.Key}: {fault.Value}"))
            )
            : NameProblem(write, creates);
    }

    VendorResult.Refused? NameProblem(IReadOnlyDictionary<string, string?> write, bool creates)
    {
        if (!_pathByField.TryGetValue(NameField, out var path))
            return null;
        var written = write.TryGetValue(path, out var name);
        if (creates ? !string.IsNullOrWhiteSpace(name) : !written || !string.IsNullOrWhiteSpace(name))
            return null;

        return new(
            new Dictionary<string, string> { [path] = SalesforceErrors.RequiredFieldMissing.Code },
            SalesforceErrors.RequiredFieldMissing.Code,
            $"{path}: Salesforce keeps no {Object} without a name"
        );
    }

    public VendorObject ToObject(SObject record, string? ourUserId) =>
        new()
        {
            ExternalId = RecordIds.To18(record.Id),
            Fields = _fieldByPath.ToDictionary(f => f.Key, f => Some(record.Text(f.Value)), StringComparer.Ordinal),
            CustomerId = Some(record.Text(CustomerIdField)),
            Stamp = Guid.TryParse(record.Text(StampField), out var stamp) ? stamp : null,
            LastModifiedByUs = IsUs(record.Text("LastModifiedById"), ourUserId),
            CreatedByUs = IsUs(record.Text("CreatedById"), ourUserId),
            Guard = record.ETag,
            Deleted = record.Text("IsDeleted") == "true",
        };

    /// <summary>Fields that an error's text names by their API names, other than the one with our customer id.</summary>
    public IEnumerable<string> Names(SalesforceError error) =>
        error
            .Fields.Concat(_fieldByPath.Values)
            .Where(f =>
                !f.Equals(CustomerIdField, StringComparison.OrdinalIgnoreCase)
                && f.EndsWith("__c", StringComparison.Ordinal)
                && Regex.IsMatch(
                    error.Message,
                    $@"\b{Regex.Escape(f)}\b",
                    RegexOptions.IgnoreCase,
                    TimeSpan.FromSeconds(1)
                )
            )
            .Distinct(StringComparer.OrdinalIgnoreCase);

    public string? PathOf(string field) => _pathByField.GetValueOrDefault(field);

    static bool IsUs(string? userId, string? ourUserId) =>
        userId is not null && ourUserId is not null && RecordIds.Same(userId, ourUserId);

    static string? Some(string? value) => string.IsNullOrEmpty(value) ? null : value;

    static int? Limit(string field) =>
        Standard.TryGetValue(field, out var length) ? length
        : CustomField().IsMatch(field) ? TextMax
        : null;

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9_]{0,79}__c\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex CustomField();
}

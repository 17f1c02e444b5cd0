using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sync.Sandbox.Salesforce;

/// <summary>The Accounts of one org, in memory, with the rules that the real one keeps.</summary>
sealed partial class SalesforceOrg(TimeProvider clock)
{
    public const int MaxAccounts = 500_000;

    public static readonly string OrganizationId = SalesforceId.Make("00D", 1);

    /// <summary>The user whom the client credentials run as.</summary>
    public static readonly string IntegrationUser = SalesforceId.Make("005", 1);

    /// <summary>A person who works in the org.</summary>
    public static readonly string HumanUser = SalesforceId.Make("005", 2);

    static readonly AccountField ExternalId = AccountField.Find("Product_Customer_Id__c")!;

    readonly Lock _gate = new();
    readonly Dictionary<string, Account> _byId = new(StringComparer.Ordinal);
    readonly List<Account> _inOrder = [];

    /// <summary>Live records by external id; what is in the recycle bin does not count.</summary>
    readonly Dictionary<string, Account> _byExternalId = new(StringComparer.Ordinal);
    long _lastNumber;

    public string Create(JsonElement body, string user)
    {
        lock (_gate)
            return Insert(body, user, batch: null).Id;
    }

    /// <summary>One result each, in order; with <paramref name="allOrNone"/> either all or nothing is done.</summary>
    public JsonArray CreateMany(JsonElement[] records, bool allOrNone, string user)
    {
        lock (_gate)
        {
            var before = _inOrder.Count;
            var batch = new HashSet<string>(StringComparer.Ordinal);
            return Many(
                records,
                allOrNone,
                record => Insert(Typed(record), user, batch).Id,
                undo: () =>
                {
                    foreach (var account in _inOrder.Skip(before))
                    {
                        _byId.Remove(account.Id);
                        Index(account, present: false);
                    }

                    _inOrder.RemoveRange(before, _inOrder.Count - before);
                }
            );
        }
    }

    public void Update(string id, JsonElement body, string user, Func<string, bool>? guard = null)
    {
        lock (_gate)
        {
            var account = Live(id);
            if (guard is not null && !guard(account.ETag))
            {
                throw new SalesforceProblem(
                    412,
                    "PRECONDITION_FAILED",
                    "The record has been modified since the given entity tag"
                );
            }

            Patch(account, Read(body, creating: false, idAllowed: false), user, batch: null);
        }
    }

    public JsonArray UpdateMany(JsonElement[] records, bool allOrNone, string user)
    {
        lock (_gate)
        {
            var before = new List<Account>();
            var ids = new HashSet<string>(StringComparer.Ordinal);
            var batch = new HashSet<string>(StringComparer.Ordinal);
            return Many(
                records,
                allOrNone,
                record =>
                {
                    var id = IdOf(Typed(record));
                    var account = Live(id);
                    if (!ids.Add(account.Id))
                        throw new SalesforceProblem(
                            400,
                            "DUPLICATE_VALUE",
                            $"duplicate id specified: {account.Id}",
                            "Id"
                        );
                    before.Add(account.Copy());
                    Patch(account, Read(record, creating: false, idAllowed: true), user, batch);
                    return account.Id;
                },
                undo: () => before.ForEach(Restore)
            );
        }
    }

    public void Delete(string id, string user)
    {
        lock (_gate)
            Bin(Live(id), user);
    }

    public JsonArray DeleteMany(string[] ids, bool allOrNone, string user)
    {
        lock (_gate)
        {
            var before = new List<Account>();
            return Many(
                ids,
                allOrNone,
                id =>
                {
                    var account = Live(id);
                    before.Add(account.Copy());
                    Bin(account, user);
                    return account.Id;
                },
                undo: () => before.ForEach(Restore)
            );
        }
    }

    /// <summary>Out of the recycle bin again.</summary>
    public void Undelete(string id, string user)
    {
        lock (_gate)
        {
            var account = Known(id);
            if (!account.IsDeleted)
                throw new SalesforceProblem(400, "UNDELETE_FAILED", "Entity is not in the recycle bin");
            if (
                account.Values.GetValueOrDefault(ExternalId.Name) is { } key
                && _byExternalId.TryGetValue(key, out var other)
            )
                throw Duplicate(SalesforceId.Short(other.Id));
            account.IsDeleted = false;
            Touch(account, user);
            Index(account, present: true);
        }
    }

    public (JsonObject Record, string ETag, DateTimeOffset Modified) Get(
        string id,
        IReadOnlyList<AccountField> fields,
        string version
    )
    {
        lock (_gate)
        {
            var account = Live(id);
            return (account.ToJson(version, fields), account.ETag, account.Modified);
        }
    }

    /// <summary>One record or null for each id, in order.</summary>
    public JsonArray GetMany(IEnumerable<string> ids, IReadOnlyList<AccountField> fields, string version)
    {
        lock (_gate)
        {
            return new JsonArray([
                .. ids.Select(id =>
                    SalesforceId.Normalise(id) is { } full
                    && _byId.GetValueOrDefault(full) is { IsDeleted: false } account
                        ? (JsonNode)account.ToJson(version, fields)
                        : null
                ),
            ]);
        }
    }

    /// <summary>The records that a query finds, at most <paramref name="limit"/> behind <paramref name="skip"/>.</summary>
    public (JsonArray Records, int Total) Query(Soql query, bool includeDeleted, int skip, int limit, string version)
    {
        lock (_gate)
        {
            var found = _inOrder.Where(account => (includeDeleted || !account.IsDeleted) && query.Matches(account));
            var all = query.Sort(found).Take(query.Limit ?? int.MaxValue).ToList();
            return (
                new JsonArray([.. all.Skip(skip).Take(limit).Select(account => account.ToJson(version, query.Fields))]),
                all.Count
            );
        }
    }

    /// <summary>Everything as it stands, in the order of creation, the recycle bin too.</summary>
    public JsonArray All()
    {
        lock (_gate)
            return new JsonArray([.. _inOrder.Select(account => account.ToJson("v66.0", AccountField.All))]);
    }

    static JsonArray Many<T>(T[] items, bool allOrNone, Func<T, string> act, Action undo)
    {
        var results = new JsonArray();
        var failed = false;
        foreach (var item in items)
        {
            try
            {
                results.Add(
                    (JsonNode)
                        new JsonObject
                        {
                            ["id"] = act(item),
                            ["success"] = true,
                            ["errors"] = new JsonArray(),
                        }
                );
            }
            catch (SalesforceProblem problem)
            {
                failed = true;
                results.Add((JsonNode)problem.ToResult());
            }
        }

        if (!failed || !allOrNone)
            return results;

        undo();
        return new JsonArray([
            .. results.Select(result =>
                (bool)result!["success"]!
                    ? new SalesforceProblem(
                        400,
                        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                        "Record rolled back because not all records were valid and the request was using AllOrNone header"
                    ).ToResult()
                    : result.DeepClone()
            ),
        ]);
    }

    Account Insert(JsonElement body, string user, HashSet<string>? batch)
    {
        if (_inOrder.Count >= MaxAccounts)
            throw new SalesforceProblem(
                400,
                "STORAGE_LIMIT_EXCEEDED",
                $"The sandbox keeps at most {MaxAccounts} records"
            );
        var values = Read(body, creating: true, idAllowed: false);
        if (values.GetValueOrDefault("Name") is null)
            throw Missing("Name");
        var account = new Account(SalesforceId.Make("001", ++_lastNumber), user, clock.GetUtcNow());
        CheckUnique(account, values, batch);
        foreach (var (field, value) in values)
        {
            if (value is not null)
                account.Values[field] = value;
        }

        _byId[account.Id] = account;
        _inOrder.Add(account);
        Index(account, present: true);
        return account;
    }

    void Patch(Account account, Dictionary<string, string?> values, string user, HashSet<string>? batch)
    {
        if (values.TryGetValue("Name", out var name) && name is null)
            throw Missing("Name");
        CheckUnique(account, values, batch);
        Index(account, present: false);
        foreach (var (field, value) in values)
        {
            if (value is null)
                account.Values.Remove(field);
            else
                account.Values[field] = value;
        }

        Index(account, present: true);
        Touch(account, user);
    }

    void Bin(Account account, string user)
    {
        Index(account, present: false);
        account.IsDeleted = true;
        Touch(account, user);
    }

    void Touch(Account account, string user)
    {
        account.ModifiedBy = user;
        account.Modified = clock.GetUtcNow();
        account.Version++;
    }

    void Restore(Account before)
    {
        Index(_byId[before.Id], present: false);
        _byId[before.Id] = before;
        _inOrder[_inOrder.FindIndex(account => account.Id == before.Id)] = before;
        if (!before.IsDeleted)
            Index(before, present: true);
    }

    void Index(Account account, bool present)
    {
        if (account.Values.GetValueOrDefault(ExternalId.Name) is not { } key)
            return;
        if (present)
            _byExternalId[key] = account;
        else if (_byExternalId.GetValueOrDefault(key) == account)
            _byExternalId.Remove(key);
    }

    /// <param name="batch">External ids of this very call: the real one does not name a record that is not committed.</param>
    void CheckUnique(Account account, Dictionary<string, string?> values, HashSet<string>? batch)
    {
        if (values.GetValueOrDefault(ExternalId.Name) is not { } key)
            return;
        if (_byExternalId.TryGetValue(key, out var other) && other != account)
            throw Duplicate(batch?.Contains(key) == true ? "<unknown>" : SalesforceId.Short(other.Id));
        batch?.Add(key);
    }

    static SalesforceProblem Duplicate(string id) =>
        new(
            400,
            "DUPLICATE_VALUE",
            $"duplicate value found: {ExternalId.Name} duplicates value on record with id: {id}"
        );

    static SalesforceProblem Missing(string field) =>
        new(400, "REQUIRED_FIELD_MISSING", $"Required fields are missing: [{field}]", field);

    Account Known(string id) =>
        SalesforceId.Normalise(id) is { } full && _byId.TryGetValue(full, out var account)
            ? account
            : throw SalesforceProblem.NotFound();

    Account Live(string id) => Known(id) is { IsDeleted: false } account ? account : throw SalesforceProblem.Deleted();

    static JsonElement Typed(JsonElement record)
    {
        if (
            record.ValueKind != JsonValueKind.Object
            || !record.TryGetProperty("attributes", out var attributes)
            || attributes.ValueKind != JsonValueKind.Object
            || !attributes.TryGetProperty("type", out var type)
            || type.ValueKind != JsonValueKind.String
        )
            throw new SalesforceProblem(400, "INVALID_INPUT", "attributes.type is missing");
        return type.GetString() == "Account"
            ? record
            : throw new SalesforceProblem(400, "INVALID_TYPE", $"sObject type '{type.GetString()}' is not supported.");
    }

    static string IdOf(JsonElement record)
    {
        foreach (var name in (ReadOnlySpan<string>)["id", "Id"])
        {
            if (record.TryGetProperty(name, out var id) && id.ValueKind == JsonValueKind.String)
                return id.GetString()!;
        }

        throw new SalesforceProblem(400, "MISSING_ARGUMENT", "Id not specified in an update call", "Id");
    }

    /// <summary>The values of a body, trimmed and checked as the org does; null clears.</summary>
    static Dictionary<string, string?> Read(JsonElement body, bool creating, bool idAllowed)
    {
        if (body.ValueKind != JsonValueKind.Object)
            throw SalesforceProblem.Json("The HTTP entity body must be an object");
        var values = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var member in body.EnumerateObject())
        {
            if (member.Name == "attributes")
                continue;
            if (member.Name.Equals("Id", StringComparison.OrdinalIgnoreCase))
            {
                if (idAllowed)
                    continue;
                throw creating
                    ? new SalesforceProblem(
                        400,
                        "INVALID_FIELD_FOR_INSERT_UPDATE",
                        "cannot specify Id in an insert call",
                        "Id"
                    )
                    : new SalesforceProblem(
                        400,
                        "INVALID_FIELD",
                        "The Id field should not be specified in the sobject data."
                    );
            }

            var field = AccountField.Find(member.Name) ?? throw SalesforceProblem.NoSuchColumn(member.Name);
            if (!field.Writable)
            {
                throw new SalesforceProblem(
                    400,
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    $"Unable to create/update fields: {field.Name}. Please check the security settings of this field and "
                        + "verify that it is read/write for your profile or permission set.",
                    field.Name
                );
            }

            values[field.Name] = Value(field, member.Value);
        }

        return values;
    }

    static string? Value(AccountField field, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind != JsonValueKind.String)
        {
            throw SalesforceProblem.Json(
                $"Cannot deserialize instance of string from {value.ValueKind} value, or request may be missing a required "
                    + $"field: {field.Name}"
            );
        }

        var text = value.GetString()!.Trim();
        if (text.Length == 0)
            return null;
        if (text.Length > field.Length)
        {
            throw new SalesforceProblem(
                400,
                "STRING_TOO_LONG",
                $"{field.Label}: data value too large: {text} (max length={field.Length})",
                field.Name
            );
        }

        if (field.Type != "email")
            return text;
        if (!EmailShape().IsMatch(text))
        {
            throw new SalesforceProblem(
                400,
                "INVALID_EMAIL_ADDRESS",
                $"{field.Label}: invalid email address: {text}",
                field.Name
            );
        }

        return text.ToLowerInvariant();
    }

    [GeneratedRegex(@"^[^@\s]+@[^@\s]+\.[^@\s.]+$", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex EmailShape();
}

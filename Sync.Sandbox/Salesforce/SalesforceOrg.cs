using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sync.Sandbox.Salesforce.Events;

namespace Sync.Sandbox.Salesforce;

/// <summary>The Accounts of one org, in memory, with the rules that the real one keeps.</summary>
sealed partial class SalesforceOrg(int seed, TimeProvider clock)
{
    public const int MaxAccounts = 500_000;

    public static readonly string OrganizationId = SalesforceId.Make("00D", 1);

    /// <summary>The user whom the client credentials run as, and whom a signed assertion may name.</summary>
    public static readonly string IntegrationUser = SalesforceId.Make("005", 1);

    public const string IntegrationUserName = "integration@sandbox.invalid";

    /// <summary>A person who works in the org.</summary>
    public static readonly string HumanUser = SalesforceId.Make("005", 2);

    /// <summary>A person at the org's own pages.</summary>
    public static readonly Actor Human = new(HumanUser, "com/salesforce/api/soap/58.0;client=SfdcInternalAPI/");

    static readonly AccountField ExternalId = AccountField.Standard.Single(field => field.ExternalId);

    readonly Lock _gate = new();
    readonly Dictionary<string, Account> _byId = new(StringComparer.Ordinal);
    readonly List<Account> _inOrder = [];

    /// <summary>Live records by external id; what is in the recycle bin does not count.</summary>
    readonly Dictionary<string, Account> _byExternalId = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> _schemas = new(StringComparer.Ordinal);
    readonly Random _chance = new(seed);
    long _lastNumber;
    long _lastCommit = 1_000_000;
    ChangeEventSchema? _schema;

    public AccountFields Fields { get; } = new();

    /// <summary>Every write's change event, in the order of the commits.</summary>
    public EventBus Events { get; } = new(seed, clock);

    /// <summary>
    /// What a flow of the org makes of a field's value before it is saved, of whoever writes it: an administrator may cut or
    /// rewrite what others type.
    /// </summary>
    public Func<string, string?, string?>? BeforeSave { get; set; }

    /// <summary>
    /// What a flow or trigger of the org throws when a record is saved or deleted, by whoever; null lets it pass. Told the
    /// record as it was, and how many records the call has.
    /// </summary>
    public Func<Account, int, SalesforceProblem?>? Flow { get; set; }

    /// <summary>
    /// What the org's sharing lets the integration user see; null is everything. What is hidden is in none of its answers,
    /// the recycle bin's neither.
    /// </summary>
    public Func<Account, bool>? Sharing { get; set; }

    /// <summary>Told of every account as a write has left it, in that moment and under the org's lock.</summary>
    public Action<Account>? Written { get; set; }

    /// <summary>What events are written by now.</summary>
    public ChangeEventSchema Schema
    {
        get
        {
            lock (_gate)
                return CurrentSchema();
        }
    }

    /// <summary>A schema that events were written by, then or now.</summary>
    public string? FindSchema(string id)
    {
        lock (_gate)
        {
            CurrentSchema();
            return _schemas.GetValueOrDefault(id);
        }
    }

    /// <summary>A custom field, and with it another schema.</summary>
    /// <param name="isNumber">Then a text that is none is not taken, and the call that carries it not read at all.</param>
    public void AddField(string name, bool isNumber = false)
    {
        lock (_gate)
        {
            Fields.Add(name, isNumber);
            _schema = null;
        }
    }

    /// <summary>
    /// An event that no write made: a gap, or anything a person wants to see followed.
    /// </summary>
    public void Announce(ChangeHeader header, IReadOnlyCollection<string> ids)
    {
        lock (_gate)
        {
            var schema = CurrentSchema();
            Events.Append(schema.Id, [ChangeEventSchema.Write(header, ids, 1, schema.Empty())]);
        }
    }

    public string Create(JsonElement body, Actor actor)
    {
        lock (_gate)
            return Commit(actor, transaction => Insert(body, transaction, batch: null).Id);
    }

    /// <summary>One result each, in order; with <paramref name="allOrNone"/> either all or nothing is done.</summary>
    public JsonArray CreateMany(JsonElement[] records, bool allOrNone, Actor actor)
    {
        lock (_gate)
        {
            CheckNumbers(records);
            var before = _inOrder.Count;
            var batch = new HashSet<string>(StringComparer.Ordinal);
            return Many(
                records,
                allOrNone,
                actor,
                (record, transaction) => Insert(Typed(record), transaction, batch).Id,
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

    public void Update(string id, JsonElement body, Actor actor, Func<string, bool>? guard = null)
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

            var values = Read(body, creating: false, idAllowed: false);
            Commit(actor, transaction => Patch(account, values, transaction, batch: null));
        }
    }

    public JsonArray UpdateMany(JsonElement[] records, bool allOrNone, Actor actor)
    {
        lock (_gate)
        {
            CheckNumbers(records);
            var before = new List<Account>();
            var ids = new HashSet<string>(StringComparer.Ordinal);
            var batch = new HashSet<string>(StringComparer.Ordinal);
            return Many(
                records,
                allOrNone,
                actor,
                (record, transaction) =>
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
                    Patch(account, Read(record, creating: false, idAllowed: true), transaction, batch);
                    return account.Id;
                },
                undo: () => before.ForEach(Restore)
            );
        }
    }

    public void Delete(string id, Actor actor)
    {
        lock (_gate)
        {
            var account = Live(id);
            Commit(actor, transaction => Bin(account, transaction));
        }
    }

    public JsonArray DeleteMany(string[] ids, bool allOrNone, Actor actor)
    {
        lock (_gate)
        {
            var before = new List<Account>();
            return Many(
                ids,
                allOrNone,
                actor,
                (id, transaction) =>
                {
                    var account = Live(id);
                    before.Add(account.Copy());
                    Bin(account, transaction);
                    return account.Id;
                },
                undo: () => before.ForEach(Restore)
            );
        }
    }

    /// <summary>Empties the recycle bin of one record, as its 15 days do: afterwards nothing tells that it ever was.</summary>
    public void Purge(string id)
    {
        lock (_gate)
        {
            var account = Known(id);
            if (!account.IsDeleted)
                throw new SalesforceProblem(400, "INVALID_ID_FIELD", "Entity is not in the recycle bin");
            _byId.Remove(account.Id);
            _inOrder.Remove(account);
        }
    }

    /// <summary>Out of the recycle bin again.</summary>
    public void Undelete(string id, Actor actor)
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
            Commit(
                actor,
                transaction =>
                {
                    account.IsDeleted = false;
                    account.MasterRecordId = null;
                    Touch(account, actor);
                    Index(account, present: true);
                    transaction.Add("UNDELETE", account);
                }
            );
        }
    }

    /// <summary>
    /// Merges one record into another: the loser goes to the recycle bin and names the winner, which gets the values that
    /// the person picked.
    /// </summary>
    public void Merge(string winnerId, string loserId, JsonElement values, Actor actor)
    {
        lock (_gate)
        {
            var (winner, loser) = (Live(winnerId), Live(loserId));
            if (winner == loser)
                throw new SalesforceProblem(400, "INVALID_ID_FIELD", "a record cannot be merged with itself");
            var picked = Read(values, creating: false, idAllowed: false);
            Commit(
                actor,
                transaction =>
                {
                    var before = loser.Copy();
                    Bin(loser, transaction);
                    loser.MasterRecordId = winner.Id;
                    try
                    {
                        Patch(winner, picked, transaction, batch: null);
                    }
                    catch (SalesforceProblem)
                    {
                        Restore(before);
                        throw;
                    }
                }
            );
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
            var account = Known(id);
            if (!IsShared(account))
                throw SalesforceProblem.NotFound();
            account = Live(id);
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
                    && IsShared(account)
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
            var found = _inOrder.Where(account =>
                (includeDeleted || !account.IsDeleted) && IsShared(account) && query.Matches(account)
            );
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
            return new JsonArray([.. _inOrder.Select(account => account.ToJson("v66.0", Fields.All))]);
    }

    /// <summary>Records that are not in the recycle bin, the newest first. What is found may change when this has answered.</summary>
    public IReadOnlyList<Account> Find(Func<Account, bool> where, int limit)
    {
        lock (_gate)
            return [.. Enumerable.Reverse(_inOrder).Where(a => !a.IsDeleted && where(a)).Take(limit)];
    }

    /// <summary>One transaction: its events come out together, or not at all where it did not happen.</summary>
    void Commit(Actor actor, Action<Transaction> act) =>
        Commit(
            actor,
            transaction =>
            {
                act(transaction);
                return true;
            }
        );

    T Commit<T>(Actor actor, Func<Transaction, T> act)
    {
        var transaction = new Transaction(actor);
        var result = act(transaction);
        if (transaction.Changes.Count == 0)
            return result;

        foreach (var change in transaction.Changes)
            Written?.Invoke(change.After);
        var schema = CurrentSchema();
        Span<byte> key = stackalloc byte[16];
        _chance.NextBytes(key);
        var header = new ChangeHeader(
            "",
            actor.Origin,
            new Guid(key).ToString(),
            clock.GetUtcNow(),
            ++_lastCommit,
            actor.User
        );

        // The same change of several records in one transaction is one event.
        var events = transaction
            .Changes.Select(change => (change.Id, Event: change.Write(schema)))
            .GroupBy(change => (change.Event.Type, Convert.ToHexString(change.Event.Body), change.Event.Bits))
            .Select(
                (same, index) =>
                    ChangeEventSchema.Write(
                        header with
                        {
                            Type = same.Key.Type,
                            Changed = same.First().Event.Changed,
                            Nulled = same.First().Event.Nulled,
                        },
                        [.. same.Select(change => change.Id)],
                        index + 1,
                        same.First().Event.Body
                    )
            );
        Events.Append(schema.Id, events);
        return result;
    }

    ChangeEventSchema CurrentSchema()
    {
        _schema ??= new ChangeEventSchema(Fields.All);
        _schemas[_schema.Id] = _schema.Json;
        return _schema;
    }

    JsonArray Many<T>(T[] items, bool allOrNone, Actor actor, Func<T, Transaction, string> act, Action undo) =>
        Commit(
            actor,
            transaction =>
            {
                transaction.Records = items.Length;
                return Many(items, allOrNone, transaction, act, undo);
            }
        );

    static JsonArray Many<T>(
        T[] items,
        bool allOrNone,
        Transaction transaction,
        Func<T, Transaction, string> act,
        Action undo
    )
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
                            ["id"] = act(item, transaction),
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
        transaction.Changes.Clear();
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

    Account Insert(JsonElement body, Transaction transaction, HashSet<string>? batch)
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
        var account = new Account(SalesforceId.Make("001", ++_lastNumber), transaction.Actor.User, Now());
        RunFlow(account, transaction);
        CheckUnique(account, values, batch);
        foreach (var (field, value) in values)
        {
            if (value is not null)
                account.Values[field] = value;
        }

        _byId[account.Id] = account;
        _inOrder.Add(account);
        Index(account, present: true);
        transaction.Add("CREATE", account);
        return account;
    }

    void Patch(Account account, Dictionary<string, string?> values, Transaction transaction, HashSet<string>? batch)
    {
        if (values.TryGetValue("Name", out var name) && name is null)
            throw Missing("Name");
        RunFlow(account, transaction);
        CheckUnique(account, values, batch);
        Index(account, present: false);
        HashSet<string> changed = ["LastModifiedDate"];
        if (account.ModifiedBy != transaction.Actor.User)
            changed.Add("LastModifiedById");
        foreach (var (field, value) in values)
        {
            if (account.Values.GetValueOrDefault(field) != value)
                changed.Add(field);
            if (value is null)
                account.Values.Remove(field);
            else
                account.Values[field] = value;
        }

        Index(account, present: true);
        Touch(account, transaction.Actor);
        transaction.Add("UPDATE", account, changed);
    }

    void RunFlow(Account account, Transaction transaction)
    {
        if (Flow?.Invoke(account, transaction.Records) is { } problem)
            throw problem;
    }

    void Bin(Account account, Transaction transaction)
    {
        RunFlow(account, transaction);
        Index(account, present: false);
        account.IsDeleted = true;
        Touch(account, transaction.Actor);
        transaction.Add("DELETE", account);
    }

    void Touch(Account account, Actor actor)
    {
        account.ModifiedBy = actor.User;
        account.Modified = Now();
        account.Version++;
    }

    /// <summary>Salesforce's times have whole seconds, so that ties are ordinary.</summary>
    DateTimeOffset Now() => DateTimeOffset.FromUnixTimeSeconds(clock.GetUtcNow().ToUnixTimeSeconds());

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

    bool IsShared(Account account) => Sharing?.Invoke(account) != false;

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
    Dictionary<string, string?> Read(JsonElement body, bool creating, bool idAllowed)
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

            var field = Fields.Find(member.Name) ?? throw SalesforceProblem.NoSuchColumn(member.Name);
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

            var value = Value(field, member.Value);
            values[field.Name] = BeforeSave is { } rule ? rule(field.Name, value) : value;
        }

        return values;
    }

    /// <summary>JSON is read before anything is done: one number that is none, and no record of the call is looked at.</summary>
    void CheckNumbers(JsonElement[] records)
    {
        foreach (
            var member in records.Where(r => r.ValueKind == JsonValueKind.Object).SelectMany(r => r.EnumerateObject())
        )
        {
            if (
                Fields.Find(member.Name) is { IsNumber: true }
                && member.Value is { ValueKind: JsonValueKind.String } text
                && !IsNumber(text.GetString()!)
            )
                throw NoNumber(text.GetString()!);
        }
    }

    static bool IsNumber(string text) => decimal.TryParse(text, CultureInfo.InvariantCulture, out _);

    static SalesforceProblem NoNumber(string text) =>
        SalesforceProblem.Json($"Cannot deserialize instance of double from VALUE_STRING value {text}");

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

        if (field.IsNumber && !IsNumber(text))
            throw NoNumber(text);
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

/// <summary>Who writes, and by which API and client, in the form of a change event's <c>changeOrigin</c>.</summary>
sealed record Actor(string User, string Origin);

/// <summary>What one transaction has changed so far.</summary>
sealed class Transaction(Actor actor)
{
    public Actor Actor => actor;

    /// <summary>Of the call.</summary>
    public int Records { get; set; } = 1;
    public List<Change> Changes { get; } = [];

    public void Add(string type, Account account, HashSet<string>? changed = null) =>
        Changes.Add(new Change(type, account.Id, account.Copy(), changed ?? []));
}

/// <param name="After">As the record was right after it.</param>
/// <param name="Changed">Fields, of an update.</param>
sealed record Change(string Type, string Id, Account After, IReadOnlySet<string> Changed)
{
    public (string Type, byte[] Body, string Bits, IReadOnlyList<string> Changed, IReadOnlyList<string> Nulled) Write(
        ChangeEventSchema schema
    )
    {
        if (Type is "CREATE" or "UNDELETE")
            return (Type, schema.Whole(After), "", [], []);
        if (Type is not "UPDATE")
            return (Type, schema.Empty(), "", [], []);
        var changed = schema.Bitmaps(Changed);
        var nulled = schema.Bitmaps(
            Changed.Where(field =>
                !field.StartsWith("LastModified", StringComparison.Ordinal) && !After.Values.ContainsKey(field)
            )
        );
        return (Type, schema.Part(After, Changed), string.Join(' ', [.. changed, "/", .. nulled]), changed, nulled);
    }
}

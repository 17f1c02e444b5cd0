using System.Globalization;
using System.Text.RegularExpressions;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

/// <summary>What a call was about: the same code means different things for a record, a create and a whole list.</summary>
enum Aim
{
    /// <summary>One record by its id.</summary>
    Record,
    Create,

    /// <summary>A list or a query, before any of its records.</summary>
    List,
}

/// <summary>
/// What Salesforce's errors mean. Its messages quote what was sent, and come in the language of the user, so they are looked
/// into for ids and API names only, and never repeated: a reason is made of code and field.
/// </summary>
static partial class SalesforceErrors
{
    const string Remedies = "check the permission set of the integration user";

    public static readonly ErrorRow RequiredFieldMissing = Refuse(
        "REQUIRED_FIELD_MISSING",
        "Salesforce needs a value there"
    );
    static readonly ErrorRow DailyLimit = Pause(
        "REQUEST_LIMIT_EXCEEDED",
        "the org's API calls of this day are used up",
        "wait, or buy more calls; see the budget of the org",
        "TotalRequests"
    );
    static readonly ErrorRow ConcurrencyLimit = Slow("REQUEST_LIMIT_EXCEEDED", "too many requests at once", Otherwise);
    static readonly ErrorRow[] Triggers =
    [
        .. RowsOfCode("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "a trigger or flow"),
        .. RowsOfCode("CANNOT_EXECUTE_FLOW_TRIGGER", "a flow"),
    ];
    static readonly ErrorRow CrossReference = Refuse(
        "INVALID_CROSS_REFERENCE_KEY",
        "a reference points to no record",
        "at a create, at a field other than Id, or at a write to a record that a read finds"
    );
    static readonly ErrorRow NoSuchRecord = Gone(
        "INVALID_CROSS_REFERENCE_KEY",
        "there is no such record",
        "at a record by its id; of a write only when a read finds none either"
    );
    static readonly ErrorRow DeletedReference = Refuse(
        "ENTITY_IS_DELETED",
        "a reference points to a deleted record",
        "at a create, or at a write to a record that a read finds"
    );
    static readonly ErrorRow DeletedRecord = Gone(
        "ENTITY_IS_DELETED",
        "the record is deleted",
        "at a record by its id; of a write only when a read finds it deleted, too"
    );
    static readonly ErrorRow NotFound = Gone(
        "NOT_FOUND",
        "there is no such record",
        "404 at a record by its id; asked once more before it is believed"
    );
    static readonly ErrorRow NoSuchCall = Pause(
        "NOT_FOUND",
        "there is no such call at this address",
        "check SALESFORCE__APIVERSION and SALESFORCE__LOGINURL",
        "404 at a create, list or query"
    );
    static readonly ErrorRow Moved = new("412", "412", ErrorAction.Moved, "the record was changed since it was read");
    static readonly ErrorRow TakenId = new(
        "DUPLICATE_VALUE",
        "at a create, naming the field with the customer id",
        ErrorAction.Taken,
        "a record carries the customer id already"
    );
    static readonly ErrorRow TakenUnnamed = new(
        "DUPLICATE_VALUE",
        "at a create, naming no field",
        ErrorAction.Taken,
        "a record may carry the customer id already; it is looked for"
    );
    static readonly ErrorRow DuplicateValue = Refuse(
        "DUPLICATE_VALUE",
        "another record has this unique value",
        "at an update, or another unique field"
    );
    static readonly ErrorRow SessionEnded = new("INVALID_SESSION_ID", "401", ErrorAction.SignIn, "the session ran out");
    static readonly ErrorRow SessionRefused = Pause(
        "INVALID_SESSION_ID",
        "Salesforce does not accept the session",
        "check the app's policies: API access, IP ranges, run-as user",
        "401 again right after a sign-in, or a text for which a new session is of no use"
    );

    public static readonly ErrorRow TooLong = Refuse("STRING_TOO_LONG", "the value is too long");
    static readonly ErrorRow Reserved = Pause(
        "api_reserve",
        "of the org's API calls of this day only the reserve for other apps is left",
        "wait, buy more calls, or lower SALESFORCE__RESERVEPERCENT",
        "no call was made"
    );

    static readonly ErrorRow SignInRefused = Pause(
        "sign_in",
        "Salesforce refuses the client credentials or the signed assertion",
        "check SALESFORCE__LOGINURL, SALESFORCE__CLIENTID, SALESFORCE__CLIENTSECRET and the app's run-as user, or key, user and audience of the JWT flow"
    );
    static readonly ErrorRow SignInTrouble = Again("sign_in", "the sign-in did not work now", "5xx or no answer");

    static readonly ErrorRow Invalid = Refuse("400", "Salesforce does not take the record", "any other code");
    static readonly ErrorRow Unauthorized = Pause("401", "Salesforce does not accept the session", Remedies);
    static readonly ErrorRow Forbidden = Pause("403", "Salesforce does not allow it", Remedies);
    static readonly ErrorRow NotThere = Pause(
        "404",
        "there is no such call at this address",
        "check SALESFORCE__APIVERSION and SALESFORCE__LOGINURL"
    );
    static readonly ErrorRow Retired = Pause(
        "405, 410, 415",
        "this version of the API does not know the call",
        "check SALESFORCE__APIVERSION"
    );
    static readonly ErrorRow Conflict = Again("409", "the record was busy");
    static readonly ErrorRow TooMany = Slow("420, 429", "Salesforce limits the rate of calls");
    static readonly ErrorRow Redirect = Pause(
        "3xx",
        "the address answers with a redirect, which the API never does",
        "check SALESFORCE__LOGINURL"
    );
    static readonly ErrorRow ServerError = Unsure("5xx", "Salesforce answered with a server error");
    static readonly ErrorRow Unreadable = Unsure("unreadable", "the answer is not Salesforce's", "any other answer");

    /// <summary>Texts of a 401 for which a new session is of no use: asking for one would never end.</summary>
    static readonly string[] NoUseToSignIn =
    [
        "This session is not valid for use with the REST API",
        "Connected app is not attached to Agent",
    ];

    /// <summary>
    /// What the integration user may not do to one record: a person account has other fields, a flow touches a record that
    /// is shared with nobody. Only where every record says so is it a matter of permissions, and of everybody.
    /// </summary>
    static readonly Dictionary<string, OneOrAll> OfOneOrAll = new[]
    {
        OneOrAll.Of("INVALID_FIELD_FOR_INSERT_UPDATE", "a field of the mapping may not be written"),
        OneOrAll.Of("INSUFFICIENT_ACCESS_OR_READONLY", "the integration user may not do this"),
        OneOrAll.Of("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "the integration user may not do this"),
        OneOrAll.Of("INSUFFICIENT_ACCESS", "the integration user may not do this"),
    }.ToDictionary(rows => rows.One.Code);

    static IEnumerable<ErrorRow> RowsOfOneOrAll =>
        OfOneOrAll.Values.SelectMany(r => (ErrorRow[])[r.One, r.Read, r.All]);

    sealed record OneOrAll(ErrorRow One, ErrorRow Read, ErrorRow All)
    {
        public static OneOrAll Of(string code, string meaning) =>
            new(
                Refuse(code, meaning, "at a write to one record", Remedies),
                Again(code, meaning, "at a read of one record"),
                Pause(
                    code,
                    meaning,
                    Remedies,
                    "at every record of a list, a create alone, or a list or query as a whole"
                )
            );
    }

    /// <summary>
    /// What code of the org failed for. A record alone may pass where two hundred at once met a governor limit, which code
    /// that works for one record does as a matter of course. The names of limits and exceptions are not translated.
    /// </summary>
    static ErrorRow[] RowsOfCode(string code, string what) =>
        [
            Again(code, $"{what} met a locked row", "UNABLE_TO_LOCK_ROW"),
            Again(code, $"{what} took too long{Smaller}", "CPU time"),
            Again(code, $"{what} met a governor limit{Smaller}", "LimitException"),
            Again(code, $"{what} met a governor limit{Smaller}", "LIMIT_EXCEEDED"),
            Refuse(code, $"{what} refused the record", Otherwise),
        ];

    const string Smaller = "; a list is sent again as smaller ones";
    const string Otherwise = "any other text";

    /// <summary>Every row; where a code stands more than once, the more special ones first.</summary>
    public static IReadOnlyList<ErrorRow> Table { get; } =
    [
        SessionEnded,
        SessionRefused,
        SignInRefused,
        SignInTrouble,
        Reserved,
        DailyLimit,
        ConcurrencyLimit,
        Again("UNABLE_TO_LOCK_ROW", "another transaction held the record"),
        Unsure("SERVER_UNAVAILABLE", "Salesforce is not available"),
        Unsure("UNKNOWN_EXCEPTION", "Salesforce failed"),
        Unsure("QUERY_TIMEOUT", "Salesforce took too long"),
        Unsure("REQUEST_RUNNING_TOO_LONG", "Salesforce took too long"),
        Unsure("APEX_ERROR", "code in the org failed"),
        Again("ALL_OR_NONE_OPERATION_ROLLED_BACK", "another record of the call failed"),
        Again("PROCESSING_HALTED", "another record of the call failed"),
        Slow("TXN_SECURITY_METERING_ERROR", "a security policy of the org meters the calls"),
        Slow("LOGIN_RATE_EXCEEDED", "too many sign-ins"),
        TakenId,
        TakenUnnamed,
        DuplicateValue,
        Refuse(
            "DUPLICATES_DETECTED",
            "a duplicate rule of the org objects",
            "any",
            "merge the records, change the rule, or set SALESFORCE__ALLOWDUPLICATES where the rule only warns"
        ),
        DeletedRecord,
        DeletedReference,
        NoSuchRecord,
        CrossReference,
        NotFound,
        NoSuchCall,
        Moved,
        RequiredFieldMissing,
        Refuse("FIELD_CUSTOM_VALIDATION_EXCEPTION", "a validation rule of the org objects"),
        Refuse("FIELD_FILTER_VALIDATION_EXCEPTION", "a lookup filter of the org objects"),
        TooLong,
        Refuse("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "the value is not in the picklist"),
        Refuse("INVALID_EMAIL_ADDRESS", "the value is no e-mail address"),
        Refuse("NUMBER_OUTSIDE_VALID_RANGE", "the number is outside the field's range"),
        Refuse("FIELD_INTEGRITY_EXCEPTION", "the value does not go with others"),
        Refuse("JSON_PARSER_ERROR", "the value is not of the field's type"),
        Refuse("MALFORMED_ID", "the id is none"),
        Refuse("DELETE_FAILED", "other records depend on it"),
        .. Triggers,
        Pause("INVALID_FIELD", "a field of the mapping is not there, or hidden from the integration user", Remedies),
        .. RowsOfOneOrAll,
        Pause("INVALID_TYPE", "the object is not there, or hidden from the integration user", Remedies),
        Pause("MALFORMED_QUERY", "Salesforce does not understand the query", "check the \"to\" names in systems.json"),
        Pause("API_DISABLED_FOR_ORG", "the org has no API", "use an edition or user with API access"),
        Pause("API_CURRENTLY_DISABLED", "the org's API is switched off", "ask the org's administrator"),
        Pause("STORAGE_LIMIT_EXCEEDED", "the org's storage is full", "free or buy storage"),
        Invalid,
        Unauthorized,
        Forbidden,
        NotThere,
        Retired,
        Conflict,
        TooMany,
        Redirect,
        ServerError,
        Unreadable,
    ];

    /// <summary>Rows that are found by their code alone.</summary>
    static readonly Dictionary<string, ErrorRow> ByCode = Table
        .GroupBy(r => r.Code)
        .Where(g => g.Count() == 1)
        .ToDictionary(g => g.Key, g => g.First());

    public static VendorResult Classify(SalesforceException exception, SalesforceMapping mapping, Aim aim, bool writes)
    {
        var result =
            exception.Status == 412
                ? new VendorResult.Moved()
                : Classify(exception.Errors, exception.Status, mapping, aim, writes);
        return result with { RequestId = exception.RequestId, Calls = exception.Calls };
    }

    /// <param name="status">200 where the errors are those of one record of a list.</param>
    public static VendorResult Classify(
        IReadOnlyList<SalesforceError> errors,
        int status,
        SalesforceMapping mapping,
        Aim aim,
        bool writes
    )
    {
        if (errors.Count == 0)
            return ByStatus(status, known: false).AsFailure(writes, Code(status));

        var rows = errors.Select(e => (Error: e, Row: Row(e, status, mapping, aim, writes))).ToList();
        var (error, row) = rows.MinBy(r => Order(r.Row.Action));
        return row.Action switch
        {
            ErrorAction.Gone => new VendorResult.Gone
            {
                IfThere =
                    writes && row != NotFound
                        ? Refused([.. rows.Select(r => (r.Error, Row: OfAnotherRecord(r.Row)))], mapping)
                        : null,
            },
            ErrorAction.Moved => new VendorResult.Moved(),
            ErrorAction.Taken => new VendorResult.Taken(
                row == TakenId && RecordId().Match(error.Message) is { Success: true } id
                    ? RecordIds.To18(id.Value)
                    : null
            ),
            ErrorAction.Refused => Refused(rows, mapping),
            ErrorAction.SignIn => SessionRefused.AsFailure(writes),
            _ => row.AsFailure(writes, error.Code),
        };
    }

    /// <summary>Whether a smaller list may pass.</summary>
    public static bool IsTooMuchAtOnce(VendorResult result) =>
        result is VendorResult.Failed { Definite: true } failed
        && failed.Reason.EndsWith(Smaller, StringComparison.Ordinal);

    /// <summary>Whether the records of a list were all refused for what the user may not do: then it concerns everybody.</summary>
    public static VendorResult.Failed? RefusedToAll(IReadOnlyList<VendorResult> results) =>
        results.Count > 1 && results.All(r => r is VendorResult.Refused refused && OfOneOrAll.ContainsKey(refused.Code))
            ? OfOneOrAll[((VendorResult.Refused)results[0]).Code].All.AsFailure(writes: true)
            : null;

    public static VendorResult.Failed Classify(SalesforceSignInException exception) =>
        (exception.Configuration ? SignInRefused : SignInTrouble).AsFailure(writes: false, exception.Code);

    /// <summary>No call was made, since only the reserve is left.</summary>
    public static VendorResult.Failed OnlyReserveLeft() => Reserved.AsFailure(writes: false);

    /// <summary>A query is about everybody: what it is refused for is the mapping's fault, or ours.</summary>
    public static VendorResult.Failed QueryRefused(VendorResult result) =>
        new(
            FailureClass.PauseAll,
            (result as VendorResult.Refused)?.Code ?? Unreadable.Code,
            "Salesforce refuses the look-up; check the \"to\" names in systems.json",
            Definite: true
        )
        {
            RequestId = result.RequestId,
        };

    /// <summary>The record was not found by a write, and was there a moment later.</summary>
    public static VendorResult.Failed NotFoundButThere() =>
        new(FailureClass.Retry, NotFound.Code, "the record was not found, and then it was", Definite: true);

    /// <summary>Whether the org's calls of this day are used up.</summary>
    public static bool DayIsUsedUp(IReadOnlyList<SalesforceError> errors) =>
        errors.Any(e => e.Code == DailyLimit.Code && Says(e, DailyLimit.When));

    /// <summary>Whether a 401 may be answered with a new session.</summary>
    public static bool SessionRanOut(IReadOnlyList<SalesforceError> errors) =>
        errors.Count == 0
        || errors.Any(e =>
            e.Code == SessionEnded.Code
            && !NoUseToSignIn.Any(t => e.Message.Contains(t, StringComparison.OrdinalIgnoreCase))
        );

    /// <summary>
    /// Whether an answer is Salesforce's word on a record, of this one or, at a write, of one that a flow or a field refers
    /// to: a wrong version of the API answers NOT_FOUND, too.
    /// </summary>
    public static bool ProvesGone(IReadOnlyList<SalesforceError> errors) =>
        errors.Any(e => e.Code is "ENTITY_IS_DELETED" or "INVALID_CROSS_REFERENCE_KEY");

    static ErrorRow Row(SalesforceError error, int status, SalesforceMapping mapping, Aim aim, bool writes)
    {
        if (OfOneOrAll.TryGetValue(error.Code, out var access))
        {
            var isOfOne = aim == Aim.Record || status == 200;
            return !isOfOne ? access.All
                : writes ? access.One
                : access.Read;
        }

        if (Triggers.FirstOrDefault(r => r.Code == error.Code && Says(error, r.When)) is { } failed)
            return failed;
        switch (error.Code)
        {
            case "REQUEST_LIMIT_EXCEEDED":
                return Says(error, DailyLimit.When) ? DailyLimit : ConcurrencyLimit;
            case "INVALID_CROSS_REFERENCE_KEY":
                return aim == Aim.Record && error.Fields.All(f => f.Equals("Id", StringComparison.OrdinalIgnoreCase))
                    ? NoSuchRecord
                    : CrossReference;
            case "NOT_FOUND":
                return aim == Aim.Record ? NotFound : NoSuchCall;
            case "ENTITY_IS_DELETED":
                return aim == Aim.Record ? DeletedRecord : DeletedReference;
            case "DUPLICATE_VALUE":
                return aim != Aim.Create ? DuplicateValue
                    : UniqueFields(error).Contains(SalesforceMapping.CustomerIdField, StringComparer.OrdinalIgnoreCase)
                        ? TakenId
                    : UniqueFields(error).Any() ? DuplicateValue
                    : TakenUnnamed;
            case "INVALID_SESSION_ID":
                return SessionRefused;
            default:
                return ByCode.GetValueOrDefault(error.Code) ?? ByStatus(status, known: true);
        }
    }

    /// <summary>
    /// The same code where the record itself is there: a lookup that a flow fills with an id of another org says no more
    /// than that either, without a field or an id.
    /// </summary>
    static ErrorRow OfAnotherRecord(ErrorRow row) =>
        row == NoSuchRecord ? CrossReference
        : row == DeletedRecord ? DeletedReference
        : row;

    /// <param name="known">Whether the body was Salesforce's own.</param>
    static ErrorRow ByStatus(int status, bool known) =>
        status switch
        {
            >= 300 and < 400 => Redirect,
            401 => Unauthorized,
            403 => Forbidden,
            404 => NotThere,
            405 or 410 or 415 => Retired,
            409 => Conflict,
            420 or 429 => TooMany,
            >= 500 => ServerError,
            200 or 400 when known => Invalid,
            _ => Unreadable,
        };

    /// <summary>What concerns everybody comes before what concerns the record.</summary>
    static int Order(ErrorAction action) =>
        action switch
        {
            ErrorAction.SignIn => 0,
            ErrorAction.PauseAll => 1,
            ErrorAction.SlowDown => 2,
            ErrorAction.Retry => 3,
            ErrorAction.Moved => 4,
            ErrorAction.Gone => 5,
            ErrorAction.Taken => 6,
            _ => 7,
        };

    static VendorResult.Refused Refused(List<(SalesforceError Error, ErrorRow Row)> rows, SalesforceMapping mapping)
    {
        Dictionary<string, string> fields = [];
        List<string> reasons = [];
        foreach (var (error, row) in rows)
        {
            var names = error
                .Fields.Concat(mapping.Names(error))
                .Concat(row == DuplicateValue ? UniqueFields(error) : [])
                .Distinct(StringComparer.OrdinalIgnoreCase)
                .ToList();
            List<string> where = [];
            foreach (var name in names)
            {
                if (mapping.PathOf(name) is { } path)
                {
                    fields[path] = error.Code;
                    where.Add(path);
                }
                else if (ApiName().IsMatch(name))
                {
                    where.Add(name);
                }
            }

            var remedy = row.Remedy is null ? "" : $"; {row.Remedy}";
            var place = where.Count == 0 ? "the record" : string.Join(", ", where);
            reasons.Add($"{row.Meaning} ({Known(error.Code)}): {place}{remedy}");
        }

        return new(fields, Known(rows[0].Error.Code), string.Join("; ", reasons.Distinct()));
    }

    /// <summary>
    /// What a duplicate is a duplicate in: only custom fields are unique. An org has more of them than the mapping knows, and
    /// "fields" is empty in this error.
    /// </summary>
    static IEnumerable<string> UniqueFields(SalesforceError error) =>
        error.Fields.Concat(CustomField().Matches(error.Message).Select(m => m.Value));

    /// <summary>A code is upper-case letters; whatever else stands there is not passed on.</summary>
    static string Known(string code) => ApiName().IsMatch(code) ? code : "unknown";

    static string Code(int status) => string.Create(CultureInfo.InvariantCulture, $"http_{status}");

    static bool Says(SalesforceError error, string text) =>
        text == Otherwise || error.Message.Contains(text, StringComparison.OrdinalIgnoreCase);

    static ErrorRow Refuse(string code, string meaning, string when = "any", string? remedy = null) =>
        new(code, when, ErrorAction.Refused, meaning, remedy);

    static ErrorRow Pause(string code, string meaning, string remedy, string when = "any") =>
        new(code, when, ErrorAction.PauseAll, meaning, remedy);

    static ErrorRow Slow(string code, string meaning, string when = "any") =>
        new(code, when, ErrorAction.SlowDown, meaning);

    /// <summary>Rolled back: nothing was done.</summary>
    static ErrorRow Again(string code, string meaning, string when = "any") =>
        new(code, when, ErrorAction.Retry, meaning);

    static ErrorRow Unsure(string code, string meaning, string when = "any") =>
        new(code, when, ErrorAction.Retry, meaning) { Definite = false };

    static ErrorRow Gone(string code, string meaning, string when) => new(code, when, ErrorAction.Gone, meaning);

    [GeneratedRegex(@"\b001[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?\b", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex RecordId();

    [GeneratedRegex(@"\b[A-Za-z][A-Za-z0-9_]{0,96}__c\b", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex CustomField();

    [GeneratedRegex(@"\A[A-Za-z0-9_]{1,80}\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ApiName();
}

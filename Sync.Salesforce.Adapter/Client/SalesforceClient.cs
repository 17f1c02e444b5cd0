using System.Net;
using System.Net.Http.Headers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading.RateLimiting;
using Sync.Adapter.Vendors;

namespace Sync.Salesforce.Adapter.Client;

/// <summary>
/// The calls of Salesforce's REST API that the adapter makes, under the names that users of NetCoreForce know. A session
/// that ran out is renewed once and the call made again; nothing else is ever repeated here. Failures are
/// <see cref="SalesforceException"/>, <see cref="SalesforceSignInException"/> and what <see cref="HttpClient"/> throws.
/// </summary>
sealed class SalesforceClient : IDisposable
{
    /// <summary>Of a collection that writes.</summary>
    public const int MaxWrites = 200;

    /// <summary>Of a retrieve.</summary>
    public const int MaxReads = 2_000;

    /// <summary>Records of one collection that writes, as the settings say.</summary>
    public int WriteBatch => _options.WriteBatch;

    const int MaxAnswer = 64 * 1024 * 1024;
    const int MaxPages = 50;
    const int MaxQueue = 1_000;

    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    readonly HttpClient _http;
    readonly AccessTokens _tokens;
    readonly ConcurrencyLimiter _concurrent;
    readonly SalesforceOptions _options;
    readonly ApiBudget _budget;
    readonly TimeProvider _time;

    public SalesforceClient(
        SalesforceOptions options,
        ApiBudget budget,
        TimeProvider time,
        ILogger<AccessTokens> log,
        HttpMessageHandler? handler = null
    )
    {
        _options = options;
        MaxWait = TimeSpan.FromSeconds(options.TimeoutSeconds) / 4;
        _budget = budget;
        _time = time;
        _http = new(handler ?? Transport.Handler(options.MaxConcurrent + 1))
        {
            Timeout = TimeSpan.FromSeconds(options.TimeoutSeconds),
            MaxResponseContentBufferSize = MaxAnswer,
        };
        _tokens = new(_http, options, time, log);
        _concurrent = new(
            new()
            {
                PermitLimit = options.MaxConcurrent,
                QueueLimit = MaxQueue,
                QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            }
        );
    }

    /// <summary>For a turn. With the call after it it stays within the time that the frame gives both.</summary>
    public TimeSpan MaxWait { get; }

    /// <summary>The user that we are, as far as known.</summary>
    public string? UserId => _tokens.UserId;

    /// <summary>A session for another API of the org, shared with this one.</summary>
    /// <param name="stale">One that was refused; null at first.</param>
    /// <exception cref="SalesforceSignInException">There is none.</exception>
    public Task<Session> SignInAsync(Session? stale, CancellationToken cancellationToken) =>
        _tokens.Get(stale, cancellationToken);

    string Data => $"/services/data/{_options.ApiVersion}";

    /// <summary>What the org has of an object, as the integration user sees it.</summary>
    public async Task<Reply<ObjectDescription>> DescribeAsync(string type, CancellationToken cancellationToken)
    {
        var path = $"{Data}/sobjects/{Uri.EscapeDataString(type)}/describe";
        var answer = await Send(HttpMethod.Get, path, null, null, cancellationToken);
        return answer.Read(ObjectDescription.Parse);
    }

    public async Task<Reply<SObject>> GetObjectByIdAsync(
        string type,
        string id,
        IReadOnlyList<string> fields,
        CancellationToken cancellationToken
    )
    {
        var path = $"{Row(type, id)}?fields={string.Join(',', fields.Select(Uri.EscapeDataString))}";
        var answer = await Send(HttpMethod.Get, path, null, null, cancellationToken);
        return answer.Read(json => SObject.Parse(json, answer.ETag));
    }

    /// <summary>In the order of the ids; null for what is not there.</summary>
    public async Task<Reply<IReadOnlyList<SObject?>>> GetObjectsByIdAsync(
        string type,
        IReadOnlyList<string> ids,
        IReadOnlyList<string> fields,
        CancellationToken cancellationToken
    )
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ids.Count, MaxReads);
        var body = Write(json =>
        {
            json.WriteStartObject();
            Names(json, "ids", ids);
            Names(json, "fields", fields);
            json.WriteEndObject();
        });
        var path = $"{Data}/composite/sobjects/{Uri.EscapeDataString(type)}";
        var answer = await Send(HttpMethod.Post, path, body, null, cancellationToken);
        return answer.Read<IReadOnlyList<SObject?>>(json =>
        {
            List<SObject?> records = [];
            foreach (var item in json.EnumerateArray())
                records.Add(item.ValueKind == JsonValueKind.Null ? null : SObject.Parse(item, null));
            return records.Count == ids.Count
                ? records
                : throw new JsonException("a retrieve with another number of records");
        });
    }

    public async Task<Reply<string>> CreateRecordAsync(
        string type,
        IReadOnlyDictionary<string, string?> record,
        CancellationToken cancellationToken
    )
    {
        var body = Write(json =>
        {
            json.WriteStartObject();
            Members(json, record);
            json.WriteEndObject();
        });
        var path = $"{Data}/sobjects/{Uri.EscapeDataString(type)}";
        var answer = await Send(HttpMethod.Post, path, body, null, cancellationToken);
        return answer.Read(json =>
            json.GetProperty("id").GetString() ?? throw new JsonException("a created record without id")
        );
    }

    public Task<Reply<IReadOnlyList<SaveResult>>> CreateRecordsAsync(
        string type,
        IReadOnlyList<IReadOnlyDictionary<string, string?>> records,
        CancellationToken cancellationToken
    ) => Save(HttpMethod.Post, type, [.. records.Select(r => ((string?)null, r))], cancellationToken);

    /// <param name="ifMatch">The ETag that the record must still have.</param>
    public async Task<Reply<bool>> UpdateRecordAsync(
        string type,
        string id,
        IReadOnlyDictionary<string, string?> record,
        string? ifMatch,
        CancellationToken cancellationToken
    )
    {
        var body = Write(json =>
        {
            json.WriteStartObject();
            Members(json, record);
            json.WriteEndObject();
        });
        var answer = await Send(HttpMethod.Patch, Row(type, id), body, ifMatch, cancellationToken);
        return answer.Nothing();
    }

    public Task<Reply<IReadOnlyList<SaveResult>>> UpdateRecordsAsync(
        string type,
        IReadOnlyList<(string Id, IReadOnlyDictionary<string, string?> Record)> records,
        CancellationToken cancellationToken
    ) => Save(HttpMethod.Patch, type, [.. records.Select(r => ((string?)r.Id, r.Record))], cancellationToken);

    public async Task<Reply<bool>> DeleteRecordAsync(string type, string id, CancellationToken cancellationToken)
    {
        var answer = await Send(HttpMethod.Delete, Row(type, id), null, null, cancellationToken);
        return answer.Nothing();
    }

    public async Task<Reply<IReadOnlyList<SaveResult>>> DeleteRecordsAsync(
        IReadOnlyList<string> ids,
        CancellationToken cancellationToken
    )
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ids.Count, MaxWrites);
        var list = string.Join(',', ids.Select(Uri.EscapeDataString));
        var path = $"{Data}/composite/sobjects?ids={list}&allOrNone=false";
        var answer = await Send(HttpMethod.Delete, path, null, null, cancellationToken);
        return answer.Read<IReadOnlyList<SaveResult>>(json => Saved(json, ids.Count));
    }

    /// <param name="queryAll">Also what is in the recycle bin.</param>
    public async Task<Reply<IReadOnlyList<SObject>>> QueryAsync(
        string soql,
        bool queryAll,
        CancellationToken cancellationToken
    )
    {
        List<SObject> records = [];
        var calls = 0;
        var path = $"{Data}/{(queryAll ? "queryAll" : "query")}?q={Uri.EscapeDataString(soql)}";
        for (var page = 1; page <= MaxPages; page++)
        {
            var answer = await Send(HttpMethod.Get, path, null, null, cancellationToken);
            calls += answer.Calls;
            var next = answer
                .Read<string?>(json =>
                {
                    foreach (var record in json.GetProperty("records").EnumerateArray())
                        records.Add(SObject.Parse(record, null));
                    return json.GetProperty("done").GetBoolean()
                        ? null
                        : json.GetProperty("nextRecordsUrl").GetString();
                })
                .Value;
            if (next is null)
                return new(records, answer.RequestId, calls);

            // The token goes nowhere but to the instance.
            if (!next.StartsWith("/services/data/", StringComparison.Ordinal))
                throw new JsonException("a next page outside of the API");
            path = next;
        }

        throw new JsonException($"a query of more than {MaxPages} pages");
    }

    public void Dispose()
    {
        _http.Dispose();
        _concurrent.Dispose();
    }

    async Task<Reply<IReadOnlyList<SaveResult>>> Save(
        HttpMethod method,
        string type,
        IReadOnlyList<(string? Id, IReadOnlyDictionary<string, string?> Record)> records,
        CancellationToken cancellationToken
    )
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(records.Count, MaxWrites);
        var body = Write(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("allOrNone", false);
            json.WriteStartArray("records");
            foreach (var (id, record) in records)
            {
                json.WriteStartObject();
                json.WriteStartObject("attributes");
                json.WriteString("type", type);
                json.WriteEndObject();
                if (id is not null)
                    json.WriteString("id", id);
                Members(json, record);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
        var answer = await Send(method, $"{Data}/composite/sobjects", body, null, cancellationToken);
        return answer.Read<IReadOnlyList<SaveResult>>(json => Saved(json, records.Count));
    }

    async Task<Raw> Send(
        HttpMethod method,
        string path,
        byte[]? body,
        string? ifMatch,
        CancellationToken cancellationToken
    )
    {
        if (!_budget.MayCall(_time.GetUtcNow()))
            throw new SalesforceBudgetException();
        using var turn = await Turn(cancellationToken);
        var session = await _tokens.Get(null, cancellationToken);
        for (var calls = 1; ; calls++)
        {
            using var request = Request(session, method, path, body, ifMatch);
            using var response = await _http.SendAsync(request, cancellationToken);
            var answer = await Raw.From(response, calls, cancellationToken);
            foreach (var usage in Values(response, ApiBudget.Header))
                _budget.Record(usage, _time.GetUtcNow());

            if (response.IsSuccessStatusCode)
                return answer;

            var errors = answer.Errors();
            if (SalesforceErrors.DayIsUsedUp(errors))
                _budget.UsedUp(_time.GetUtcNow());
            if (
                calls == 1
                && response.StatusCode == HttpStatusCode.Unauthorized
                && SalesforceErrors.SessionRanOut(errors)
            )
            {
                // The new session may live at another instance.
                session = await _tokens.Get(session, cancellationToken);
                continue;
            }

            throw new SalesforceException((int)response.StatusCode, errors, answer.RequestId, calls);
        }
    }

    async Task<RateLimitLease> Turn(CancellationToken cancellationToken)
    {
        using var wait = new CancellationTokenSource(MaxWait, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(wait.Token, cancellationToken);
        try
        {
            var turn = await _concurrent.AcquireAsync(1, both.Token);
            if (turn.IsAcquired)
                return turn;
            turn.Dispose();
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested) { }

        throw new SalesforceBusyException(MaxWait);
    }

    HttpRequestMessage Request(Session session, HttpMethod method, string path, byte[]? body, string? ifMatch)
    {
        var request = new HttpRequestMessage(method, new Uri(session.Instance, path));
        request.Headers.Authorization = new("Bearer", session.Token);
        request.Headers.Accept.Add(new("application/json"));
        request.Headers.TryAddWithoutValidation("Sforce-Call-Options", "client=Sync");
        if (_options.AllowDuplicates && method != HttpMethod.Get)
            request.Headers.TryAddWithoutValidation("Sforce-Duplicate-Rule-Header", "allowSave=true");
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new("application/json", "utf-8");
        }

        return request;
    }

    string Row(string type, string id) => $"{Data}/sobjects/{Uri.EscapeDataString(type)}/{Uri.EscapeDataString(id)}";

    static List<SaveResult> Saved(JsonElement json, int count)
    {
        List<SaveResult> results = [];
        foreach (var item in json.EnumerateArray())
        {
            var id = item.TryGetProperty("id", out var value) ? value.GetString() : null;
            var errors = item.TryGetProperty("errors", out var list) ? SalesforceError.Parse(list) : [];
            results.Add(new(id, item.GetProperty("success").GetBoolean(), errors));
        }

        return results.Count == count
            ? results
            : throw new JsonException("a collection with another number of results");
    }

    static byte[] Write(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Json))
            write(json);
        return stream.ToArray();
    }

    static void Members(Utf8JsonWriter json, IReadOnlyDictionary<string, string?> record)
    {
        foreach (var (name, value) in record)
            json.WriteString(name, value);
    }

    static void Names(Utf8JsonWriter json, string member, IReadOnlyList<string> names)
    {
        json.WriteStartArray(member);
        foreach (var name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
    }

    static IEnumerable<string> Values(HttpResponseMessage response, string header) =>
        response.Headers.TryGetValues(header, out var values) ? values : [];

    /// <summary>An answer before it is known what it says.</summary>
    sealed record Raw(byte[] Body, string? ETag, string? RequestId, int Calls)
    {
        public static async Task<Raw> From(
            HttpResponseMessage response,
            int calls,
            CancellationToken cancellationToken
        ) =>
            new(
                await response.Content.ReadAsByteArrayAsync(cancellationToken),
                Values(response, "ETag").FirstOrDefault(),
                Values(response, "X-SFDC-Request-Id").Concat(Values(response, "X-Request-Id")).FirstOrDefault(),
                calls
            );

        public Reply<T> Read<T>(Func<JsonElement, T> read)
        {
            using var json = JsonDocument.Parse(Body);
            try
            {
                return new(read(json.RootElement), RequestId, Calls);
            }
            catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException or FormatException)
            {
                throw new JsonException("an answer of another shape", e);
            }
        }

        /// <summary>
        /// Of a write to one record: success is 204, and empty. Whoever answers anything else, such as a proxy that asks for
        /// a sign-in, has not written; taken for an answer, what is read next would look like a person's edit.
        /// </summary>
        public Reply<bool> Nothing() =>
            Body.Length == 0
                ? new(true, RequestId, Calls)
                : throw new JsonException("an answer where there should be none");

        /// <summary>None where the body is not Salesforce's.</summary>
        public IReadOnlyList<SalesforceError> Errors()
        {
            try
            {
                using var json = JsonDocument.Parse(Body);
                return SalesforceError.Parse(json.RootElement);
            }
            catch (JsonException)
            {
                return [];
            }
        }
    }
}

/// <param name="Calls">That it took.</param>
readonly record struct Reply<T>(T Value, string? RequestId, int Calls)
{
    public Reply<TResult> Select<TResult>(Func<T, TResult> select) => new(select(Value), RequestId, Calls);
}

/// <summary>No call was made: what Sync may use of the org's daily calls is used up.</summary>
sealed class SalesforceBudgetException() : Exception("the daily calls are used up but for the reserve");

/// <summary>No call was made: all turns were taken for too long.</summary>
sealed class SalesforceBusyException(TimeSpan waited)
    : Exception($"no turn for a call within {waited.TotalMilliseconds:0} milliseconds");

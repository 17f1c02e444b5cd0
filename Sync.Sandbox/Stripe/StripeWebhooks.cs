using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Sync.Sandbox.Stripe;

/// <summary>What can be made to go wrong with events, on demand.</summary>
[JsonConverter(typeof(EventFaultKindConverter))]
enum EventFaultKind
{
    /// <summary>Delivered twice.</summary>
    Duplicate,

    /// <summary>Held back until a later event has been delivered.</summary>
    Reorder,

    /// <summary>Delivered after <see cref="EventFaultOrder.DelayMs"/>.</summary>
    Delay,

    /// <summary>Never delivered; the list has it.</summary>
    Lose,

    /// <summary>In the second of the event before, and listed before it.</summary>
    Tie,

    /// <summary>Made in another API version, in which the customer looks otherwise.</summary>
    ForeignVersion,

    /// <summary>Delivered as a thin event, which names the customer and says nothing of it.</summary>
    Thin,

    /// <summary>Without the customer's id, in the list as well.</summary>
    Unreadable,
}

sealed class EventFaultKindConverter()
    : JsonStringEnumConverter<EventFaultKind>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false);

/// <summary>For the next <see cref="Next"/> events, or by chance; for every one when neither is said.</summary>
sealed record EventFaultOrder
{
    public required EventFaultKind Kind { get; init; }
    public int? Next { get; init; }
    public double? Rate { get; init; }
    public int? Seed { get; init; }
    public int DelayMs { get; init; } = 1_000;

    /// <summary>What is wrong with the order; null when nothing is.</summary>
    public string? Problem() =>
        Next is not null && Rate is not null ? "next and rate: only one of them"
        : Next < 1 ? "next: must be 1 or more"
        : Rate is < 0 or > 1 ? "rate: must be 0 to 1"
        : DelayMs is < 0 or > 600_000 ? "delayMs: must be 0 to 600000"
        : null;
}

/// <summary>An endpoint of the account, and the secrets that sign for it.</summary>
sealed class StripeWebhookEndpoint(string id, long created)
{
    public string Id => id;
    public long Created => created;
    public string Url { get; set; } = "";
    public string? ApiVersion { get; init; }
    public string? Description { get; set; }
    public List<string> EnabledEvents { get; set; } = [];
    public bool Disabled { get; set; }
    public SortedDictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>The newest first; an older one signs until its time is over.</summary>
    public List<(string Secret, DateTimeOffset? Until)> Secrets { get; } = [];

    public bool Wants(string type) => !Disabled && (EnabledEvents.Contains("*") || EnabledEvents.Contains(type));

    public JsonObject ToJson(bool withSecret = false)
    {
        var json = new JsonObject
        {
            ["id"] = Id,
            ["object"] = "webhook_endpoint",
            ["api_version"] = ApiVersion,
            ["application"] = null,
            ["created"] = Created,
            ["description"] = Description,
            ["enabled_events"] = new JsonArray([.. EnabledEvents.Select(e => (JsonNode)e)]),
            ["livemode"] = false,
            ["metadata"] = new JsonObject(Metadata.Select(m => KeyValuePair.Create(m.Key, (JsonNode?)m.Value))),
            ["status"] = Disabled ? "disabled" : "enabled",
            ["url"] = Url,
        };
        if (withSecret)
            json["secret"] = Secrets[0].Secret;
        return json;
    }
}

/// <summary>
/// Endpoints and deliveries: each event goes to every endpoint that wants it, signed anew for every attempt, again and again
/// until it is answered 2xx or given up. Where Stripe takes three days for that, this takes a minute.
/// </summary>
sealed partial class StripeWebhooks : IAsyncDisposable
{
    /// <summary>Of Stripe's test mode.</summary>
    public const int MaxEndpoints = 16;

    public const int MaxAttempts = 10;

    /// <summary>Deliveries on their way at once.</summary>
    const int MaxConcurrent = 16;

    /// <summary>Deliveries that wait; more are given up, and counted.</summary>
    const int MaxWaiting = 100_000;

    const int MaxFaults = 100;

    static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(15);
    static readonly TimeSpan OldSecretLives = TimeSpan.FromHours(24);

    readonly Lock _gate = new();
    readonly List<StripeWebhookEndpoint> _endpoints = [];
    readonly List<Fault> _faults = [];
    readonly List<Delivery> _heldBack = [];
    readonly SemaphoreSlim _slots = new(MaxConcurrent);
    readonly CancellationTokenSource _stop = new();
    readonly HashSet<Task> _running = [];
    readonly HttpClient _http;
    readonly StripeEvents _events;
    readonly Func<string, string> _mint;
    readonly int _seed;
    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal)
    {
        ["delivered"] = 0,
        ["failed"] = 0,
        ["givenUp"] = 0,
        ["lost"] = 0,
    };

    public StripeWebhooks(StripeEvents events, Func<string, string> mint, int seed, TimeProvider clock, ILogger log)
    {
        (_events, _mint, _seed, _clock, _log) = (events, mint, seed, clock, log);
        // A redirect is a failure, as with Stripe.
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false })
        {
            Timeout = TimeSpan.FromSeconds(10),
        };
        events.Happened = Happened;
    }

    sealed class Fault(int id, EventFaultOrder order, Random chance)
    {
        public int Id => id;
        public EventFaultOrder Order => order;
        public int? Left { get; set; } = order.Next;
        public Random Chance => chance;
    }

    sealed record Delivery(StripeWebhookEndpoint Endpoint, StripeEvent Event, string Body, TimeSpan After);

    // ---- endpoints ----

    public JsonObject Create(StripeForm.Node parameters)
    {
        // Outside the lock: ids come from the account, whose changes come here under its own.
        var (id, secret) = (_mint("we_"), NewSecret());
        lock (_gate)
        {
            if (_endpoints.Count >= MaxEndpoints)
                throw StripeProblem.Invalid(
                    $"You have reached the maximum of {MaxEndpoints} test webhook endpoints.",
                    null
                );
            var endpoint = new StripeWebhookEndpoint(id, _clock.GetUtcNow().ToUnixTimeSeconds())
            {
                ApiVersion = parameters.Members.GetValueOrDefault("api_version") is { } version
                    ? Version(version)
                    : null,
            };
            Required(parameters, "url");
            Required(parameters, "enabled_events");
            Apply(parameters, endpoint, "api_version", "connect");
            endpoint.Secrets.Add((secret, null));
            _endpoints.Add(endpoint);
            return endpoint.ToJson(withSecret: true);
        }
    }

    public JsonObject Get(string id)
    {
        lock (_gate)
            return Find(id).ToJson();
    }

    public JsonObject Update(string id, StripeForm.Node parameters)
    {
        lock (_gate)
        {
            var endpoint = Find(id);
            Apply(parameters, endpoint, "disabled");
            return endpoint.ToJson();
        }
    }

    /// <summary>What waits for it is given up.</summary>
    public JsonObject Delete(string id)
    {
        lock (_gate)
        {
            var endpoint = Find(id);
            endpoint.Disabled = true;
            _endpoints.Remove(endpoint);
            return new JsonObject
            {
                ["id"] = id,
                ["object"] = "webhook_endpoint",
                ["deleted"] = true,
            };
        }
    }

    public JsonObject List(StripeForm.Node query)
    {
        var (limit, after, before) = StripeAccount.Page(query);
        if (before is not null)
            throw StripeProblem.NotPlayed("ending_before of webhook endpoints");
        lock (_gate)
        {
            var newestFirst = Enumerable.Reverse(_endpoints).ToList();
            var skip = after is null ? 0 : newestFirst.IndexOf(Find(after)) + 1;
            return StripeAccount.ListOf(
                "/v1/webhook_endpoints",
                newestFirst.Skip(skip).Take(limit).Select(e => e.ToJson()),
                newestFirst.Count > skip + limit
            );
        }
    }

    /// <summary>As the Dashboard does: a new secret, while the old one signs as well for a day.</summary>
    public JsonObject Roll(string id)
    {
        var secret = NewSecret();
        lock (_gate)
        {
            var endpoint = Find(id);
            endpoint.Secrets[0] = (endpoint.Secrets[0].Secret, _clock.GetUtcNow() + OldSecretLives);
            endpoint.Secrets.Insert(0, (secret, null));
            return endpoint.ToJson(withSecret: true);
        }
    }

    /// <summary>Makes a secret that somebody has already the endpoint's own: what a test's adapter was started with.</summary>
    public void Know(string id, string secret)
    {
        lock (_gate)
            Find(id).Secrets[0] = (secret, null);
    }

    StripeWebhookEndpoint Find(string id) =>
        _endpoints.Find(e => e.Id == id)
        ?? throw new StripeProblem(
            404,
            "invalid_request_error",
            "resource_missing",
            $"No such webhook endpoint: '{id}'",
            "id"
        );

    static void Required(StripeForm.Node parameters, string name)
    {
        if (!parameters.Members.ContainsKey(name))
            throw StripeProblem.Invalid($"Missing required param: {name}.", name, "parameter_missing");
    }

    static string Version(StripeForm.Node node) =>
        VersionShape().IsMatch(node.Text ?? "")
            ? node.Text!
            : throw StripeProblem.Invalid($"Invalid Stripe API version: {node.Text}", node.Name);

    static void Apply(StripeForm.Node parameters, StripeWebhookEndpoint endpoint, params string[] also)
    {
        var changes = new List<Action>();
        foreach (var (name, node) in parameters.Members)
        {
            changes.Add(
                name switch
                {
                    "url" => Set(Url(node), v => endpoint.Url = v),
                    "description" => Set(
                        CustomerParameters.Text(node, 5_000),
                        v => endpoint.Description = v.Length == 0 ? null : v
                    ),
                    "enabled_events" => Set(Events(node), v => endpoint.EnabledEvents = v),
                    "metadata" => Metadata(node, endpoint),
                    "disabled" when also.Contains(name) => Set(Truth(node), v => endpoint.Disabled = v),
                    "api_version" when also.Contains(name) => static () => { },
                    "connect" when also.Contains(name) => Truth(node)
                        ? throw StripeProblem.NotPlayed("connect")
                        : static () => { },
                    "expand" => CustomerParameters.Expand(node),
                    _ => throw StripeProblem.Unknown(name),
                }
            );
        }

        changes.ForEach(change => change());

        static Action Set<T>(T value, Action<T> set) => () => set(value);
    }

    static string Url(StripeForm.Node node) =>
        Uri.TryCreate(CustomerParameters.Text(node, 5_000), UriKind.Absolute, out var url)
        && url.Scheme is "http" or "https"
            ? node.Text!
            : throw StripeProblem.Invalid("Invalid URL: must start with http:// or https://", node.Name, "url_invalid");

    static List<string> Events(StripeForm.Node node)
    {
        if (node.IsText || node.Members.Count == 0)
            throw StripeProblem.Invalid("Invalid array: enabled_events", node.Name);
        var events = node.Members.Values.Select(e => CustomerParameters.Text(e, 100)).ToList();
        return events.Find(e => e != "*" && !EventShape().IsMatch(e)) is { } unknown
            ? throw StripeProblem.Invalid($"Invalid enabled_events: {unknown} is not an event type", node.Name)
            : events;
    }

    static Action Metadata(StripeForm.Node node, StripeWebhookEndpoint endpoint)
    {
        if (node.IsText)
            return node.Text!.Length == 0
                ? endpoint.Metadata.Clear
                : throw StripeProblem.Invalid("Invalid object", node.Name);
        var values = node
            .Members.Select(m => (m.Key, Value: CustomerParameters.Text(m.Value, CustomerParameters.MaxMetadataValue)))
            .ToList();
        return () =>
        {
            foreach (var (key, value) in values)
            {
                if (value.Length == 0)
                    endpoint.Metadata.Remove(key);
                else
                    endpoint.Metadata[key] = value;
            }
        };
    }

    static bool Truth(StripeForm.Node node) =>
        node.Text switch
        {
            "true" => true,
            "false" => false,
            _ => throw StripeProblem.Invalid($"Invalid boolean: {node.Text}", node.Name),
        };

    string NewSecret() => _mint("whsec_") + _mint("");

    // ---- faults ----

    public int AddFault(EventFaultOrder order)
    {
        if (order.Problem() is { } problem)
            throw new FormatException(problem);
        lock (_gate)
        {
            if (_faults.Count >= MaxFaults)
                throw new FormatException($"{MaxFaults} event faults are on; take some back first");
            var id = _faults.Count == 0 ? 1 : _faults[^1].Id + 1;
            _faults.Add(new Fault(id, order, new Random(order.Seed ?? _seed)));
            return id;
        }
    }

    /// <summary>Takes all back, and lets go what was held back.</summary>
    public void ClearFaults()
    {
        lock (_gate)
        {
            _faults.Clear();
            LetGo();
        }
    }

    public JsonObject State()
    {
        lock (_gate)
            return new JsonObject
            {
                ["deliveries"] = new JsonObject(_counts.Select(c => KeyValuePair.Create(c.Key, (JsonNode?)c.Value))),
                ["onTheWay"] = _running.Count,
                ["heldBack"] = _heldBack.Count,
                ["faults"] = new JsonArray([
                    .. _faults.Select(f =>
                        (JsonNode)
                            new JsonObject
                            {
                                ["id"] = f.Id,
                                ["kind"] = JsonSerializer.SerializeToNode(f.Order.Kind),
                                ["left"] = f.Left,
                            }
                    ),
                ]),
            };
    }

    /// <summary>Whether one of the faults of these kinds hits the event that is being made; it is used up by that.</summary>
    public bool Picks(EventFaultKind kind) => Pick(kind) is not null;

    EventFaultOrder? Pick(EventFaultKind kind)
    {
        lock (_gate)
        {
            foreach (var fault in _faults)
            {
                if (fault.Order.Kind != kind || (fault.Order.Rate is { } rate && fault.Chance.NextDouble() >= rate))
                    continue;
                if (fault.Left is not null && --fault.Left == 0)
                    _faults.Remove(fault);
                return fault.Order;
            }
        }

        return null;
    }

    // ---- deliveries ----

    void Happened(StripeEvent happened)
    {
        lock (_gate)
        {
            if (_endpoints.Count == 0)
                return;
            if (Picks(EventFaultKind.Lose))
            {
                _counts["lost"]++;
                return;
            }

            var thin = Picks(EventFaultKind.Thin);
            var times = Picks(EventFaultKind.Duplicate) ? 2 : 1;
            var delay = Pick(EventFaultKind.Delay) is { } late
                ? TimeSpan.FromMilliseconds(late.DelayMs)
                : TimeSpan.Zero;
            var holds = Picks(EventFaultKind.Reorder);
            foreach (var endpoint in _endpoints.Where(e => e.Wants(happened.Type)))
            {
                // In the endpoint's own version, but for an event that was made in another.
                var version =
                    (string?)happened.Json["api_version"] == StripeEvents.ForeignVersion ? null : endpoint.ApiVersion;
                var delivery = new Delivery(
                    endpoint,
                    happened,
                    thin ? happened.Thin() : happened.Rendered(version),
                    delay
                );
                if (holds)
                {
                    _heldBack.Add(delivery);
                    continue;
                }

                for (var i = 0; i < times; i++)
                    Begin(delivery);
            }
        }
    }

    void LetGo()
    {
        foreach (var delivery in _heldBack)
            Begin(delivery);
        _heldBack.Clear();
    }

    void Begin(Delivery delivery)
    {
        if (_running.Count >= MaxWaiting)
        {
            _counts["givenUp"]++;
            return;
        }

        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _running.Add(done.Task);
        _ = Task.Run(async () =>
        {
            try
            {
                await Deliver(delivery);
            }
            catch (OperationCanceledException)
            {
                // The sandbox stops.
            }
            finally
            {
                lock (_gate)
                    _running.Remove(done.Task);
                done.SetResult();
            }
        });
    }

    async Task Deliver(Delivery delivery)
    {
        if (delivery.After > TimeSpan.Zero)
            await Task.Delay(delivery.After, _clock, _stop.Token);
        var wait = FirstRetry;
        for (var attempt = 1; ; attempt++)
        {
            if (delivery.Endpoint.Disabled)
            {
                Count("givenUp");
                return;
            }

            if (await Attempt(delivery))
            {
                lock (_gate)
                {
                    _counts["delivered"]++;
                    LetGo();
                }

                return;
            }

            Count("failed");
            if (attempt == MaxAttempts)
            {
                Count("givenUp");
                _log.WebhookGivenUp(delivery.Event.Id, delivery.Endpoint.Id);
                return;
            }

            await Task.Delay(wait, _clock, _stop.Token);
            wait = wait * 2 < LongestRetry ? wait * 2 : LongestRetry;
        }
    }

    async Task<bool> Attempt(Delivery delivery)
    {
        await _slots.WaitAsync(_stop.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, delivery.Endpoint.Url);
            var body = Encoding.UTF8.GetBytes(delivery.Body);
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json") { CharSet = "utf-8" };
            request.Headers.TryAddWithoutValidation("Stripe-Signature", Sign(delivery.Endpoint, body));
            request.Headers.TryAddWithoutValidation("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)");
            using var response = await _http.SendAsync(request, _stop.Token);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !_stop.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>The header for a body now: one signature for each secret that is alive.</summary>
    public string Sign(StripeWebhookEndpoint endpoint, byte[] body)
    {
        var now = _clock.GetUtcNow();
        List<string> secrets;
        lock (_gate)
            secrets = [.. endpoint.Secrets.Where(s => s.Until is null || s.Until > now).Select(s => s.Secret)];
        var time = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes(time + "."), .. body];
        return $"t={time},"
            + string.Join(
                ',',
                secrets.Select(s =>
                    $"v1={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(s), signed))}"
                )
            );
    }

    void Count(string what)
    {
        lock (_gate)
            _counts[what]++;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Task[] running;
        lock (_gate)
            running = [.. _running];
        await Task.WhenAll(running);
        _http.Dispose();
        _slots.Dispose();
        _stop.Dispose();
    }

    [GeneratedRegex(
        @"^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][a-z]+)?$",
        RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking
    )]
    private static partial Regex VersionShape();

    [GeneratedRegex(@"^[a-z0-9_]+([.][a-z0-9_]+)+$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex EventShape();
}

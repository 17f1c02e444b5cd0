using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Stripe;

/// <summary>The request that changed something; a change by hand in the Dashboard has no request id.</summary>
sealed record StripeCause(string? RequestId, string? IdempotencyKey);

/// <summary>One event, as it stands in the list and is delivered.</summary>
sealed record StripeEvent(string Id, string Type, string CustomerId, long Created, JsonObject Json)
{
    /// <summary>As a string, so that whoever gets it cannot change it.</summary>
    public string Rendered(string? apiVersion)
    {
        var copy = Json.DeepClone().AsObject();
        if (apiVersion is not null)
            copy["api_version"] = apiVersion;
        return copy.ToJsonString(Plain);
    }

    /// <summary>As it is delivered to whoever wants no snapshots: which object, and nothing of it.</summary>
    public string Thin() =>
        new JsonObject
        {
            ["id"] = Id,
            ["object"] = "v2.core.event",
            ["context"] = null,
            ["created"] = DateTimeOffset
                .FromUnixTimeSeconds(Created)
                .ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
            ["livemode"] = false,
            ["related_object"] = new JsonObject
            {
                ["id"] = CustomerId,
                ["type"] = "customer",
                ["url"] = $"/v1/customers/{CustomerId}",
            },
            ["type"] = $"v1.{Type}",
        }.ToJsonString(Plain);

    static readonly System.Text.Json.JsonSerializerOptions Plain = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}

/// <summary>The events of one account: kept for 30 days by its clock, in the order of their seconds.</summary>
sealed class StripeEvents(TimeProvider clock)
{
    /// <summary>The account's default, and that of Stripe's own client.</summary>
    public const string ApiVersion = "2026-10-28.endive";

    /// <summary>As the account had it before releases had names; customers looked otherwise then.</summary>
    public const string ForeignVersion = "2022-11-15";

    /// <summary>The sandbox forgets older ones early, which a test of 30 days does not notice.</summary>
    public const int MaxEvents = 200_000;

    public static readonly TimeSpan Kept = TimeSpan.FromDays(30);

    const int MaxTypes = 20;

    readonly Lock _gate = new();
    readonly List<StripeEvent> _events = [];

    /// <summary>Called for every event, in order; it must not wait.</summary>
    public Action<StripeEvent>? Happened { get; set; }

    /// <summary>Makes the event of a change; none when nothing changed.</summary>
    /// <param name="before">Null for a create.</param>
    /// <param name="after">Null for a deletion, whose event carries the last object.</param>
    /// <param name="tie">In the second of the event before, and listed before it: seconds do not order events.</param>
    public void Add(
        string id,
        JsonObject? before,
        JsonObject? after,
        StripeCause cause,
        bool tie,
        bool foreign,
        bool unreadable
    )
    {
        var previous = before is not null && after is not null ? Previous(before, after) : null;
        if (previous is { Count: 0 })
            return;
        var type =
            before is null ? "customer.created"
            : after is null ? "customer.deleted"
            : "customer.updated";
        var snapshot = (after ?? before)!.DeepClone().AsObject();
        var customerId = (string)snapshot["id"]!;
        if (unreadable)
            snapshot.Remove("id");
        if (foreign)
        {
            // What another version calls otherwise is simply not there.
            snapshot.Remove("email");
            snapshot.Remove("metadata");
        }

        var data = new JsonObject { ["object"] = snapshot };
        if (previous is not null)
            data["previous_attributes"] = previous;
        lock (_gate)
        {
            var created = clock.GetUtcNow().ToUnixTimeSeconds();
            var at = _events.Count;
            if (tie && at > 0)
            {
                at--;
                created = _events[at].Created;
            }

            StripeEvent made = new(
                id,
                type,
                customerId,
                created,
                new JsonObject
                {
                    ["id"] = id,
                    ["object"] = "event",
                    ["api_version"] = foreign ? ForeignVersion : ApiVersion,
                    ["created"] = created,
                    ["data"] = data,
                    ["livemode"] = false,
                    ["pending_webhooks"] = 0,
                    ["request"] = new JsonObject
                    {
                        ["id"] = cause.RequestId,
                        ["idempotency_key"] = cause.IdempotencyKey,
                    },
                    ["type"] = type,
                }
            );
            _events.Insert(at, made);
            Prune();
            Happened?.Invoke(made);
        }
    }

    public JsonObject Get(string id)
    {
        lock (_gate)
        {
            Prune();
            return _events.Find(e => e.Id == id)?.Json.DeepClone().AsObject() ?? throw NoSuchEvent(id, inPath: true);
        }
    }

    /// <summary>The newest first.</summary>
    public JsonObject List(StripeForm.Node query)
    {
        var (limit, after, before) = StripeAccount.Page(query);
        var isCreated = StripeAccount.Created(query.Members.GetValueOrDefault("created"));
        if (query.Members.ContainsKey("delivery_success"))
            throw StripeProblem.NotPlayed("delivery_success");
        var types = Types(query);
        lock (_gate)
        {
            Prune();
            var matching = (StripeEvent e) => isCreated(e.Created) && (types is null || types.Contains(e.Type));
            List<StripeEvent> page;
            if (before is not null)
            {
                page = [.. _events.Skip(Index(before, "ending_before") + 1).Where(matching).Take(limit + 1)];
            }
            else
            {
                var end = after is null ? _events.Count : Index(after, "starting_after");
                page = [.. Enumerable.Range(1, end).Select(i => _events[end - i]).Where(matching).Take(limit + 1)];
            }

            var more = page.Count > limit;
            if (more)
                page.RemoveAt(limit);
            if (before is not null)
                page.Reverse();
            return StripeAccount.ListOf("/v1/events", page.Select(e => e.Json.DeepClone().AsObject()), more);
        }
    }

    static HashSet<string>? Types(StripeForm.Node query)
    {
        var type = query.Members.GetValueOrDefault("type");
        var types = query.Members.GetValueOrDefault("types");
        if (type is not null && types is not null)
            throw StripeProblem.Invalid(
                "You may only specify one of these parameters: type, types.",
                "types",
                "parameters_exclusive"
            );
        if (type is not null)
            return [CustomerParameters.Text(type, 5_000)];
        if (types is null)
            return null;
        if (types.IsText || types.Members.Count is 0 or > MaxTypes)
            throw StripeProblem.Invalid($"Invalid array: types must have 1 to {MaxTypes} items", "types");
        return [.. types.Members.Values.Select(t => CustomerParameters.Text(t, 5_000))];
    }

    int Index(string id, string param)
    {
        var index = _events.FindLastIndex(e => e.Id == id);
        return index >= 0 ? index : throw NoSuchEvent(id, inPath: false, param);
    }

    void Prune()
    {
        var oldest = (clock.GetUtcNow() - Kept).ToUnixTimeSeconds();
        var count = _events.FindIndex(e => e.Created >= oldest);
        count = Math.Max(count < 0 ? _events.Count : count, _events.Count - MaxEvents);
        if (count > 0)
            _events.RemoveRange(0, count);
    }

    static StripeProblem NoSuchEvent(string id, bool inPath, string param = "id") =>
        new(inPath ? 404 : 400, "invalid_request_error", "resource_missing", $"No such event: '{id}'", param);

    /// <summary>What changed members held before: of a hash, the changed ones of its members only.</summary>
    static JsonObject Previous(JsonObject before, JsonObject after)
    {
        var previous = new JsonObject();
        foreach (var name in before.Select(m => m.Key).Union(after.Select(m => m.Key)).ToList())
        {
            var (old, now) = (before[name], after[name]);
            if (JsonNode.DeepEquals(old, now))
                continue;
            previous[name] =
                old is JsonObject oldHash && now is JsonObject nowHash ? Previous(oldHash, nowHash) : old?.DeepClone();
        }

        return previous;
    }
}

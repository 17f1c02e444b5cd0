using System.Globalization;
using System.Text.Json.Nodes;

namespace Sync.Sandbox.Stripe;

/// <summary>Everything that one Stripe account holds, in memory.</summary>
sealed class StripeAccount : IAsyncDisposable
{
    public const int MaxCustomers = 500_000;

    const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    readonly Lock _gate = new();
    readonly Random _chance;
    readonly TimeSpan _searchLag;
    readonly TimeProvider _clock;
    readonly Dictionary<string, StripeCustomer> _byId = new(StringComparer.Ordinal);
    readonly List<StripeCustomer> _inOrder = [];
    readonly Dictionary<string, StripeSubscription> _subscriptions = new(StringComparer.Ordinal);

    public StripeAccount(int seed, TimeSpan searchLag, TimeProvider clock, ILogger log)
    {
        (_chance, _searchLag, _clock) = (new Random(seed), searchLag, clock);
        Events = new StripeEvents(clock);
        Webhooks = new StripeWebhooks(Events, NewId, seed, clock, log);
    }

    public StripeEvents Events { get; }

    public StripeWebhooks Webhooks { get; }

    /// <summary>Told of every customer as a write has left it, in that moment and under the account's lock.</summary>
    public Action<JsonObject>? Written { get; set; }

    public string NewId(string prefix)
    {
        lock (_gate)
            return Mint(prefix);
    }

    /// <param name="cause">The request; without one it is a change by hand.</param>
    public JsonObject Create(StripeForm.Node parameters, StripeCause? cause = null)
    {
        lock (_gate)
        {
            if (_inOrder.Count >= MaxCustomers)
                throw new StripeProblem(400, "api_error", null, $"The sandbox keeps at most {MaxCustomers} customers");
            var customer = new StripeCustomer(
                Mint("cus_"),
                _clock.GetUtcNow().ToUnixTimeSeconds(),
                _inOrder.Count,
                new string(_chance.GetItems<char>("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 8))
            );
            CustomerParameters.Check(parameters, customer)();
            customer.Changed = _clock.GetUtcNow();
            _byId[customer.Id] = customer;
            _inOrder.Add(customer);
            Tell(null, customer.ToJson(), cause);
            return customer.ToJson();
        }
    }

    /// <summary>A deleted customer answers with its stub.</summary>
    public JsonObject Get(string id)
    {
        lock (_gate)
            return (_byId.GetValueOrDefault(id) ?? throw StripeProblem.NoSuchCustomer(id, "id", inPath: true)).ToJson();
    }

    public JsonObject Update(string id, StripeForm.Node parameters, StripeCause? cause = null)
    {
        lock (_gate)
        {
            var customer = Live(id);
            var before = customer.ToJson();
            CustomerParameters.Check(parameters, customer)();
            customer.Changed = _clock.GetUtcNow();
            Tell(before, customer.ToJson(), cause);
            return customer.ToJson();
        }
    }

    public JsonObject Delete(string id, StripeCause? cause = null)
    {
        lock (_gate)
        {
            var customer = Live(id);
            var before = customer.ToJson();
            customer.Erase();
            Tell(before, null, cause);
            return customer.ToJson();
        }
    }

    /// <summary>Live customers, the newest first.</summary>
    public JsonObject List(StripeForm.Node query)
    {
        var (limit, after, before) = Page(query);
        var isCreated = Created(query.Members.GetValueOrDefault("created"));
        var email = query.Members.GetValueOrDefault("email") is { } e ? CustomerParameters.Text(e, 512) : null;
        lock (_gate)
        {
            var matching = (StripeCustomer c) =>
                !c.Deleted && isCreated(c.Created) && (email is null || c.Email == email);
            List<StripeCustomer> page;
            if (before is not null)
            {
                page = [.. _inOrder.Skip(Cursor(before, "ending_before") + 1).Where(matching).Take(limit + 1)];
            }
            else
            {
                var end = after is null ? _inOrder.Count : Cursor(after, "starting_after");
                page = [.. Enumerable.Range(1, end).Select(i => _inOrder[end - i]).Where(matching).Take(limit + 1)];
            }

            var more = page.Count > limit;
            if (more)
                page.RemoveAt(limit);
            if (before is not null)
                page.Reverse();
            return ListOf("/v1/customers", page.Select(c => c.ToJson()), more);
        }
    }

    /// <summary>Live customers that a query finds, the newest first; what changed within the lag is not found yet.</summary>
    public JsonObject Search(StripeForm.Node query)
    {
        var (limit, _, _) = Page(query);
        if (query.Members.GetValueOrDefault("query") is not { Text.Length: > 0 } text)
            throw StripeProblem.Invalid("Missing required param: query.", "query", "parameter_missing");
        var matches = CustomerSearch.Parse(text.Text);
        var skip = 0;
        if (
            query.Members.GetValueOrDefault("page") is { } page
            && !int.TryParse(page.Text, NumberStyles.None, CultureInfo.InvariantCulture, out skip)
        )
            throw StripeProblem.Invalid("Invalid page: use next_page of the page before", "page");
        lock (_gate)
        {
            var indexed = _clock.GetUtcNow() - _searchLag;
            var found = Enumerable
                .Range(1, _inOrder.Count)
                .Select(i => _inOrder[^i])
                .Where(customer => !customer.Deleted && customer.Changed <= indexed && matches(customer))
                .Skip(skip)
                .Take(limit + 1)
                .ToList();
            var more = found.Count > limit;
            return new JsonObject
            {
                ["object"] = "search_result",
                ["data"] = new JsonArray([.. found.Take(limit).Select(customer => customer.ToJson())]),
                ["has_more"] = more,
                ["next_page"] = more ? (skip + limit).ToString(CultureInfo.InvariantCulture) : null,
                ["url"] = "/v1/customers/search",
            };
        }
    }

    /// <summary>Subscriptions of one customer; without a status those that are not canceled.</summary>
    public JsonObject Subscriptions(StripeForm.Node query)
    {
        var (limit, after, before) = Page(query);
        if (after is not null || before is not null)
            throw StripeProblem.NotPlayed("starting_after and ending_before of subscriptions");
        var status = query.Members.GetValueOrDefault("status") is { } s ? CustomerParameters.Text(s, 5_000) : null;
        if (status is not (null or "all" or "ended") && !StripeSubscription.Statuses.Contains(status))
            throw StripeProblem.Invalid(
                "Invalid status: must be one of all, ended, or a subscription's status",
                "status"
            );
        if (query.Members.GetValueOrDefault("customer")?.Text is not { Length: > 0 } id)
            throw StripeProblem.NotPlayed("subscriptions of all customers");
        lock (_gate)
        {
            var customer =
                _byId.GetValueOrDefault(id) ?? throw StripeProblem.NoSuchCustomer(id, "customer", inPath: false);
            var matching = customer
                .Subscriptions.Where(subscription =>
                    status switch
                    {
                        null => subscription.Status != "canceled",
                        "all" => true,
                        "ended" => subscription.Status is "canceled" or "incomplete_expired",
                        _ => subscription.Status == status,
                    }
                )
                .Reverse()
                .ToList();
            return ListOf("/v1/subscriptions", matching.Take(limit).Select(m => m.ToJson()), matching.Count > limit);
        }
    }

    /// <summary>Gives a customer a subscription, as a sale would.</summary>
    public JsonObject Subscribe(string customerId, string status)
    {
        if (!StripeSubscription.Statuses.Contains(status))
            throw StripeProblem.Invalid(
                $"status: must be one of {string.Join(", ", StripeSubscription.Statuses)}",
                "status"
            );
        lock (_gate)
        {
            var customer = Live(customerId);
            var subscription = new StripeSubscription(Mint("sub_"), customerId, _clock.GetUtcNow().ToUnixTimeSeconds())
            {
                Status = status,
            };
            customer.Subscriptions.Add(subscription);
            _subscriptions[subscription.Id] = subscription;
            return subscription.ToJson();
        }
    }

    public JsonObject Unsubscribe(string subscriptionId)
    {
        lock (_gate)
        {
            var subscription =
                _subscriptions.GetValueOrDefault(subscriptionId)
                ?? throw new StripeProblem(
                    404,
                    "invalid_request_error",
                    "resource_missing",
                    $"No such subscription: '{subscriptionId}'",
                    "id"
                );
            subscription.Status = "canceled";
            return subscription.ToJson();
        }
    }

    /// <summary>Everything as it stands, deleted ones as stubs, in the order of creation.</summary>
    public JsonArray All()
    {
        lock (_gate)
            return new JsonArray([.. _inOrder.Select(customer => customer.ToJson())]);
    }

    /// <summary>Live customers, the newest first. What is found may change when this has answered.</summary>
    public IReadOnlyList<StripeCustomer> Find(Func<StripeCustomer, bool> where, int limit)
    {
        lock (_gate)
            return [.. Enumerable.Reverse(_inOrder).Where(c => !c.Deleted && where(c)).Take(limit)];
    }

    StripeCustomer Live(string id) =>
        _byId.GetValueOrDefault(id) is { Deleted: false } customer
            ? customer
            : throw StripeProblem.NoSuchCustomer(id, "id", inPath: true);

    int Cursor(string id, string param) =>
        (_byId.GetValueOrDefault(id) ?? throw StripeProblem.NoSuchCustomer(id, param, inPath: false)).Index;

    internal static (int Limit, string? After, string? Before) Page(StripeForm.Node query)
    {
        var limit = 10;
        if (query.Members.GetValueOrDefault("limit") is { } wanted)
        {
            if (!int.TryParse(wanted.Text, NumberStyles.None, CultureInfo.InvariantCulture, out limit))
                throw StripeProblem.Invalid("Invalid integer: limit", "limit", "parameter_invalid_integer");
            if (limit is < 1 or > 100)
                throw StripeProblem.Invalid(
                    "Invalid limit: must be between 1 and 100",
                    "limit",
                    "parameter_invalid_integer"
                );
        }

        var after = query.Members.GetValueOrDefault("starting_after")?.Text;
        var before = query.Members.GetValueOrDefault("ending_before")?.Text;
        return after is null || before is null
            ? (limit, after, before)
            : throw StripeProblem.Invalid(
                "You may only specify one of these parameters: starting_after, ending_before.",
                "starting_after",
                "parameters_exclusive"
            );
    }

    internal static Func<long, bool> Created(StripeForm.Node? node)
    {
        if (node is null)
            return static _ => true;
        if (node.IsText)
        {
            var exact = Second(node);
            return created => created == exact;
        }

        var tests = new List<Func<long, bool>>();
        foreach (var (name, member) in node.Members)
        {
            var second = Second(member);
            tests.Add(
                name switch
                {
                    "gt" => created => created > second,
                    "gte" => created => created >= second,
                    "lt" => created => created < second,
                    "lte" => created => created <= second,
                    _ => throw StripeProblem.Unknown(member.Name),
                }
            );
        }

        return created => tests.TrueForAll(test => test(created));
    }

    static long Second(StripeForm.Node node) =>
        long.TryParse(node.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var second)
            ? second
            : throw StripeProblem.Invalid($"Invalid integer: {node.Name}", node.Name, "parameter_invalid_integer");

    internal static JsonObject ListOf(string url, IEnumerable<JsonObject> items, bool more) =>
        new()
        {
            ["object"] = "list",
            ["data"] = new JsonArray([.. items]),
            ["has_more"] = more,
            ["url"] = url,
        };

    /// <summary>The event of a change, which has happened in the same moment.</summary>
    void Tell(JsonObject? before, JsonObject? after, StripeCause? cause)
    {
        if (after is not null)
            Written?.Invoke(after);
        Events.Add(
            Mint("evt_"),
            before,
            after,
            // The Dashboard's changes have no request, but a key of their own.
            cause ?? new(null, $"{Mint("")}-dashboard"),
            Webhooks.Picks(EventFaultKind.Tie),
            Webhooks.Picks(EventFaultKind.ForeignVersion),
            Webhooks.Picks(EventFaultKind.Unreadable)
        );
    }

    public ValueTask DisposeAsync() => Webhooks.DisposeAsync();

    string Mint(string prefix) => prefix + new string(_chance.GetItems<char>(Letters, 14));
}

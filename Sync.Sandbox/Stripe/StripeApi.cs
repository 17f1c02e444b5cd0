using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Stripe;

/// <summary>Stripe's HTTP API, as far as a customer's sync needs it, and as strict.</summary>
sealed class StripeApi(
    StripeAccount account,
    StripeKeys keys,
    StripeRates rates,
    string apiKey,
    FaultBook faults,
    CallBook calls,
    ILogger log
) : IVendorVoice
{
    public const string Vendor = "stripe";
    public const int MaxBodyBytes = 1024 * 1024;

    public static readonly IReadOnlyList<string> Operations =
    [
        "customers.create",
        "customers.retrieve",
        "customers.update",
        "customers.delete",
        "customers.list",
        "customers.search",
        "subscriptions.list",
        "events.list",
        "events.retrieve",
        "webhook_endpoints.create",
        "webhook_endpoints.retrieve",
        "webhook_endpoints.update",
        "webhook_endpoints.delete",
        "webhook_endpoints.list",
    ];

    static readonly string[] EventListParameters =
    [
        "created",
        "delivery_success",
        "ending_before",
        "limit",
        "starting_after",
        "type",
        "types",
    ];

    static readonly string[] ListParameters =
    [
        "created",
        "email",
        "ending_before",
        "expand",
        "limit",
        "starting_after",
    ];

    VendorDoor? _door;

    public Task Handle(HttpContext http)
    {
        var door = _door ??= new VendorDoor(Vendor, faults, calls, this, log);
        var segments = RawPath.Segments(http) ?? [];
        (string, Func<StripeForm, StripeCause, System.Text.Json.Nodes.JsonObject>)? route = (
            http.Request.Method,
            segments
        ) switch
        {
            ("POST", ["v1", "customers"]) => ("customers.create", (form, cause) => account.Create(form.Root, cause)),
            ("GET", ["v1", "customers"]) => (
                "customers.list",
                (query, _) => account.List(Only(query.Root, ListParameters))
            ),
            ("GET", ["v1", "customers", "search"]) => (
                "customers.search",
                (query, _) => account.Search(Only(query.Root, ["expand", "limit", "page", "query"]))
            ),
            ("GET", ["v1", "customers", var id]) => (
                "customers.retrieve",
                (query, _) =>
                {
                    if (Only(query.Root, ["expand"]).Members.GetValueOrDefault("expand") is { } expand)
                        CustomerParameters.Expand(expand);
                    return account.Get(id);
                }
            ),
            ("POST", ["v1", "customers", var id]) => (
                "customers.update",
                (form, cause) => account.Update(id, form.Root, cause)
            ),
            ("DELETE", ["v1", "customers", var id]) => (
                "customers.delete",
                (query, cause) =>
                {
                    Only(query.Root, []);
                    return account.Delete(id, cause);
                }
            ),
            ("GET", ["v1", "subscriptions"]) => (
                "subscriptions.list",
                (query, _) =>
                    account.Subscriptions(
                        Only(query.Root, ["customer", "ending_before", "expand", "limit", "starting_after", "status"])
                    )
            ),
            ("GET", ["v1", "events"]) => (
                "events.list",
                (query, _) => account.Events.List(Only(query.Root, EventListParameters))
            ),
            ("GET", ["v1", "events", var id]) => (
                "events.retrieve",
                (query, _) =>
                {
                    Only(query.Root, []);
                    return account.Events.Get(id);
                }
            ),
            ("POST", ["v1", "webhook_endpoints"]) => (
                "webhook_endpoints.create",
                (form, _) => account.Webhooks.Create(form.Root)
            ),
            ("GET", ["v1", "webhook_endpoints"]) => (
                "webhook_endpoints.list",
                (query, _) =>
                    account.Webhooks.List(Only(query.Root, ["ending_before", "expand", "limit", "starting_after"]))
            ),
            ("GET", ["v1", "webhook_endpoints", var id]) => (
                "webhook_endpoints.retrieve",
                (query, _) =>
                {
                    Only(query.Root, []);
                    return account.Webhooks.Get(id);
                }
            ),
            ("POST", ["v1", "webhook_endpoints", var id]) => (
                "webhook_endpoints.update",
                (form, _) => account.Webhooks.Update(id, form.Root)
            ),
            ("DELETE", ["v1", "webhook_endpoints", var id]) => (
                "webhook_endpoints.delete",
                (query, _) =>
                {
                    Only(query.Root, []);
                    return account.Webhooks.Delete(id);
                }
            ),
            _ => null,
        };
        return route is var (operation, run)
            ? door.Serve(http, operation, disturbance => Execute(http, operation, run, disturbance))
            : door.Serve(http, "unknown", _ => Execute(http, "unknown", null, Disturbance.None));
    }

    public Answer RateLimited(string operation, bool header) =>
        Identified(Limited(header ? "endpoint-rate" : null), account.NewId("req_"));

    public Answer Broken() => Identified(Failure(500), account.NewId("req_"));

    public Answer Unavailable() => Identified(Failure(503), account.NewId("req_"));

    public Answer WrongCredentials(string operation) =>
        Identified(Unauthorised("sk_test_revoked"), account.NewId("req_"));

    async Task<Answer> Execute(
        HttpContext http,
        string operation,
        Func<StripeForm, StripeCause, System.Text.Json.Nodes.JsonObject>? run,
        Disturbance disturbance
    )
    {
        var requestId = account.NewId("req_");
        Answer answer;
        try
        {
            answer =
                Refused(http, operation, run is not null)
                ?? (disturbance.Lock ? Locked() : await Run(http, run!, requestId, disturbance));
        }
        catch (StripeProblem problem)
        {
            answer = problem.ToAnswer();
        }

        return Identified(answer, requestId);
    }

    Answer? Refused(HttpContext http, string operation, bool known)
    {
        var (given, problem) = Key(http);
        if (problem is not null)
            return problem;
        if (given != apiKey)
            return Unauthorised(given!);
        if (!known)
        {
            return new StripeProblem(
                404,
                "invalid_request_error",
                null,
                $"Unrecognized request URL ({http.Request.Method}: {http.Request.Path}). Please see "
                    + "https://stripe.com/docs or we can help at https://support.stripe.com/."
            ).ToAnswer();
        }

        // Before the idempotency layer, so that the same key stays usable.
        return rates.Take(operation) is { } reason ? Limited(reason) : null;
    }

    async Task<Answer> Run(
        HttpContext http,
        Func<StripeForm, StripeCause, System.Text.Json.Nodes.JsonObject> run,
        string requestId,
        Disturbance disturbance
    )
    {
        if (http.Request.Method != "POST")
        {
            var query = StripeForm.Parse(http.Request.QueryString.Value?.TrimStart('?') ?? "");
            await disturbance.Before();
            var read = Answer.Json(200, run(query, new(requestId, null)));
            return disturbance.Break ? Failure(500) : read;
        }

        var form = StripeForm.Parse(await ReadForm(http));
        var key = http.Request.Headers["Idempotency-Key"].ToString();
        if (key.Length > StripeKeys.MaxLength)
        {
            throw StripeProblem.Invalid(
                $"Idempotency keys can be up to {StripeKeys.MaxLength} characters long",
                "Idempotency-Key"
            );
        }

        if (key.Length == 0)
            return await Once();

        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (keys.Begin(key, $"{target} {form.Fingerprint}", requestId, out var entry) is { } kept)
            return kept.With("Idempotency-Key", key);

        try
        {
            var answer = await Once();
            // The request id belongs to this answer for good.
            keys.Keep(entry, answer);
            return answer.With("Idempotency-Key", key);
        }
        catch (StripeProblem problem) when (problem.Status != 400)
        {
            keys.Keep(entry, problem.ToAnswer());
            throw;
        }
        catch
        {
            // Refused before the execution began.
            keys.Forget(entry);
            throw;
        }

        async Task<Answer> Once()
        {
            await disturbance.Before();
            var answer = Answer.Json(200, run(form, new(requestId, key.Length == 0 ? null : key)));
            return disturbance.Break ? Failure(500) : answer;
        }
    }

    static async Task<string> ReadForm(HttpContext http)
    {
        if (await Body.Read(http, MaxBodyBytes) is not { } body)
            throw new StripeProblem(
                413,
                "invalid_request_error",
                null,
                $"The body must have at most {MaxBodyBytes} bytes"
            );
        if (body.Length == 0)
            return "";
        if (
            http.Request.ContentType?.StartsWith(
                "application/x-www-form-urlencoded",
                StringComparison.OrdinalIgnoreCase
            ) != true
        )
        {
            throw StripeProblem.Invalid(
                "The body must be application/x-www-form-urlencoded. See https://stripe.com/docs/api",
                null
            );
        }

        try
        {
            return RawPath.Strict.GetString(body);
        }
        catch (DecoderFallbackException)
        {
            throw StripeProblem.Invalid("Invalid encoding: the parameters are not UTF-8", null);
        }
    }

    static (string? Key, Answer? Problem) Key(HttpContext http)
    {
        var header = http.Request.Headers.Authorization.ToString();
        if (header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) && header.Length > 7)
            return (header[7..].Trim(), null);
        if (header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                var pair = Encoding.UTF8.GetString(Convert.FromBase64String(header[6..].Trim()));
                return (pair.Split(':')[0], null);
            }
            catch (FormatException)
            {
                // As if nothing had been given.
            }
        }

        return (
            null,
            new StripeProblem(
                401,
                "invalid_request_error",
                null,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                    + "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            ).ToAnswer()
        );
    }

    static Answer Unauthorised(string key)
    {
        var end = key.Length > 12 ? key[^4..] : "";
        return new StripeProblem(
            401,
            "invalid_request_error",
            null,
            $"Invalid API Key provided: {(key.Length > 12 ? key[..8] : "")}****{end}"
        ).ToAnswer();
    }

    static Answer Limited(string? reason)
    {
        var answer = new StripeProblem(
            429,
            "invalid_request_error",
            "rate_limit",
            "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits."
        ).ToAnswer();
        return reason is null ? answer : answer.With("Stripe-Rate-Limited-Reason", reason);
    }

    static Answer Locked() =>
        new StripeProblem(
            429,
            "invalid_request_error",
            "lock_timeout",
            "This object cannot be accessed right now because another API request or Stripe process is currently "
                + "accessing it. If you see this error intermittently, retry the request."
        )
            .ToAnswer()
            .With("Stripe-Should-Retry", "true");

    static Answer Failure(int status) =>
        new StripeProblem(
            status,
            "api_error",
            null,
            "An unknown error occurred on Stripe's side; try again or see https://status.stripe.com"
        ).ToAnswer();

    static Answer Identified(Answer answer, string requestId) => answer.With("Request-Id", requestId);

    static StripeForm.Node Only(StripeForm.Node parameters, ReadOnlySpan<string> known)
    {
        foreach (var (name, node) in parameters.Members)
        {
            if (!known.Contains(name))
                throw StripeProblem.Unknown(node.Name);
        }

        return parameters;
    }
}

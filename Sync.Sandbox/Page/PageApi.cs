using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sync.Sandbox.Hosting;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Page;

/// <summary>
/// The page at <c>/</c>: the three systems side by side. It asks for <c>/sandbox/page/state</c> twice a second, and edits
/// by hand and faults go to the doors that are there for everybody.
/// </summary>
sealed class PageApi(SandboxHost sandbox)
{
    /// <summary>A key is the product's id of at most 128 characters, or a vendor's.</summary>
    const int MaxText = 200;

    /// <summary>
    /// Nothing but the page's own two files and its own calls; no markup from text; nobody frames it.
    /// </summary>
    const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    static readonly Dictionary<string, Answer> Files = new(StringComparer.Ordinal)
    {
        [""] = File("page.html", "text/html; charset=utf-8"),
        ["page.css"] = File("page.css", "text/css; charset=utf-8"),
        ["page.js"] = File("page.js", "text/javascript; charset=utf-8"),
    };

    readonly People _people = new(sandbox.Product, sandbox.Stripe, sandbox.Salesforce);

    /// <summary>A file of the page; null for any other path.</summary>
    public static Answer? Find(string method, string[] path) =>
        method == "GET" && path.Length <= 1 ? Files.GetValueOrDefault(path.FirstOrDefault() ?? "") : null;

    /// <summary>Everything that the page shows, in one answer.</summary>
    public async Task<Answer> State(HttpContext http)
    {
        var find = http.Request.Query["find"].ToString().Trim();
        var open = http.Request.Query["open"].FirstOrDefault();
        if (find.Length > MaxText || open?.Length > MaxText)
            return ProductApi.Error(400, $"find, open: have at most {MaxText} characters");

        var (people, more, now) = _people.Find(find, string.IsNullOrEmpty(open) ? null : open);
        string[] ids = [.. people.Select(person => person.CustomerId).OfType<string>()];
        var views = sandbox.Views;
        var saga = views is null ? null : await views.Customers(ids, http.RequestAborted);
        if (saga is not null)
            now = People.Join(people, saga, now);
        var waiting = saga is null ? null : await views!.Waiting(http.RequestAborted);
        var steps = saga is null ? null : await Steps(views!, people.Find(person => person.Key == now), http);
        var answer = Answer.Json(
            200,
            new JsonObject
            {
                ["notReady"] = sandbox.NotReady,
                // Whether there is anything to see of Sync: none, unreachable or shown.
                ["sync"] =
                    views is null ? "none"
                    : saga is null ? "unreachable"
                    : "shown",
                ["open"] = now,
                ["more"] = more,
                ["people"] = new JsonArray([.. people.Select(person => (JsonNode)Json(person, saga, waiting))]),
                ["steps"] = steps,
                ["systems"] = new JsonObject(
                    ((string[])["product", StripeApi.Vendor, SalesforceApi.Vendor]).Select(system =>
                        KeyValuePair.Create(
                            system,
                            (JsonNode?)new JsonObject { ["real"] = sandbox.RealSystems.Contains(system) }
                        )
                    )
                ),
                ["kafka"] =
                    sandbox.Kafka is null ? "none"
                    : sandbox.Kafka.IsUp ? "up"
                    : "down",
                ["silent"] = sandbox.SalesforceEvents.Silent,
                ["faults"] = JsonSerializer.SerializeToNode(sandbox.Faults.List(), Admin.AdminApi.Json),
                ["eventFaults"] = sandbox.Stripe.Webhooks.State()["faults"]!.DeepClone(),
            }
        );
        // Most of the time nothing has changed, and then nothing is sent.
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(answer.Body))[..32]}\"";
        return (http.Request.Headers.IfNoneMatch == tag ? Answer.Empty(304) : answer)
            .With("ETag", tag)
            .With("Cache-Control", "no-store");
    }

    /// <summary>Of a customer, or of the one record of somebody who is none yet.</summary>
    static async Task<JsonArray?> Steps(SyncViews views, Person? open, HttpContext http) =>
        open switch
        {
            null => null,
            { CustomerId: { } id } => await views.Steps(id, http.RequestAborted),
            _ => open.Key.Split(':', 2) is [var system, var externalId]
                ? await views.Steps(system, externalId, http.RequestAborted)
                : null,
        };

    static JsonObject Json(Person person, Dictionary<string, JsonObject>? saga, Dictionary<string, string>? waiting) =>
        new()
        {
            ["key"] = person.Key,
            ["customerId"] = person.CustomerId,
            ["product"] = person.Product is null ? null : CustomerInput.Write(person.Product),
            ["stripe"] = new JsonArray([.. person.Stripe]),
            ["salesforce"] = new JsonArray([.. person.Salesforce]),
            // Of a record that is no customer's, why it waits for a person.
            ["waits"] = person.CustomerId is null ? waiting?.GetValueOrDefault(person.Key) : null,
            ["saga"] = person.CustomerId is { } id ? saga?.GetValueOrDefault(id) : null,
        };

    static Answer File(string name, string type)
    {
        using var file = typeof(PageApi).Assembly.GetManifestResourceStream(name)!;
        using var kept = new MemoryStream();
        file.CopyTo(kept);
        return new Answer(200, kept.ToArray(), type)
            .With("Content-Security-Policy", Policy)
            .With("X-Content-Type-Options", "nosniff")
            .With("Referrer-Policy", "no-referrer")
            .With("Cross-Origin-Resource-Policy", "same-origin")
            .With("Cache-Control", "no-cache");
    }
}

using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Sandbox.Hosting;

namespace Sync.Sandbox.Product;

/// <summary>The product's REST API: <c>/customers</c>.</summary>
sealed class ProductApi(ProductCatalog catalog, ILogger log)
{
    public const int MaxBodyBytes = 1024 * 1024;
    const int MaxPage = 1_000;

    public async Task<Answer> Handle(HttpContext http, string[] segments)
    {
        // An id that a URL's path cannot carry, such as "..", stands in the query.
        if (segments is ["customers"] && http.Request.Query["id"] is [{ } wanted])
            segments = ["customers", wanted];
        try
        {
            return (http.Request.Method, segments) switch
            {
                ("GET", ["customers"]) => List(http),
                ("POST", ["customers"]) => await Create(http),
                ("GET", ["customers", var id]) => catalog.Find(id) is { } customer
                    ? Answer.Json(200, CustomerInput.Write(customer))
                    : Wrong(CatalogProblem.Unknown),
                ("PATCH", ["customers", var id]) => await Change(http, id),
                ("DELETE", ["customers", var id]) => catalog.Delete(id, Trace(http))
                    is var problem
                        and not CatalogProblem.None
                    ? Wrong(problem)
                    : Answer.Empty(204),
                (_, ["customers"]) => Error(405, "use GET or POST").With("Allow", "GET, POST"),
                (_, ["customers", _]) => Error(405, "use GET, PATCH or DELETE").With("Allow", "GET, PATCH, DELETE"),
                _ => Error(404, "there is no such page; customers are at /customers"),
            };
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            throw;
        }
#pragma warning disable CA1031 // A bug of ours is answered 500; it is in the log.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            log.Failed(bug, "product", http.Request.Method, "customers");
            return Error(500, "the product failed; its log says how");
        }
    }

    public static Answer Error(int status, string text) => Answer.Json(status, new JsonObject { ["error"] = text });

    Answer List(HttpContext http)
    {
        var limit = 100;
        if (
            http.Request.Query["limit"] is [{ } text]
            && (
                !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit)
                || limit is < 1 or > MaxPage
            )
        )
            return Error(400, $"limit: must be 1 to {MaxPage}");

        var customers = catalog.List(http.Request.Query["after"].FirstOrDefault(), limit);
        return Answer.Json(
            200,
            new JsonObject
            {
                ["customers"] = new JsonArray([.. customers.Select(CustomerInput.Write)]),
                ["next"] = customers.Count == limit ? customers[^1].Id : null,
            }
        );
    }

    async Task<Answer> Create(HttpContext http)
    {
        if (await Body.Read(http, MaxBodyBytes) is not { } body)
            return TooLarge();
        var input = CustomerInput.Read(body, creating: true);
        if (input.Problems.Count > 0)
            return Invalid(input);

        var (customer, problem) = catalog.Create(input.Id, input.Fields, Trace(http));
        return customer is null
            ? Wrong(problem)
            : Answer
                .Json(201, CustomerInput.Write(customer))
                .With("Location", "/customers/" + Uri.EscapeDataString(customer.Id));
    }

    async Task<Answer> Change(HttpContext http, string id)
    {
        if (await Body.Read(http, MaxBodyBytes) is not { } body)
            return TooLarge();
        var input = CustomerInput.Read(body, creating: false);
        if (input.Problems.Count > 0)
            return Invalid(input);

        var (customer, problem) = catalog.Change(id, input.Fields, Trace(http));
        return customer is null ? Wrong(problem) : Answer.Json(200, CustomerInput.Write(customer));
    }

    static string Trace(HttpContext http) => TraceParents.Of(http.Request.Headers.TraceParent.FirstOrDefault());

    static Answer TooLarge() => Error(413, $"the body must have at most {MaxBodyBytes} bytes, plain or gzip");

    static Answer Invalid(CustomerInput input) =>
        Answer.Json(
            400,
            new JsonObject
            {
                ["error"] = "the customer is not valid",
                ["problems"] = new JsonArray([
                    .. input.Problems.Select(p => (JsonNode)new JsonObject { ["path"] = p.Path, ["problem"] = p.Text }),
                ]),
            }
        );

    static Answer Wrong(CatalogProblem problem) =>
        problem switch
        {
            CatalogProblem.Unknown => Error(404, "there is no customer with this id"),
            CatalogProblem.Taken => Error(409, "id: there is a customer with this id already"),
            CatalogProblem.WasDeleted => Error(
                409,
                "id: the customer with this id was deleted; an id is never given twice"
            ),
            CatalogProblem.Full => Error(503, $"the sandbox keeps at most {ProductCatalog.MaxCustomers} customers"),
            CatalogProblem.OutboxFull => Error(503, "Kafka takes no events, and no more can be kept; try again later"),
            _ => throw new ArgumentOutOfRangeException(nameof(problem), problem, "is no problem"),
        };
}

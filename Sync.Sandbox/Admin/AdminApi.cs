using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Grpc.Core;
using Sync.Sandbox.Faults;
using Sync.Sandbox.Hosting;
using Sync.Sandbox.Product;
using Sync.Sandbox.Salesforce;
using Sync.Sandbox.Salesforce.Events;
using Sync.Sandbox.Stripe;

namespace Sync.Sandbox.Admin;

/// <summary>
/// What is behind the scenes: <c>/sandbox/…</c> on the product's port. Faults, counts, what the vendors hold, and edits as
/// a person would make them. Described in the README beside this project.
/// </summary>
sealed class AdminApi(SandboxHost sandbox, ILogger log)
{
    public const int MaxBodyBytes = 4 * 1024 * 1024;

    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
    };

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    public async Task<Answer> Handle(HttpContext http, string[] path)
    {
        try
        {
            return (http.Request.Method, path) switch
            {
                ("GET", ["state"]) => Ok(State()),
                ("GET", ["ready"]) => sandbox.NotReady is { } reason
                    ? ProductApi.Error(503, reason)
                    : Ok(new JsonObject { ["ready"] = true }),
                ("GET", ["faults"]) => Ok(JsonSerializer.SerializeToNode(sandbox.Faults.List(), Json)!),
                ("POST", ["faults"]) => await AddFault(http),
                ("DELETE", ["faults"]) => await ClearFaults(http.Request.Query["vendor"].FirstOrDefault()),
                ("DELETE", ["faults", var id]) => await RemoveFault(id),
                ("GET", ["calls"]) => Ok(
                    new JsonObject(
                        sandbox.Vendors.Keys.Select(vendor =>
                            KeyValuePair.Create(vendor, JsonSerializer.SerializeToNode(sandbox.Calls.Of(vendor), Json))
                        )
                    )
                ),
                ("POST", ["calls", "reset"]) => Done(sandbox.Calls.Reset),
                ("POST", ["product", "commands", "pause"]) => Done(() => sandbox.ProductCommands?.Pause()),
                ("POST", ["product", "commands", "resume"]) => Done(() => sandbox.ProductCommands?.Resume()),
                ("GET", ["stripe", "customers"]) => Ok(sandbox.Stripe.All()),
                ("POST", ["stripe", "customers"]) => Ok(sandbox.Stripe.Create((await ReadForm(http)).Root), 201),
                ("PATCH", ["stripe", "customers", var id]) => Ok(
                    sandbox.Stripe.Update(id, (await ReadForm(http)).Root)
                ),
                ("DELETE", ["stripe", "customers", var id]) => Ok(sandbox.Stripe.Delete(id)),
                ("POST", ["stripe", "customers", var id, "subscriptions"]) => Ok(
                    sandbox.Stripe.Subscribe(id, http.Request.Query["status"].FirstOrDefault() ?? "active"),
                    201
                ),
                ("DELETE", ["stripe", "subscriptions", var id]) => Ok(sandbox.Stripe.Unsubscribe(id)),
                ("GET", ["stripe", "webhooks"]) => Ok(sandbox.Stripe.Webhooks.State()),
                ("POST", ["stripe", "webhook_endpoints", var id, "roll"]) => Ok(sandbox.Stripe.Webhooks.Roll(id)),
                ("POST", ["stripe", "event-faults"]) => await AddEventFault(http),
                ("DELETE", ["stripe", "event-faults"]) => Done(sandbox.Stripe.Webhooks.ClearFaults),
                ("GET", ["salesforce", "accounts"]) => Ok(sandbox.Salesforce.All()),
                ("POST", ["salesforce", "accounts"]) => await CreateAccount(http),
                ("PATCH", ["salesforce", "accounts", var id]) => await ChangeAccount(http, id),
                ("DELETE", ["salesforce", "accounts", var id]) => Done(() =>
                    sandbox.Salesforce.Delete(id, SalesforceOrg.Human)
                ),
                ("POST", ["salesforce", "accounts", var id, "undelete"]) => Done(() =>
                    sandbox.Salesforce.Undelete(id, SalesforceOrg.Human)
                ),
                ("POST", ["salesforce", "accounts", var winner, "merge"]) => await MergeAccounts(http, winner),
                ("POST", ["salesforce", "fields"]) => await AddField(http),
                ("GET", ["salesforce", "events"]) => Ok(EventsState()),
                ("POST", ["salesforce", "events"]) => await Announce(http),
                ("POST", ["salesforce", "events", "errors"]) => await FailEvents(http),
                ("POST", ["salesforce", "events", "expire"]) => Done(sandbox.Salesforce.Events.Expire),
                ("POST", ["salesforce", "events", "cut"]) => Done(sandbox.SalesforceEvents.Cut),
                ("POST", ["salesforce", "events", "silent"]) => Done(() => sandbox.SalesforceEvents.Silent = true),
                ("DELETE", ["salesforce", "events", "silent"]) => Done(() => sandbox.SalesforceEvents.Silent = false),
                ("POST", ["salesforce", "events", "delay"]) => await DelayEvents(http),
                ("POST", ["salesforce", "tokens", "revoke"]) => Done(sandbox.SalesforceTokens.RevokeAll),
                ("POST", ["kafka", "records"]) => await Produce(http),
                ("POST", ["kafka", "down"]) => Done(() => sandbox.Kafka!.Down()),
                ("POST", ["kafka", "up"]) => Done(() => sandbox.Kafka!.Up()),
                _ => ProductApi.Error(404, "there is no such page; see Sync.Sandbox/README.md"),
            };
        }
        catch (StripeProblem problem)
        {
            return problem.ToAnswer();
        }
        catch (SalesforceProblem problem)
        {
            return problem.ToAnswer();
        }
        catch (Exception wrong) when (wrong is JsonException or FormatException or InvalidOperationException)
        {
            return ProductApi.Error(400, wrong.Message);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            throw;
        }
#pragma warning disable CA1031 // A bug of ours is answered 500; it is in the log.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            log.Failed(bug, "sandbox", http.Request.Method, path.FirstOrDefault() ?? "");
            return ProductApi.Error(500, "the sandbox failed; its log says how");
        }
    }

    JsonObject State() =>
        new()
        {
            ["ready"] = sandbox.NotReady is null,
            ["reason"] = sandbox.NotReady,
            ["product"] = new JsonObject
            {
                ["address"] = sandbox.ProductAddress.ToString(),
                ["customers"] = sandbox.Product.Count,
                ["eventsWaiting"] = sandbox.Product.Outbox.Pending,
            },
            ["stripe"] = new JsonObject
            {
                ["address"] = sandbox.StripeAddress.ToString(),
                ["up"] = sandbox.Vendors[StripeApi.Vendor].IsUp,
            },
            ["salesforce"] = new JsonObject
            {
                ["address"] = sandbox.SalesforceAddress.ToString(),
                ["up"] = sandbox.Vendors[SalesforceApi.Vendor].IsUp,
            },
            ["kafka"] = new JsonObject
            {
                ["bootstrap"] = sandbox.Kafka?.BootstrapServers,
                ["up"] = sandbox.Kafka?.IsUp,
                ["partitions"] = sandbox.Kafka?.Partitions,
                ["topics"] = new JsonArray([.. (sandbox.Kafka?.Topics ?? []).Select(topic => (JsonNode)topic)]),
                ["truncated"] = new JsonArray([
                    .. (sandbox.Kafka?.Truncated ?? new Dictionary<TopicPartition, long>()).Select(t =>
                        (JsonNode)
                            new JsonObject
                            {
                                ["topic"] = t.Key.Topic,
                                ["partition"] = t.Key.Partition.Value,
                                ["firstOffset"] = t.Value,
                            }
                    ),
                ]),
            },
        };

    async Task<Answer> AddFault(HttpContext http)
    {
        var order =
            JsonSerializer.Deserialize<FaultOrder>(await ReadBody(http), Json)
            ?? throw new FormatException("a fault must be an object");
        var id = await sandbox.AddFault(order);
        return Ok(new JsonObject { ["id"] = id }, 201);
    }

    async Task<Answer> AddEventFault(HttpContext http)
    {
        var order =
            JsonSerializer.Deserialize<EventFaultOrder>(await ReadBody(http), Json)
            ?? throw new FormatException("a fault must be an object");
        return Ok(new JsonObject { ["id"] = sandbox.Stripe.Webhooks.AddFault(order) }, 201);
    }

    async Task<Answer> ClearFaults(string? vendor)
    {
        if (vendor is not null && !sandbox.Vendors.ContainsKey(vendor))
            throw new FormatException($"vendor: must be one of {string.Join(", ", sandbox.Vendors.Keys)}");
        await sandbox.ClearFaults(vendor);
        return Answer.Empty(204);
    }

    async Task<Answer> RemoveFault(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && await sandbox.RemoveFault(id)
            ? Answer.Empty(204)
            : ProductApi.Error(404, "there is no such fault; GET /sandbox/faults lists those that are on");

    async Task<Answer> CreateAccount(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var id = sandbox.Salesforce.Create(body.RootElement, SalesforceOrg.Human);
        return Ok(new JsonObject { ["id"] = id }, 201);
    }

    async Task<Answer> ChangeAccount(HttpContext http, string id)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        sandbox.Salesforce.Update(id, body.RootElement, SalesforceOrg.Human);
        return Answer.Empty(204);
    }

    async Task<Answer> MergeAccounts(HttpContext http, string winner)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var loser = Text(body.RootElement, "loser") ?? throw new FormatException("loser: is missing");
        using var none = JsonDocument.Parse("{}");
        var fields = body.RootElement.TryGetProperty("fields", out var picked) ? picked : none.RootElement;
        sandbox.Salesforce.Merge(winner, loser, fields, SalesforceOrg.Human);
        return Answer.Empty(204);
    }

    async Task<Answer> AddField(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        sandbox.Salesforce.AddField(Text(body.RootElement, "name") ?? throw new FormatException("name: is missing"));
        return Ok(new JsonObject { ["schemaId"] = sandbox.Salesforce.Schema.Id }, 201);
    }

    JsonObject EventsState() =>
        new()
        {
            ["streams"] = sandbox.SalesforceEvents.Streams,
            ["silent"] = sandbox.SalesforceEvents.Silent,
            ["delayMs"] = (long)sandbox.Salesforce.Events.Delay.TotalMilliseconds,
            ["schemaId"] = sandbox.Salesforce.Schema.Id,
        };

    /// <summary>An event without a write: a gap, an overflow, or one whose bitmaps are made up.</summary>
    async Task<Answer> Announce(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var root = body.RootElement;
        if (Text(root, "payloadBase64") is { } raw)
        {
            sandbox.Salesforce.Events.Append(
                Text(root, "schemaId") ?? sandbox.Salesforce.Schema.Id,
                [Convert.FromBase64String(raw)]
            );
            return Answer.Empty(204);
        }

        var type = Text(root, "changeType") ?? throw new FormatException("changeType: is missing");
        if (!ChangeEventSchema.IsType(type))
            throw new FormatException("changeType: is none of Salesforce's");
        var header = new ChangeHeader(
            type,
            Text(root, "changeOrigin") ?? SalesforceOrg.Human.Origin,
            "made-by-hand",
            sandbox.SalesforceEvents.Clock.GetUtcNow(),
            1,
            SalesforceOrg.HumanUser
        )
        {
            Changed = Texts(root, "changedFields"),
            Nulled = Texts(root, "nulledFields"),
            Diff = Texts(root, "diffFields"),
        };
        sandbox.Salesforce.Announce(header, Texts(root, "recordIds"));
        return Answer.Empty(204);
    }

    async Task<Answer> FailEvents(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var root = body.RootElement;
        var operation = Text(root, "operation") ?? "subscribe";
        if (!PubSub.Operations.Contains(operation))
            throw new FormatException($"operation: must be one of {string.Join(", ", PubSub.Operations)}");
        if (
            !Enum.TryParse<StatusCode>(Text(root, "status"), ignoreCase: true, out var status)
            || status == StatusCode.OK
        )
            throw new FormatException("status: must be a gRPC status that is an error, such as InvalidArgument");
        var next = root.TryGetProperty("next", out var count) ? count.GetInt32() : 1;
        var code = Text(root, "code") ?? throw new FormatException("code: is missing");
        sandbox.SalesforceEvents.Fail(operation, status, code, next);
        return Answer.Empty(204);
    }

    async Task<Answer> DelayEvents(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var delay = body.RootElement.TryGetProperty("delayMs", out var ms) ? ms.GetInt32() : 0;
        if (delay is < 0 or > 3_600_000)
            throw new FormatException("delayMs: must be 0 to 3600000");
        sandbox.Salesforce.Events.Delay = TimeSpan.FromMilliseconds(delay);
        return Answer.Empty(204);
    }

    static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    static IReadOnlyCollection<string> Texts(JsonElement root, string name) =>
        root.TryGetProperty(name, out var list) ? [.. list.EnumerateArray().Select(item => item.GetString()!)] : [];

    async Task<Answer> Produce(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        var placed = await sandbox.Produce(KafkaRecord.Read(body.RootElement), http.RequestAborted);
        return Ok(
            new JsonObject
            {
                ["topic"] = placed.Topic,
                ["partition"] = placed.Partition.Value,
                ["offset"] = placed.Offset.Value,
            },
            201
        );
    }

    static async Task<StripeForm> ReadForm(HttpContext http)
    {
        using var body = JsonDocument.Parse(await ReadBody(http), Strict);
        return StripeForm.FromJson(body.RootElement);
    }

    static async Task<byte[]> ReadBody(HttpContext http) =>
        await Body.Read(http, MaxBodyBytes)
        ?? throw new FormatException($"the body must have at most {MaxBodyBytes} bytes");

    static Answer Ok(JsonNode body, int status = 200) => Answer.Json(status, body);

    static Answer Done(Action act)
    {
        act();
        return Answer.Empty(204);
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Stripe;
using Sync.Sandbox.Hosting;
using Sync.Sandbox.Stripe;
using Sync.Tests.Support;

namespace Sync.Tests.Sandbox;

/// <summary>Events of the sandbox's Stripe, as they are listed and delivered; its own client is the judge where it can be.</summary>
public sealed class StripeEventsTests : IAsyncLifetime
{
    readonly HttpClient _http = new();
    TestSandbox _sandbox = null!;
    StripeClient _client = null!;
    Receiver _receiver = null!;

    public async ValueTask InitializeAsync()
    {
        _sandbox = await TestSandbox.Start();
        _receiver = await Receiver.Start();
        _client = Client(_sandbox);
    }

    public async ValueTask DisposeAsync()
    {
        await _sandbox.DisposeAsync();
        await _receiver.DisposeAsync();
        _http.Dispose();
    }

    StripeClient Client(TestSandbox sandbox) =>
        new(
            new StripeClientOptions
            {
                ApiKey = "sk_test_sandbox",
                ApiBase = sandbox.Host.StripeAddress.GetLeftPart(UriPartial.Authority),
                HttpClient = new SystemNetHttpClient(_http, maxNetworkRetries: 0, enableTelemetry: false),
            }
        );

    static async Task<List<Event>> Events(StripeClient client, EventListOptions? options = null)
    {
        List<Event> events = [];
        await foreach (var e in client.V1.Events.ListAutoPagingAsync(options ?? new()))
            events.Add(e);
        return events;
    }

    // ---- the list ----

    [Fact]
    public async Task Each_change_is_an_event_with_what_was_there_before_and_what_caused_it()
    {
        var id = await _sandbox.StripeCustomer("name=Ada&metadata[a]=1&address[city]=Oslo");
        await _sandbox.Post($"/v1/customers/{id}", "name=Ada L.&metadata[a]=2&metadata[b]=3&address[city]=", "my-key");
        await _sandbox.Post($"/v1/customers/{id}", "name=Ada L.&metadata[a]=2&metadata[b]=3&address[city]=", "my-key");
        await _sandbox.Post($"/v1/customers/{id}", "name=Ada L.");
        _sandbox.Host.Stripe.Delete(id);

        var events = await Events(_client);

        Assert.Equal(["customer.deleted", "customer.updated", "customer.created"], events.Select(e => e.Type));
        var previous = System.Text.Json.Nodes.JsonNode.Parse((string)events[1].Data.PreviousAttributes.ToString())!;
        Assert.Equal(
            """{"address":{"city":"Oslo"},"metadata":{"a":"1","b":null},"name":"Ada"}""",
            System
                .Text.Json.Nodes.JsonNode.Parse(
                    new System.Text.Json.Nodes.JsonObject(
                        previous
                            .AsObject()
                            .OrderBy(m => m.Key, StringComparer.Ordinal)
                            .Select(m => KeyValuePair.Create(m.Key, m.Value?.DeepClone()))
                    ).ToJsonString()
                )!
                .ToJsonString()
        );
        Assert.Equal("my-key", events[1].Request.IdempotencyKey);
        Assert.StartsWith("req_", events[1].Request.Id, StringComparison.Ordinal);
        // By hand: no request, and a key all the same.
        Assert.Null(events[0].Request.Id);
        Assert.NotNull(events[0].Request.IdempotencyKey);
        // A deletion carries the last object.
        Assert.Equal("Ada L.", ((Customer)events[0].Data.Object).Name);
        Assert.Equal(events[0].Id, (await _client.V1.Events.GetAsync(events[0].Id)).Id);
    }

    [Fact]
    public async Task The_list_pages_both_ways_and_keeps_what_is_asked()
    {
        for (var i = 0; i < 25; i++)
            await _sandbox.StripeCustomer($"name=N{i}");
        var all = await Events(_client, new() { Limit = 7 });

        Assert.Equal(25, all.Count);
        // Backward, as a catch-up reads: the oldest first.
        var since = await Events(_client, new() { EndingBefore = all[20].Id, Limit = 7 });
        Assert.Equal(all.Take(20).Reverse().Select(e => e.Id), since.Select(e => e.Id));
        Assert.Empty(await Events(_client, new() { Types = ["customer.deleted"] }));
        Assert.Empty(
            await Events(
                _client,
                new() { Created = new DateRangeOptions { LessThan = all[^1].Created.AddSeconds(-1) } }
            )
        );
    }

    [Theory]
    [InlineData("ending_before=evt_none", 400, "resource_missing")]
    [InlineData("type=customer.created&types[]=customer.updated", 400, "parameters_exclusive")]
    [InlineData("bogus=1", 400, "parameter_unknown")]
    [InlineData("limit=101", 400, "parameter_invalid_integer")]
    public async Task What_stripe_refuses_is_refused(string query, int status, string code)
    {
        var reply = await TestSandbox.Send(_sandbox.Stripe, HttpMethod.Get, $"/v1/events?{query}");

        Assert.Equal((status, code), (reply.Status, (string?)reply.Error["code"]));
    }

    [Fact]
    public async Task Events_are_kept_for_thirty_days()
    {
        await using var sandbox = await TestSandbox.Start(frozen: true);
        var id = await sandbox.StripeCustomer();
        var client = Client(sandbox);
        sandbox.Clock.Advance(TimeSpan.FromDays(29));
        await sandbox.Post($"/v1/customers/{id}", "name=B");
        Assert.Equal(2, (await Events(client)).Count);

        sandbox.Clock.Advance(TimeSpan.FromDays(2));

        Assert.Equal("customer.updated", Assert.Single(await Events(client)).Type);
    }

    [Fact]
    public async Task A_tie_is_listed_before_the_event_that_was_there_first()
    {
        var first = await _sandbox.StripeCustomer();
        await EventFault("""{ "kind": "tie", "next": 1 }""");
        var second = await _sandbox.StripeCustomer();

        var events = await Events(_client);

        Assert.Equal([first, second], events.Select(e => ((Customer)e.Data.Object).Id));
        Assert.Equal(events[0].Created, events[1].Created);
    }

    // ---- endpoints and deliveries ----

    [Fact]
    public async Task An_endpoint_tells_its_secret_once_and_its_version_stays()
    {
        var made = await Endpoint();
        Assert.StartsWith("whsec_", made.Secret, StringComparison.Ordinal);
        Assert.Equal(StripeConfiguration.ApiVersion, made.ApiVersion);
        Assert.Null((await _client.V1.WebhookEndpoints.GetAsync(made.Id)).Secret);
        var listed = await _client.V1.WebhookEndpoints.ListAsync();
        Assert.Null(Assert.Single(listed.Data).Secret);

        var changed = await _client.V1.WebhookEndpoints.UpdateAsync(made.Id, new() { Disabled = true });
        Assert.Equal("disabled", changed.Status);
        var refused = await _sandbox.Post($"/v1/webhook_endpoints/{made.Id}", "api_version=2025-04-30.basil");
        Assert.Equal("parameter_unknown", (string?)refused.Error["code"]);
        Assert.Equal(400, (await _sandbox.Post("/v1/webhook_endpoints", "url=x&enabled_events[]=*")).Status);
        Assert.Equal(
            "parameter_missing",
            (string?)(await _sandbox.Post("/v1/webhook_endpoints", "url=http://x.org")).Error["code"]
        );
        Assert.True((await _client.V1.WebhookEndpoints.DeleteAsync(made.Id)).Deleted);
        Assert.Empty((await _client.V1.WebhookEndpoints.ListAsync()).Data);
    }

    [Fact]
    public async Task A_delivery_is_what_stripes_own_client_takes_for_genuine()
    {
        var endpoint = await Endpoint();
        var id = await _sandbox.StripeCustomer("name=Zoë ☃");

        var (body, signature) = await _receiver.Next();

        var e = EventUtility.ConstructEvent(body, signature, endpoint.Secret);
        Assert.Equal(("customer.created", id), (e.Type, ((Customer)e.Data.Object).Id));
        Assert.Equal("Zoë ☃", ((Customer)e.Data.Object).Name);
        Assert.Throws<StripeException>(() => EventUtility.ConstructEvent(body, signature, "whsec_other"));
    }

    [Fact]
    public async Task While_a_secret_is_rolled_both_sign()
    {
        var old = await Endpoint();
        var rolled = await TestSandbox.Send(
            _sandbox.Product,
            HttpMethod.Post,
            $"/sandbox/stripe/webhook_endpoints/{old.Id}/roll"
        );
        await _sandbox.StripeCustomer();

        var (body, signature) = await _receiver.Next();

        EventUtility.ValidateSignature(body, signature, old.Secret);
        EventUtility.ValidateSignature(body, signature, (string)rolled.Json!["secret"]!);
    }

    [Fact]
    public async Task What_is_not_answered_2xx_comes_again_signed_anew()
    {
        var endpoint = await Endpoint();
        _receiver.Answers(500, 302, 200);
        await _sandbox.StripeCustomer();

        for (var attempt = 0; attempt < 3; attempt++)
        {
            var (body, signature) = await _receiver.Next();
            EventUtility.ValidateSignature(body, signature, endpoint.Secret);
        }

        await Eventually.Is(async () => await Counted("delivered") == 1 && await Counted("failed") == 2, "delivered");
    }

    [Fact]
    public async Task Faults_double_lose_reorder_and_change_what_is_delivered()
    {
        await Endpoint();
        await EventFault("""{ "kind": "duplicate", "next": 1 }""");
        var first = await _sandbox.StripeCustomer("name=First");
        Assert.Equal((await _receiver.Next()).Body, (await _receiver.Next()).Body);

        await EventFault("""{ "kind": "lose", "next": 1 }""");
        await _sandbox.StripeCustomer("name=Lost");
        await EventFault("""{ "kind": "reorder", "next": 1 }""");
        await _sandbox.StripeCustomer("name=Held");
        await _sandbox.StripeCustomer("name=Later");
        Assert.Contains("Later", (await _receiver.Next()).Body, StringComparison.Ordinal);
        Assert.Contains("Held", (await _receiver.Next()).Body, StringComparison.Ordinal);

        await EventFault("""{ "kind": "foreign-version", "next": 1 }""");
        await _sandbox.Post($"/v1/customers/{first}", "email=a@x.org");
        var foreign = (await _receiver.Next()).Body;
        Assert.Contains(StripeEvents.ForeignVersion, foreign, StringComparison.Ordinal);

        await EventFault("""{ "kind": "thin", "next": 1 }""");
        await _sandbox.Post($"/v1/customers/{first}", "email=b@x.org");
        var thin = (await _receiver.Next()).Body;
        Assert.Contains("\"v1.customer.updated\"", thin, StringComparison.Ordinal);
        Assert.DoesNotContain("b@x.org", thin, StringComparison.Ordinal);
        Assert.Equal(1, await Counted("lost"));
        // Whatever was delivered: the list has all.
        Assert.Equal(6, (await Events(_client)).Count);
    }

    [Theory]
    [InlineData("""{ "kind": "nonsense" }""")]
    [InlineData("""{ "kind": "lose", "next": 0 }""")]
    [InlineData("""{ "kind": "lose", "next": 1, "rate": 0.5 }""")]
    [InlineData("""{ "kind": "lose", "bogus": 1 }""")]
    public async Task A_wrong_order_is_refused(string order) =>
        Assert.Equal(
            400,
            (
                await TestSandbox.Send(
                    _sandbox.Product,
                    HttpMethod.Post,
                    "/sandbox/stripe/event-faults",
                    TestSandbox.Json(order)
                )
            ).Status
        );

    Task<WebhookEndpoint> Endpoint() =>
        _client.V1.WebhookEndpoints.CreateAsync(
            new()
            {
                Url = _receiver.Address.ToString(),
                EnabledEvents = ["customer.created", "customer.updated", "customer.deleted"],
                ApiVersion = StripeConfiguration.ApiVersion,
            }
        );

    async Task EventFault(string order) =>
        Assert.Equal(
            201,
            (
                await TestSandbox.Send(
                    _sandbox.Product,
                    HttpMethod.Post,
                    "/sandbox/stripe/event-faults",
                    TestSandbox.Json(order)
                )
            ).Status
        );

    async Task<long> Counted(string what) =>
        (long)
            (await TestSandbox.Send(_sandbox.Product, HttpMethod.Get, "/sandbox/stripe/webhooks")).Json!["deliveries"]![
                what
            ]!;

    /// <summary>An endpoint that answers as it is told.</summary>
    sealed class Receiver : IAsyncDisposable
    {
        readonly LoopbackServer _server;
        readonly ConcurrentQueue<(string Body, string Signature)> _received = new();
        readonly ConcurrentQueue<int> _answers = new();

        Receiver() =>
            _server = new LoopbackServer(
                "receiver",
                async http =>
                {
                    var body = await Sync.Sandbox.Hosting.Body.Read(http, 1024 * 1024);
                    _received.Enqueue(
                        (Encoding.UTF8.GetString(body!), http.Request.Headers["Stripe-Signature"].ToString())
                    );
                    http.Response.StatusCode = _answers.TryDequeue(out var answer) ? answer : 200;
                },
                NullLoggerFactory.Instance,
                new LoopbackLimits(1024 * 1024)
            );

        public Uri Address => new(_server.Address, "/hooks");

        public static async Task<Receiver> Start()
        {
            var receiver = new Receiver();
            await receiver._server.Start(0);
            return receiver;
        }

        public void Answers(params int[] statuses)
        {
            foreach (var status in statuses)
                _answers.Enqueue(status);
        }

        public async Task<(string Body, string Signature)> Next()
        {
            (string Body, string Signature) next = default;
            await Eventually.Is(() => _received.TryDequeue(out next), "something is delivered");
            return next;
        }

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }
}

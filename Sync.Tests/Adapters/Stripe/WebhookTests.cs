using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Stripe;
using Sync.Adapter.Working;
using Sync.Contracts.Systems;
using Sync.Stripe.Adapter.Webhooks;

namespace Sync.Tests.Adapters.Stripe;

/// <summary>What may come through the door, and what becomes of it.</summary>
public sealed class WebhookTests
{
    static readonly HttpClient Http = new();

    static string Event(string id = "evt_1", string name = "Ada", string customer = "cus_1") =>
        $$"""
            { "id": "{{id}}", "object": "event", "type": "customer.updated", "api_version": "{{StripeConfiguration.ApiVersion}}",
              "created": 1795000000, "request": null, "data": { "object": { "id": "{{customer}}", "object": "customer", "name": "{{name}}" } } }
            """;

    static string Sign(byte[] body, string secret = StripeStage.Secret, int age = 0)
    {
        var time = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - age;
        byte[] signed = [.. Encoding.ASCII.GetBytes($"{time}."), .. body];
        var hash = System.Security.Cryptography.HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed);
        return $"t={time},v1={Convert.ToHexStringLower(hash)}";
    }

    static async Task<HttpStatusCode> Post(Uri door, byte[] body, params string[] signatures)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, door);
        request.Content = new ByteArrayContent(body);
        foreach (var signature in signatures)
            request.Headers.TryAddWithoutValidation("Stripe-Signature", signature);
        using var response = await Http.SendAsync(request);
        return response.StatusCode;
    }

    static Task<HttpStatusCode> Post(StripeStage stage, string body) =>
        Post(stage.Door, Encoding.UTF8.GetBytes(body), Sign(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public async Task A_webhook_is_stored_as_it_came_and_answered_before_anybody_reads_it()
    {
        await using var stage = await StripeStage.Start();
        await stage.Run<WebhookDoor>();
        byte[] nonsense = [0xff, 0x00, 0xfe];

        Assert.Equal(HttpStatusCode.OK, await Post(stage, Event()));
        Assert.Equal(HttpStatusCode.OK, await Post(stage.Door, nonsense, Sign(nonsense)));

        Assert.Equal(2, await stage.Count("webhook"));
        Assert.Equal(
            nonsense,
            await stage.Database.Scalar<byte[]>("select body from stripe.webhook order by id desc limit 1")
        );
    }

    [Fact]
    public async Task What_is_not_signed_by_stripe_now_is_refused_and_not_stored()
    {
        await using var stage = await StripeStage.Start(settings: ("Stripe:WebhookSecrets", "whsec_a, whsec_b"));
        await stage.Run<WebhookDoor>();
        var body = Encoding.UTF8.GetBytes(Event());
        var good = Sign(body, "whsec_b");

        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body, "nonsense"));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body, Sign(body, "whsec_c")));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body, Sign(body, "whsec_a", age: 400)));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body, Sign(body, "whsec_a", age: -400)));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body[..^1], good));
        Assert.Equal(HttpStatusCode.BadRequest, await Post(stage.Door, body, good, good));
        Assert.Equal(0, await stage.Count("webhook"));

        // Both secrets of a rotation count.
        Assert.Equal(HttpStatusCode.OK, await Post(stage.Door, body, good));
        Assert.Equal(HttpStatusCode.OK, await Post(stage.Door, body, Sign(body, "whsec_a")));
    }

    [Fact]
    public async Task Nothing_else_is_served_and_nothing_too_large_is_read()
    {
        await using var stage = await StripeStage.Start();
        await stage.Run<WebhookDoor>();
        var large = new byte[WebhookDoor.MaxBodyBytes + 1];

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await Post(stage.Door, large, Sign(large)));
        Assert.Equal(HttpStatusCode.OK, await Post(stage.Door, large[1..], Sign(large[1..])));
        Assert.Equal(HttpStatusCode.NotFound, await Post(new Uri(stage.Door, "/"), [], Sign([])));
        Assert.Equal(HttpStatusCode.NotFound, (await Http.GetAsync(new Uri(stage.Door, "/metrics"))).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await Http.GetAsync(stage.Door)).StatusCode);
    }

    [Fact]
    public async Task Without_a_secret_the_door_stays_closed()
    {
        await using var stage = await StripeStage.Start(settings: ("Stripe:WebhookSecrets", ""));

        await stage.Run<WebhookDoor>();

        Assert.Null(stage.Get<WebhookDoor>().Address);
        Assert.Contains("STRIPE__WEBHOOKSECRETS", stage.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_stored_is_not_accepted()
    {
        await using var stage = await StripeStage.Start();
        await stage.Run<WebhookDoor>();
        await stage.Database.Execute("alter table stripe.webhook rename to away");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Post(stage, Event()));
    }

    [Fact]
    public async Task Hints_are_stored_in_the_transaction_that_ends_the_webhook_and_copies_count_once()
    {
        await using var stage = await StripeStage.Start();
        var store = stage.Get<WebhookStore>();
        for (var copy = 0; copy < 3; copy++)
            await store.Keep(Encoding.UTF8.GetBytes(Event()), default);
        await store.Keep(Encoding.UTF8.GetBytes(Event("evt_2", customer: "cus_2")), default);

        Assert.Equal(new WebhookBatch(4, 4, 0, 0), await store.Read(default));

        Assert.Equal((0, 2), (await stage.Count("webhook"), await stage.Count("work")));
        // A late copy, after the work was done.
        await stage.Database.Execute("delete from stripe.work");
        await store.Keep(Encoding.UTF8.GetBytes(Event()), default);
        await store.Read(default);
        Assert.Equal((0, 0), (await stage.Count("webhook"), await stage.Count("work")));
    }

    [Fact]
    public async Task What_cannot_be_read_is_kept_with_its_reason_and_stops_nothing()
    {
        await using var stage = await StripeStage.Start();
        var store = stage.Get<WebhookStore>();
        byte[] cut = Encoding.UTF8.GetBytes(Event())[..40];
        await store.Keep(cut, default);
        await store.Keep(cut, default);
        await store.Keep(Encoding.UTF8.GetBytes("""{"id":"evt_9","object":"event","type":"invoice.paid"}"""), default);
        await store.Keep(Encoding.UTF8.GetBytes(Event()), default);

        Assert.Equal(new WebhookBatch(4, 1, 1, 2), await store.Read(default));

        Assert.Equal(
            "webhook schema",
            await stage.Database.Scalar<string>("select direction || ' ' || reason_code from stripe.dead_letter")
        );
        Assert.Equal(cut, await stage.Database.Scalar<byte[]>("select value from stripe.dead_letter"));
        Assert.Equal((0, 1), (await stage.Count("webhook"), await stage.Count("work")));
    }

    [Fact]
    public async Task What_cannot_be_read_of_a_customer_goes_with_the_customer_when_it_is_erased()
    {
        await using var stage = await StripeStage.Start();
        await stage.Run<Workers>();
        var ext = (await stage.Created("c-1", ("name", "Ada"))).ExternalId!;
        var store = stage.Get<WebhookStore>();
        foreach (var customer in new[] { ext, "cus_other" })
        {
            var body = Event($"evt_{customer}", customer: customer);
            await store.Keep(
                Encoding.UTF8.GetBytes(body.Replace("1795000000", "\"?\"", StringComparison.Ordinal)),
                default
            );
            // Cut off behind the name.
            await store.Keep(Encoding.UTF8.GetBytes(body[..body.LastIndexOf('"')]), default);
        }

        Assert.Equal(new WebhookBatch(4, 0, 0, 4), await store.Read(default));
        var erase = new PushCustomer
        {
            CommandId = Guid.NewGuid(),
            System = "stripe",
            CustomerId = "c-1",
            Generation = 0,
            Operation = Operation.Erase,
            ExternalId = ext,
            Revision = 2,
            Write = [],
            Expect = [],
        };
        await stage.TakeIn(erase);

        var receipt = await stage.Report(r => r.Ack == erase.CommandId, "the erasure is answered");
        Assert.Equal(2, receipt.Forgotten!["deadLetters"]);
        Assert.Equal(
            (0, 2),
            (
                await stage.Count("dead_letter", $"convert_from(value, 'UTF8') like '%{ext}%'"),
                await stage.Count("dead_letter", "convert_from(key, 'UTF8') = 'cus_other'")
            )
        );
    }

    [Fact]
    public async Task One_that_postgresql_will_not_take_is_a_dead_letter_and_the_others_go_on()
    {
        await using var stage = await StripeStage.Start();
        var store = stage.Get<WebhookStore>();
        await stage.Database.Execute("alter table stripe.work add constraint odd check (lane <> 'object:cus_odd')");
        foreach (var customer in new[] { "cus_1", "cus_odd", "cus_2" })
            await store.Keep(Encoding.UTF8.GetBytes(Event($"evt_{customer}", customer: customer)), default);

        Assert.Equal(new WebhookBatch(3, 2, 0, 1), await store.Read(default));

        Assert.Equal("commit", await stage.Database.Scalar<string>("select reason_code from stripe.dead_letter"));
        Assert.Equal((0, 2), (await stage.Count("webhook"), await stage.Count("work")));
    }

    [Fact]
    public async Task The_endpoint_is_registered_once_with_our_version_and_its_secret_told_once()
    {
        await using var stage = await StripeStage.Start();
        var api = stage.Get<Sync.Stripe.Adapter.Client.StripeApi>();
        using var first = new StringWriter();
        using var second = new StringWriter();
        const string Url = "https://sync.example.org/webhooks/stripe";

        Assert.Equal(0, await WebhookRegistration.Register(api, Url, first, TextWriter.Null));
        Assert.Equal(0, await WebhookRegistration.Register(api, Url, second, TextWriter.Null));

        Assert.Contains("STRIPE__WEBHOOKSECRETS=whsec_", first.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("whsec_", second.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("whsec_", stage.Said, StringComparison.Ordinal);
        var listed = await stage.Sandbox.Stripe.GetStringAsync("/v1/webhook_endpoints");
        Assert.Single(System.Text.Json.Nodes.JsonNode.Parse(listed)!["data"]!.AsArray());
        Assert.Contains($"\"{StripeConfiguration.ApiVersion}\"", listed, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("webhooks")]
    [InlineData("webhooks register")]
    [InlineData("webhooks register --url nonsense")]
    [InlineData("webhooks register --url https://sync.example.org/elsewhere")]
    [InlineData("webhooks register --url http://sync.example.org/webhooks/stripe")]
    public async Task Wrong_words_are_answered_with_the_right_ones(string words)
    {
        using var errors = new StringWriter();

        var code = await WebhookRegistration.Run(
            words.Split(' '),
            new ServiceCollection().BuildServiceProvider(),
            TextWriter.Null,
            errors
        );

        Assert.Equal(2, code);
        Assert.Contains("webhooks register --url", errors.ToString(), StringComparison.Ordinal);
    }
}

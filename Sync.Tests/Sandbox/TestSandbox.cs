using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Confluent.Kafka;
using Microsoft.Extensions.Time.Testing;
using Sync.Contracts;
using Sync.Sandbox;

namespace Sync.Tests.Sandbox;

/// <summary>A sandbox of one test, with the callers of its servers.</summary>
sealed class TestSandbox : IAsyncDisposable
{
    /// <summary>Rates that no test meets by accident; the ones that are about rates set their own.</summary>
    public static readonly SandboxOptions Quiet = new()
    {
        Kafka = false,
        StripeCallsPerSecond = 100_000,
        StripeCallsPerEndpointSecond = 100_000,
        StripeSearchLagSeconds = 0,
    };

    static readonly TimeSpan Within = TimeSpan.FromSeconds(60);

    TestSandbox(SandboxHost host, FakeTimeProvider? clock)
    {
        Host = host;
        Clock = clock!;
        Product = new HttpClient { BaseAddress = host.ProductAddress };
        Stripe = new HttpClient { BaseAddress = host.StripeAddress };
        Stripe.DefaultRequestHeaders.Authorization = new("Bearer", host.Options.StripeApiKey);
        Salesforce = new HttpClient { BaseAddress = new Uri(host.SalesforceAddress, "/services/data/v66.0/") };
    }

    public SandboxHost Host { get; }
    public FakeTimeProvider Clock { get; }
    public HttpClient Product { get; }
    public HttpClient Stripe { get; }
    public HttpClient Salesforce { get; }

    public static async Task<TestSandbox> Start(SandboxOptions? options = null, bool frozen = false)
    {
        var clock = frozen ? new FakeTimeProvider(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero)) : null;
        var sandbox = new TestSandbox(await SandboxHost.Start(options ?? Quiet, clock: clock), clock);
        await sandbox.SignIn();
        return sandbox;
    }

    public async Task SignIn() =>
        Salesforce.DefaultRequestHeaders.Authorization = new(
            "Bearer",
            (string?)(await Token("sandbox-client", "sandbox-secret")).Json!["access_token"]
        );

    public Task<Reply> Token(string id, string secret, string grant = "client_credentials") =>
        Send(
            Salesforce,
            HttpMethod.Post,
            "/services/oauth2/token",
            new FormUrlEncodedContent(
                new Dictionary<string, string>
                {
                    ["grant_type"] = grant,
                    ["client_id"] = id,
                    ["client_secret"] = secret,
                }
            )
        );

    public static async Task<Reply> Send(
        HttpClient client,
        HttpMethod method,
        string path,
        HttpContent? content = null,
        params (string Name, string Value)[] headers
    )
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.RelativeOrAbsolute));
        request.Content = content;
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        using var response = await client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new Reply(
            (int)response.StatusCode,
            text.Length > 0 && response.Content.Headers.ContentType?.MediaType == "application/json"
                ? JsonNode.Parse(text)
                : null,
            text,
            response.Headers
        );
    }

    public static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    public static JsonContent Json(object body) => JsonContent.Create(body);

    public static StringContent Form(string body) => new(body, Encoding.UTF8, "application/x-www-form-urlencoded");

    public Task<Reply> Post(string path, string form, string? key = null) =>
        Send(Stripe, HttpMethod.Post, path, Form(form), key is null ? [] : [("Idempotency-Key", key)]);

    /// <summary>A new Stripe customer's id.</summary>
    public async Task<string> StripeCustomer(string form = "name=Ada")
    {
        var reply = await Post("/v1/customers", form);
        Assert.Equal(200, reply.Status);
        return (string)reply.Json!["id"]!;
    }

    /// <summary>A new Account's id.</summary>
    public async Task<string> Account(object fields)
    {
        var reply = await Send(Salesforce, HttpMethod.Post, "sobjects/Account", Json(fields));
        Assert.Equal(201, reply.Status);
        return (string)reply.Json!["id"]!;
    }

    public Task<Reply> Query(string soql, string resource = "query") =>
        Send(Salesforce, HttpMethod.Get, $"{resource}?q={Uri.EscapeDataString(soql)}");

    public Task<Reply> Fault(object order) => Send(Product, HttpMethod.Post, "/sandbox/faults", Json(order));

    /// <summary>Records of a topic from its beginning, until enough are there.</summary>
    public List<ConsumeResult<string, byte[]>> Records(
        Func<IReadOnlyList<ConsumeResult<string, byte[]>>, bool> enough,
        string topic = Topics.Customers
    )
    {
        using var consumer = new ConsumerBuilder<string, byte[]>(
            new ConsumerConfig
            {
                BootstrapServers = Host.BootstrapServers,
                GroupId = $"test-{Guid.NewGuid()}",
                EnableAutoCommit = false,
                FetchWaitMaxMs = 20,
            }
        ).Build();
        consumer.Assign(
            Enumerable
                .Range(0, Topics.Partitions)
                .Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning))
        );
        var records = new List<ConsumeResult<string, byte[]>>();
        var begun = Stopwatch.GetTimestamp();
        while (!enough(records))
        {
            if (Stopwatch.GetElapsedTime(begun) > Within)
                throw new TimeoutException($"{topic}: {records.Count} records after {Within.TotalSeconds} s");
            if (consumer.Consume(TimeSpan.FromMilliseconds(100)) is { } record)
                records.Add(record);
        }

        consumer.Close();
        return records;
    }

    public async ValueTask DisposeAsync()
    {
        Product.Dispose();
        Stripe.Dispose();
        Salesforce.Dispose();
        await Host.DisposeAsync();
    }
}

sealed record Reply(int Status, JsonNode? Json, string Text, HttpResponseHeaders Headers)
{
    /// <summary>Stripe's error.</summary>
    public JsonNode Error => Json!["error"]!;

    /// <summary>Salesforce's first error.</summary>
    public JsonNode First => Json![0]!;

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? values.Single() : null;
}

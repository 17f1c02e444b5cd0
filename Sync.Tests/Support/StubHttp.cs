using System.Collections.Concurrent;
using System.Net;
using System.Text;

namespace Sync.Tests.Support;

/// <summary>A vendor of a few lines: keeps every request as it would go over the wire, and answers what the test says.</summary>
public sealed class StubHttp(Func<SentRequest, CancellationToken, Task<HttpResponseMessage>> answer)
    : HttpMessageHandler
{
    public StubHttp(Func<SentRequest, HttpResponseMessage> answer)
        : this((request, _) => Task.FromResult(answer(request))) { }

    public ConcurrentQueue<SentRequest> Requests { get; } = [];

    public SentRequest Only => Assert.Single(Requests);

    protected override async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request,
        CancellationToken cancellationToken
    )
    {
        var headers = request
            .Headers.Concat(request.Content?.Headers.AsEnumerable() ?? [])
            .ToDictionary(h => h.Key, h => string.Join(", ", h.Value), StringComparer.OrdinalIgnoreCase);
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        var sent = new SentRequest(request.Method.Method, request.RequestUri!, body, headers);
        Requests.Enqueue(sent);
        return await answer(sent, cancellationToken);
    }

    public static HttpResponseMessage Json(int status, string body, params (string Name, string Value)[] headers) =>
        Text(status, body, "application/json", headers);

    public static HttpResponseMessage Html(int status) =>
        Text(status, "<html><body>Service for jane@example.com is down</body></html>", "text/html");

    public static HttpResponseMessage Empty(int status) => new((HttpStatusCode)status);

    static HttpResponseMessage Text(int status, string body, string type, params (string Name, string Value)[] headers)
    {
        var response = new HttpResponseMessage((HttpStatusCode)status)
        {
            Content = new StringContent(body, Encoding.UTF8, type),
        };
        foreach (var (name, value) in headers)
            response.Headers.TryAddWithoutValidation(name, value);
        return response;
    }
}

public sealed record SentRequest(string Method, Uri Uri, string Body, IReadOnlyDictionary<string, string> Headers)
{
    public string Target => $"{Method} {Uri.PathAndQuery}";

    public string? Header(string name) => Headers.GetValueOrDefault(name);
}

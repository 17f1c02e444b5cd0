using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Sync.Tests.Support;

/// <summary>A span as it arrived: who made it, what it is called, and where it hangs.</summary>
/// <param name="Kind">As OTLP numbers them: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.</param>
/// <param name="ParentId">Empty for the root of a trace.</param>
sealed record ArrivedSpan(string Service, ulong Kind, string Name, string TraceId, string SpanId, string ParentId)
{
    /// <summary>Spans that it is about and does not hang below.</summary>
    public IReadOnlyList<(string TraceId, string SpanId)> Links { get; init; } = [];
}

/// <summary>
/// What an OpenTelemetry collector is to a process: OTLP over HTTP with protobuf on one port, over gRPC on another. Of what
/// arrives it keeps the names, and searches all for what may not be there; it reads the wire by itself, so that nothing of the sender's library judges the sender.
/// </summary>
sealed class OtlpCollector : IAsyncDisposable
{
    readonly ConcurrentQueue<ArrivedSpan> _spans = [];
    readonly ConcurrentDictionary<(string Service, string Metric), int> _metrics = [];
    readonly ConcurrentQueue<string> _requests = [];
    readonly ConcurrentQueue<string> _leaks = [];
    readonly Lock _judging = new();
    readonly List<(string Request, byte[] Body)> _unjudged = [];
    IReadOnlyList<string>? _forbidden;
    readonly WebApplication _http;
    readonly WebApplication _grpc;

    OtlpCollector()
    {
        _http = Server(HttpProtocols.Http1, Http);
        _grpc = Server(HttpProtocols.Http2, Grpc);
    }

    public string HttpAddress => Address(_http);

    public string GrpcAddress => Address(_grpc);

    /// <summary>Every request, as method and target.</summary>
    public IReadOnlyCollection<string> Requests => _requests;

    public IReadOnlyCollection<ArrivedSpan> Spans => _spans;

    /// <summary>Requests in which a forbidden text stood, and the number of that text.</summary>
    public IReadOnlyCollection<string> Leaks => _leaks;

    /// <summary>
    /// Every byte that arrives is searched for these, attributes, events and status texts included, and so is what has
    /// arrived already. Upper and lower case are the same.
    /// </summary>
    public void Forbid(IReadOnlyList<string> texts)
    {
        lock (_judging)
        {
            _forbidden = texts;
            foreach (var (request, body) in _unjudged)
                Search(request, body);
            _unjudged.Clear();
        }
    }

    void Judge(string request, byte[] body)
    {
        lock (_judging)
        {
            if (_forbidden is null)
                _unjudged.Add((request, body));
            else
                Search(request, body);
        }
    }

    void Search(string request, byte[] body)
    {
        var text = Encoding.UTF8.GetString(body);
        for (var i = 0; i < _forbidden!.Count; i++)
        {
            if (text.Contains(_forbidden[i], StringComparison.OrdinalIgnoreCase))
                _leaks.Enqueue($"{request}: text {i}");
        }
    }

    public IEnumerable<string> MetricsOf(string service) =>
        _metrics.Keys.Where(metric => metric.Service == service).Select(metric => metric.Metric);

    public static async Task<OtlpCollector> Start()
    {
        var collector = new OtlpCollector();
        await collector._http.StartAsync(TestContext.Current.CancellationToken);
        await collector._grpc.StartAsync(TestContext.Current.CancellationToken);
        return collector;
    }

    public async ValueTask DisposeAsync()
    {
        await _http.DisposeAsync();
        await _grpc.DisposeAsync();
    }

    static WebApplication Server(HttpProtocols protocols, RequestDelegate handle)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = protocols));
        var app = builder.Build();
        app.Run(handle);
        return app;
    }

    static string Address(WebApplication app) =>
        app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    async Task Http(HttpContext http)
    {
        var body = await Body(http);
        _requests.Enqueue($"{http.Request.Method} {http.Request.Host}{http.Request.Path}");
        Judge(http.Request.Path, body);
        switch (http.Request.Path.Value)
        {
            case "/v1/traces":
                Traces(body);
                break;
            case "/v1/metrics":
                Metrics(body);
                break;
            default:
                http.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
        }

        http.Response.ContentType = "application/x-protobuf";
    }

    async Task Grpc(HttpContext http)
    {
        var body = await Body(http);
        _requests.Enqueue($"{http.Request.Method} {http.Request.Path}");
        Judge(http.Request.Path, body);
        // A flag and a length stand before a message of gRPC.
        var message = body.AsMemory(5, (int)BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(1)));
        if (http.Request.Path.Value!.EndsWith("TraceService/Export", StringComparison.Ordinal))
            Traces(message.ToArray());
        else
            Metrics(message.ToArray());
        http.Response.ContentType = "application/grpc";
        await http.Response.Body.WriteAsync(new byte[5]);
        http.Response.AppendTrailer("grpc-status", "0");
    }

    static async Task<byte[]> Body(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        return body.ToArray();
    }

    /// <summary>ExportTraceServiceRequest: resource_spans 1 { resource 1, scope_spans 2 { spans 2 } }.</summary>
    void Traces(byte[] request)
    {
        foreach (var resource in Messages(request, 1))
        {
            var service = Service(resource);
            foreach (var span in Messages(resource, 2).SelectMany(scope => Messages(scope, 2)))
            {
                _spans.Enqueue(
                    new ArrivedSpan(service, Number(span, 6), Text(span, 5), Hex(span, 1), Hex(span, 2), Hex(span, 4))
                    {
                        Links = [.. Messages(span, 13).Select(link => (Hex(link, 1), Hex(link, 2)))],
                    }
                );
            }
        }
    }

    /// <summary>ExportMetricsServiceRequest: resource_metrics 1 { resource 1, scope_metrics 2 { metrics 2 { name 1 } } }.</summary>
    void Metrics(byte[] request)
    {
        foreach (var resource in Messages(request, 1))
        {
            var service = Service(resource);
            foreach (var metric in Messages(resource, 2).SelectMany(scope => Messages(scope, 2)))
                _metrics[(service, Text(metric, 1))] = 0;
        }
    }

    /// <summary>Of a resource 1 { attributes 1 { key 1, value 2 { string 1 } } }: its service.name.</summary>
    static string Service(byte[] withResource) =>
        Messages(withResource, 1)
            .SelectMany(resource => Messages(resource, 1))
            .Where(attribute => Text(attribute, 1) == "service.name")
            .Select(attribute => Text(Messages(attribute, 2).Single(), 1))
            .Single();

    static string Text(byte[] message, int field) =>
        Encoding.UTF8.GetString(Messages(message, field).FirstOrDefault([]));

    static string Hex(byte[] message, int field) =>
        Convert.ToHexStringLower(Messages(message, field).FirstOrDefault([]));

    static ulong Number(byte[] message, int field)
    {
        var input = new CodedInputStream(message);
        while (input.ReadTag() is var tag and not 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == field)
                return input.ReadUInt64();
            input.SkipLastField();
        }

        return 0;
    }

    /// <summary>All values of a field that are text, bytes or messages.</summary>
    static List<byte[]> Messages(byte[] message, int field)
    {
        List<byte[]> found = [];
        var input = new CodedInputStream(message);
        while (input.ReadTag() is var tag and not 0)
        {
            if (
                WireFormat.GetTagFieldNumber(tag) == field
                && WireFormat.GetTagWireType(tag) == WireFormat.WireType.LengthDelimited
            )
                found.Add(input.ReadBytes().ToByteArray());
            else
                input.SkipLastField();
        }

        return found;
    }
}

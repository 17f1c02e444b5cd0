using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Sync.Benchmarks.Kernel;

/// <summary>Takes what contenders export over OTLP and throws it away: their telemetry is on, and its cost is theirs.</summary>
sealed class TelemetrySink : IAsyncDisposable
{
    readonly WebApplication _app;
    long _requests;

    TelemetrySink(WebApplication app) => _app = app;

    public Uri Address { get; private set; } = null!;

    public long Requests => Volatile.Read(ref _requests);

    public static async Task<TelemetrySink> Start()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var sink = new TelemetrySink(app);
        app.Run(sink.Take);
        await app.StartAsync();
        sink.Address = new Uri(
            app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()
        );
        return sink;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    async Task Take(HttpContext http)
    {
        await http.Request.Body.CopyToAsync(Stream.Null, http.RequestAborted);
        Interlocked.Increment(ref _requests);
        http.Response.StatusCode = StatusCodes.Status200OK;
        http.Response.ContentType = "application/x-protobuf";
    }
}

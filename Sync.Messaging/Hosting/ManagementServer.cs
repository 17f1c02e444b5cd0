using System.Net;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;

namespace Sync.Messaging.Hosting;

/// <summary>
/// Serves health and metrics on a port of its own. It starts before everything else and stops after it: a process that
/// waits for its database says so, and one that drains is alive and not ready.
/// </summary>
public sealed class ManagementServer : IHostedService, IAsyncDisposable
{
    // Probes and scrapes are few and small.
    const int MaxConnections = 64;
    const int MaxBodyBytes = 1_024;
    readonly IServiceProvider _services;
    readonly IOptions<ManagementOptions> _options;
    readonly ILogger<ManagementServer> _logger;
    WebApplication? _app;

    public ManagementServer(
        IServiceProvider services,
        IOptions<ManagementOptions> options,
        ILogger<ManagementServer> logger
    )
    {
        _services = services;
        _options = options;
        _logger = logger;
    }

    /// <summary>Where it listens, with the port that a setting of 0 took; null before the start.</summary>
    public Uri? Address { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var health = _services.GetRequiredService<HealthReport>();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxConcurrentConnections = MaxConnections;
                kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
                kestrel.Listen(IPAddress.Parse(_options.Value.Address), _options.Value.Port);
            });
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(_services.GetRequiredService<ILoggerFactory>());
        // The process's own host listens to signals; this one only lives inside it.
        builder.Services.AddSingleton<IHostLifetime, InnerLifetime>();

        var app = builder.Build();
        app.MapGet("/health/live", context => Write(context, health.Live()));
        app.MapGet("/health/ready", context => Write(context, health.Ready()));
        if (_services.GetService<MeterProvider>() is { } meters)
            app.MapPrometheusScrapingEndpoint("/metrics", meters, configureBranchedPipeline: null, optionsName: null);
        await app.StartAsync(cancellationToken);

        _app = app;
        Address = new Uri(
            app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()
        );
        _logger.ManagementListens(Address.ToString());
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_app is not null)
            await _app.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }

    static Task Write(HttpContext context, HealthAnswer answer)
    {
        context.Response.StatusCode = answer.Ok ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsJsonAsync(
            answer,
            HealthJson.Default.HealthAnswer,
            cancellationToken: context.RequestAborted
        );
    }

    sealed class InnerLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HealthAnswer))]
sealed partial class HealthJson : JsonSerializerContext;

using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Sync.Messaging.Hosting;

/// <summary>Logs, metrics and traces of a process: the same for all, without personal data.</summary>
static class Telemetry
{
    const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    public static void AddTelemetry(this HostApplicationBuilder builder, ProcessIdentity identity)
    {
        Logs(builder);
        // Adapters log their calls themselves, by id and code. The factory's own lines would hold whole addresses.
        builder.Services.ConfigureHttpClientDefaults(client => client.RemoveAllLoggers());
        var otlp = !string.IsNullOrWhiteSpace(builder.Configuration[OtlpEndpoint]);
        builder
            .Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService($"sync-{identity.Name}", serviceNamespace: "sync"))
            .WithMetrics(metrics =>
            {
                metrics
                    .AddMeter("sync.*", "MassTransit", "Npgsql")
                    .AddRuntimeInstrumentation()
                    .AddAspNetCoreInstrumentation()
                    .AddHttpClientInstrumentation()
                    .AddPrometheusExporter();
                if (otlp)
                    metrics.AddOtlpExporter();
            })
            .WithTracing(traces =>
            {
                // Not of ASP.NET Core: its spans follow a trace that whoever knocks may name, for requests that are refused as
                // well. A door makes a span of its own once it knows who it is.
                traces
                    .AddSource("sync.*", "MassTransit")
                    .AddNpgsql()
                    .AddHttpClientInstrumentation(http => http.RecordException = false)
                    .AddProcessor<ExceptionScrubber>();
                if (otlp)
                    traces.AddOtlpExporter();
            });
        builder.Services.AddSingleton<ExceptionScrubber>();
    }

    static void Logs(HostApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Logging.AddConsole(console => console.FormatterName = JsonLineFormatter.FormatterName);
        builder.Logging.AddConsoleFormatter<
            JsonLineFormatter,
            Microsoft.Extensions.Logging.Console.ConsoleFormatterOptions
        >();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddFilter("Sync", LogLevel.Information);
        // They quote statements and the errors around them; what matters is logged where it is handled.
        builder.Logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.None);
        builder.Logging.AddFilter("Npgsql", LogLevel.None);
        builder.Logging.AddConfiguration(builder.Configuration.GetSection("Logging"));
    }
}

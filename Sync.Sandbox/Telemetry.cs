using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Sync.Sandbox;

/// <summary>
/// Metrics and traces of the strangers' own servers, sent where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says, so that a trace
/// begins in the product. Without it nothing is collected.
/// </summary>
sealed class Telemetry : IDisposable
{
    const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    readonly MeterProvider _metrics;
    readonly TracerProvider _traces;

    Telemetry()
    {
        var resource = ResourceBuilder.CreateDefault().AddService("sync-sandbox", serviceNamespace: "sync");
        _metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddAspNetCoreInstrumentation()
            .AddOtlpExporter()
            .Build();
        _traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddAspNetCoreInstrumentation(asp => asp.RecordException = false)
            .AddOtlpExporter()
            .Build();
    }

    /// <summary>Null where no endpoint is set.</summary>
    public static Telemetry? Start() =>
        string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(OtlpEndpoint)) ? null : new Telemetry();

    public void Dispose()
    {
        _traces.Dispose();
        _metrics.Dispose();
    }
}

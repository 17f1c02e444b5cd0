using System.Diagnostics;

namespace Sync.Messaging.Hosting;

/// <summary>Names under which the kernel's measurements and spans are found.</summary>
public static class KernelTelemetry
{
    public const string MeterName = "sync.kernel";

    public static readonly ActivitySource Source = new("sync.kernel");
}

using Microsoft.Extensions.Logging;
using Sync.Sandbox.Faults;

namespace Sync.Sandbox;

/// <summary>Identifiers, counts and ports only: a sandbox may hold real people's data, too.</summary>
static partial class Log
{
    [LoggerMessage(
        5000,
        LogLevel.Information,
        "Sandbox is ready: product {Product}, Stripe {Stripe}, Salesforce {Salesforce} with events at {Events}, Kafka {Kafka}"
    )]
    public static partial void Ready(
        this ILogger log,
        string? product,
        string? stripe,
        string? salesforce,
        string? events,
        string? kafka
    );

    [LoggerMessage(
        5001,
        LogLevel.Error,
        "Kafka has dropped records: {Topic} [{Partition}] begins at offset {Low}. The embedded cluster keeps 5 MiB or "
            + "100,000 batches a partition; use a real Kafka for this much"
    )]
    public static partial void Truncated(this ILogger log, string topic, int partition, long low);

    [LoggerMessage(5002, LogLevel.Warning, "Kafka's watermarks cannot be read: {Code}")]
    public static partial void WatermarksUnreadable(this ILogger log, string code);

    [LoggerMessage(5003, LogLevel.Warning, "The Kafka relay refused a connection: {Open} are open")]
    public static partial void RelayFull(this ILogger log, int open);

    [LoggerMessage(5010, LogLevel.Warning, "The product's events are not delivered yet: {Code}; {Pending} wait")]
    public static partial void EventsWait(this ILogger log, string code, int pending);

    [LoggerMessage(5011, LogLevel.Warning, "The product skipped a command at {Topic} [{Partition}] {Offset}: {Reason}")]
    public static partial void CommandSkipped(
        this ILogger log,
        string topic,
        int partition,
        long offset,
        string reason
    );

    [LoggerMessage(5012, LogLevel.Information, "The product applied command {CommandId} to {CustomerId}: {Outcome}")]
    public static partial void CommandApplied(this ILogger log, Guid commandId, string customerId, string outcome);

    [LoggerMessage(5013, LogLevel.Warning, "The product's commands cannot be read: {Code}")]
    public static partial void CommandsUnreadable(this ILogger log, string code);

    [LoggerMessage(5020, LogLevel.Information, "Fault {Id} is on: {Vendor} {Kind} {Operation}")]
    public static partial void FaultOn(this ILogger log, int id, string vendor, FaultKind kind, string operation);

    [LoggerMessage(
        5023,
        LogLevel.Warning,
        "Stripe's event {Event} could not be delivered to {Endpoint} and is given up"
    )]
    public static partial void WebhookGivenUp(this ILogger log, string @event, string endpoint);

    [LoggerMessage(5024, LogLevel.Information, "Fault {Id} is off: {Vendor} {Kind}")]
    public static partial void FaultOff(this ILogger log, int id, string vendor, FaultKind kind);

    [LoggerMessage(5021, LogLevel.Information, "Faults are off: {Vendor}")]
    public static partial void FaultsOff(this ILogger log, string vendor);

    /// <summary>Without the exception's message: it may quote what was sent.</summary>
    [LoggerMessage(5022, LogLevel.Error, "{Server} failed at {Method} of {Operation}: {Exception}{StackTrace}")]
    static partial void Failed(
        this ILogger log,
        string server,
        string method,
        string operation,
        string exception,
        string stackTrace
    );

    public static void Failed(this ILogger log, Exception bug, string server, string method, string operation) =>
        log.Failed(
            server,
            method,
            operation,
            bug.GetType().FullName ?? bug.GetType().Name,
            Environment.NewLine + bug.StackTrace
        );
}

namespace Sync.Orchestrator;

/// <summary>Event ids 1000 to 1999. Identifiers only: never a name, an e-mail, a value.</summary>
static partial class Log
{
    [LoggerMessage(
        1000,
        LogLevel.Information,
        "Orchestrator of systems {Systems} with mapping {ConfigHash}; product is {Mode}"
    )]
    public static partial void Started(this ILogger log, string systems, string configHash, string mode);

    [LoggerMessage(
        1001,
        LogLevel.Warning,
        "One-way product: it gets no command, its fields are changed by nobody else, a deletion seen elsewhere waits for a person, found objects are parked"
    )]
    public static partial void OneWay(this ILogger log);

    [LoggerMessage(
        1002,
        LogLevel.Warning,
        "System {System} reports with mapping {TheirHash}, this process has {OurHash}: give all processes the same files, or they disagree about which values are the same"
    )]
    public static partial void MappingsDiffer(this ILogger log, string system, string theirHash, string ourHash);

    [LoggerMessage(
        1010,
        LogLevel.Debug,
        "Customer {CustomerId}: {MessageType} of {System} is late or doubled, dropped"
    )]
    public static partial void Dropped(this ILogger log, string customerId, string system, string messageType);

    [LoggerMessage(
        1020,
        LogLevel.Debug,
        "Customer {CustomerId} reached revision {Revision} in {System} as {ExternalId}"
    )]
    public static partial void Reached(
        this ILogger log,
        string customerId,
        long revision,
        string system,
        string? externalId
    );

    [LoggerMessage(1030, LogLevel.Warning, "Customer {CustomerId} needs attention: {Reason}")]
    public static partial void NeedsAttention(this ILogger log, string customerId, string reason);

    [LoggerMessage(1031, LogLevel.Information, "Customer {CustomerId} needs no attention any more")]
    public static partial void AttentionOver(this ILogger log, string customerId);

    [LoggerMessage(1040, LogLevel.Information, "Object {ExternalId} of {System} is parked: {Reason}")]
    public static partial void ObjectParked(this ILogger log, string system, string externalId, string reason);

    [LoggerMessage(1050, LogLevel.Warning, "The timeline's minutes could not be counted for dashboards; tried again")]
    public static partial void RollUpFailed(this ILogger log, Exception exception);

    [LoggerMessage(
        1060,
        LogLevel.Debug,
        "Customer {CustomerId}: {Code} {Direction} {System} at revision {Revision}, message {MessageId}"
    )]
    public static partial void Happened(
        this ILogger log,
        string? customerId,
        string code,
        string direction,
        string? system,
        long revision,
        Guid? messageId
    );

    [LoggerMessage(
        1072,
        LogLevel.Warning,
        "A comparison whose list is whole could not be ended; it is tried again in {Delay}"
    )]
    public static partial void ClosingFailed(this ILogger log, TimeSpan delay, Exception exception);

    [LoggerMessage(1070, LogLevel.Information, "Reconciliation {ComparisonId} of {System} is due and was asked for")]
    public static partial void ReconcileAsked(this ILogger log, string system, Guid comparisonId);

    [LoggerMessage(
        1071,
        LogLevel.Warning,
        "Whether a reconciliation is due could not be read; the next look is in a minute"
    )]
    public static partial void TimerFailed(this ILogger log, Exception exception);
}

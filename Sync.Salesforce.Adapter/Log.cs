using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

/// <summary>Identifiers only: ids, paths, codes, counts.</summary>
static partial class Log
{
    [LoggerMessage(
        2501,
        LogLevel.Warning,
        "Salesforce call {Call} failed: {FailureClass}, {Code}, definite {Definite}, request {RequestId}"
    )]
    public static partial void CallFailed(
        this ILogger logger,
        SalesforceCall call,
        FailureClass failureClass,
        string code,
        bool definite,
        string? requestId
    );

    [LoggerMessage(2502, LogLevel.Information, "Signed in to Salesforce as user {UserId} at {Instance}")]
    public static partial void SignedIn(this ILogger logger, string? userId, string instance);

    [LoggerMessage(
        2503,
        LogLevel.Warning,
        "Salesforce gives no access token: {Code}; a matter of configuration: {Configuration}"
    )]
    public static partial void SignInFailed(this ILogger logger, string code, bool configuration);

    [LoggerMessage(
        2504,
        LogLevel.Warning,
        "Salesforce could not be asked what the org has ({Code}); it is asked again every minute"
    )]
    public static partial void OrgUnknown(this ILogger logger, string code);

    [LoggerMessage(2505, LogLevel.Error, "The org does not fit the mapping: {Fault}")]
    public static partial void OrgDiffers(this ILogger logger, string fault);

    [LoggerMessage(2510, LogLevel.Information, "Subscribes to {Channel} from {ReplayPreset}")]
    public static partial void Subscribes(this ILogger logger, string channel, string replayPreset);

    [LoggerMessage(2511, LogLevel.Information, "Salesforce closed the stream after {Lived}")]
    public static partial void StreamClosed(this ILogger logger, TimeSpan lived);

    [LoggerMessage(2512, LogLevel.Warning, "Event {EventId} of schema {SchemaId} does not tell what changed: {Reason}")]
    public static partial void EventTellsNothing(this ILogger logger, string reason, string? eventId, string? schemaId);

    [LoggerMessage(2513, LogLevel.Debug, "Swept Salesforce from {Since} to {Furthest}")]
    public static partial void Swept(this ILogger logger, DateTimeOffset since, DateTimeOffset furthest);
}

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
}

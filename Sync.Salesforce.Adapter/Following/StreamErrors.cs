using System.Security.Authentication;
using Grpc.Core;
using Sync.Adapter.Vendors;

namespace Sync.Salesforce.Adapter.Following;

enum StreamAction
{
    /// <summary>Again, with backoff.</summary>
    Retry,

    SlowDown,

    /// <summary>With a new session; again right after that, somebody has to act.</summary>
    SignIn,

    /// <summary>Nothing can work until somebody acts.</summary>
    Pause,

    /// <summary>The day's events are used up. They are kept for three days: wait.</summary>
    Wait,

    /// <summary>The place in the stream is lost: record a gap, and begin at the oldest event that is kept.</summary>
    BeginAgain,
}

/// <param name="Code">Of the trailer <c>error-code</c> without its prefix, or the status where there is none.</param>
/// <param name="Meaning">In words without values.</param>
/// <param name="Remedy">What a person can do; null when nothing has to be done.</param>
sealed record StreamErrorRow(string Code, StreamAction Action, string Meaning, string? Remedy = null)
{
    public VendorResult.Failed AsFailure()
    {
        var failure = Action switch
        {
            StreamAction.SlowDown => FailureClass.SlowDown,
            StreamAction.Pause or StreamAction.Wait => FailureClass.PauseAll,
            _ => FailureClass.Retry,
        };
        return new(failure, Code, Remedy is null ? Meaning : $"{Meaning}; {Remedy}", Definite: true);
    }
}

/// <summary>What the Pub/Sub API's errors mean. Its messages are not repeated: they may quote what was sent.</summary>
static class StreamErrors
{
    const string Trailer = "error-code";
    const string Prefix = "sfdc.platform.eventbus.grpc.";
    const string Enable = "select Account under Setup, Change Data Capture, or set SALESFORCE__FEED=sweep";
    const string Permit = "give the integration user View All on Account, see deploy/salesforce";
    const string Bug = "this is a fault of Sync, please report it";

    public static readonly StreamErrorRow SessionEnded = new(
        "service.auth.error",
        StreamAction.SignIn,
        "the session is not valid any more"
    );
    public static readonly StreamErrorRow SessionRefused = new(
        "service.auth.error",
        StreamAction.Pause,
        "the Pub/Sub API refuses a new session",
        "check the app's policies and scopes, and that the integration user may use the API"
    );
    public static readonly StreamErrorRow NotSubscribable = new(
        "subscription.topic.cannot.subscribe",
        StreamAction.Pause,
        "the channel cannot be subscribed to",
        Permit
    );
    public static readonly StreamErrorRow Silent = new(
        "silent",
        StreamAction.Retry,
        "the stream said nothing for longer than Salesforce promises"
    );
    public static readonly StreamErrorRow Closed = new(
        "closed",
        StreamAction.Retry,
        "Salesforce closed the stream as soon as it was open"
    );
    public static readonly StreamErrorRow Timeout = new(
        "timeout",
        StreamAction.Retry,
        "the Pub/Sub API did not answer in time"
    );
    public static readonly StreamErrorRow NoOrganization = new(
        "organization",
        StreamAction.Pause,
        "the sign-in does not say which org it is for",
        "check SALESFORCE__LOGINURL"
    );
    public static readonly StreamErrorRow Schema = new(
        "schema.validation.failed",
        StreamAction.Retry,
        "an event names a schema that Salesforce does not know"
    );
    static readonly StreamErrorRow Untrusted = new(
        "tls",
        StreamAction.Pause,
        "the certificate of the Pub/Sub API is not trusted",
        "check SALESFORCE__PUBSUBURL and SALESFORCE__PUBSUBCA"
    );

    public static IReadOnlyList<StreamErrorRow> Table { get; } =
    [
        Retry("service.unavailable", "the Pub/Sub API is not available"),
        Retry("subscription.internal.error", "the Pub/Sub API failed"),
        Retry("topic.api.unavailable", "topics cannot be read now"),
        Retry("schema.api.unavailable", "schemas cannot be read now"),
        Slow("service.protection.triggered", "Salesforce protects itself from too much"),
        Slow("service.protection.stream.limit.triggered", "too many streams at once"),
        SessionEnded,
        Pause("service.auth.headers.invalid", "the Pub/Sub API refuses our headers", "check SALESFORCE__LOGINURL"),
        Pause("service.auth.refresh.invalid", "a session cannot be renewed within a stream", Bug),
        Pause("service.tenant.license", "the org has no licence for the Pub/Sub API", "set SALESFORCE__FEED=sweep"),
        Pause("concurrent.client.limit.exceeded", "the org has too many subscribers", "end others, or buy more"),
        Pause("topic.not.found", "there is no such channel: change data capture is off for Account", Enable),
        Pause("topic.meta.permission", "the integration user may not see the channel", Permit),
        Pause("topic.validation.empty", "the channel has no name", "check SALESFORCE__CHANNEL"),
        Pause("schema.meta.permission", "the integration user may not see the schema", Permit),
        Schema,
        NotSubscribable,
        Begin(
            "subscription.fetch.replayid.corrupted",
            "the replay id is older than Salesforce keeps events, or broken"
        ),
        Begin("subscription.fetch.replayid.validation.failed", "the replay id is missing"),
        Retry("subscription.fetch.replay.repeated", "a stream was told twice where to begin", Bug),
        Pause("subscription.fetch.requested.events.invalid", "the number of events asked for is refused", Bug),
        Retry("subscription.fetch.topic.mismatch", "a stream was asked for a second channel", Bug),
        Slow("subscription.fetch.overflow", "more events were asked for than a stream may have outstanding"),
        Retry("subscription.fetch.request.invalid", "the request is refused", Bug),
        new(
            "subscription.limit.exceeded",
            StreamAction.Wait,
            "the org's events of this day are used up",
            "wait, or buy more; they are kept for three days, and the sweep goes on"
        ),
        .. new[]
        {
            "already.active",
            "config.stopped",
            "config.deleted",
            "developer.name.not.found",
            "subscription.id.not.found",
            "subscription.id.invalid",
            "id.or.developer.name.empty",
            "fetch.request.commit.request.restricted",
        }.Select(code => Pause($"managed.subscription.{code}", "of managed subscriptions, which are not used", Bug)),
        SessionRefused,
        Untrusted,
        Silent,
        Closed,
        Timeout,
        NoOrganization,
        // Where no code came, the status of gRPC has to do.
        Pause("PermissionDenied", "the Pub/Sub API does not allow it", Permit),
        Pause("NotFound", "there is nothing at this address", "check SALESFORCE__PUBSUBURL and SALESFORCE__CHANNEL"),
        Pause("Unimplemented", "there is no Pub/Sub API at this address", "check SALESFORCE__PUBSUBURL"),
        new("Unauthenticated", StreamAction.SignIn, "the session is not valid any more"),
        Slow("ResourceExhausted", "the Pub/Sub API limits us"),
        Retry("Unavailable", "the Pub/Sub API cannot be reached"),
        Retry("DeadlineExceeded", "the Pub/Sub API did not answer in time"),
        Retry("other", "the Pub/Sub API failed in a way that it does not name"),
    ];

    static readonly Dictionary<string, StreamErrorRow> ByCode = Table
        .DistinctBy(row => row.Code)
        .ToDictionary(row => row.Code, StringComparer.OrdinalIgnoreCase);

    public static StreamErrorRow Classify(RpcException exception)
    {
        for (Exception? cause = exception.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            if (cause is AuthenticationException)
                return Untrusted;
        }

        var code = exception.Trailers.GetValue(Trailer);
        if (code is not null && code.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            code = code[Prefix.Length..];
        if (code is not null && ByCode.TryGetValue(code, out var row))
            return row;
        return ByCode.GetValueOrDefault(exception.StatusCode.ToString()) ?? ByCode["other"];
    }

    static StreamErrorRow Retry(string code, string meaning, string? remedy = null) =>
        new(code, StreamAction.Retry, meaning, remedy);

    static StreamErrorRow Slow(string code, string meaning) => new(code, StreamAction.SlowDown, meaning);

    static StreamErrorRow Pause(string code, string meaning, string remedy) =>
        new(code, StreamAction.Pause, meaning, remedy);

    static StreamErrorRow Begin(string code, string meaning) => new(code, StreamAction.BeginAgain, meaning);
}

/// <summary>The stream ended with an error of the table.</summary>
sealed class StreamException(StreamErrorRow row) : Exception(row.Code)
{
    public StreamErrorRow Row => row;
}

using Microsoft.Extensions.Logging;
using Sync.Adapter.Following;
using Sync.Adapter.Vendors;

namespace Sync.Adapter;

/// <summary>The frame's log: identifiers, codes and counts only. Event ids 3000 to 3999.</summary>
static partial class Log
{
    [LoggerMessage(
        3000,
        LogLevel.Information,
        "{System}: adapter started with mapping {ConfigHash}, {Workers} calls at once, {Batch} lanes in hand"
    )]
    public static partial void Started(this ILogger log, string system, string configHash, int workers, int batch);

    [LoggerMessage(
        3001,
        LogLevel.Information,
        "{System}: workers begin; the process has claimed its partitions and ended {Leases} leases of its earlier life"
    )]
    public static partial void WorkersBegin(this ILogger log, string system, int leases);

    [LoggerMessage(3002, LogLevel.Information, "{System}: workers ended; {InHand} lanes given back unfinished")]
    public static partial void WorkersEnded(this ILogger log, string system, int inHand);

    [LoggerMessage(3010, LogLevel.Debug, "Command {CommandId} of lane {Lane} answered {Outcome} as version {Obs}")]
    public static partial void Answered(this ILogger log, Guid commandId, string lane, string outcome, long obs);

    [LoggerMessage(3011, LogLevel.Warning, "Command {CommandId} of lane {Lane} was refused: {Reason}")]
    public static partial void Refused(this ILogger log, Guid commandId, string lane, string? reason);

    [LoggerMessage(
        3012,
        LogLevel.Warning,
        "{System}: object {ExternalId} is a second one of customer {CustomerId}; it is not linked"
    )]
    public static partial void Duplicate(this ILogger log, string system, string externalId, string customerId);

    [LoggerMessage(3013, LogLevel.Information, "{System}: object {ExternalId} has no customer")]
    public static partial void Found(this ILogger log, string system, string externalId);

    [LoggerMessage(
        3014,
        LogLevel.Warning,
        "{System}: a write of lane {Lane} was refused for a version that the record still had; it was written without one"
    )]
    public static partial void GuardOfNoUse(this ILogger log, string system, string lane);

    [LoggerMessage(
        3020,
        LogLevel.Information,
        "Lane {Lane} was finished by another worker; what this one read is thrown away"
    )]
    public static partial void Fenced(this ILogger log, string lane);

    [LoggerMessage(3021, LogLevel.Information, "Lane {Lane} waits {Delay}: {Code}, attempt {Attempts}")]
    public static partial void Waits(this ILogger log, string lane, TimeSpan delay, string code, int attempts);

    [LoggerMessage(3022, LogLevel.Error, "Lane {Lane}: its round failed; it is tried again in {Delay}")]
    public static partial void RoundFailed(this ILogger log, string lane, TimeSpan delay, Exception exception);

    [LoggerMessage(
        3030,
        LogLevel.Warning,
        "{System}: no lane is taken for {Duration}; the vendor does not answer ({Code})"
    )]
    public static partial void CircuitOpened(this ILogger log, string system, TimeSpan duration, string code);

    [LoggerMessage(3031, LogLevel.Information, "{System}: the vendor answers again")]
    public static partial void CircuitClosed(this ILogger log, string system);

    [LoggerMessage(3032, LogLevel.Error, "{System}: paused, {Code}: {Reason}. One try every {Probe}")]
    public static partial void Paused(this ILogger log, string system, string code, string reason, TimeSpan probe);

    [LoggerMessage(3033, LogLevel.Information, "{System}: works again after a pause")]
    public static partial void PauseEnded(this ILogger log, string system);

    [LoggerMessage(3034, LogLevel.Warning, "{System}: the vendor limits us ({Code}); all lanes slow down for {Delay}")]
    public static partial void SlowsDown(this ILogger log, string system, string code, TimeSpan delay);

    [LoggerMessage(3035, LogLevel.Error, "{System}: {Operation} answered nonsense: {What}")]
    public static partial void Nonsense(this ILogger log, string system, string operation, string what);

    [LoggerMessage(3036, LogLevel.Error, "{System}: {Operation} threw")]
    public static partial void CallThrew(this ILogger log, string system, string operation, Exception exception);

    [LoggerMessage(3040, LogLevel.Warning, "Lanes could not be taken; again in {Delay}")]
    public static partial void TakeFailed(this ILogger log, TimeSpan delay, Exception exception);

    [LoggerMessage(3041, LogLevel.Warning, "{Count} lanes could not be committed ({SqlState}); again in {Delay}")]
    public static partial void CommitRetried(this ILogger log, int count, string sqlState, TimeSpan delay);

    [LoggerMessage(3042, LogLevel.Error, "Lane {Lane} cannot be committed ({SqlState}); it waits {Delay}")]
    public static partial void CommitFailed(
        this ILogger log,
        string lane,
        string sqlState,
        TimeSpan delay,
        Exception exception
    );

    [LoggerMessage(3043, LogLevel.Warning, "Housekeeping failed; again at its next turn")]
    public static partial void HousekeepingFailed(this ILogger log, Exception exception);

    [LoggerMessage(3050, LogLevel.Information, "{System}: follows {Feed}, take {Epoch}")]
    public static partial void Follows(this ILogger log, string system, string feed, long epoch);

    [LoggerMessage(3051, LogLevel.Information, "{System}: {Feed}, take {Epoch}, is another replica's by now")]
    public static partial void LeaseLost(this ILogger log, string system, string feed, long epoch);

    [LoggerMessage(3052, LogLevel.Warning, "{System}: {Feed} could not be given back; its lease runs out")]
    public static partial void LeaseNotGivenBack(this ILogger log, string system, string feed, Exception exception);

    [LoggerMessage(
        3053,
        LogLevel.Warning,
        "{System}: {Feed} may have lost changes from {From} to {To}: {Reason}. Every object is looked at"
    )]
    public static partial void GapOpened(
        this ILogger log,
        string system,
        string feed,
        string reason,
        DateTimeOffset? from,
        DateTimeOffset? to
    );

    [LoggerMessage(3054, LogLevel.Warning, "{System}: {Feed} failed: {Code}, {FailureClass}; again in {Delay}")]
    public static partial void FeedFailed(
        this ILogger log,
        string system,
        string feed,
        string code,
        FailureClass failureClass,
        TimeSpan delay
    );

    [LoggerMessage(3055, LogLevel.Error, "{System}: {Feed} failed; again in {Delay}")]
    public static partial void FollowFailed(
        this ILogger log,
        string system,
        string feed,
        TimeSpan delay,
        Exception exception
    );

    [LoggerMessage(3056, LogLevel.Information, "{System}: scan {ScanId} ({Kind}) begins; goes on {Resumed}")]
    public static partial void ScanBegins(this ILogger log, string system, Guid scanId, ScanKind kind, bool resumed);

    [LoggerMessage(3057, LogLevel.Information, "{System}: scan {ScanId} is done")]
    public static partial void ScanDone(this ILogger log, string system, Guid scanId);

    [LoggerMessage(3058, LogLevel.Warning, "{System}: the mapping has changed; every object is looked at")]
    public static partial void MappingChanged(this ILogger log, string system);

    [LoggerMessage(3044, LogLevel.Warning, "Versions of all lanes raised: this database was restored")]
    public static partial void VersionsRaised(this ILogger log);
}

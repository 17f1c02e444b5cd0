using Microsoft.Extensions.Logging;

namespace Sync.Messaging;

/// <summary>Log lines of the consuming half: identifiers, codes, counts and paths only.</summary>
static partial class Log
{
    [LoggerMessage(4100, LogLevel.Information, "Group {Group} assigned {Count} partitions")]
    public static partial void Assigned(this ILogger log, string group, int count);

    [LoggerMessage(
        4101,
        LogLevel.Debug,
        "Group {Group} claimed {Topic}[{Partition}] at {Offset}, epoch {Epoch}, new {IsNew}"
    )]
    public static partial void Claimed(
        this ILogger log,
        string group,
        string topic,
        int partition,
        long offset,
        long epoch,
        bool isNew
    );

    [LoggerMessage(
        4101,
        LogLevel.Information,
        "Group {Group} claimed {Count} partitions of cluster {ClusterId}, {New} of them new"
    )]
    public static partial void ClaimedAll(this ILogger log, string group, int count, string clusterId, int @new);

    [LoggerMessage(
        4105,
        LogLevel.Error,
        "Group {Group} could not claim its partitions; its consumer is built anew in {Delay} ms"
    )]
    public static partial void ClaimFailed(this ILogger log, Exception exception, string group, int delay);

    [LoggerMessage(4102, LogLevel.Information, "Group {Group} gave back {Count} partitions")]
    public static partial void Revoked(this ILogger log, string group, int count);

    [LoggerMessage(
        4103,
        LogLevel.Warning,
        "Group {Group} lost {Count} partitions: its session ended; their new owner's claim is the fence"
    )]
    public static partial void Lost(this ILogger log, string group, int count);

    [LoggerMessage(
        4104,
        LogLevel.Warning,
        "Group {Group} is fenced: another process claimed a partition; {Count} records dropped, read on from what is stored"
    )]
    public static partial void Fenced(this ILogger log, string group, int count);

    [LoggerMessage(
        4105,
        LogLevel.Warning,
        "Group {Group}: PostgreSQL cannot be reached ({Cause}); {Count} records are kept, tried again in {Delay} ms"
    )]
    public static partial void BatchWaits(this ILogger log, string group, string cause, int count, int delay);

    [LoggerMessage(4106, LogLevel.Error, "Group {Group}: the consumer failed ({Code}) and is built anew in {Delay} ms")]
    public static partial void ConsumerFailed(this ILogger log, string group, string code, int delay);

    [LoggerMessage(4107, LogLevel.Warning, "Group {Group}: Kafka reports {Code}")]
    public static partial void ConsumerReports(this ILogger log, string group, string code);

    [LoggerMessage(4110, LogLevel.Warning, "Group {Group}: batch of {Count} tried again ({Cause}), try {Try}")]
    public static partial void BatchRetried(this ILogger log, string group, int count, string cause, int @try);

    [LoggerMessage(4111, LogLevel.Warning, "Group {Group}: {Count} records one by one ({Cause})")]
    public static partial void Solo(this ILogger log, string group, int count, string cause);

    [LoggerMessage(
        4112,
        LogLevel.Warning,
        "{Topic}[{Partition}] starts at {Offset}: it has no row here; the offset {Committed} that Kafka holds is ignored"
    )]
    public static partial void CommittedOffsetIgnored(
        this ILogger log,
        string topic,
        int partition,
        long committed,
        long offset
    );

    [LoggerMessage(
        4113,
        LogLevel.Error,
        "The database went back: {Topic}[{Partition}] is stored at {Offset}, Kafka was told {Committed}; paused for the restore hook, then read again"
    )]
    public static partial void DatabaseWentBack(
        this ILogger log,
        string topic,
        int partition,
        long offset,
        long committed
    );

    [LoggerMessage(
        4114,
        LogLevel.Error,
        "Retention overtook {Topic}[{Partition}]: stored at {Offset}, the log begins at {Low}; records between are lost, read the source again"
    )]
    public static partial void RetentionOvertook(this ILogger log, string topic, int partition, long offset, long low);

    [LoggerMessage(
        4122,
        LogLevel.Warning,
        "Group {Group}: the database was restored; {Count} partitions wait for the restore hook, which begins"
    )]
    public static partial void RestoreHookBegins(this ILogger log, string group, int count);

    [LoggerMessage(
        4123,
        LogLevel.Warning,
        "Group {Group}: the restore hook is done; {Count} partitions are read on from where the database stands"
    )]
    public static partial void RestoreHookDone(this ILogger log, string group, int count);

    [LoggerMessage(4115, LogLevel.Error, "The restore hook failed and runs again in {Delay} ms")]
    public static partial void RestoreHookFailed(this ILogger log, Exception exception, int delay);

    [LoggerMessage(
        4116,
        LogLevel.Error,
        "{Topic}[{Partition}] halted: stored at {Offset}, the log ends at {High}. Topic recreated, log truncated or wrong cluster? An operator resumes it"
    )]
    public static partial void PartitionHalted(this ILogger log, string topic, int partition, long offset, long high);

    [LoggerMessage(
        4116,
        LogLevel.Error,
        "{Topic}[{Partition}] halted at {Offset}: the broker's data is corrupt ({Code}). An operator resumes it"
    )]
    public static partial void PartitionCorrupt(
        this ILogger log,
        string topic,
        int partition,
        long offset,
        string code
    );

    [LoggerMessage(4119, LogLevel.Information, "{Topic}[{Partition}] resumed by an operator")]
    public static partial void PartitionResumed(this ILogger log, string topic, int partition);

    [LoggerMessage(
        4117,
        LogLevel.Warning,
        "{Topic}: a key on partition {Partition} belongs to {Expected} by murmur2; its producer partitions otherwise, so one customer's topics meet in different processes"
    )]
    public static partial void PartitionerMismatch(this ILogger log, string topic, int partition, int expected);

    [LoggerMessage(
        4118,
        LogLevel.Error,
        "{Topic}[{Partition}] halted: the setting says {Partitions} partitions. Drain, stop all, change topics and setting together"
    )]
    public static partial void PartitionBeyondSetting(this ILogger log, string topic, int partition, int partitions);

    [LoggerMessage(4120, LogLevel.Error, "Dead letter {Code} at {Topic}[{Partition}]@{Offset}, type {Type}: {Reason}")]
    public static partial void DeadLettered(
        this ILogger log,
        string code,
        string topic,
        int partition,
        long offset,
        string? type,
        string reason
    );

    [LoggerMessage(
        4121,
        LogLevel.Critical,
        "Group {Group} halted by the brake: {Count} dead letters for one reason, {Code}. Nothing of the batch was written; correct the release and start again"
    )]
    public static partial void Braked(this ILogger log, string group, int count, string code);

    [LoggerMessage(
        4124,
        LogLevel.Information,
        "{Count} dead letters are replayed: their types were unknown and this version knows them"
    )]
    public static partial void UnknownTypesReplayed(this ILogger log, int count);

    [LoggerMessage(
        4125,
        LogLevel.Warning,
        "Dead letters of unknown types could not be looked at; tried again in {Delay} ms"
    )]
    public static partial void UnknownTypesWait(this ILogger log, Exception exception, int delay);

    [LoggerMessage(4150, LogLevel.Warning, "Messages of type {Type} go one by one: {Why}")]
    public static partial void NeedsSolo(this ILogger log, string type, string why);

    [LoggerMessage(
        4151,
        LogLevel.Warning,
        "Group {Group}: the load barrier waited {Count} times in one batch for messages that a filter held back"
    )]
    public static partial void BarrierWaits(this ILogger log, string group, int count);
}

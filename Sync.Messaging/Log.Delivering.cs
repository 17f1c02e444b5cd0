using Microsoft.Extensions.Logging;

namespace Sync.Messaging;

/// <summary>Log lines of the delivering and hosting half: identifiers, codes, counts and paths only.</summary>
static partial class Log
{
    [LoggerMessage(EventId = 4118, Message = "Topic {Topic} has {Partitions} partitions, not {Expected}")]
    public static partial void PartitionsDiffer(
        this ILogger log,
        LogLevel level,
        string topic,
        int partitions,
        int expected
    );

    [LoggerMessage(4130, LogLevel.Information, "Outbox lease of {Schema} taken by {Owner}, epoch {Epoch}")]
    public static partial void LeaseTaken(this ILogger log, string schema, string owner, long epoch);

    [LoggerMessage(
        4131,
        LogLevel.Warning,
        "Outbox lease of {Schema}, epoch {Epoch}, lost by {Owner}: {Cause}; what is in hand is dropped, its next owner sends it"
    )]
    public static partial void LeaseLost(this ILogger log, string schema, string owner, long epoch, string cause);

    [LoggerMessage(
        4132,
        LogLevel.Error,
        "Outbox row {Id} for {Topic} refused by Kafka ({Code}); kept as dead letter {DeadLetter}"
    )]
    public static partial void RowRefused(this ILogger log, long id, string topic, string code, Guid deadLetter);

    [LoggerMessage(
        4133,
        LogLevel.Error,
        "Producer rebuilt after the fatal error {Code}; sending goes on at the oldest row not acknowledged"
    )]
    public static partial void ProducerRebuilt(this ILogger log, string code);

    [LoggerMessage(
        4134,
        LogLevel.Error,
        "Sending to {Topic} stopped ({Code}); its rows wait, and it is tried again every 5 s"
    )]
    public static partial void TopicStopped(this ILogger log, string topic, string code);

    [LoggerMessage(4135, LogLevel.Information, "Sending to {Topic} goes on")]
    public static partial void TopicResumed(this ILogger log, string topic);

    [LoggerMessage(4136, LogLevel.Error, "Delivery failed and goes on in {Delay} ms")]
    public static partial void DeliveryFailed(this ILogger log, Exception exception, int delay);

    [LoggerMessage(4137, LogLevel.Error, "The schedule could not be moved; tried again in {Delay} ms")]
    public static partial void MoverFailed(this ILogger log, Exception exception, int delay);

    [LoggerMessage(EventId = 4140, Message = "Back-pressure {State}: {Reason}")]
    public static partial void BackPressure(this ILogger log, LogLevel level, string state, string reason);

    [LoggerMessage(4141, LogLevel.Warning, "PostgreSQL does not answer")]
    public static partial void DatabaseUnreachable(this ILogger log, Exception exception);

    [LoggerMessage(4142, LogLevel.Information, "PostgreSQL answers")]
    public static partial void DatabaseReachable(this ILogger log);

    [LoggerMessage(4143, LogLevel.Warning, "No broker of Kafka answers")]
    public static partial void KafkaUnreachable(this ILogger log, Exception exception);

    [LoggerMessage(4144, LogLevel.Information, "Kafka answers, cluster {ClusterId}")]
    public static partial void KafkaReachable(this ILogger log, string clusterId);

    [LoggerMessage(
        4160,
        LogLevel.Information,
        "Started {Process} {Version} as replica {Replica}: schema {Schema}, group {Group}, cluster {ClusterId}, {Partitions} partitions a topic, embedded Kafka {Embedded}"
    )]
    public static partial void Started(
        this ILogger log,
        string process,
        string version,
        string replica,
        string schema,
        string group,
        string clusterId,
        int partitions,
        bool embedded
    );

    [LoggerMessage(4161, LogLevel.Information, "Management port: {Address}")]
    public static partial void ManagementListens(this ILogger log, string address);

    [LoggerMessage(4162, LogLevel.Critical, "Start refused: {Fault}")]
    public static partial void StartRefused(this ILogger log, string fault);

    [LoggerMessage(4163, LogLevel.Critical, "Ended by an unexpected failure")]
    public static partial void Failed(this ILogger log, Exception exception);

    [LoggerMessage(4164, LogLevel.Information, "Schema {Schema} is up to date, {Applied} migrations applied")]
    public static partial void Migrated(this ILogger log, string schema, int applied);

    [LoggerMessage(
        4165,
        LogLevel.Information,
        "Topic {Topic} created with {Partitions} partitions, replication {Replication}"
    )]
    public static partial void TopicCreated(this ILogger log, string topic, int partitions, short replication);

    [LoggerMessage(4166, LogLevel.Information, "Topic {Topic} exists")]
    public static partial void TopicExists(this ILogger log, string topic);

    [LoggerMessage(
        4169,
        LogLevel.Warning,
        "Schema {Schema} lacks migrations of this release, which begins when the verb migrate has applied them: {Pending}"
    )]
    public static partial void MigrationsAwaited(this ILogger log, string schema, string pending);

    [LoggerMessage(4167, LogLevel.Error, "A task failed unobserved")]
    public static partial void Unobserved(this ILogger log, Exception exception);

    [LoggerMessage(EventId = 4168, Message = "{Client} {Facility}: {Line}")]
    public static partial void ClientLine(
        this ILogger log,
        LogLevel level,
        string client,
        string facility,
        string line
    );

    [LoggerMessage(4170, LogLevel.Information, "Removed {Count} {Rows}, kept for {Days} days")]
    public static partial void Expired(this ILogger log, long count, string rows, int days);

    [LoggerMessage(4171, LogLevel.Warning, "Removing {Rows} that have had their time failed; again within the hour")]
    public static partial void ExpiringFailed(this ILogger log, string rows, Exception exception);
}

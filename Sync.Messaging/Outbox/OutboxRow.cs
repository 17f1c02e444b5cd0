namespace Sync.Messaging.Outbox;

/// <param name="AgeSeconds">How long the row had waited, by the database's clock, when it was read.</param>
sealed record OutboxRow(long Id, string Topic, byte[] Key, byte[] Headers, byte[] Body, double AgeSeconds);

/// <summary>What became of a row that was given to Kafka.</summary>
enum RowOutcome
{
    /// <summary>Nothing is known: it is sent again, perhaps for the second time.</summary>
    Unknown,

    /// <summary>All in-sync replicas have it.</summary>
    Acknowledged,

    /// <summary>Kafka will never take this row: it becomes a dead letter.</summary>
    Refused,

    /// <summary>Kafka takes nothing for this topic now: the row waits with the topic's others.</summary>
    TopicStopped,
}

readonly record struct RowResult(RowOutcome Outcome, string Code);

namespace Sync.Messaging.Hosting;

/// <summary>What every process has, as views of schema <c>dashboard</c>: messages on their way, and those that went nowhere.</summary>
public static class KernelViews
{
    static readonly DashboardView Outbox = new(
        "outbox",
        "outbox",
        """
        select * from (
          select 'outbox' as kind, topic, count(*) as messages, min(created_at) as oldest, %1$L::text as process
            from %1$I.outbox
           group by topic
          union all
          select 'late timer', topic, count(*), min(due_at), %1$L::text
            from %1$I.schedule
           where due_at < now()
           group by topic) waiting
        """,
        "What the processes have written and Kafka has not acknowledged, by process and topic. No personal data.",
        [
            ("kind", "outbox: messages on their way; late timer: timers whose time has come."),
            ("topic", "Where they go."),
            ("messages", "How many."),
            ("oldest", "Since when the oldest waits."),
            ("process", "The process that wrote them, by its schema."),
        ]
    );

    static readonly DashboardView DeadLetters = new(
        "dead_letters",
        "dead_letter",
        """
        select id, direction, topic, partition, "offset",
               case when reason_code <> 'bad-key' then encode(key, 'escape') end as key,
               message_type, reason_code, reason, attempts, first_at, state, closed_by, closed_at, %1$L::text as process
          from %1$I.dead_letter
        """,
        "Messages that a process could not handle; each is kept whole in its table dead_letter. No personal data.",
        [
            ("id", "The id by which it is replayed."),
            (
                "direction",
                "in: could not be handled; out: Kafka would not take it; webhook: a call that cannot be read."
            ),
            ("topic", "Where it came from or was to go."),
            ("partition", "The partition that it came from."),
            ("offset", "Its offset there."),
            ("key", "The id of the customer or object; null where the key is not one."),
            ("message_type", "The CloudEvents type, if it names one."),
            ("reason_code", "Why, a fixed word."),
            ("reason", "What was wrong, where, and what to do; never a value."),
            ("attempts", "How often it was tried."),
            ("first_at", "Since when it lies here."),
            ("state", "open, replayed or closed."),
            ("closed_by", "Who replayed or closed it."),
            ("closed_at", "When."),
            ("process", "The process that could not handle it, by its schema."),
        ]
    );

    public static IReadOnlyList<DashboardView> All { get; } = [Outbox, DeadLetters];
}

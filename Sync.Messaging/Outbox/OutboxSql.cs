using Sync.Messaging.Hosting;

namespace Sync.Messaging.Outbox;

/// <summary>The outbox's statements, with the schema written out.</summary>
sealed class OutboxSql(ProcessIdentity identity)
{
    /// <summary>Rows of one look, and so of one delete: what a crash can send twice.</summary>
    public const int MaxRows = 1_000;

    /// <summary>One look ends with the row that passes this.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>The order of ids is the order of the arrays.</summary>
    public string Insert { get; } =
        $"""
            insert into {identity.Schema}.outbox (topic, key, headers, body)
            select u.topic, u.key, u.headers, u.body
              from unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[])
                   with ordinality u(topic, key, headers, body, position)
             order by u.position
            """;

    /// <summary>$1 the cursor, $2 topics that are stopped.</summary>
    public string Select { get; } =
        $"""
            select w.id, w.topic, w.key, w.headers, w.body, extract(epoch from clock_timestamp() - w.created_at)::float8
              from (select h.*, sum(octet_length(h.body)) over (order by h.id) - octet_length(h.body) as before
                      from (select * from {identity.Schema}.outbox
                             where id > $1 and topic <> all($2) order by id limit {MaxRows}) h) w
             where w.before < {MaxBytes}
             order by w.id
            """;

    public string Delete { get; } = $"delete from {identity.Schema}.outbox where id = any($1)";

    public string TakeLease { get; } =
        $"""
            update {identity.Schema}.outbox_lease set owner = $1, epoch = epoch + 1, until = now() + interval '10 s'
             where until < now() or (owner = $1 and $2) returning epoch
            """;

    public string RenewLease { get; } =
        $"update {identity.Schema}.outbox_lease set until = now() + interval '10 s' where owner = $1 and epoch = $2";

    public string GiveLeaseBack { get; } =
        $"update {identity.Schema}.outbox_lease set until = '-infinity' where owner = $1 and epoch = $2";
}

using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Messaging.Hosting;

/// <summary>The kernel's tables and functions, for a process's own migration.</summary>
public static partial class MessagingTables
{
    /// <summary>
    /// Creates them in <paramref name="schema"/>, and the schema where there is none. The schema is written out everywhere,
    /// in the functions too: nothing relies on a session's <c>search_path</c>.
    /// </summary>
    public static void AddMessagingTables(this MigrationBuilder migrationBuilder, string schema)
    {
        foreach (var statement in Create(schema))
            migrationBuilder.Sql(statement);
    }

    /// <summary>Drops them, with what they hold. The schema stays.</summary>
    public static void DropMessagingTables(this MigrationBuilder migrationBuilder, string schema)
    {
        foreach (var statement in Drop(schema))
            migrationBuilder.Sql(statement);
    }

    /// <summary>
    /// By what <see cref="Retention"/> finds its rows. A process calls it in a migration after
    /// <see cref="AddMessagingTables"/>.
    /// </summary>
    public static void AddRetention(this MigrationBuilder migrationBuilder, string schema)
    {
        var s = CheckedSchema(schema);
        migrationBuilder.Sql(
            $"create index dead_letter_closed on {s}.dead_letter (closed_at) where closed_at is not null;"
        );
    }

    public static void DropRetention(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql($"drop index if exists {CheckedSchema(schema)}.dead_letter_closed;");

    /// <summary>
    /// By what an erasure finds a person's rows. A process calls it in a migration after <see cref="AddMessagingTables"/>.
    /// The outbox has none: it is short, or nothing leaves, and each message would pay for it twice.
    /// </summary>
    public static void AddErasureIndexes(this MigrationBuilder migrationBuilder, string schema)
    {
        var s = CheckedSchema(schema);
        // By hash, since the key of what could not be read may be longer than a row of a B-tree.
        migrationBuilder.Sql($"create index dead_letter_key on {s}.dead_letter using hash (key);");
        migrationBuilder.Sql($"create index schedule_key on {s}.schedule using hash (key);");
    }

    public static void DropErasureIndexes(this MigrationBuilder migrationBuilder, string schema)
    {
        var s = CheckedSchema(schema);
        migrationBuilder.Sql($"drop index if exists {s}.dead_letter_key, {s}.schedule_key;");
    }

    /// <exception cref="ArgumentException">Not a plain lower-case name.</exception>
    internal static string CheckedSchema(string schema) =>
        SchemaName().IsMatch(schema)
            ? schema
            : throw new ArgumentException(
                $"'{schema}' is no schema name: lower-case letters, digits and '_'",
                nameof(schema)
            );

    internal static IEnumerable<string> Create(string schema)
    {
        var s = CheckedSchema(schema);
        yield return $"create schema if not exists {s};";
        yield return $"""
            create table {s}.consumer_offset (
              consumer_group text not null, cluster_id text not null, topic text not null, partition int not null,
              next_offset bigint not null check (next_offset >= 0),
              epoch       bigint not null default 1,      -- the fence: +1 at every claim and resume
              owner       text   not null,                -- replica name; decides nothing
              claimed_at  timestamptz not null default now(), moved_at timestamptz,
              primary key (consumer_group, cluster_id, topic, partition)
            ) with (fillfactor = 50);
            """;
        yield return $"""
            create function {s}.claim_partitions(p_group text, p_cluster text, p_topic text[], p_partition int[],
                                                 p_initial bigint[], p_owner text)
            returns table(topic text, partition int, next_offset bigint, epoch bigint, is_new boolean)
            language plpgsql as $$
            #variable_conflict use_column
            begin
              return query
              insert into {s}.consumer_offset as o (consumer_group, cluster_id, topic, partition, next_offset, owner)
              select p_group, p_cluster, w.t, w.p, w.i, p_owner
                from unnest(p_topic, p_partition, p_initial) w(t, p, i) order by w.t collate "C", w.p
              on conflict (consumer_group, cluster_id, topic, partition)
              do update set epoch = o.epoch + 1, owner = excluded.owner, claimed_at = now()
              returning o.topic, o.partition, o.next_offset, o.epoch, (o.xmax = 0);
            end $$;
            """;
        yield return $"""
            create function {s}.advance_offsets(p_group text, p_cluster text, p_topic text[], p_partition int[],
                                                p_epoch bigint[], p_from bigint[], p_to bigint[])
            returns void language plpgsql as $$
            declare n int;
            begin
              update {s}.consumer_offset o set next_offset = w.nxt, moved_at = now()
                from unnest(p_topic, p_partition, p_epoch, p_from, p_to) w(t, p, e, frm, nxt)
               where o.consumer_group = p_group and o.cluster_id = p_cluster and o.topic = w.t and o.partition = w.p
                 and o.epoch = w.e and o.next_offset = w.frm and w.nxt > w.frm;
              get diagnostics n = row_count;
              if n <> cardinality(p_topic) then
                raise exception 'partition fenced: % of % offset rows moved', n, cardinality(p_topic)
                  using errcode = 'SY001';
              end if;
            end $$;
            """;
        yield return $"""
            create table {s}.outbox (
              id bigint generated always as identity (cache 1) primary key,
              topic text not null, key bytea not null, headers bytea not null, body bytea not null,
              created_at timestamptz not null default now()
            ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
                    autovacuum_vacuum_cost_delay = 0);
            """;
        yield return $"""
            create table {s}.outbox_lease (
              one boolean primary key default true check (one),
              owner text, epoch bigint not null default 0, until timestamptz not null default '-infinity');
            insert into {s}.outbox_lease default values;
            """;
        yield return $"""
            create table {s}.schedule (
              token uuid primary key, due_at timestamptz not null,
              topic text not null, key bytea not null, headers bytea not null, body bytea not null);
            create index schedule_due_at on {s}.schedule (due_at);
            """;
        yield return $"""
            create table {s}.dead_letter (
              id uuid primary key,                -- UUIDv5 of coordinates and value: written twice = once
              direction text not null, consumer_group text not null, cluster_id text, topic text, partition int,
              "offset" bigint,
              key bytea, value bytea, headers jsonb,      -- names and base64 values, order kept, doubles kept
              message_type text, reason_code text not null, reason text not null,   -- no values in it
              attempts int, first_at timestamptz not null default now(),
              state text not null default 'open', closed_by text, closed_at timestamptz);
            create index dead_letter_open on {s}.dead_letter (first_at) where state = 'open';
            """;
        // A Kafka partition's gap has offsets, a vendor's feed has times.
        yield return $"""
            create table {s}.feed_gap (
              id bigint generated always as identity primary key,
              feed text not null,                 -- 'kafka', or the name of a vendor's feed
              reason text not null,
              consumer_group text, cluster_id text, topic text, partition int, from_offset bigint, to_offset bigint,
              from_time timestamptz, to_time timestamptz,
              found_at timestamptz not null default now(),
              state text not null default 'open', closed_by text, closed_at timestamptz);
            create index feed_gap_open on {s}.feed_gap (found_at) where state = 'open';
            """;
    }

    internal static IEnumerable<string> Drop(string schema)
    {
        var s = CheckedSchema(schema);
        yield return $"drop table if exists {s}.feed_gap, {s}.dead_letter, {s}.schedule, {s}.outbox_lease, {s}.outbox;";
        yield return $"drop function if exists {s}.advance_offsets, {s}.claim_partitions;";
        yield return $"drop table if exists {s}.consumer_offset;";
    }

    [GeneratedRegex("^[a-z_][a-z0-9_]{0,62}$", RegexOptions.NonBacktracking)]
    private static partial Regex SchemaName();
}

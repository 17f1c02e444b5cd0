using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Links;

namespace Sync.Adapter.Following;

/// <summary>The tables of the way in: who follows a feed, what was taken in, gaps, scans.</summary>
public static class FollowingTables
{
    /// <summary>Adds them. A process calls it in a migration after <c>AddMessagingTables</c> and <see cref="AdapterTables.AddAdapterTables"/>.</summary>
    public static void AddFollowingTables(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(Create(schema));

    public static void DropFollowingTables(this MigrationBuilder migrationBuilder, string schema)
    {
        var s = AdapterTables.Quoted(schema);
        migrationBuilder.Sql(
            $"""
            delete from {s}.feed_gap where scan_id is not null;
            alter table {s}.feed_gap drop column gap_id, drop column scan_id;
            drop table if exists {s}.scan_unseen, {s}.scan, {s}.hint_seen, {s}.mapping;
            delete from {s}.cursor where value is null;
            alter table {s}.cursor alter column value set not null, drop column taken_by, drop column taken_until,
              drop column epoch, drop column page_at, drop column newest_at;
            """
        );
    }

    internal static string Create(string schema)
    {
        var s = AdapterTables.Quoted(schema);
        return $$"""
            -- One replica follows a feed at a time. The lease spares double work; the epoch, which every take raises, is the
            -- fence: a page is stored by the holder of the newest take or not at all.
            alter table {{s}}.cursor
              alter column value drop not null,
              add column taken_by    text,
              add column taken_until timestamptz,
              add column epoch       bigint not null default 0,
              add column page_at     timestamptz,
              add column newest_at   timestamptz;

            -- Hints that were taken in, by the id of the change that they tell of: a webhook comes again for days, and the same
            -- event stands in the vendor's list of events.
            create table {{s}}.hint_seen (
              id      uuid primary key,
              seen_at timestamptz not null default now()
            );
            create index hint_seen_at on {{s}}.hint_seen (seen_at);

            create table {{s}}.scan (
              id          uuid primary key,
              kind        text not null check (kind in ('gap', 'first', 'timer', 'mapping', 'request')),
              request_id  uuid unique,
              dry_run     boolean not null default false,
              state       text not null default 'waiting' check (state in ('waiting', 'listing', 'ending', 'done')),
              after       text,
              asked_at    timestamptz not null default now(),
              started_at  timestamptz,
              finished_at timestamptz,
              seen        bigint not null default 0,
              differing   bigint not null default 0,
              unknown     bigint not null default 0,
              absent      bigint not null default 0
            );
            -- A scan that has not begun serves everybody who asks for one; requests have their own.
            create unique index scan_waiting on {{s}}.scan ((true)) where state = 'waiting' and request_id is null;
            create index scan_open on {{s}}.scan (asked_at) where state <> 'done';

            -- Objects that were linked when the scan began and were not listed yet.
            create table {{s}}.scan_unseen (
              scan_id uuid not null,
              ext     text not null,
              primary key (scan_id, ext)
            );

            -- The kernel's table, which has gaps of Kafka's partitions too.
            alter table {{s}}.feed_gap
              add column gap_id  uuid not null unique default gen_random_uuid(),
              add column scan_id uuid;
            create index feed_gap_scan on {{s}}.feed_gap (scan_id) where state = 'open';

            -- The mapping that the values in link.last were read with.
            create table {{s}}.mapping (
              one  boolean primary key default true check (one),
              hash text not null
            );
            """;
    }
}

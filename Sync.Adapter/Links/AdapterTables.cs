using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Adapter.Links;

/// <summary>The tables of an adapter, in the schema of its own.</summary>
public static class AdapterTables
{
    /// <summary>
    /// Adds them. A process calls it in its first migration, next to <c>AddMessagingTables</c>:
    /// <code>
    /// [DbContext(typeof(StripeDb)), Migration("20261124000000_Start")]
    /// sealed class Start : Migration
    /// {
    ///     protected override void Up(MigrationBuilder migrationBuilder)
    ///     {
    ///         migrationBuilder.AddMessagingTables("stripe");
    ///         migrationBuilder.AddAdapterTables("stripe");
    ///     }
    /// }
    /// </code>
    /// </summary>
    public static void AddAdapterTables(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(Create(schema));

    public static void DropAdapterTables(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(
            $"drop table if exists {Quoted(schema)}.link, {Quoted(schema)}.link_start, {Quoted(schema)}.work, "
                + $"{Quoted(schema)}.ledger, {Quoted(schema)}.cursor, {Quoted(schema)}.api_usage;"
        );

    /// <summary>Schemas are named in code; a name that needs quoting is a mistake.</summary>
    internal static string Quoted(string schema) =>
        schema.Length > 0 && schema.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_')
            ? $"\"{schema}\""
            : throw new ArgumentException(
                $"schema \"{schema}\" must be lower-case letters, digits and _",
                nameof(schema)
            );

    internal static string Create(string schema)
    {
        var s = Quoted(schema);
        return $$"""
            create schema if not exists {{s}};

            -- One row a lane: customer:<id>, or object:<ext> while the customer is unknown. Lanes are locked in the order of
            -- their bytes, whatever the collation of the database. fillfactor: leases are updates in place.
            create table {{s}}.link (
              lane        text collate "C" primary key,
              ext         text unique,
              gen         int not null default 0,
              dead_exts   text[] not null default '{}',
              version     bigint not null,
              last        jsonb,
              stamp       uuid,
              restored_at timestamptz,
              found       boolean not null default false,
              taken_by    text,
              taken_until timestamptz,
              due_at      timestamptz,
              attempts    int not null default 0,
              reason      text
            ) with (fillfactor = 70);
            create index link_due on {{s}}.link (due_at) where due_at is not null;

            -- The version that new rows of link start with: raised when this database was restored, so that no report is numbered below one
            -- that the saga has seen. A new row may be a lane that the backup did not know, so it begins as a restored one.
            create table {{s}}.link_start (
              one     boolean primary key default true check (one),
              version bigint not null default 0,
              restored_at timestamptz
            );
            insert into {{s}}.link_start default values;

            create table {{s}}.work (
              id          uuid primary key,
              seq         bigint generated always as identity,
              lane        text collate "C" not null,
              kind        text not null check (kind in ('command', 'hint', 'request')),
              body        jsonb not null,
              traceparent text,
              tracestate  text,
              created_at  timestamptz not null default now()
            );
            create index work_lane on {{s}}.work (lane, seq);
            create unique index work_seq on {{s}}.work (seq);

            create table {{s}}.ledger (
              command_id    uuid primary key,
              lane          text collate "C" not null,
              gen           int not null,
              write         jsonb,
              expect        jsonb,
              hashes        jsonb not null default '{}',
              guard         text,
              state         text not null check (state in ('open', 'done', 'abandoned')),
              suspect_until timestamptz,
              keys_spent    int not null default 0,
              opened_at     timestamptz not null default now(),
              closed_at     timestamptz
            );
            create index ledger_lane on {{s}}.ledger (lane, opened_at);
            create index ledger_suspect on {{s}}.ledger (suspect_until) where suspect_until is not null;
            create index ledger_closed on {{s}}.ledger (closed_at) where closed_at is not null;

            -- How far a feed of the vendor was read.
            create table {{s}}.cursor (
              feed     text primary key,
              value    text not null,
              moved_at timestamptz not null default now()
            );

            create table {{s}}.api_usage (
              hour      timestamptz not null,
              replica   text not null,
              operation text not null,
              calls     bigint not null,
              items     bigint not null,
              failed    bigint not null,
              primary key (hour, replica, operation)
            );
            """;
    }
}

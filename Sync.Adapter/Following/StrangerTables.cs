using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Links;

namespace Sync.Adapter.Following;

/// <summary>
/// What an account held before Sync came: objects that carry nobody's id. A customer that is created later and has the
/// e-mail of one is linked to it instead of being created a second time.
/// </summary>
public static class StrangerTables
{
    /// <summary>Adds them. A process calls it in a migration after <see cref="FollowingTables.AddFollowingTables"/>.</summary>
    public static void AddStrangerTables(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(Create(schema));

    public static void DropStrangerTables(this MigrationBuilder migrationBuilder, string schema)
    {
        var s = AdapterTables.Quoted(schema);
        migrationBuilder.Sql($"drop table if exists {s}.stranger, {s}.first_listing;");
    }

    internal static string Create(string schema)
    {
        var s = AdapterTables.Quoted(schema);
        return $"""
            -- As last listed; whoever relies on a row reads the object first. Hashes of e-mails, no values.
            create table {s}.stranger (
              ext       text primary key,
              email_key bytea,
              scan_id   uuid not null
            );
            create index stranger_email on {s}.stranger (email_key) where email_key is not null;

            -- When every object of the account was listed for the first time. An adapter that has worked before has nothing to
            -- wait for: what it found then it has told of.
            create table {s}.first_listing (
              one       boolean primary key default true check (one),
              listed_at timestamptz
            );
            insert into {s}.first_listing (listed_at) select case when exists (select from {s}.link) then now() end;
            """;
    }
}

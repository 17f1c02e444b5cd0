using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Messaging.Hosting;

/// <summary>
/// A view of schema <c>dashboard</c> over a table that several processes have: one branch for each schema of this database
/// that has it. Processes may also keep their tables in different databases, so the view is made from what is there, anew by
/// each process's migration, and looks at no other schema's columns than those of its own release.
/// </summary>
/// <param name="Name">The view.</param>
/// <param name="Table">Every schema with the kernel's tables and this one is a branch.</param>
/// <param name="Select">
/// The branch, a pattern of PostgreSQL's <c>format</c>: <c>%1$I</c> is the schema as a name and <c>%1$L</c> as a text. New
/// columns go to the end, since a view can only grow.
/// </param>
/// <param name="Comments">What the view and, by name, its columns mean. Without quotes.</param>
public sealed record DashboardView(
    string Name,
    string Table,
    string Select,
    string Comment,
    IReadOnlyList<(string Column, string Text)> Comments
)
{
    /// <summary>
    /// Held to the end of a migration by whoever changes schema <c>dashboard</c>: processes start, and migrate, side by side.
    /// </summary>
    public const string Lock = """
        do $dashboard$
        begin
          perform pg_advisory_xact_lock(hashtext('sync'), hashtext('dashboard'));
          -- Asked first: who may not create schemas needs no right to where there is one.
          if to_regnamespace('dashboard') is null then
            create schema dashboard;
          end if;
        end $dashboard$;
        """;

    /// <summary>Makes the view from the schemas that are there.</summary>
    /// <param name="without">A schema that is about to go.</param>
    public string Rebuild(string? without = null) =>
        $"""
            do $dashboard$
            declare
              one text;
              branches text[] := array[]::text[];
            begin
              for one in
                select n.nspname
                  from pg_namespace n
                 where (select count(*) from pg_class c
                         where c.relnamespace = n.oid and c.relkind = 'r' and has_table_privilege(c.oid, 'select')
                           and c.relname in ('outbox', 'outbox_lease', '{Table}'))
                       = {(Table is "outbox" or "outbox_lease" ? 2 : 3)}
                   and n.nspname <> '{(without is null ? "" : MessagingTables.CheckedSchema(without))}'
                 order by n.nspname
              loop
                branches := branches || format($branch${Select}$branch$, one);
              end loop;
              if cardinality(branches) = 0 then
                drop view if exists dashboard.{Name};
              else
                execute 'create or replace view dashboard.{Name} as ' || array_to_string(branches, ' union all ');
            {string.Join(
                '\n',
                Comments.Select(c => $"    comment on column dashboard.{Name}.\"{c.Column}\" is '{c.Text}';").Prepend(
                    $"    comment on view dashboard.{Name} is '{Comment}';"
                )
            )}
              end if;
            end $dashboard$;
            """;
}

public static class DashboardMigration
{
    /// <summary>Makes the views from the schemas that are there now, that of this migration among them.</summary>
    public static void AddDashboardViews(
        this MigrationBuilder migrationBuilder,
        params IEnumerable<DashboardView> views
    )
    {
        migrationBuilder.Sql(DashboardView.Lock);
        foreach (var view in views)
            migrationBuilder.Sql(view.Rebuild());
    }

    /// <summary>Takes a schema out of the views, before its tables go.</summary>
    public static void LeaveDashboardViews(
        this MigrationBuilder migrationBuilder,
        string schema,
        params IEnumerable<DashboardView> views
    )
    {
        migrationBuilder.Sql(DashboardView.Lock);
        foreach (var view in views)
        {
            // A view cannot lose a column of a table that is still named in it, and a missing view is no error.
            migrationBuilder.Sql($"drop view if exists dashboard.{view.Name};");
            migrationBuilder.Sql(view.Rebuild(schema));
        }
    }
}

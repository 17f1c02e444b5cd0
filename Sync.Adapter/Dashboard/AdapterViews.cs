using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Links;
using Sync.Messaging.Hosting;

namespace Sync.Adapter.Dashboard;

/// <summary>
/// What an adapter shows in schema <c>dashboard</c>: lanes that wait, and calls with what they were for. Identifiers and
/// fixed words only; answered by indexes.
/// </summary>
public static class AdapterViews
{
    static readonly DashboardView Waiting = new(
        "waiting",
        "link",
        """
        select %1$L::text as system,
               case when starts_with(l.lane, 'customer:') then substr(l.lane, 10) end as customer_id,
               coalesce(l.ext, case when starts_with(l.lane, 'object:') then substr(l.lane, 8) end) as external_id,
               (select min(w.created_at) from %1$I.work w where w.lane = l.lane) as since,
               case when l.taken_until > now() then 'in hand' else coalesce(l.reason, 'queued') end as why,
               l.attempts,
               l.due_at as next
          from %1$I.link l
         where l.due_at is not null
        """,
        "What waits at an adapter: a row a customer or object with work. No personal data.",
        [
            ("system", "The vendor."),
            ("customer_id", "The customer; null for an object whose customer is not known."),
            ("external_id", "The id of the object in the vendor; null before there is one."),
            ("since", "When the oldest work came in; null where only a look at the object is due."),
            (
                "why",
                "in hand: a worker has it now; queued: its turn comes; anything else is explained in docs/operate.md."
            ),
            ("attempts", "Failures since it last worked."),
            ("next", "When it is taken next; a time that is past means as soon as a worker is free."),
        ]
    );

    static readonly DashboardView Calls = new(
        "api_calls",
        "api_usage",
        """
        select %1$L::text as system, hour, operation, sum(calls)::bigint as calls, sum(items)::bigint as items,
               sum(failed)::bigint as failed
          from %1$I.api_usage
         where hour > now() - interval '7 days'
         group by hour, operation
        """,
        "Our calls of the last seven days, by hour and operation. No personal data.",
        [
            ("system", "The vendor."),
            ("hour", "Beginning of the hour."),
            ("operation", "read, find, create, update, delete."),
            ("calls", "Calls to the vendor."),
            ("items", "What they were about: one call may carry many."),
            ("failed", "Items without success."),
        ]
    );

    static readonly DashboardView Usage = new(
        "api_usage",
        "api_budget",
        """
        select %1$L::text as system,
               b.used,
               greatest(b.allowed - b.used, 0) as left,
               b.reserve,
               b.told_at,
               coalesce(u.calls, 0)::bigint as calls,
               coalesce(u.changes, 0)::bigint as changes,
               round(1000 * u.calls / nullif(u.changes, 0), 1) as calls_per_1000_changes
          from (select sum(calls) as calls,
                       sum(greatest(items - failed, 0)) filter (where operation in ('create', 'update', 'delete')) as changes
                  from %1$I.api_usage where hour > now() - interval '24 hours') u
          left join %1$I.api_budget b on true
        """,
        "What the last 24 hours cost at each vendor. No personal data.",
        [
            ("system", "The vendor."),
            (
                "used",
                "Calls of the whole account, other apps included, as the vendor last told; null where it tells none."
            ),
            ("left", "What the account may still call."),
            ("reserve", "What is left to others; null where nothing is kept back."),
            ("told_at", "When the vendor told."),
            ("calls", "Our own calls."),
            ("changes", "Objects created, updated or deleted by them."),
            ("calls_per_1000_changes", "calls by changes, times 1000; null without a change."),
        ]
    );

    public static IReadOnlyList<DashboardView> All { get; } = [Waiting, Calls, Usage, .. KernelViews.All];

    /// <summary>
    /// The views, and the row that the vendor's own count of calls is kept in. A process calls it in a migration after
    /// <see cref="AdapterTables.AddAdapterTables"/>.
    /// </summary>
    public static void AddAdapterViews(this MigrationBuilder migrationBuilder, string schema)
    {
        migrationBuilder.Sql(CreateBudget(schema));
        migrationBuilder.AddDashboardViews(All);
    }

    public static void DropAdapterViews(this MigrationBuilder migrationBuilder, string schema)
    {
        migrationBuilder.LeaveDashboardViews(schema, All);
        migrationBuilder.Sql($"drop table if exists {AdapterTables.Quoted(schema)}.api_budget;");
    }

    internal static string CreateBudget(string schema) =>
        $"""
            create table {AdapterTables.Quoted(schema)}.api_budget (
              one     boolean primary key default true check (one),
              used    bigint not null,
              allowed bigint not null,
              reserve bigint,
              told_at timestamptz not null
            );
            """;
}

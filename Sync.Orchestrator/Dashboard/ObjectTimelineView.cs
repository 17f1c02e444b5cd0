using Sync.Messaging.Hosting;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// <c>dashboard.object_timeline</c>: what happened to an object found in a vendor, from the moment it was found until a
/// customer has it. <c>dashboard.timeline</c> begins with the customer, and an object that waits for a person has none.
/// </summary>
static class ObjectTimelineView
{
    public static IEnumerable<string> Create { get; } =
    [
        DashboardView.Lock,
        $"""
            create view dashboard.object_timeline as
            select t.id, o.correlation_id as object_id, o.system, o.ext as external_id, o.customer_id, t.at, t.code,
                   t.direction, t.reason, t.requested_by, t.message_id, t.causation_id, t.trace_id
              from {OrchestratorDb.Schema}.found_object o
              join {OrchestratorDb.Schema}.timeline t on t.correlation_id = o.correlation_id;
            """,
        "comment on view dashboard.object_timeline is 'What happened to an object found in a vendor: ask for one object_id or customer_id and order by id. No personal data.';",
        "comment on column dashboard.object_timeline.id is 'Rises with time, in one row with that of timeline.';",
        "comment on column dashboard.object_timeline.object_id is 'The object''s own id here, made of system and external_id.';",
        "comment on column dashboard.object_timeline.system is 'The vendor.';",
        "comment on column dashboard.object_timeline.external_id is 'The vendor''s id of the object.';",
        "comment on column dashboard.object_timeline.customer_id is 'The customer that it asks or belongs to by now; null without one.';",
        "comment on column dashboard.object_timeline.at is 'When.';",
        "comment on column dashboard.object_timeline.code is 'What happened, a fixed word.';",
        "comment on column dashboard.object_timeline.direction is 'in: heard; out: asked.';",
        "comment on column dashboard.object_timeline.reason is 'Why, in words without personal data.';",
        "comment on column dashboard.object_timeline.requested_by is 'The operator who asked for it.';",
        "comment on column dashboard.object_timeline.message_id is 'The message that was handled; its rows share it.';",
        "comment on column dashboard.object_timeline.causation_id is 'The message that caused that one.';",
        "comment on column dashboard.object_timeline.trace_id is 'The trace that it belongs to.';",
    ];

    public const string Drop = "drop view if exists dashboard.object_timeline;";
}

using System.Globalization;
using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// The views by which an operator sees what differs, what hangs, what goes round in circles and what waits. As all of schema
/// <c>dashboard</c> they show identifiers, paths and reasons, never a value, lock nothing, and are answered by an index.
/// </summary>
static class OperatorViews
{
    /// <summary>
    /// Customers that are not simply in step: few, and the only ones that views of trouble look at. Word for word the
    /// predicate of the index, so that PostgreSQL uses it.
    /// </summary>
    const string Unsettled = "(behind <> '{}' or attention is not null or ignored is not null)";

    /// <summary>What views of the recent past look back at.</summary>
    const string Recent = "interval '1 hour'";

    /// <summary>A system that is behind for longer hangs; a repeat comes after ten minutes.</summary>
    public static readonly TimeSpan StuckAfter = TimeSpan.FromMinutes(15);

    /// <summary>Open dead letters of one reason within ten minutes from which on the brake is near: it closes at more than 50 a minute.</summary>
    public const int ManyDeadLetters = 50;

    /// <summary>Changes of one field in an hour, in more than one system, from which on it flaps.</summary>
    public const int Flapping = 4;

    static readonly string StuckMinutes = StuckAfter.TotalMinutes.ToString("0", CultureInfo.InvariantCulture);

    public static IEnumerable<string> Create { get; } =
    [
        DashboardView.Lock,
        // An adapter that was first has made them in their newer form, which the last migration makes again.
        "drop view if exists dashboard.outbox, dashboard.dead_letters;",
        $"create index ix_customer_unsettled on sync.customer (since) where {Unsettled};",
        // ---- the two places that know the form of a state document; one of an unknown version shows nothing
        """
            create function dashboard.state_fields(document jsonb) returns jsonb
            language sql immutable parallel safe as
            $$ select case document ->> 'v' when '1' then document -> 'fields' end $$;
            """,
        """
            create function dashboard.state_systems(document jsonb)
            returns table (system text, external_id text, linked boolean, gone boolean, brake text, stands_for jsonb,
                           refused jsonb, sent jsonb)
            language sql immutable parallel safe as
            $$
              select s.key,
                     s.value ->> 'ext',
                     coalesce((s.value ->> 'linked')::boolean, false),
                     coalesce((s.value ->> 'gone')::boolean, false),
                     s.value ->> 'brake',
                     coalesce(s.value -> 'at', '{}'),
                     coalesce(s.value -> 'refused', '{}'),
                     s.value -> 'sent'
                from jsonb_each(case document ->> 'v' when '1' then document -> 'systems' end) s
            $$;
            """,
        "comment on function dashboard.state_fields is 'Values by path of a state document, whatever its version. Personal data: for views only, which compare and never show them.';",
        "comment on function dashboard.state_systems is 'Systems of a state document, whatever its version. Personal data in stands_for, refused and sent: for views only, which compare and never show them.';",
        $$"""
            create view dashboard.drift as
            select c.customer_id,
                   s.system,
                   d.class,
                   d.paths,
                   c.since
              from sync.customer c
             cross join lateral dashboard.state_systems(c.systems) s
             -- Customer by customer: whoever wants the oldest hundred waits for no more than these.
             cross join lateral (
                   select coalesce(f.class, whole.class) as class,
                          coalesce(array_agg(f.path order by f.path) filter (where f.path is not null), '{}') as paths
                     from (
                   select case
                            when c.current_state in ('Proposed', 'Live') then
                              case when s.gone then 'gone'
                                   when s.refused ->> '*' = c.revision::text then 'refused'
                                   when s.system = any (c.behind) then 'waiting' end
                            when c.current_state in ('Removing', 'Removed') then
                              case when s.gone or (s.external_id is null and not s.linked) then null
                                   when s.brake like 'refused: %' then 'refused'
                                   when s.brake in ('kept', 'undeleted', 'recreated') then 'kept'
                                   when s.system = any (c.behind) then 'waiting' end
                          end as class) whole
              left join lateral (
                   select p.path,
                          case when s.gone then 'gone'
                               when dashboard.state_fields(c.held) ? p.path then 'held'
                               when s.refused ->> '*' = c.revision::text
                                    or (s.refused ? p.path
                                        and s.refused ->> p.path is not distinct from dashboard.state_fields(c.golden) ->> p.path)
                                 then 'refused'
                               else 'waiting' end as class
                     from (select jsonb_object_keys(s.stands_for) as path
                           union select jsonb_object_keys(s.sent -> 'write')
                           union select jsonb_object_keys(s.refused - '*')) p
                    where c.current_state in ('Proposed', 'Live')
                      and (s.gone
                           or dashboard.state_fields(c.golden) ->> p.path is distinct from s.stands_for ->> p.path)) f
                on true
                    group by 1
                   having coalesce(f.class, whole.class) is not null) d
             where {{Unsettled}};
            """,
        "comment on view dashboard.drift is 'Where a system differs from the golden record, and why: a row a customer, system and class. No personal data.';",
        "comment on column dashboard.drift.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.drift.system is 'The system that differs.';",
        "comment on column dashboard.drift.class is 'waiting: asked for, or about to be; refused: the system refused it; held: a conflict waits for a person; gone: the object is not there, and its deletion waits for a person; kept: the customer was removed and the object stays.';",
        "comment on column dashboard.drift.paths is 'The fields that differ; empty where the object as a whole is meant.';",
        "comment on column dashboard.drift.since is 'Since when the customer is not in step.';",
        $$"""
            create view dashboard.stuck as
            select c.customer_id,
                   s.system,
                   s.sent ->> 'op' as operation,
                   (s.sent ->> 'rev')::bigint as revision,
                   (s.sent ->> 'attempt')::int as attempt,
                   (s.sent ->> 'id')::uuid as command_id,
                   (s.sent ->> 'dueAt')::timestamptz as repeated_at,
                   c.since
              from sync.customer c
             cross join lateral dashboard.state_systems(c.systems) s
             where {{Unsettled}}
               and c.behind <> '{}'
               and c.since < now() - interval '{{StuckMinutes}} minutes'
               and s.system = any (c.behind);
            """,
        $"comment on view dashboard.stuck is 'Systems that have been behind for more than {StuckMinutes} minutes, with the command in flight. No personal data.';",
        "comment on column dashboard.stuck.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.stuck.system is 'The system that is behind.';",
        "comment on column dashboard.stuck.operation is 'create, update or delete; null where nothing is in flight.';",
        "comment on column dashboard.stuck.revision is 'Revision of the golden record that the command carries.';",
        "comment on column dashboard.stuck.attempt is 'How often the command was sent.';",
        "comment on column dashboard.stuck.command_id is 'The id under which the adapter keeps the command in its tables work and ledger.';",
        "comment on column dashboard.stuck.repeated_at is 'When it is sent again in case a message was lost.';",
        "comment on column dashboard.stuck.since is 'Since when the customer is not in step.';",
        $$"""
            create view dashboard.brakes as
            select 'deletion' as brake,
                   c.customer_id,
                   s.system,
                   null::text as reason,
                   1::bigint as messages,
                   c.since,
                   'The object was deleted there while the deletion brake was closed. Release it: spread or restore.' as what_to_do
              from sync.customer c
             cross join lateral dashboard.state_systems(c.systems) s
             where {{Unsettled}}
               and c.current_state in ('Proposed', 'Live')
               and s.brake = 'held'
            union all
            select 'loop',
                   c.customer_id,
                   split_part(coalesce(c.attention, c.ignored), ' ', 2),
                   coalesce(c.attention, c.ignored),
                   1,
                   c.since,
                   'The customer changed faster than a person can: two systems overwrite each other. Correct one of them, then retry.'
              from sync.customer c
             where {{Unsettled}}
               and coalesce(c.attention, c.ignored) like 'loop%'
            union all
            select 'dead-letters',
                   null,
                   null,
                   d.reason_code,
                   count(*),
                   min(d.first_at),
                   'So many messages cannot be handled that a process may have stopped consuming: its health page says brake. Correct the release or the sender, then replay.'
              from sync.dead_letter d
             where d.state = 'open'
               and d.first_at > now() - interval '10 minutes'
             group by d.reason_code
            having count(*) >= {{ManyDeadLetters}};
            """,
        "comment on view dashboard.brakes is 'What Sync holds back by itself until a person looks. No personal data.';",
        "comment on column dashboard.brakes.brake is 'deletion: many objects vanished at once; loop: a customer is overwritten again and again; dead-letters: one reason makes many dead letters in the orchestrator.';",
        "comment on column dashboard.brakes.customer_id is 'The customer; null for dead letters.';",
        "comment on column dashboard.brakes.system is 'The system in which the object was deleted, or that the reason names.';",
        "comment on column dashboard.brakes.reason is 'The attention of a looping customer, or the reason of the dead letters.';",
        "comment on column dashboard.brakes.messages is 'How many are held: 1 for a customer, otherwise dead letters.';",
        "comment on column dashboard.brakes.since is 'Since when.';",
        "comment on column dashboard.brakes.what_to_do is 'What a person can do.';",
        """
            create view dashboard.timeline as
            select t.id, c.customer_id, t.at, t.revision, t.code, t.system, t.direction, t.paths, t.external_id, t.reason,
                   t.requested_by, t.message_id, t.causation_id, t.trace_id, t.vendor_request_id, t.calls, t.duration_ms
              from sync.customer c
              join sync.timeline t on t.correlation_id = c.correlation_id;
            """,
        "comment on view dashboard.timeline is 'What happened to a customer: ask for one customer_id and order by id. No personal data.';",
        "comment on column dashboard.timeline.id is 'Rises with time.';",
        "comment on column dashboard.timeline.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.timeline.at is 'When.';",
        "comment on column dashboard.timeline.revision is 'Revision of the golden record after it.';",
        "comment on column dashboard.timeline.code is 'What happened, a fixed word.';",
        "comment on column dashboard.timeline.system is 'The system that it is about.';",
        "comment on column dashboard.timeline.direction is 'in: heard; out: asked.';",
        "comment on column dashboard.timeline.paths is 'The fields that it is about.';",
        "comment on column dashboard.timeline.external_id is 'The vendor''s id of the object.';",
        "comment on column dashboard.timeline.reason is 'Why, in words without personal data.';",
        "comment on column dashboard.timeline.requested_by is 'The operator who asked for it.';",
        "comment on column dashboard.timeline.message_id is 'The message that was handled; its rows share it.';",
        "comment on column dashboard.timeline.causation_id is 'The message that caused that one.';",
        "comment on column dashboard.timeline.trace_id is 'The trace that it belongs to.';",
        "comment on column dashboard.timeline.vendor_request_id is 'The vendor''s id of the request, for a support case.';",
        "comment on column dashboard.timeline.calls is 'Vendor calls that it cost, its share where one call served many.';",
        "comment on column dashboard.timeline.duration_ms is 'How long the adapter took, in milliseconds.';",
        $$"""
            create view dashboard.echo as
            select t.customer_id,
                   t.edits,
                   t.writes,
                   round(t.writes::numeric / nullif(t.edits, 0), 2) as writes_per_edit,
                   t.systems
              from (select customer_id,
                           count(*) filter (where code in ('product.snapshot', 'reported', 'object.linked') and paths <> '{}') as edits,
                           count(*) filter (where code in ('command.create', 'command.update')) as writes,
                           count(distinct system) filter (where code in ('command.create', 'command.update')) as systems
                      from sync.timeline
                     where at > now() - {{Recent}}
                     group by customer_id) t
             where t.customer_id is not null
               and t.edits + t.writes > 0;
            """,
        "comment on view dashboard.echo is 'Writes asked for per outside edit in the last hour, a row a customer: more than one for each other system would be an echo. No personal data.';",
        "comment on column dashboard.echo.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.echo.edits is 'Messages of the last hour that changed the golden record.';",
        "comment on column dashboard.echo.writes is 'Creates and updates asked for, repeats of a lost message not counted.';",
        "comment on column dashboard.echo.writes_per_edit is 'writes by edits; null without an edit.';",
        "comment on column dashboard.echo.systems is 'How many systems were asked: what writes_per_edit may reach.';",
        $$"""
            create view dashboard.flapping as
            select t.customer_id,
                   p.path,
                   count(*) as changes,
                   array_agg(distinct t.system order by t.system) as systems,
                   min(t.at) as first_at,
                   max(t.at) as last_at
              from sync.timeline t
             cross join lateral unnest(t.paths) p(path)
             where t.at > now() - {{Recent}}
               and t.direction = 'in'
               and t.code in ('product.snapshot', 'reported', 'object.linked')
               and t.customer_id is not null
             group by t.customer_id, p.path
            having count(*) >= {{Flapping}} and count(distinct t.system) > 1;
            """,
        "comment on view dashboard.flapping is 'Fields that more than one system keeps changing, in the last hour. No personal data.';",
        "comment on column dashboard.flapping.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.flapping.path is 'The field.';",
        "comment on column dashboard.flapping.changes is 'How often its golden value changed within the hour.';",
        "comment on column dashboard.flapping.systems is 'Where the changes came from.';",
        "comment on column dashboard.flapping.first_at is 'The first of these changes.';",
        "comment on column dashboard.flapping.last_at is 'The last one.';",
        """
            create view dashboard.outbox as
            select 'outbox' as kind, topic, count(*) as messages, min(created_at) as oldest
              from sync.outbox
             group by topic
            union all
            select 'late timer', topic, count(*), min(due_at)
              from sync.schedule
             where due_at < now()
             group by topic;
            """,
        "comment on view dashboard.outbox is 'What the orchestrator has written and Kafka has not acknowledged, by topic. No personal data.';",
        "comment on column dashboard.outbox.kind is 'outbox: messages on their way; late timer: timers whose time has come.';",
        "comment on column dashboard.outbox.topic is 'Where they go.';",
        "comment on column dashboard.outbox.messages is 'How many.';",
        "comment on column dashboard.outbox.oldest is 'Since when the oldest waits.';",
        """
            create view dashboard.dead_letters as
            select id, direction, topic, partition, "offset",
                   case when reason_code <> 'bad-key' then encode(key, 'escape') end as key,
                   message_type, reason_code, reason, attempts, first_at, state, closed_by, closed_at
              from sync.dead_letter;
            """,
        "comment on view dashboard.dead_letters is 'Messages that the orchestrator could not handle; each is kept whole in sync.dead_letter. No personal data.';",
        "comment on column dashboard.dead_letters.id is 'The id by which it is replayed.';",
        "comment on column dashboard.dead_letters.direction is 'in: could not be handled; out: Kafka would not take it.';",
        "comment on column dashboard.dead_letters.topic is 'Where it came from or was to go.';",
        "comment on column dashboard.dead_letters.partition is 'The partition that it came from.';",
        "comment on column dashboard.dead_letters.offset is 'Its offset there.';",
        "comment on column dashboard.dead_letters.key is 'The customer''s or object''s id; null where the key is not one.';",
        "comment on column dashboard.dead_letters.message_type is 'The CloudEvents type, if it names one.';",
        "comment on column dashboard.dead_letters.reason_code is 'Why, a fixed word.';",
        "comment on column dashboard.dead_letters.reason is 'What was wrong, where, and what to do; never a value.';",
        "comment on column dashboard.dead_letters.attempts is 'How often it was tried.';",
        "comment on column dashboard.dead_letters.first_at is 'Since when it lies here.';",
        "comment on column dashboard.dead_letters.state is 'open, replayed or closed.';",
        "comment on column dashboard.dead_letters.closed_by is 'Who replayed or closed it.';",
        "comment on column dashboard.dead_letters.closed_at is 'When.';",
    ];

    /// <summary>The views that have a newer form of another migration, for the way back from it.</summary>
    public static IEnumerable<string> CreateKernelViews =>
        Create.Where(s =>
            s.Contains("view dashboard.outbox", StringComparison.Ordinal)
            || s.Contains("column dashboard.outbox", StringComparison.Ordinal)
            || s.Contains("view dashboard.dead_letters", StringComparison.Ordinal)
            || s.Contains("column dashboard.dead_letters", StringComparison.Ordinal)
        );

    public static IEnumerable<string> Drop { get; } =
    [
        "drop view if exists dashboard.drift, dashboard.stuck, dashboard.brakes, dashboard.timeline, dashboard.echo, dashboard.flapping, dashboard.outbox, dashboard.dead_letters;",
        "drop function if exists dashboard.state_systems, dashboard.state_fields;",
        "drop index if exists sync.ix_customer_unsettled;",
    ];
}

using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// The first form of the two stable views of schema <c>dashboard</c>: what a dashboard, the console and an operator's query read. Identifiers,
/// paths and reasons only, never a value of a customer. <see cref="AttentionView"/> is the newer form of one of them.
/// </summary>
static class Views
{
    public static IEnumerable<string> Create { get; } =
    [
        DashboardView.Lock,
        """
            create view dashboard.customers as
            select c.customer_id,
                   c.current_state as state,
                   c.revision,
                   (select coalesce(jsonb_object_agg(s.key, jsonb_build_object(
                             'externalId', s.value ->> 'ext',
                             'reached', (s.value ->> 'reached')::bigint,
                             'behind', s.key = any (c.behind),
                             'gone', (s.value ->> 'gone')::boolean,
                             'attempt', (s.value #>> '{sent,attempt}')::int)), '{}'::jsonb)
                      from jsonb_each(c.systems -> 'systems') s) as systems,
                   c.behind,
                   case when c.behind = '{}' and c.attention is null then c.since end as in_step_since,
                   c.attention
              from sync.customer c;
            """,
        "comment on view dashboard.customers is 'One row a customer: how far each system is. No personal data.';",
        "comment on column dashboard.customers.customer_id is 'The product''s id of the customer.';",
        "comment on column dashboard.customers.state is 'Proposed, Live, Removing, Removed (a tombstone) or Merged (it became another customer).';",
        "comment on column dashboard.customers.revision is 'Revision of the golden record; it rises with every change.';",
        "comment on column dashboard.customers.systems is 'By system: externalId, reached (revision of the last command answered done), behind, gone, attempt (of the command in flight, null without one).';",
        "comment on column dashboard.customers.behind is 'Systems with a difference or a command in flight.';",
        "comment on column dashboard.customers.in_step_since is 'Since when no system is behind and nothing waits for a person; null otherwise.';",
        "comment on column dashboard.customers.attention is 'The first reason that waits for a person: reason, system, paths.';",
        """
            create view dashboard.attention as
            select 'customer' as kind,
                   c.customer_id,
                   null::text as external_id,
                   split_part(c.attention, ' ', 2) as system,
                   split_part(c.attention, ' ', 1) as reason,
                   string_to_array(nullif(split_part(c.attention, ' ', 3), ''), ',') as paths,
                   nullif(c.systems #>> array['systems', split_part(c.attention, ' ', 2), 'brake'], 'held') as detail,
                   c.since,
                   case split_part(c.attention, ' ', 1)
                     when 'deletion-held' then 'Somebody deleted the object there. Release it: spread deletes the customer everywhere, restore creates the object anew.'
                     when 'deletion-refused' then 'The system did not delete the object, for the reason in detail. Remove the reason and retry, or ignore to keep the object.'
                     when 'undeleted' then 'A person took the object out of the recycle bin after the customer was removed. Create the customer in the product again, or delete the object.'
                     when 'recreated' then 'The product created a removed id again; it is not followed. Create the customer under a new id.'
                     when 'command-refused' then 'The system refused the whole command. Correct the customer, or the cause, and retry.'
                     when 'value-refused' then 'The system refused the values of these paths. Correct them, in any system, or retry once the cause is gone.'
                     when 'conflict-held' then 'Two systems changed these paths at once. Take a side.'
                   end as what_to_do
              from sync.customer c
             where c.attention is not null
            union all
            select 'object',
                   o.customer_id,
                   o.ext,
                   o.system,
                   case when o.reason in ('one-way', 'unmatched') then o.reason else 'parked' end,
                   null,
                   o.reason,
                   o.since,
                   case o.reason
                     when 'one-way' then 'The product is only read, so nobody can be made of this object. Create the customer in the product and put its id on the object.'
                     when 'unmatched' then 'The object carries no customer''s id. Put one on it, or leave it.'
                     else 'A customer turned the object away, for the reason in detail. Merge or delete the object where it lives.'
                   end
              from sync.found_object o
             where o.current_state = 'Parked'
               -- The slot in a customer's row alone says who is linked.
               and not exists (select from sync.customer c
                                where c.customer_id = o.customer_id
                                  and c.systems #>> array['systems', o.system, 'ext'] = o.ext);
            """,
        "comment on view dashboard.attention is 'What waits for a person: customers and found objects. No personal data.';",
        "comment on column dashboard.attention.kind is 'customer or object.';",
        "comment on column dashboard.attention.customer_id is 'The customer; of an object, the one that turned it away, if any.';",
        "comment on column dashboard.attention.external_id is 'The vendor''s id of a found object; null for a customer.';",
        "comment on column dashboard.attention.system is 'The system that it is about; golden for a conflict of several.';",
        "comment on column dashboard.attention.reason is 'A fixed word: deletion-held, deletion-refused, undeleted, recreated, command-refused, value-refused, conflict-held; one-way, unmatched, parked.';",
        "comment on column dashboard.attention.paths is 'The fields that it is about, by path.';",
        "comment on column dashboard.attention.detail is 'The reason in the system''s or the customer''s words.';",
        "comment on column dashboard.attention.since is 'Since when it waits.';",
        "comment on column dashboard.attention.what_to_do is 'What a person can do.';",
    ];

    /// <summary>The attention view alone, for the way back from its newer form.</summary>
    public static IEnumerable<string> CreateAttention =>
        Create.Where(s => s.Contains("dashboard.attention", StringComparison.Ordinal));

    public static IEnumerable<string> Drop { get; } = ["drop view if exists dashboard.attention, dashboard.customers;"];
}

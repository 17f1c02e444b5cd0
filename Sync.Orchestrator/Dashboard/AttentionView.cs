namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// <c>dashboard.attention</c> as it is since objects are matched and brakes exist. The migration that made the first one keeps
/// its own text, since its columns came before.
/// </summary>
static class AttentionView
{
    public static IEnumerable<string> Create { get; } =
    [
        """
            create or replace view dashboard.attention as
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
                     when 'recreated' then case when c.erase_asked_at is null
                       then 'The product created a removed id again; it is not followed. Allow it, or create the customer under a new id.'
                       else 'The product created an erased id again; nothing brings it back. Create the customer under a new id.' end
                     when 'loop' then 'Vendors change these paths again and again, and nothing is written any more. Find the automation that does it, and release the loop.'
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
                   case when o.reason in ('one-way', 'unmatched', 'ambiguous', 'unanswered') then o.reason
                        when o.reason like 'duplicate of %' or o.reason like 'second object of %' then 'duplicate'
                        when o.reason like 'unknown customer%' then 'unknown-customer' else 'parked' end,
                   null,
                   case when o.candidates <> '{}' then o.reason || ': ' || array_to_string(o.candidates, ', ') else o.reason end,
                   o.since,
                   case
                     when o.reason = 'one-way' then 'The product is only read, so nobody can be made of this object. Create the customer in the product and put its id on the object.'
                     when o.reason = 'unmatched' then 'The object was found by an older release. Retry it, link it to a customer, or ignore it.'
                     when o.reason = 'ambiguous' then 'Several customers have its e-mail; detail names them. Link it to one of them, or ignore it.'
                     when o.reason = 'unanswered' then 'The customer that it was to be linked to does not exist. Link it to another, or retry it.'
                     when o.reason like 'duplicate of %' or o.reason like 'second object of %' then 'The customer has another object there. Merge or delete one of them where they live, or ignore it.'
                     when o.reason like 'unknown customer%' then 'It carries an id that no customer has. Correct the id where the object lives, link it to a customer, or ignore it.'
                     else 'A customer turned the object away, for the reason in detail. Merge or delete the object where it lives.'
                   end
              from sync.found_object o
             where o.current_state = 'Parked'
               and o.ignored is distinct from o.reason
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
        "comment on column dashboard.attention.reason is 'A fixed word: deletion-held, deletion-refused, undeleted, recreated, command-refused, value-refused, conflict-held, loop; one-way, unmatched, ambiguous, unanswered, duplicate, unknown-customer, parked.';",
        "comment on column dashboard.attention.paths is 'The fields that it is about, by path.';",
        "comment on column dashboard.attention.detail is 'The reason in the system''s or the customer''s words; of an ambiguous object the candidates.';",
        "comment on column dashboard.attention.since is 'Since when it waits.';",
        "comment on column dashboard.attention.what_to_do is 'What a person can do.';",
    ];
}

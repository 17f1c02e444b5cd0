namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// How fast and how much: <c>dashboard.lag</c> and <c>dashboard.throughput</c>. A day of timeline is too much to count at
/// every look, so <see cref="RollUp"/> counts each minute once, and the views add the minutes that are still open. Latencies
/// are kept as counts by bucket, each a fifth wider than the one before: what a view shows is at most 20 % too high.
/// </summary>
static class PaceViews
{
    /// <summary>A row of the timeline may be committed this long after its time: no minute is closed before. A batch may take 30 s.</summary>
    public static readonly TimeSpan OpenFor = TimeSpan.FromMinutes(1);

    /// <summary>How long counted minutes are kept; the views look back a day.</summary>
    const string KeptFor = "interval '8 days'";

    /// <summary>
    /// What the views look through row by row at most, which also tells the planner that it is little. Minutes are counted
    /// every half minute, so what is open is three minutes; where counting fell behind, it catches up before it is seen.
    /// </summary>
    const string StillOpen = "interval '10 minutes'";

    /// <summary>What one call counts at most, so that catching up is many short transactions.</summary>
    const string Piece = "interval '1 hour'";

    /// <summary>Codes of messages that change golden where they name paths.</summary>
    const string Changes = "('product.snapshot', 'reported', 'object.linked')";

    public static IEnumerable<string> Create { get; } =
    [
        """
            create table sync.minute_events (
              minute timestamptz not null, direction text not null, code text not null, system text not null,
              events bigint not null, calls double precision not null,
              primary key (minute, direction, code, system));
            """,
        """
            create table sync.minute_lag (
              minute timestamptz not null, origin text not null, system text not null, bucket int not null,
              answers bigint not null,
              primary key (minute, origin, system, bucket));
            """,
        $"""
            create table sync.roll_up (one boolean primary key default true check (one), until timestamptz not null);
            insert into sync.roll_up (until) values (date_trunc('minute', now()) - interval '1 day');
            """,
        // Bucket n ends at 1.2^n milliseconds.
        """
            create function sync.lag_bucket(ms bigint) returns int language sql immutable parallel safe as
            $$ select case when ms < 1 then 0 else 1 + floor(ln(ms) / ln(1.2))::int end $$;
            """,
            // The change that an answer ended is the newest one of its customer before it: it would be behind otherwise.
            $"""
            create view sync.answer as
            select t.at, coalesce(c.system, 'operator') as origin, t.system, sync.lag_bucket(t.latency_ms) as bucket
              from sync.timeline t
              left join lateral (
                   select e.system from sync.timeline e
                    where e.correlation_id = t.correlation_id and e.id < t.id and e.direction = 'in'
                      and e.code in {Changes} and e.paths <> '{"{}"}'
                    order by e.id desc limit 1) c on true
             where t.latency_ms is not null;
            """,
        $"""
            create function sync.roll_up() returns boolean language plpgsql as $$
            declare
              a timestamptz;
              b timestamptz;
            begin
              select until into a from sync.roll_up for update skip locked;
              b := least(date_trunc('minute', now() - interval '{OpenFor.TotalSeconds} seconds'), a + {Piece});
              if a is null or b <= a then
                return false;
              end if;
              insert into sync.minute_events
              select date_trunc('minute', at), direction, code, coalesce(system, ''), count(*), coalesce(sum(calls), 0)
                from sync.timeline where at >= a and at < b group by 1, 2, 3, 4;
              insert into sync.minute_lag
              select date_trunc('minute', at), origin, system, bucket, count(*)
                from sync.answer where at >= a and at < b group by 1, 2, 3, 4;
              delete from sync.minute_events where minute < now() - {KeptFor};
              delete from sync.minute_lag where minute < now() - {KeptFor};
              update sync.roll_up set until = b;
              return true;
            end $$;
            """,
        $$"""
            create view dashboard.throughput as
            select minute, direction, code, nullif(system, '') as system, events, calls
              from sync.minute_events
             where minute >= now() - interval '1 day'
            union all
            select date_trunc('minute', at), direction, code, system, count(*), coalesce(sum(calls), 0)
              from sync.timeline
             where at >= now() - {{StillOpen}} and at >= (select until from sync.roll_up)
             group by 1, 2, 3, 4;
            """,
        "comment on view dashboard.throughput is 'What happened in the last day, by minute, code and system. No personal data.';",
        "comment on column dashboard.throughput.minute is 'Beginning of the minute.';",
        "comment on column dashboard.throughput.direction is 'in: heard; out: asked.';",
        "comment on column dashboard.throughput.code is 'What happened: a code of the timeline.';",
        "comment on column dashboard.throughput.system is 'The system that it is about.';",
        "comment on column dashboard.throughput.events is 'How often.';",
        "comment on column dashboard.throughput.calls is 'Vendor calls that it cost.';",
        $$"""
            create view dashboard.lag as
            select span, origin, system, sum(n)::bigint as answers,
                   round(power(1.2, min(bucket) filter (where below >= 0.50 * total)))::bigint as p50_ms,
                   round(power(1.2, min(bucket) filter (where below >= 0.95 * total)))::bigint as p95_ms,
                   round(power(1.2, min(bucket) filter (where below >= 0.99 * total)))::bigint as p99_ms
              from (select span, origin, system, bucket, n,
                           sum(n) over (partition by span, origin, system order by bucket) as below,
                           sum(n) over (partition by span, origin, system) as total
                      from (select w.span, h.origin, h.system, h.bucket, sum(h.answers) as n
                              from (values ('minute', interval '1 minute'), ('hour', interval '1 hour'), ('day', interval '1 day'))
                                   w(span, length)
                              join (select minute as at, origin, system, bucket, answers
                                      from sync.minute_lag where minute >= now() - interval '1 day'
                                    union all
                                    select at, origin, system, bucket, 1
                                      from sync.answer
                                     where at >= now() - {{StillOpen}} and at >= (select until from sync.roll_up)) h
                                on h.at >= now() - w.length
                             group by 1, 2, 3, 4) counted) ranked
             group by span, origin, system;
            """,
        "comment on view dashboard.lag is 'From a change in one system to the answer that put another in step, over the last minute, hour and day. No personal data.';",
        "comment on column dashboard.lag.span is 'minute, hour or day.';",
        "comment on column dashboard.lag.origin is 'The system that the change came from; operator where a person decided.';",
        "comment on column dashboard.lag.system is 'The system that was put in step.';",
        "comment on column dashboard.lag.answers is 'How many.';",
        "comment on column dashboard.lag.p50_ms is 'Half of them took no longer, in milliseconds; at most 20 percent too high.';",
        "comment on column dashboard.lag.p95_ms is 'The same for 95 of 100.';",
        "comment on column dashboard.lag.p99_ms is 'The same for 99 of 100.';",
        """
            create view dashboard.attention_causes as
            select kind, reason, system, count(*) as waiting, min(since) as since, min(what_to_do) as what_to_do
              from dashboard.attention
             group by kind, reason, system;
            """,
        "comment on view dashboard.attention_causes is 'What waits for a person, counted by cause. No personal data.';",
        "comment on column dashboard.attention_causes.kind is 'customer or object.';",
        "comment on column dashboard.attention_causes.reason is 'A fixed word: see attention.';",
        "comment on column dashboard.attention_causes.system is 'The system that it is about.';",
        "comment on column dashboard.attention_causes.waiting is 'How many wait.';",
        "comment on column dashboard.attention_causes.since is 'Since when the oldest waits.';",
        "comment on column dashboard.attention_causes.what_to_do is 'What a person can do.';",
        """
            create function dashboard.timeline(customer text) returns setof dashboard.timeline
            language sql stable parallel safe as
            $$ select * from dashboard.timeline t where t.customer_id = $1 order by t.id $$;
            """,
        "comment on function dashboard.timeline is 'What happened to one customer, in order. No personal data.';",
    ];

    public static IEnumerable<string> Drop { get; } =
    [
        "drop function if exists dashboard.timeline;",
        "drop view if exists dashboard.attention_causes, dashboard.lag, dashboard.throughput;",
        "drop function if exists sync.roll_up;",
        "drop view if exists sync.answer;",
        "drop function if exists sync.lag_bucket;",
        "drop table if exists sync.roll_up, sync.minute_lag, sync.minute_events;",
    ];
}

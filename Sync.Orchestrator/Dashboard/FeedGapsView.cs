using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Dashboard;

/// <summary>
/// <c>dashboard.feed_gaps</c>: every window in which something may have been lost, of our own topics and, as adapters report
/// them, of vendors' feeds.
/// </summary>
static class FeedGapsView
{
    public static IEnumerable<string> Create { get; } =
    [
        $"""
            create view dashboard.feed_gaps as
            select g.id,
                   coalesce(g.system, '{OrchestratorDb.Schema}') as process,
                   g.system,
                   g.feed,
                   g.reason,
                   case when g.topic is not null
                        then format('%s[%s] %s to %s', g.topic, g.partition, g.from_offset, g.to_offset)
                        else format('%s to %s', coalesce(g.from_time::text, '?'), coalesce(g.to_time::text, '?')) end as lost,
                   g.topic, g.partition, g.from_offset, g.to_offset, g.from_time, g.to_time,
                   g.found_at, g.state, g.closed_by, g.closed_at,
                   case when g.state <> 'open' then null
                        when g.topic is not null
                          then 'Records of this topic were not handled. Have whoever wrote them send how things stand again.'
                        else 'Nothing has to be done: every object of the vendor is being looked at, and the gap closes then.' end
                     as what_to_do
              from {OrchestratorDb.Schema}.feed_gap g;
            """,
        "comment on view dashboard.feed_gaps is 'Windows in which a feed may have lost something: of the orchestrator''s topics, and of vendors'' feeds as adapters report them. No personal data.';",
        "comment on column dashboard.feed_gaps.id is 'Rises with time.';",
        "comment on column dashboard.feed_gaps.process is 'sync for the orchestrator''s own topics, otherwise the system whose adapter reported it.';",
        "comment on column dashboard.feed_gaps.system is 'The vendor; null for a topic.';",
        "comment on column dashboard.feed_gaps.feed is 'kafka, or the name of the vendor''s feed.';",
        "comment on column dashboard.feed_gaps.reason is 'Why something may be lost.';",
        "comment on column dashboard.feed_gaps.lost is 'The window, in words.';",
        "comment on column dashboard.feed_gaps.topic is 'The topic.';",
        "comment on column dashboard.feed_gaps.partition is 'Its partition.';",
        "comment on column dashboard.feed_gaps.from_offset is 'The first offset that was not handled.';",
        "comment on column dashboard.feed_gaps.to_offset is 'Where handling went on.';",
        "comment on column dashboard.feed_gaps.from_time is 'Since when changes may be missing.';",
        "comment on column dashboard.feed_gaps.to_time is 'Until when.';",
        "comment on column dashboard.feed_gaps.found_at is 'When it was noticed.';",
        "comment on column dashboard.feed_gaps.state is 'open, or closed.';",
        "comment on column dashboard.feed_gaps.closed_by is 'What closed it: scan, for a vendor''s feed.';",
        "comment on column dashboard.feed_gaps.closed_at is 'When.';",
        "comment on column dashboard.feed_gaps.what_to_do is 'What a person can do; null once it is closed.';",
    ];

    public const string Drop = "drop view if exists dashboard.feed_gaps;";
}

using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Comparing;

/// <summary>
/// What a comparison of a vendor with the golden record found. Identifiers, hashes, paths and classes: no value of anybody's.
/// </summary>
static class ComparisonTables
{
    const string S = OrchestratorDb.Schema;

    public static IEnumerable<string> Create { get; } =
    [
        $"""
            create table {S}.comparison (
              id           uuid primary key,
              system       text not null,
              kind         text not null check (kind in ('import', 'reconcile')),
              apply        boolean not null,
              requested_by text not null,
              asked_at     timestamptz not null,
              state        text not null default 'listing' check (state in ('listing', 'applying', 'done')),
              heard_at     timestamptz,
              seen         bigint not null default 0,
              same         bigint not null default 0,
              applied      bigint not null default 0,
              listed_at    timestamptz,
              finished_at  timestamptz
            );
            """,
        // One at a time and system: whoever asks meanwhile looks on.
        $"create unique index comparison_open on {S}.comparison (system) where state <> 'done';",
        $"create index comparison_asked on {S}.comparison (system, kind, asked_at);",
        $$"""
            create table {{S}}.comparison_finding (
              comparison_id  uuid not null references {{S}}.comparison (id) on delete cascade,
              subject        text collate "C" not null,
              correlation_id uuid,
              external_id    text,
              customer_id    text,
              carries_id     boolean not null default false,
              email_key      bytea,
              class          text not null,
              paths          text[] not null default '{}',
              costs          jsonb not null default '{}',
              applied        boolean not null default false,
              primary key (comparison_id, subject)
            );
            """,
        $"create index comparison_finding_class on {S}.comparison_finding (comparison_id, class, subject);",
        """
            create view dashboard.comparisons as
            select c.id, c.system, c.kind, c.apply, c.requested_by, c.asked_at, c.state, c.heard_at, c.seen, c.same, c.applied,
                   c.listed_at, c.finished_at
              from sync.comparison c;
            """,
        """
            create view dashboard.findings as
            select f.comparison_id, c.system, c.kind, f.class, f.external_id, f.customer_id, f.paths, f.applied
              from sync.comparison_finding f
              join sync.comparison c on c.id = f.comparison_id
             where f.class <> 'same';
            """,
        "comment on view dashboard.comparisons is 'Imports and reconciliations: one row for each time that a vendor''s objects were compared with the golden record. No personal data.';",
        "comment on column dashboard.comparisons.id is 'The id of the request.';",
        "comment on column dashboard.comparisons.system is 'The vendor.';",
        "comment on column dashboard.comparisons.kind is 'import or reconcile.';",
        "comment on column dashboard.comparisons.apply is 'Whether what was found is acted on.';",
        "comment on column dashboard.comparisons.requested_by is 'Who asked; timer for the one that comes by itself.';",
        "comment on column dashboard.comparisons.asked_at is 'When.';",
        "comment on column dashboard.comparisons.state is 'listing: the adapter lists its vendor; applying: what was found is handed over; done.';",
        "comment on column dashboard.comparisons.heard_at is 'When the adapter last told of a page.';",
        "comment on column dashboard.comparisons.seen is 'Objects listed so far.';",
        "comment on column dashboard.comparisons.same is 'Of them, those that are as the golden record says.';",
        "comment on column dashboard.comparisons.applied is 'Findings that were handed over so far.';",
        "comment on column dashboard.comparisons.listed_at is 'When every object was listed.';",
        "comment on column dashboard.comparisons.finished_at is 'When it was done.';",
        "comment on view dashboard.findings is 'What comparisons found that is not simply in step. No personal data.';",
        "comment on column dashboard.findings.comparison_id is 'The comparison.';",
        "comment on column dashboard.findings.system is 'The vendor.';",
        "comment on column dashboard.findings.kind is 'import or reconcile.';",
        "comment on column dashboard.findings.class is 'A fixed word; docs/operate.md says what each means.';",
        "comment on column dashboard.findings.external_id is 'The vendor''s id of the object; null where there is none.';",
        "comment on column dashboard.findings.customer_id is 'The customer that it is, or would become.';",
        "comment on column dashboard.findings.paths is 'The fields that differ.';",
        "comment on column dashboard.findings.applied is 'Whether it was handed over.';",
    ];

    /// <summary>The state between the end of the list and what is found of it as a whole.</summary>
    public static IEnumerable<string> AddClosing { get; } =
    [
        $"alter table {S}.comparison drop constraint comparison_state_check;",
        $"alter table {S}.comparison add constraint comparison_state_check check (state in ('listing', 'closing', 'applying', 'done'));",
        "comment on column dashboard.comparisons.state is 'listing: the adapter lists its vendor; closing: the list is whole and compared as a whole; applying: what was found is handed over; done.';",
    ];

    public static IEnumerable<string> DropClosing { get; } =
    [
        $"update {S}.comparison set state = 'done', finished_at = now() where state = 'closing';",
        $"alter table {S}.comparison drop constraint comparison_state_check;",
        $"alter table {S}.comparison add constraint comparison_state_check check (state in ('listing', 'applying', 'done'));",
    ];

    /// <summary>
    /// By what an erasure finds hashes of a person's e-mail. Findings lose them when the list is whole, and leave these
    /// indexes with them, which are empty most of the time.
    /// </summary>
    public static IEnumerable<string> AddErasureIndexes { get; } =
    [
        $"create index comparison_finding_customer on {S}.comparison_finding (customer_id) where email_key is not null;",
        $"create index comparison_finding_object on {S}.comparison_finding (correlation_id) where email_key is not null;",
        $"create index comparison_finding_email on {S}.comparison_finding (email_key) where email_key is not null;",
    ];

    public const string DropErasureIndexes = $"""
        drop index if exists {S}.comparison_finding_customer, {S}.comparison_finding_object, {S}.comparison_finding_email;
        """;

    public const string Drop = $"""
        drop view if exists dashboard.findings, dashboard.comparisons;
        drop table if exists {S}.comparison_finding, {S}.comparison;
        """;
}

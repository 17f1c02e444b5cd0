using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>What came through the door and was not looked at yet.</summary>
static class WebhookTable
{
    public static void AddWebhookTable(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(Create(schema));

    /// <summary>The trace that began where the webhook came in; null for one that was not traced, or was stored before.</summary>
    public static void AddWebhookTraces(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(AddTraces(schema));

    public static void DropWebhookTraces(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql($"alter table {schema}.webhook drop column traceparent, drop column tracestate;");

    internal static string AddTraces(string schema) =>
        $"alter table {schema}.webhook add column traceparent text, add column tracestate text;";

    public static void DropWebhookTable(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql($"drop table if exists {schema}.webhook;");

    /// <summary>The body as it came: it may be no JSON, and no text either.</summary>
    internal static string Create(string schema) =>
        $"""
            create table {schema}.webhook (
              id          bigint generated always as identity primary key,
              body        bytea not null,
              received_at timestamptz not null default now()
            );
            """;
}

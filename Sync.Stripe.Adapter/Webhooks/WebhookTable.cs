using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>What came through the door and was not looked at yet.</summary>
static class WebhookTable
{
    public static void AddWebhookTable(this MigrationBuilder migrationBuilder, string schema) =>
        migrationBuilder.Sql(Create(schema));

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

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Stripe.Adapter.Webhooks;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261124140000_WebhookTraces")]
sealed class WebhookTraces : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.AddWebhookTraces(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropWebhookTraces(StripeDb.Schema);
}

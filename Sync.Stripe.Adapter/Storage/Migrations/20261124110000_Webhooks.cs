using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Stripe.Adapter.Webhooks;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261124110000_Webhooks")]
sealed class AddWebhooks : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.AddWebhookTable(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropWebhookTable(StripeDb.Schema);
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261125020000_Retention")]
sealed class RetentionMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.AddRetention(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.DropRetention(StripeDb.Schema);
}

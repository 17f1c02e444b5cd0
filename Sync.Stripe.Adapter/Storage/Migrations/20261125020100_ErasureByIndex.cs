using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261125020100_ErasureByIndex")]
sealed class ErasureByIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddErasureIndexes(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropErasureIndexes(StripeDb.Schema);
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Links;
using Sync.Messaging.Hosting;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261124000000_Start")]
sealed class Start : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddMessagingTables(StripeDb.Schema);
        migrationBuilder.AddAdapterTables(StripeDb.Schema);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropAdapterTables(StripeDb.Schema);
        migrationBuilder.DropMessagingTables(StripeDb.Schema);
    }
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Following;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261124100000_Following")]
sealed class Following : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddFollowingTables(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropFollowingTables(StripeDb.Schema);
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Dashboard;

namespace Sync.Stripe.Adapter.Storage.Migrations;

[DbContext(typeof(StripeDb)), Migration("20261124150000_Dashboard")]
sealed class AddDashboard : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.AddAdapterViews(StripeDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropAdapterViews(StripeDb.Schema);
}

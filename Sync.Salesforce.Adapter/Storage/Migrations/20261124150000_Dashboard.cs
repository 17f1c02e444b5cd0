using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Dashboard;

namespace Sync.Salesforce.Adapter.Storage.Migrations;

[DbContext(typeof(SalesforceDb)), Migration("20261124150000_Dashboard")]
sealed class AddDashboard : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddAdapterViews(SalesforceDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropAdapterViews(SalesforceDb.Schema);
}

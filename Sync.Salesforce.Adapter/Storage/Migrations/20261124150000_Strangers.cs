using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Following;

namespace Sync.Salesforce.Adapter.Storage.Migrations;

[DbContext(typeof(SalesforceDb)), Migration("20261124150000_Strangers")]
sealed class Strangers : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddStrangerTables(SalesforceDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropStrangerTables(SalesforceDb.Schema);
}

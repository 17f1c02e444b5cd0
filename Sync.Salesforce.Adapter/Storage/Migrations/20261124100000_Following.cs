using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Following;

namespace Sync.Salesforce.Adapter.Storage.Migrations;

[DbContext(typeof(SalesforceDb)), Migration("20261124100000_Following")]
sealed class Following : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddFollowingTables(SalesforceDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropFollowingTables(SalesforceDb.Schema);
}

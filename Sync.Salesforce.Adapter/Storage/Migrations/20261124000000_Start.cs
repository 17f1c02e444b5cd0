using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Adapter.Links;
using Sync.Messaging.Hosting;

namespace Sync.Salesforce.Adapter.Storage.Migrations;

[DbContext(typeof(SalesforceDb)), Migration("20261124000000_Start")]
sealed class Start : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddMessagingTables(SalesforceDb.Schema);
        migrationBuilder.AddAdapterTables(SalesforceDb.Schema);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropAdapterTables(SalesforceDb.Schema);
        migrationBuilder.DropMessagingTables(SalesforceDb.Schema);
    }
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;

namespace Sync.Salesforce.Adapter.Storage.Migrations;

[DbContext(typeof(SalesforceDb)), Migration("20261125020100_ErasureByIndex")]
sealed class ErasureByIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddErasureIndexes(SalesforceDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropErasureIndexes(SalesforceDb.Schema);
}

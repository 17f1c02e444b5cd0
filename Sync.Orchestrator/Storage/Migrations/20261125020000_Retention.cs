using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>By which indexes rows that have had their time are found.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261125020000_Retention")]
sealed class RetentionMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddRetention(OrchestratorDb.Schema);
        migrationBuilder.Sql(Lifetimes.CreateIndexes);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Lifetimes.DropIndexes);
        migrationBuilder.DropRetention(OrchestratorDb.Schema);
    }
}

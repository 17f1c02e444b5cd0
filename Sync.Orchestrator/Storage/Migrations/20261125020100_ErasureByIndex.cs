using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Comparing;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>By which indexes the rows of a person who is erased are found.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261125020100_ErasureByIndex")]
sealed class ErasureByIndex : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddErasureIndexes(OrchestratorDb.Schema);
        foreach (var statement in ComparisonTables.AddErasureIndexes)
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(ComparisonTables.DropErasureIndexes);
        migrationBuilder.DropErasureIndexes(OrchestratorDb.Schema);
    }
}

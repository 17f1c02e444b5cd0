using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Orchestrator.Comparing;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>A comparison whose list is whole is ended by a worker of its own.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261124220000_ClosingComparisons")]
sealed class ClosingComparisons : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in ComparisonTables.AddClosing)
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in ComparisonTables.DropClosing)
            migrationBuilder.Sql(statement);
    }
}

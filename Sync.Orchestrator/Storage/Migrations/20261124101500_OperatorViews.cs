using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Orchestrator.Dashboard;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>Views only, and the index that answers them: the model of the tables stays as it was.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261124101500_OperatorViews")]
sealed class OperatorViewsMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in OperatorViews.Create)
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in OperatorViews.Drop)
            migrationBuilder.Sql(statement);
    }
}

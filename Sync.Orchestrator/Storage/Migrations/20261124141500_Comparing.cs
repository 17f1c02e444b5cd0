using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Orchestrator.Comparing;
using Sync.Orchestrator.Dashboard;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>Comparisons of vendors with the golden record, and the view of gaps: none of it is a table of the model.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261124141500_Comparing")]
sealed class ComparingMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in (IEnumerable<string>)[.. ComparisonTables.Create, .. FeedGapsView.Create])
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(FeedGapsView.Drop);
        migrationBuilder.Sql(ComparisonTables.Drop);
    }
}

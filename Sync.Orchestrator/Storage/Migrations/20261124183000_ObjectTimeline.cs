using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Orchestrator.Dashboard;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>The view of what happened to found objects.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261124183000_ObjectTimeline")]
sealed class ObjectTimelineMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var statement in ObjectTimelineView.Create)
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(ObjectTimelineView.Drop);
}

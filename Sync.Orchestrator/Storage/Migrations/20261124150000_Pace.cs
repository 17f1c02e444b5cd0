using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Dashboard;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>Latencies, counts by minute, and the views of the kernel's tables over all processes of this database.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261124150000_Pace")]
sealed class PaceMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<long>(
            name: "latency_ms",
            schema: OrchestratorDb.Schema,
            table: "timeline",
            type: "bigint",
            nullable: true
        );
        migrationBuilder.AddDashboardViews(KernelViews.All);
        foreach (var statement in PaceViews.Create)
            migrationBuilder.Sql(statement);
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.LeaveDashboardViews(OrchestratorDb.Schema, KernelViews.All);
        migrationBuilder.Sql("drop view if exists dashboard.outbox, dashboard.dead_letters;");
        foreach (var statement in OperatorViews.CreateKernelViews)
            migrationBuilder.Sql(statement);
        foreach (var statement in PaceViews.Drop)
            migrationBuilder.Sql(statement);
        migrationBuilder.DropColumn(name: "latency_ms", schema: OrchestratorDb.Schema, table: "timeline");
    }
}

using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Sync.Orchestrator.Storage.Migrations;

/// <summary>The deletion brake counts by the database's clock.</summary>
[DbContext(typeof(OrchestratorDb))]
[Migration("20261125020200_CountedAt")]
sealed class CountedAt : Migration
{
    // First without a default: rows that are there keep none, or all of them would count as new.
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql(
            $"""
            alter table {OrchestratorDb.Schema}.timeline add column counted_at timestamptz;
            alter table {OrchestratorDb.Schema}.timeline alter column counted_at set default now();
            """
        );

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql($"alter table {OrchestratorDb.Schema}.timeline drop column counted_at;");
}

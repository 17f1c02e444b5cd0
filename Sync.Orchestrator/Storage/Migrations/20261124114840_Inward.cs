using System;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Orchestrator.Dashboard;

#nullable disable

namespace Sync.Orchestrator.Storage.Migrations
{
    /// <inheritdoc />
    public partial class Inward : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string[]>(
                name: "candidates",
                schema: "sync",
                table: "found_object",
                type: "text[]",
                nullable: false,
                defaultValueSql: "'{}'"
            );

            migrationBuilder.AddColumn<bool>(
                name: "decided",
                schema: "sync",
                table: "found_object",
                type: "boolean",
                nullable: false,
                defaultValue: false
            );

            migrationBuilder.AddColumn<string>(
                name: "former",
                schema: "sync",
                table: "found_object",
                type: "text",
                nullable: true
            );

            migrationBuilder.AddColumn<string>(
                name: "ignored",
                schema: "sync",
                table: "found_object",
                type: "text",
                nullable: true
            );

            migrationBuilder.AddColumn<bool>(
                name: "rereading",
                schema: "sync",
                table: "found_object",
                type: "boolean",
                nullable: false,
                defaultValue: false
            );

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "erase_asked_at",
                schema: "sync",
                table: "customer",
                type: "timestamp with time zone",
                nullable: true
            );

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "erased_at",
                schema: "sync",
                table: "customer",
                type: "timestamp with time zone",
                nullable: true
            );

            migrationBuilder.AddColumn<string>(
                name: "pace",
                schema: "sync",
                table: "customer",
                type: "jsonb",
                nullable: true
            );

            migrationBuilder.CreateIndex(
                name: "ix_timeline_system_at",
                schema: "sync",
                table: "timeline",
                columns: new[] { "system", "at" },
                filter: "code = 'deletion.seen'"
            );

            migrationBuilder.CreateIndex(
                name: "ix_found_object_customer_id",
                schema: "sync",
                table: "found_object",
                column: "customer_id",
                filter: "customer_id is not null"
            );

            // The kernel's table, which has the gaps of Kafka's partitions too: the model does not know it.
            migrationBuilder.Sql("alter table sync.feed_gap add column gap_id uuid unique, add column system text;");

            foreach (var statement in AttentionView.Create)
                migrationBuilder.Sql(statement);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            // The view names columns that go.
            migrationBuilder.Sql("drop view if exists dashboard.attention;");
            migrationBuilder.Sql("alter table sync.feed_gap drop column gap_id, drop column system;");

            migrationBuilder.DropIndex(name: "ix_timeline_system_at", schema: "sync", table: "timeline");

            migrationBuilder.DropIndex(name: "ix_found_object_customer_id", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "former", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "candidates", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "decided", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "ignored", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "rereading", schema: "sync", table: "found_object");

            migrationBuilder.DropColumn(name: "erase_asked_at", schema: "sync", table: "customer");

            migrationBuilder.DropColumn(name: "erased_at", schema: "sync", table: "customer");

            migrationBuilder.DropColumn(name: "pace", schema: "sync", table: "customer");

            foreach (var statement in Views.CreateAttention)
                migrationBuilder.Sql(statement);
        }
    }
}

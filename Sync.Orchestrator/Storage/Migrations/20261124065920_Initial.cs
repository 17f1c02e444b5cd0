using System;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Dashboard;

#nullable disable

namespace Sync.Orchestrator.Storage.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddMessagingTables("sync");

            migrationBuilder.CreateTable(
                name: "customer",
                schema: "sync",
                columns: table => new
                {
                    correlation_id = table.Column<Guid>(type: "uuid", nullable: false),
                    customer_id = table.Column<string>(type: "text", nullable: false),
                    current_state = table.Column<string>(type: "text", nullable: false),
                    version = table.Column<long>(type: "bigint", nullable: false),
                    revision = table.Column<long>(type: "bigint", nullable: false),
                    golden = table.Column<string>(type: "jsonb", nullable: false),
                    held = table.Column<string>(type: "jsonb", nullable: false),
                    systems = table.Column<string>(type: "jsonb", nullable: false),
                    behind = table.Column<string[]>(type: "text[]", nullable: false),
                    attention = table.Column<string>(type: "text", nullable: true),
                    since = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    email_key = table.Column<byte[]>(type: "bytea", nullable: true),
                    ignored = table.Column<string>(type: "text", nullable: true),
                    moved_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    due_token = table.Column<Guid>(type: "uuid", nullable: true),
                    due_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_customer", x => x.correlation_id);
                }
            );

            migrationBuilder.CreateTable(
                name: "found_object",
                schema: "sync",
                columns: table => new
                {
                    correlation_id = table.Column<Guid>(type: "uuid", nullable: false),
                    current_state = table.Column<string>(type: "text", nullable: false),
                    version = table.Column<long>(type: "bigint", nullable: false),
                    system = table.Column<string>(type: "text", nullable: false),
                    ext = table.Column<string>(type: "text", nullable: false),
                    fields = table.Column<string>(type: "jsonb", nullable: false),
                    customer_id = table.Column<string>(type: "text", nullable: true),
                    minted = table.Column<bool>(type: "boolean", nullable: false),
                    reason = table.Column<string>(type: "text", nullable: true),
                    attempt = table.Column<int>(type: "integer", nullable: false),
                    since = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    due_token = table.Column<Guid>(type: "uuid", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_found_object", x => x.correlation_id);
                }
            );

            migrationBuilder.CreateTable(
                name: "timeline",
                schema: "sync",
                columns: table => new
                {
                    id = table
                        .Column<long>(type: "bigint", nullable: false)
                        .Annotation(
                            "Npgsql:ValueGenerationStrategy",
                            NpgsqlValueGenerationStrategy.IdentityAlwaysColumn
                        ),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    correlation_id = table.Column<Guid>(type: "uuid", nullable: false),
                    customer_id = table.Column<string>(type: "text", nullable: true),
                    revision = table.Column<long>(type: "bigint", nullable: false),
                    code = table.Column<string>(type: "text", nullable: false),
                    system = table.Column<string>(type: "text", nullable: true),
                    direction = table.Column<string>(type: "text", nullable: false),
                    paths = table.Column<string[]>(type: "text[]", nullable: false),
                    external_id = table.Column<string>(type: "text", nullable: true),
                    reason = table.Column<string>(type: "text", nullable: true),
                    requested_by = table.Column<string>(type: "text", nullable: true),
                    message_id = table.Column<Guid>(type: "uuid", nullable: true),
                    causation_id = table.Column<Guid>(type: "uuid", nullable: true),
                    trace_id = table.Column<string>(type: "text", nullable: true),
                    vendor_request_id = table.Column<string>(type: "text", nullable: true),
                    calls = table.Column<double>(type: "double precision", nullable: true),
                    duration_ms = table.Column<long>(type: "bigint", nullable: true),
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_timeline", x => x.id);
                }
            );

            migrationBuilder.CreateIndex(
                name: "ix_customer_attention",
                schema: "sync",
                table: "customer",
                column: "attention",
                filter: "attention is not null"
            );

            migrationBuilder.CreateIndex(
                name: "ix_customer_customer_id",
                schema: "sync",
                table: "customer",
                column: "customer_id"
            );

            migrationBuilder.CreateIndex(
                name: "ix_customer_email_key",
                schema: "sync",
                table: "customer",
                column: "email_key",
                filter: "email_key is not null"
            );

            migrationBuilder.CreateIndex(
                name: "ix_found_object_current_state",
                schema: "sync",
                table: "found_object",
                column: "current_state",
                filter: "current_state <> 'Linked'"
            );

            migrationBuilder
                .CreateIndex(name: "ix_timeline_at", schema: "sync", table: "timeline", column: "at")
                .Annotation("Npgsql:IndexMethod", "brin");

            migrationBuilder.CreateIndex(
                name: "ix_timeline_correlation_id_id",
                schema: "sync",
                table: "timeline",
                columns: new[] { "correlation_id", "id" }
            );

            foreach (var statement in Views.Create)
                migrationBuilder.Sql(statement);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            foreach (var statement in Views.Drop)
                migrationBuilder.Sql(statement);

            migrationBuilder.DropTable(name: "customer", schema: "sync");

            migrationBuilder.DropTable(name: "found_object", schema: "sync");

            migrationBuilder.DropTable(name: "timeline", schema: "sync");

            migrationBuilder.DropMessagingTables("sync");
        }
    }
}

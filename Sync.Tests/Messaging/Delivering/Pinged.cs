using System.Text.Json.Serialization;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Sync.Messaging.Hosting;
using Sync.Messaging.Wire;

namespace Sync.Tests.Messaging.Delivering;

public sealed record Pinged(string Id, int Number, string Topic = "pings");

[JsonSerializable(typeof(Pinged))]
sealed partial class PingedJson : JsonSerializerContext
{
    public static MessageKind Kind(string prefix) =>
        new(
            "test.pinged.v1",
            Default.Pinged,
            m => prefix + ((Pinged)m).Topic,
            m => ((Pinged)m).Id,
            m => ((Pinged)m).Number,
            _ => null
        );
}

/// <summary>A process's context with the kernel's tables and nothing else.</summary>
public sealed class PingDb(DbContextOptions<PingDb> options) : DbContext(options)
{
    public const string Schema = "pinging";
}

[DbContext(typeof(PingDb))]
[Migration("20260101000000_Messaging")]
sealed class PingMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.AddMessagingTables(PingDb.Schema);

    protected override void Down(MigrationBuilder migrationBuilder) =>
        migrationBuilder.DropMessagingTables(PingDb.Schema);
}

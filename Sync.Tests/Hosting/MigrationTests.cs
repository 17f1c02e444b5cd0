using Sync.Tests.Support;

namespace Sync.Tests.Hosting;

/// <summary>All processes write to schema <c>dashboard</c>, and start, and migrate, whenever they like.</summary>
public sealed class MigrationTests
{
    [Fact]
    public async Task Processes_that_start_side_by_side_migrate_side_by_side()
    {
        await using var postgres = await TestPostgres.Create();

        await Task.WhenAll(TestRoles.Migrations(postgres.DataSource).Select(migrate => migrate()));

        await ShowsEveryProcess(postgres);
    }

    [Fact]
    public async Task The_order_of_migrations_does_not_matter()
    {
        await using var postgres = await TestPostgres.Create();

        foreach (var migrate in TestRoles.Migrations(postgres.DataSource).Reverse())
            await migrate();

        await ShowsEveryProcess(postgres);
    }

    static async Task ShowsEveryProcess(TestPostgres postgres)
    {
        foreach (
            var (view, schemas) in ((string, string[])[])
                [
                    ("outbox", ["sync", "stripe", "salesforce"]),
                    ("dead_letters", ["sync", "stripe", "salesforce"]),
                    ("waiting", ["stripe", "salesforce"]),
                    ("api_usage", ["stripe", "salesforce"]),
                ]
        )
        {
            var definition = await postgres.Scalar<string>($"select pg_get_viewdef('dashboard.{view}'::regclass)");
            Assert.All(schemas, schema => Assert.Contains($"'{schema}'::text", definition, StringComparison.Ordinal));
        }
    }
}

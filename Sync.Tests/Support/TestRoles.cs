using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sync.Messaging.Hosting;
using Sync.Orchestrator.Storage;
using Sync.Salesforce.Adapter.Storage;
using Sync.Stripe.Adapter.Storage;

namespace Sync.Tests.Support;

/// <summary>
/// A database with the roles of <c>deploy/postgres/roles.sql</c>, under a prefix of its own since roles are the whole
/// server's, and with the tables of all three processes, made by the role that owns them.
/// </summary>
public sealed class TestRoles : IAsyncDisposable
{
    public const string Orchestrator = "orchestrator";
    public const string Stripe = "stripe";
    public const string Salesforce = "salesforce";
    public const string Dashboard = "dashboard";
    public const string Operator = "operator";
    const string Owner = "owner";

    readonly string _prefix = $"t{Guid.NewGuid():n}_"[..20];
    readonly string _password = $"{Guid.NewGuid():n}";

    TestRoles(TestPostgres postgres) => Postgres = postgres;

    public TestPostgres Postgres { get; }

    public static async Task<TestRoles> Create()
    {
        var roles = new TestRoles(await TestPostgres.Create());
        await roles.Script();
        foreach (var role in (string[])[Owner, Orchestrator, Stripe, Salesforce, Dashboard, Operator])
            await roles.Postgres.Execute($"alter role {roles.Name(role)} password '{roles._password}'");
        await roles.Migrate();
        // As people are told to: what is taken from single tables is taken once they are there.
        await roles.Script();
        return roles;
    }

    public string Name(string role) => _prefix + role;

    /// <summary>The database as one of its roles sees it.</summary>
    public string Url(string role) =>
        new NpgsqlConnectionStringBuilder(Postgres.ConnectionString)
        {
            Username = Name(role),
            Password = _password,
        }.ConnectionString;

    /// <summary>The script that people run.</summary>
    public async Task Script()
    {
        var connection = new NpgsqlConnectionStringBuilder(Postgres.ConnectionString)
        {
            Options = $"-c sync.prefix={_prefix}",
            Pooling = false,
        };
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(Repository.Read("deploy/postgres/roles.sql"));
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        var admin = new NpgsqlConnectionStringBuilder(Postgres.ConnectionString) { Database = "postgres" };
        await Postgres.DisposeAsync();
        await using var source = NpgsqlDataSource.Create(admin);
        foreach (var role in (string[])[Operator, Dashboard, Salesforce, Stripe, Orchestrator, Owner])
        {
            await using var command = source.CreateCommand($"drop role if exists {Name(role)}");
            await command.ExecuteNonQueryAsync();
        }
    }

    async Task Migrate()
    {
        await using var owner = NpgsqlDataSource.Create(Url(Owner));
        foreach (var migrate in Migrations(owner))
            await migrate();
    }

    /// <summary>What the verb <c>migrate</c> of each process does.</summary>
    public static IReadOnlyList<Func<Task>> Migrations(NpgsqlDataSource owner) =>
        [
            () => Up<OrchestratorDb>(o => new(o), owner, OrchestratorDb.Schema),
            () => Up<StripeDb>(o => new(o), owner, StripeDb.Schema),
            () => Up<SalesforceDb>(o => new(o), owner, SalesforceDb.Schema),
        ];

    static async Task Up<TDb>(Func<DbContextOptions<TDb>, TDb> create, NpgsqlDataSource owner, string schema)
        where TDb : DbContext
    {
        var options = new DbContextOptionsBuilder<TDb>();
        options.UseSyncPostgres(owner, schema);
        await using var db = create(options.Options);
        await db.Database.MigrateAsync();
    }
}

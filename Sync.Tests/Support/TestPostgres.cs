using Npgsql;

namespace Sync.Tests.Support;

/// <summary>
/// A database of its own on the server that <c>./sync test</c> started and names in <c>SYNC_TEST_POSTGRES</c> (an Npgsql
/// connection string of a role that may create databases). It is dropped at the end.
/// </summary>
public sealed class TestPostgres : IAsyncDisposable
{
    readonly string _admin;
    readonly string _name;

    TestPostgres(string admin, string name)
    {
        _admin = admin;
        _name = name;
        ConnectionString = new NpgsqlConnectionStringBuilder(admin)
        {
            Database = name,
            MaxPoolSize = 20,
            IncludeErrorDetail = false,
        }.ConnectionString;
        DataSource = NpgsqlDataSource.Create(ConnectionString);
    }

    public string ConnectionString { get; }

    public NpgsqlDataSource DataSource { get; }

    /// <summary>The server itself, for what makes its own databases.</summary>
    public static string Server =>
        Environment.GetEnvironmentVariable("SYNC_TEST_POSTGRES")
        ?? throw new InvalidOperationException(
            "SYNC_TEST_POSTGRES is not set; run the tests through ./sync test, which starts a server of its own"
        );

    public static async Task<TestPostgres> Create()
    {
        var admin = Server;
        var name = $"test_{Guid.NewGuid():n}";
        await Execute(admin, $"create database {name}");
        return new TestPostgres(admin, name);
    }

    public async Task<T> Scalar<T>(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task Execute(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        await Execute(_admin, $"drop database if exists {_name} with (force)");
    }

    static async Task Execute(string connectionString, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

using Npgsql;

namespace Sync.Benchmarks;

/// <summary>A database of its own on the server that <c>./sync bench</c> started; dropped at the end.</summary>
sealed class BenchDatabase : IAsyncDisposable
{
    /// <summary>Names the server: an Npgsql connection string of a role that may create databases.</summary>
    public const string Variable = "SYNC_BENCH_POSTGRES";

    readonly string _admin;
    readonly string _name;

    BenchDatabase(string admin, string name)
    {
        (_admin, _name) = (admin, name);
        ConnectionString = new NpgsqlConnectionStringBuilder(admin)
        {
            Database = name,
            MaxPoolSize = 50,
        }.ConnectionString;
        Source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(ConnectionString) { CommandTimeout = 600 }.ConnectionString
        );
    }

    public string ConnectionString { get; }

    /// <summary>For whoever looks at it or fills it; contenders have their own.</summary>
    public NpgsqlDataSource Source { get; }

    public static async Task<BenchDatabase> Create(string admin)
    {
        var name = $"bench_{Guid.NewGuid():n}";
        await Execute(admin, $"create database {name}");
        return new(admin, name);
    }

    public async Task Execute(string sql)
    {
        await using var command = Source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        await Execute(_admin, $"drop database if exists {_name} with (force)");
    }

    static async Task Execute(string connectionString, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

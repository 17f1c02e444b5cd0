using System.Data.Common;
using Microsoft.EntityFrameworkCore;

namespace Sync.Messaging.Hosting;

public static class SyncDbContextOptions
{
    public const string HistoryTable = "migrations_history";

    /// <summary>How every context of Sync meets PostgreSQL: snake_case names, and its history in its own schema.</summary>
    public static DbContextOptionsBuilder UseSyncPostgres(
        this DbContextOptionsBuilder options,
        DbDataSource source,
        string schema
    ) =>
        options
            .UseNpgsql(source, npgsql => npgsql.MigrationsHistoryTable(HistoryTable, schema))
            .UseSnakeCaseNamingConvention();

    /// <summary>For design-time factories, which open no connection.</summary>
    public static DbContextOptionsBuilder UseSyncPostgres(
        this DbContextOptionsBuilder options,
        string connectionString,
        string schema
    ) =>
        options
            .UseNpgsql(connectionString, npgsql => npgsql.MigrationsHistoryTable(HistoryTable, schema))
            .UseSnakeCaseNamingConvention();
}

using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Sync.Messaging.Hosting;

/// <summary>Brings the process's schema up to date.</summary>
interface ISchemaMigration
{
    Task Apply(CancellationToken cancellationToken);

    /// <summary>Migrations that this program knows and the database has not had, the oldest first.</summary>
    Task<IReadOnlyList<string>> Pending(CancellationToken cancellationToken);
}

sealed class SchemaMigration<TDbContext>(
    IDbContextFactory<TDbContext> contexts,
    ProcessIdentity identity,
    ILogger<SchemaMigration<TDbContext>> logger
) : ISchemaMigration
    where TDbContext : DbContext
{
    public async Task Apply(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var pending = (await context.Database.GetPendingMigrationsAsync(cancellationToken)).Count();
        await context.Database.MigrateAsync(cancellationToken);
        logger.Migrated(identity.Schema, pending);
    }

    public async Task<IReadOnlyList<string>> Pending(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return [.. await context.Database.GetPendingMigrationsAsync(cancellationToken)];
    }
}

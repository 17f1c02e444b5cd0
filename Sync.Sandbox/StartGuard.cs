using Npgsql;

namespace Sync.Sandbox;

/// <summary>
/// Everything here forgets at a stop, a database does not: one that remembers an earlier life would see every customer as
/// deleted, and delete it everywhere.
/// </summary>
static class StartGuard
{
    /// <summary>Why the sandbox must not start; null when it may.</summary>
    public static async Task<string?> Problem(string? databaseUrl, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(databaseUrl))
            return null;
        try
        {
            await using var source = NpgsqlDataSource.Create(ConnectionString(databaseUrl));
            await using var exists = source.CreateCommand("select to_regclass('sync.customer') is not null");
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
                return null;
            await using var used = source.CreateCommand("select exists (select from sync.customer)");
            return await used.ExecuteScalarAsync(cancellationToken) is true
                ? "DATABASE__URL: this database holds customers of an earlier life. The sandbox's product, Stripe and "
                    + "Salesforce begin empty, so every one of them would look deleted. Use an empty database, or the real systems."
                : null;
        }
        catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            return null;
        }
        catch (NpgsqlException unreachable)
        {
            return "DATABASE__URL: cannot be asked whether it holds customers of an earlier life "
                + $"({(unreachable as PostgresException)?.SqlState ?? "no connection"})";
        }
        catch (Exception wrong) when (wrong is ArgumentException or FormatException)
        {
            return "DATABASE__URL: is neither a connection string of Npgsql nor a postgresql:// URL";
        }
    }

    internal static string ConnectionString(string databaseUrl)
    {
        if (!databaseUrl.Contains("://", StringComparison.Ordinal))
            return new NpgsqlConnectionStringBuilder(databaseUrl)
            {
                Timeout = 10,
                CommandTimeout = 10,
            }.ConnectionString;

        var url = new Uri(databaseUrl);
        if (url.Scheme is not ("postgresql" or "postgres"))
            throw new FormatException("not a postgresql:// URL");
        var user = url.UserInfo.Split(':', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = url.Host,
            Port = url.IsDefaultPort || url.Port < 0 ? 5432 : url.Port,
            Database = Uri.UnescapeDataString(url.AbsolutePath.TrimStart('/')),
            Timeout = 10,
            CommandTimeout = 10,
        };
        if (user[0].Length > 0)
            builder.Username = Uri.UnescapeDataString(user[0]);
        if (user.Length > 1)
            builder.Password = Uri.UnescapeDataString(user[1]);
        return builder.ConnectionString;
    }
}

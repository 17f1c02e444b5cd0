using Npgsql;

namespace Sync.Messaging.Hosting;

/// <summary>
/// The schemas of a database that hold the kernel's tables: one a process. Another process may keep its own in another
/// database; whoever asks about it connects there. A schema that the role may not read is as good as elsewhere.
/// </summary>
public static class KernelSchemas
{
    const string Sql = """
        select n.nspname
          from pg_namespace n
         where (select count(*) from pg_class c
                 where c.relnamespace = n.oid and c.relkind = 'r' and has_table_privilege(c.oid, 'select')
                   and c.relname in ('consumer_offset', 'dead_letter', 'feed_gap', 'outbox')) = 4
         order by n.nspname
        """;

    public static async Task<IReadOnlyList<string>> In(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(Sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var schemas = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
            schemas.Add(MessagingTables.CheckedSchema(reader.GetString(0)));
        return schemas;
    }
}

using Npgsql;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;

namespace Sync.Adapter.Budget;

/// <summary>
/// Counts calls by hour and operation. Counted in memory and written every few seconds, so a crash loses the last of them:
/// the vendor's own figures are the truth, these say who used them for what.
/// </summary>
sealed class ApiUsage(AdapterSchema schema, string replica, TimeProvider time)
{
    readonly Lock _lock = new();
    Dictionary<(DateTimeOffset Hour, string Operation), (double Calls, long Items, long Failed)> _counts = [];

    public void Count(string operation, double calls, int items, int failed)
    {
        var now = time.GetUtcNow();
        var key = (new DateTimeOffset(now.Year, now.Month, now.Day, now.Hour, 0, 0, TimeSpan.Zero), operation);
        lock (_lock)
        {
            var (c, i, f) = _counts.GetValueOrDefault(key);
            _counts[key] = (c + calls, i + items, f + failed);
        }
    }

    public async Task Flush(NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        Dictionary<(DateTimeOffset Hour, string Operation), (double Calls, long Items, long Failed)> counts;
        lock (_lock)
            (counts, _counts) = (_counts, []);
        if (counts.Count == 0)
            return;

        try
        {
            var rows = counts.OrderBy(c => c.Key).ToList();
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var command = LinkStore.Command(
                connection,
                $"""
                insert into {schema.Quoted}.api_usage as a (hour, replica, operation, calls, items, failed)
                select hour, $1, operation, calls, items, failed
                  from unnest($2, $3, $4, $5, $6) u(hour, operation, calls, items, failed)
                on conflict (hour, replica, operation) do update
                   set calls = a.calls + excluded.calls, items = a.items + excluded.items, failed = a.failed + excluded.failed
                """,
                [
                    replica,
                    rows.ConvertAll(r => r.Key.Hour).ToArray(),
                    rows.ConvertAll(r => r.Key.Operation).ToArray(),
                    rows.ConvertAll(r => (long)Math.Round(r.Value.Calls)).ToArray(),
                    rows.ConvertAll(r => r.Value.Items).ToArray(),
                    rows.ConvertAll(r => r.Value.Failed).ToArray(),
                ]
            );
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch
        {
            lock (_lock)
            {
                foreach (var (key, lost) in counts)
                {
                    var (c, i, f) = _counts.GetValueOrDefault(key);
                    _counts[key] = (c + lost.Calls, i + lost.Items, f + lost.Failed);
                }
            }

            throw;
        }
    }

    /// <summary>Keeps what the vendor last told of its own count; an older word never replaces a newer one.</summary>
    public async Task Keep(ApiStanding standing, NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var command = LinkStore.Command(
            connection,
            $"""
            insert into {schema.Quoted}.api_budget as b (used, allowed, reserve, told_at) values ($1, $2, nullif($3, -1), $4)
            on conflict (one) do update
               set used = excluded.used, allowed = excluded.allowed, reserve = excluded.reserve, told_at = excluded.told_at
             where b.told_at < excluded.told_at
            """,
            [standing.Used, standing.Allowed, standing.Reserve ?? -1, standing.ToldAt.ToUniversalTime()]
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

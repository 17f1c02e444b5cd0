using Npgsql;

namespace Sync.Benchmarks.Kernel;

/// <summary>
/// No loss, no double effect and the right order, shown by the append-only effects and by what was read back from Kafka. A round
/// that fails it has no number.
/// </summary>
static class Proof
{
    /// <returns>What contradicts it; empty when it holds.</returns>
    public static async Task<IReadOnlyList<string>> Faults(
        Contender contender,
        NpgsqlDataSource database,
        Feed feed,
        Checker checker,
        CancellationToken cancellationToken
    )
    {
        List<string> faults = [.. checker.Faults.Take(5)];

        // Every offset that was placed left exactly one effect: as many rows as offsets, as many different, none beyond.
        await Compare(
            "effects by partition",
            $"""
            select partition, count(*), count(distinct "offset"), max("offset") + 1 from {TallyDb.Schema}.effect
            group by partition
            """,
            feed.Placed.ToDictionary(p => p.Key, p => (p.Value, p.Value, p.Value))
        );
        // In each key's order.
        if (
            await Scalar(
                $"""
                select count(*) from (
                  select value - coalesce(lag(value) over (partition by key order by at), 0) as step from {TallyDb.Schema}.effect
                ) as steps where step <> 1
                """
            )
            is var unordered
                and not 0
        )
            faults.Add($"{unordered} effects are not the next one of their key");
        if (
            await Scalar($"select coalesce(sum(count), 0)::bigint from {TallyDb.Schema}.tally") is var counted
            && counted != feed.Made
        )
            faults.Add($"the rows count {counted} of {feed.Made} events");

        // The stored offsets stand where the log ends. The naive one has none that are worth anything.
        if (contender is not Contender.Naive)
        {
            var table =
                contender is Contender.HandWritten
                    ? $"{TallyDb.Schema}.plain_offset"
                    : $"{TallyDb.Schema}.consumer_offset";
            await Compare(
                "stored offsets",
                $"select partition, next_offset, next_offset, next_offset from {table} where next_offset > 0",
                feed.Placed.ToDictionary(p => p.Key, p => (p.Value, p.Value, p.Value))
            );
        }

        // The embedded Kafka drops what exceeds 5 MiB a partition, without a word.
        foreach (var topic in (string[])[BenchJson.Events, .. BenchJson.Commands])
        {
            if (checker.Watermarks(topic).Count(w => w.Value.Low.Value != 0) is var truncated and not 0)
                faults.Add($"{topic}: Kafka has dropped records of {truncated} partitions; the round was too large");
        }

        return faults;

        async Task<long> Scalar(string sql)
        {
            await using var command = database.CreateCommand(sql);
            return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
        }

        async Task Compare(string what, string sql, Dictionary<int, (long, long, long)> expected)
        {
            var found = new Dictionary<int, (long, long, long)>();
            await using var command = database.CreateCommand(sql);
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                found[rows.GetInt32(0)] = (rows.GetInt64(1), rows.GetInt64(2), rows.GetInt64(3));
            var wrong = expected
                .Keys.Union(found.Keys)
                .Count(p => expected.GetValueOrDefault(p) != found.GetValueOrDefault(p));
            if (wrong > 0)
                faults.Add($"{what}: wrong in {wrong} partitions");
        }
    }
}

using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>A record as its delivery report named it.</summary>
sealed record Produced(string Topic, int Partition, long Offset, string Key, long Value);

/// <summary>
/// No loss and no double effect, shown by the append-only effects table and by what was read back from Kafka. The final
/// state alone proves nothing: later messages hide a wrong order.
/// </summary>
static class Proof
{
    /// <param name="values">For each key, values ascend in the order of production.</param>
    public static async Task Holds(
        CountingStage stage,
        IReadOnlyCollection<Produced> values,
        KafkaReader? echoes = null
    )
    {
        var effects = await stage.Query(
            $"select topic, partition, \"offset\", key, value from {CountingDb.Schema}.effect order by at",
            r => new Produced(r.GetString(0), r.GetInt32(1), r.GetInt64(2), r.GetString(3), r.GetInt64(4))
        );

        // (a) every produced offset exactly once, (b) per key the values ascend.
        Assert.Empty(values.Except(effects));
        Assert.Empty(effects.Except(values));
        Assert.Equal(values.Count, effects.Count);
        foreach (var key in effects.GroupBy(e => e.Key))
            Assert.Equal(key.Select(e => e.Value).Order(), key.Select(e => e.Value));

        // (d) the rows stand where the log ends, (e) the counters hold the sum.
        var ends = values.GroupBy(v => (v.Topic, v.Partition)).ToDictionary(g => g.Key, g => g.Max(v => v.Offset) + 1);
        var stored = await stage.Query(
            $"select topic, partition, next_offset from {CountingDb.Schema}.consumer_offset where next_offset > 0",
            r => ((r.GetString(0), r.GetInt32(1)), r.GetInt64(2))
        );
        Assert.Equal(ends.OrderBy(e => e.Key).Select(e => (e.Key, e.Value)), stored.OrderBy(s => s.Item1));
        // Nothing jumped, and nothing looked as if it had.
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {CountingDb.Schema}.feed_gap"));
        Assert.Equal(
            values.Count,
            await stage.Database.Scalar<long>(
                $"select coalesce(sum(count), 0)::bigint from {CountingDb.Schema}.counter"
            )
        );

        if (echoes is null)
            return;

        // (c) per key the first occurrences ascend, and their set is the expected one. Whatever is to leave has left when the
        // outbox is empty, so that a message that never left is named and not waited for.
        var expected = values.Select(v => (v.Key, v.Value)).ToHashSet();
        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<bool>($"select not exists (select from {CountingDb.Schema}.outbox)"),
            "every message has left"
        );
        var sent = Enumerable
            .Range(0, CountingStage.Partitions)
            .Sum(p => echoes.Watermarks(stage.Kafka.Named(CountingJson.Echoes), p) is var (low, high) ? high - low : 0);
        var read = await echoes.Until(r => r.Count >= sent, $"{sent} echoes");
        foreach (var key in read.Select(Echo).Distinct().GroupBy(e => e.Key))
            Assert.Equal(key.Select(e => e.Value).Order(), key.Select(e => e.Value));
        Assert.Equal(expected, read.Select(Echo).ToHashSet());
    }

    /// <summary>
    /// The log as the broker has it: whole from its first record, and nothing in it that nobody reported. The embedded
    /// one drops what is too much without a word.
    /// </summary>
    public static void LogIsWhole(CountingStage stage, IReadOnlyCollection<Produced> values)
    {
        using var log = stage.Read(CountingStage.Topics);
        foreach (var part in values.GroupBy(v => (v.Topic, v.Partition)))
            Assert.Equal((0, part.Max(v => v.Offset) + 1), log.Watermarks(part.Key.Topic, part.Key.Partition));
    }

    static (string Key, long Value) Echo(KafkaRecord record) =>
        System.Text.Json.JsonSerializer.Deserialize(record.Value, CountingJson.Default.Echoed) is { } echo
            ? (echo.Key, echo.Value)
            : throw new InvalidOperationException("an echo is no echo");
}

using System.Collections.Concurrent;
using Confluent.Kafka;
using Sync.Messaging.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Whatever is killed, nothing is lost and nothing is done twice.</summary>
public sealed class KillTests
{
    const int Keys = 100;

    [Fact]
    public Task Two_processes_and_three_kills_lose_nothing_and_double_nothing() => Kills(5_000, 3);

    /// <summary>Each kill costs the group a session's time-out.</summary>
    [Fact(Explicit = true)]
    public Task Two_processes_and_a_dozen_kills_lose_nothing_and_double_nothing() => Kills(20_000, 12);

    static async Task Kills(int records, int times)
    {
        await using var stage = await CountingStage.Set();
        using var echoes = stage.Read(CountingJson.Echoes);
        var produced = new ConcurrentBag<Produced>();
        var a = ChildProcess.Start(Settings(stage, "a"));
        var b = ChildProcess.Start(Settings(stage, "b"));
        try
        {
            await Eventually.Is(() => HasTables(stage), "a child has made its tables");
            var kills = 0;
            var producing = Task.Run(() => Produce(stage, produced, records, times, () => kills));
            for (var share = 1; share <= times; share++)
            {
                await stage.Until(s => s.Effects(), records * share / (times + 2), "effects");
                // In mid-work: the other goes on, and the killed one comes back under its name.
                var (victim, name) = share % 2 == 1 ? (a, "a") : (b, "b");
                victim.Kill();
                kills++;
                victim.Dispose();
                var next = ChildProcess.Start(Settings(stage, name));
                (a, b) = share % 2 == 1 ? (next, b) : (a, next);
            }

            await producing;
            await Eventually.Is(
                async () => await stage.Effects() >= records,
                $"{records} effects",
                TimeSpan.FromMinutes(3)
            );
            await Proof.Holds(stage, produced, echoes);
            Proof.LogIsWhole(stage, produced);
        }
        finally
        {
            a.Dispose();
            b.Dispose();
        }
    }

    [Fact]
    public async Task A_process_that_was_frozen_beyond_its_session_does_nothing_when_it_wakes()
    {
        await using var stage = await CountingStage.Set();
        using var echoes = stage.Read(CountingJson.Echoes);
        var produced = new ConcurrentBag<Produced>();
        using var frozen = ChildProcess.Start(Settings(stage, "a"));
        await Eventually.Is(() => HasTables(stage), "the child has made its tables");
        await Burst(stage, produced, 500);
        await stage.Until(s => s.Effects(), 1, "effect");
        frozen.Signal("STOP");

        using var other = ChildProcess.Start(Settings(stage, "b"));
        await Burst(stage, produced, 500);
        await stage.Until(s => s.Effects(), produced.Count, "effects by the other");
        frozen.Signal("CONT");
        await Burst(stage, produced, 500);

        await stage.Until(s => s.Effects(), produced.Count, "effects by both");
        await Proof.Holds(stage, produced, echoes);
        Proof.LogIsWhole(stage, produced);
    }

    [Fact]
    public Task A_crash_around_the_commit_loses_nothing_and_doubles_nothing() =>
        CrashAt("after-load:2", "before-commit:2", "after-commit:2");

    /// <summary>Takes its time: every place costs the group a session's time-out. The seed says at which pass of each.</summary>
    [Theory(Explicit = true)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public Task A_crash_at_any_named_place_loses_nothing_and_doubles_nothing(int seed)
    {
        var chance = new Random(seed);
        (string Place, int Latest)[] places =
        [
            ("in-assigned", 1),
            ("after-collect", 8),
            ("after-advance", 8),
            ("after-load", 8),
            ("in-behaviour", 100),
            ("after-stage", 8),
            ("before-commit", 8),
            ("after-commit", 8),
            ("after-store-offset", 8),
            ("outbox-after-read", 8),
            ("outbox-after-produce", 8),
            ("outbox-before-delete", 8),
            ("outbox-after-delete", 8),
            ("mover-mid", 8),
            ("lease-renew", 2),
            ("in-revoked", 1),
        ];
        return CrashAt([.. places.Select(p => $"{p.Place}:{chance.Next(1, p.Latest + 1)}")]);
    }

    /// <summary>
    /// Two replicas share the partitions, one is killed in the middle and comes back; what each holds in memory does not grow
    /// with what went through it.
    /// </summary>
    [Fact(Explicit = true)]
    public async Task Two_hundred_thousand_records_are_applied_once_each_and_memory_stays_flat()
    {
        const int many = 200_000;
        const int step = 2_000;
        await using var stage = await CountingStage.Set();
        var produced = new ConcurrentBag<Produced>();
        var a = ChildProcess.Start(Settings(stage, "a"));
        using var b = ChildProcess.Start(Settings(stage, "b"));
        try
        {
            await Eventually.Is(() => HasTables(stage), "a child has made its tables");
            long warm = 0;
            var owners = 0L;
            for (var sent = 0; sent < many; sent += step)
            {
                await Burst(stage, produced, step);
                // In step with the consumers: the embedded log drops what it cannot hold.
                await stage.Until(s => s.Effects(), sent - (2 * step), "effects");
                owners = Math.Max(
                    owners,
                    await stage.Database.Scalar<long>(
                        $"select count(distinct owner) from {CountingDb.Schema}.consumer_offset where topic = '{stage.Kafka.Named(CountingJson.Steps)}'"
                    )
                );
                if (sent == many / 4)
                    warm = Resident(b);
                if (sent == many / 2)
                {
                    a.Kill();
                    a.Dispose();
                    a = ChildProcess.Start(Settings(stage, "a"));
                }
            }

            await Eventually.Is(async () => await stage.Effects() >= many, $"{many} effects", TimeSpan.FromMinutes(5));
            var end = Resident(b);

            Assert.Equal(2, owners);
            await Proof.Holds(stage, produced);
            await Eventually.Is(
                async () => await stage.Database.Scalar<long>($"select count(*) from {CountingDb.Schema}.outbox") == 0,
                "every message has left",
                TimeSpan.FromMinutes(2)
            );
            // What leaves is counted where it arrives. Its log is longer than what the embedded cluster keeps, so by its end.
            using var echoes = stage.Read(CountingJson.Echoes);
            var left = Enumerable
                .Range(0, CountingStage.Partitions)
                .Sum(p => echoes.Watermarks(stage.Kafka.Named(CountingJson.Echoes), p).High);
            // A kill may send again what it had sent and not deleted: one look's rows at the most.
            Assert.InRange(left, many, many + 1_000);
            Assert.InRange(end, 1, warm + (40L * 1024 * 1024));
        }
        finally
        {
            a.Dispose();
        }
    }

    /// <summary>Bytes of a process that lie in memory.</summary>
    static long Resident(ChildProcess child) =>
        1_024
        * long.Parse(
            File.ReadLines($"/proc/{child.Id}/status")
                .First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
            System.Globalization.CultureInfo.InvariantCulture
        );

    static async Task CrashAt(params string[] points)
    {
        await using var stage = await CountingStage.Set();
        using var echoes = stage.Read(CountingJson.Echoes);
        var produced = new ConcurrentBag<Produced>();
        foreach (var point in points)
        {
            using var crashing = ChildProcess.Start(Settings(stage, "a"), point);
            // Several batches, and for a rebalance somebody who joins.
            for (var burst = 0; burst < 8 && !crashing.HasExited; burst++)
                await Burst(stage, produced, 25);
            var isRebalance = point.StartsWith("in-revoked", StringComparison.Ordinal);
            // Only who has partitions can be asked to give them back.
            if (isRebalance)
                await stage.Until(s => s.Effects(), produced.Count, "effects before the rebalance");
            using var joining = isRebalance ? ChildProcess.Start(Settings(stage, "b")) : null;
            await Eventually.Is(
                async () =>
                {
                    if (!crashing.HasExited)
                        await Burst(stage, produced, 5);
                    return crashing.HasExited;
                },
                $"the crash at {point}",
                TimeSpan.FromMinutes(2)
            );
        }

        using var last = ChildProcess.Start(Settings(stage, "a"));
        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced, echoes);
        Proof.LogIsWhole(stage, produced);
    }

    static async Task Burst(CountingStage stage, ConcurrentBag<Produced> produced, int count)
    {
        var from = produced.Count;
        var messages = Enumerable
            .Range(from, count)
            .Select(i => CountingStage.Add($"k{i % Keys}", (i / Keys) + 1))
            .ToList();
        var reports = await stage.Send(messages);
        foreach (var (message, report) in messages.Zip(reports))
            produced.Add(new(report.Topic, report.Partition.Value, report.Offset.Value, message.Key, message.Value));
    }

    static Dictionary<string, string?> Settings(CountingStage stage, string replica)
    {
        var settings = stage.Settings(replica);
        // A real server accepts none below 6 s.
        settings["Kafka:Consumer:SESSION_TIMEOUT_MS"] = stage.Kafka.IsEmbedded ? "3000" : "6000";
        settings["Kafka:Consumer:HEARTBEAT_INTERVAL_MS"] = "500";
        return settings;
    }

    /// <summary>In step with the consumers, so that every kill finds work in hand and the embedded log never overflows.</summary>
    static async Task Produce(
        CountingStage stage,
        ConcurrentBag<Produced> produced,
        int records,
        int times,
        Func<int> kills
    )
    {
        const int Step = 250;
        for (var from = 0; from < records; from += Step)
        {
            await Burst(stage, produced, Step);
            // The last two shares wait for the last kill, the others for the consumers to come near.
            var ahead = from + Step;
            await Eventually.Is(
                async () =>
                    (ahead <= records * times / (times + 2) || kills() == times)
                    && await stage.Effects() > ahead - 1_000,
                "the consumers come near",
                TimeSpan.FromMinutes(2)
            );
        }
    }

    static async Task<bool> HasTables(CountingStage stage) =>
        await stage.Database.Scalar<bool>($"select to_regclass('{CountingDb.Schema}.effect') is not null");
}

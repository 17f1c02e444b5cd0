using System.Collections.Concurrent;
using Confluent.Kafka;
using Sync.Messaging.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Whatever is killed, nothing is lost and nothing is done twice.</summary>
public sealed class KillTests
{
    const int Records = 5_000;
    const int Keys = 100;

    [Fact]
    public async Task Two_processes_and_three_kills_lose_nothing_and_double_nothing()
    {
        await using var stage = await CountingStage.Set();
        using var echoes = new KafkaReader(stage.Kafka.BootstrapServers, CountingStage.Partitions, CountingJson.Echoes);
        var produced = new ConcurrentBag<Produced>();
        var a = ChildProcess.Start(Settings(stage, "a"));
        var b = ChildProcess.Start(Settings(stage, "b"));
        try
        {
            await Eventually.Is(() => HasTables(stage), "a child has made its tables");
            var kills = 0;
            var producing = Task.Run(() => Produce(stage, produced, () => kills));
            foreach (var share in new[] { 1, 2, 3 })
            {
                await stage.Until(s => s.Effects(), Records * share / 5, "effects");
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
                async () => await stage.Effects() >= Records,
                $"{Records} effects",
                TimeSpan.FromMinutes(3)
            );
            await Proof.Holds(stage, produced, echoes);
        }
        finally
        {
            a.Dispose();
            b.Dispose();
        }
    }

    static Dictionary<string, string?> Settings(CountingStage stage, string replica)
    {
        var settings = stage.Settings(replica);
        settings["Kafka:Consumer:SESSION_TIMEOUT_MS"] = "3000";
        settings["Kafka:Consumer:HEARTBEAT_INTERVAL_MS"] = "500";
        return settings;
    }

    /// <summary>In step with the consumers, so that every kill finds work in hand and the embedded log never overflows.</summary>
    static async Task Produce(CountingStage stage, ConcurrentBag<Produced> produced, Func<int> kills)
    {
        const int Step = 250;
        for (var from = 0; from < Records; from += Step)
        {
            var messages = Enumerable
                .Range(from, Step)
                .Select(i => CountingStage.Add($"k{i % Keys}", (i / Keys) + 1))
                .ToList();
            var reports = await stage.Send(messages);
            foreach (var (message, report) in messages.Zip(reports))
                produced.Add(
                    new(report.Topic, report.Partition.Value, report.Offset.Value, message.Key, message.Value)
                );
            // The last two fifths wait for the last kill, the others for the consumers to come near.
            var ahead = from + Step;
            await Eventually.Is(
                async () => (ahead <= Records * 3 / 5 || kills() == 3) && await stage.Effects() > ahead - 1_000,
                "the consumers come near",
                TimeSpan.FromMinutes(2)
            );
        }
    }

    static async Task<bool> HasTables(CountingStage stage) =>
        await stage.Database.Scalar<bool>($"select to_regclass('{CountingDb.Schema}.effect') is not null");
}

using System.Collections.Concurrent;
using Confluent.Kafka;
using Npgsql;
using Sync.Messaging.DeadLetters;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Kafka or PostgreSQL goes away under load: what is in hand is bounded, what was taken in is kept, and all of it is done once.</summary>
public sealed class OutageTests
{
    const string S = CountingDb.Schema;

    /// <summary>T23. The records come from a log that goes on, so that the outbox alone feels that Kafka is away.</summary>
    [Fact]
    public async Task While_Kafka_takes_nothing_the_backlog_ends_consuming_and_afterwards_all_is_done_once()
    {
        TestKafka.NeedsEmbedded("a broker that goes away and comes back");
        await using var stage = await CountingStage.Set();
        using var echoes = stage.Read(CountingJson.Echoes);
        var kafka = new FakeKafka();
        var produced = new ConcurrentBag<Produced>();
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();
        Add(kafka, produced, 0, 200);
        await stage.Until(s => s.Effects(), produced.Count, "effects while Kafka is there");
        await echoes.Read(200);

        stage.Kafka.Down();
        Add(kafka, produced, 200, 200);
        await stage.Until(s => s.Effects(), produced.Count, "effects while Kafka is away");
        // As if it had been away for long.
        var last = await stage.Database.Scalar<long>($"select max(id) from {S}.outbox");
        await stage.Database.Execute(
            $"""
            insert into {S}.outbox (topic, key, headers, body)
            select topic, key, headers, body
              from (select * from {S}.outbox order by id limit 1) first, generate_series(1, 200000)
            """
        );
        await Eventually.Is(() => kafka.Current!.Paused.Count == 2 * CountingStage.Partitions, "consuming pauses");
        Add(kafka, produced, 400, 200);
        Assert.Contains("outbox holds", process.Logs.Of(4140).First().Text, StringComparison.Ordinal);
        Assert.Equal(400, await stage.Effects());

        await stage.Database.Execute($"delete from {S}.outbox where id > {last}");
        stage.Kafka.Up();
        await stage.Until(s => s.Effects(), produced.Count, "effects after Kafka came back");
        Assert.Empty(kafka.Current!.Paused);
        Assert.Equal(0, await stage.DeadLetters());
        await Proof.Holds(stage, produced, echoes);
    }

    /// <summary>T25. Every connection is ended as a restart of the server ends them, in the middle of batches.</summary>
    [Fact]
    public async Task A_restart_of_PostgreSQL_condemns_no_record_and_keeps_the_partitions()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = new ConcurrentBag<Produced>();
        var ended = new ConcurrentBag<string>();
        var polls = new ConcurrentQueue<int>();
        var end = new Interference(
            async (point, times) =>
            {
                // Four in a row: a record that fails again when it is alone must not be taken for the culprit either.
                if (point is not ("after-advance" or "before-commit") || times > 4)
                    return;
                ended.Add(point);
                if (point == "after-advance")
                    polls.Enqueue(kafka.Polls);
                await stage.Database.Execute(
                    $"select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name like 'sync/%'"
                );
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            end.Replace(b);
        });
        kafka.Open();
        for (var from = 0; from < 500; from += 50)
        {
            Add(kafka, produced, from, 50);
            await stage.Until(
                async s => await s.Effects() + await s.DeadLetters(),
                produced.Count,
                "records that are done with"
            );
        }

        Assert.Equal(0, await stage.DeadLetters());
        Assert.Equal(8, ended.Count);
        // The group keeps who goes on asking it, however long PostgreSQL is away.
        Assert.Equal(1, kafka.Created);
        Assert.Equal(polls.Distinct().Count(), polls.Count);
        await Proof.Holds(stage, produced);
    }

    /// <summary>T29. What is replayed is the record as it was, so whoever has moved on drops it by its number.</summary>
    [Fact]
    public async Task A_replayed_dead_letter_is_the_record_as_it_came_under_the_key_it_had()
    {
        await using var stage = await CountingStage.Set();
        var poison = true;
        await using var process = await stage.Start(b =>
            b.Before = c =>
                poison && c.Message.Value == 2 ? throw new InvalidOperationException("poison") : Task.CompletedTask
        );
        var sent = CountingStage.Record(CountingStage.Add("a", 2));
        await stage.SendRaw(sent);
        await stage.Until(s => s.DeadLetters(), 1, "dead letter");
        await stage.Send(CountingStage.Add("a", 3));
        await stage.Until(s => s.Effects(), 1, "effect of the next one");
        poison = false;

        var id = await stage.Database.Scalar<Guid>($"select id from {S}.dead_letter");
        await using var source = NpgsqlDataSource.Create(stage.Database.ConnectionString);
        var replayed = await new DeadLetterReplay(source).Replay(S, id, "test", CancellationToken.None);
        await stage.Until(s => s.Effects(), 2, "effects");

        Assert.Equal(ReplayOutcome.Queued, replayed.Outcome);
        using var reader = stage.Read(CountingJson.Steps);
        var records = (await reader.Read(3))
            .Where(r => r.Value.Contains("\"value\":2", StringComparison.Ordinal))
            .ToList();
        Assert.Equal(2, records.Count);
        Assert.Equal(records[0].Partition, records[1].Partition);
        Assert.Equal(records[0].Value, records[1].Value);
        Assert.Equal(
            records[0].Headers.Select(h => (h.Key, Convert.ToHexString(h.GetValueBytes()))),
            records[1].Headers.Select(h => (h.Key, Convert.ToHexString(h.GetValueBytes())))
        );
    }

    static void Add(FakeKafka kafka, ConcurrentBag<Produced> produced, int from, int count)
    {
        foreach (var i in Enumerable.Range(from, count))
        {
            var (key, value) = ($"k{i % 20}", (i / 20) + 1);
            var (partition, offset) = kafka.Add(CountingStage.Add(key, value));
            produced.Add(new(partition.Topic, partition.Partition.Value, offset, key, value));
        }
    }
}

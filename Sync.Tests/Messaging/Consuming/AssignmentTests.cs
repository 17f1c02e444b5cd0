using Confluent.Kafka;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sync.Adapter.Hosting;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>Each row of the assignment table: what is stored, what the log holds, what Kafka was told.</summary>
public sealed class AssignmentTests
{
    const string S = CountingDb.Schema;
    static readonly TopicPartition Zero = new(CountingJson.Steps, 0);

    [Fact]
    public async Task A_partition_without_a_row_starts_at_the_earliest_record_whatever_Kafka_was_told()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Views[Zero] = new(Low: 3, High: 9, Committed: 7);
        await using var process = await Started(stage, kafka);

        Assert.Equal((3, 1), await Row(stage));
        Assert.Single(process.Logs.Of(4112));
        Assert.Empty(await Gaps(stage));
    }

    [Fact]
    public async Task A_stored_offset_inside_the_log_is_where_it_starts()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await Stored(stage, kafka, 5);
        // Kafka is told up to a second later.
        kafka.Views[Zero] = new(Low: 3, High: 9, Committed: 4);
        await using var process = await Started(stage, kafka);

        Assert.Equal((5, 2), await Row(stage));
        Assert.Equal(5, kafka.Current!.Positions[Zero]);
        Assert.Empty(await Gaps(stage));
    }

    [Fact]
    public async Task A_database_that_went_back_waits_for_the_restore_hook_and_is_found_once()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await Stored(stage, kafka, 5);
        kafka.Views[Zero] = new(Low: 0, High: 9, Committed: 8);
        var hook = new Hook();
        await using (
            var process = await stage.Start(build: b =>
            {
                kafka.Replace(b);
                b.Services.AddSingleton<IRestoreHook>(hook);
            })
        )
        {
            await hook.Began.Task.WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Contains(Zero, kafka.Current!.Paused);
            Assert.Single(process.Logs.Of(4113));
            Assert.Equal([(5, 8, "the database went back")], await Gaps(stage));
            // The claim itself is over. Nobody may work on what was restored, all the same.
            Assert.Single(process.Logs.Of(4122));
            Assert.Equal(ConsumerPhase.Restoring, process.Board.State.Phase);
            var mayWork = new ClaimedOnce(process.Board);
            Assert.False(mayWork.Now);

            hook.Done.SetResult();
            await Eventually.Is(() => !kafka.Current.Paused.Contains(Zero), "resumed after the hook");
            Assert.Equal(ConsumerPhase.Claimed, process.Board.State.Phase);
            Assert.True(mayWork.Now);
            Assert.Single(process.Logs.Of(4123));
            Assert.Equal(5, kafka.Committed[Zero]);
        }

        kafka.Views[Zero] = new(Low: 0, High: 9, Committed: kafka.Committed[Zero]);
        await using var again = await Started(stage, kafka);
        Assert.Empty(again.Logs.Of(4113));
        Assert.Single(await Gaps(stage));
    }

    [Fact]
    public async Task Records_that_retention_removed_are_written_down_and_passed()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await Stored(stage, kafka, 5);
        kafka.Views[Zero] = new(Low: 20, High: 30, Committed: 5);
        await using var process = await Started(stage, kafka);

        Assert.Equal((20, 2), await Row(stage));
        Assert.Equal(20, kafka.Current!.Positions[Zero]);
        Assert.Single(process.Logs.Of(4114));
        Assert.Equal([(5, 20, "retention overtook the stored offset")], await Gaps(stage));
    }

    [Fact]
    public async Task A_log_that_ends_before_the_stored_offset_halts_its_partition_until_an_operator_resumes_it()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await Stored(stage, kafka, 1_000);
        await using var process = await Started(stage, kafka);
        kafka.Open();
        var keys = Enumerable.Range(0, 100).Select(i => $"k{i}").ToList();
        var here = keys.First(k => kafka.PartitionOf(CountingJson.Steps, k) == Zero);
        var there = keys.First(k => kafka.PartitionOf(CountingJson.Steps, k) != Zero);
        kafka.Add(CountingStage.Add(here, 1));
        kafka.Add(CountingStage.Add(there, 1));
        await stage.Until(s => s.Effects(), 1, "effect of another partition");

        Assert.Single(process.Logs.Of(4116));
        Assert.Contains("steps[0]: the log ends before the stored offset", process.Board.State.Halted);
        Assert.Equal([(1_000L, 1_000L, "the log ends before the stored offset")], await Gaps(stage));
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.effect where key = '{here}'"));

        Assert.True(await Offsets(stage).Resume(kafka.Id, Zero, 0, CancellationToken.None));
        await stage.Until(s => s.Effects(), 2, "effects after the resume");
        Assert.Empty(process.Board.State.Halted);
        Assert.Equal((1_000L, 0L, "resumed by an operator"), (await Gaps(stage))[^1]);
    }

    /// <summary>Kafka was told the offset of before the halt, as it is wherever the topic was not made anew.</summary>
    [Fact]
    public async Task A_halted_partition_that_is_resumed_further_back_is_not_taken_for_a_restored_database()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await Stored(stage, kafka, 1_000);
        kafka.Views[Zero] = new(Low: 0, High: 900, Committed: 1_000);
        var hook = new Hook();
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            b.Services.AddSingleton<IRestoreHook>(hook);
        });
        await Eventually.Is(() => process.Logs.Of(4116).Any(), "halted");

        // Twice, as somebody does who sees nothing happen at once: the second one is a jump from 900 to 900.
        Assert.True(await Offsets(stage).Resume(kafka.Id, Zero, 900, CancellationToken.None, "ada"));
        Assert.True(await Offsets(stage).Resume(kafka.Id, Zero, 900, CancellationToken.None, "ada"));
        Assert.True(await Offsets(stage).Resume(kafka.Id, Zero, 900, CancellationToken.None, "ada"));
        await Eventually.Is(
            () =>
                kafka.Current!.Positions[Zero] == 900
                && !kafka.Current.Paused.Contains(Zero)
                && process.Board.State.Halted.Count == 0,
            "going on"
        );
        Assert.Empty(process.Logs.Of(4113));
        Assert.False(hook.Began.Task.IsCompleted);
        Assert.Equal(900, kafka.Committed[Zero]);
        Assert.DoesNotContain(await Gaps(stage), g => g.Reason == "the database went back");
    }

    [Fact]
    public async Task A_partition_that_is_resumed_while_it_is_consumed_is_not_taken_for_a_restored_database()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        await using var process = await Started(stage, kafka);
        var key = Enumerable
            .Range(0, 100)
            .Select(i => $"k{i}")
            .First(k => kafka.PartitionOf(CountingJson.Steps, k) == Zero);
        for (var value = 1; value <= 10; value++)
            kafka.Add(CountingStage.Add(key, value));
        kafka.Open();
        await stage.Until(s => s.Effects(), 10, "effects");
        await Eventually.Is(() => kafka.Committed.TryGetValue(Zero, out var told) && told == 10, "Kafka is told");

        Assert.True(await Offsets(stage).Resume(kafka.Id, Zero, 4, CancellationToken.None));
        kafka.Add(CountingStage.Add(key, 11));
        await stage.Until(s => s.Effects(), 17, "effects, those from offset 4 on again");

        Assert.Single(process.Logs.Of(4104));
        Assert.Empty(process.Logs.Of(4113));
        Assert.Equal([(10, 4, "resumed by an operator")], await Gaps(stage));

        // Whoever goes back once more is found again: the word was about one offset.
        await process.Stop();
        await stage.Database.Execute(
            $"update {S}.consumer_offset set next_offset = 8 where topic = 'steps' and partition = 0"
        );
        await using var again = await stage.Start(build: kafka.Replace);
        await Eventually.Is(() => again.Logs.Of(4113).Any(), "a restored database");
    }

    [Fact]
    public async Task A_partition_beyond_the_setting_halts()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka(CountingStage.Partitions + 1);
        await using var process = await Started(stage, kafka);

        Assert.Equal(2, process.Logs.Of(4118).Count());
        Assert.Equal(2, process.Board.State.Halted.Count);
    }

    [Fact]
    public async Task Another_cluster_is_read_from_its_start_though_the_database_knows_the_topic()
    {
        TestKafka.NeedsEmbedded("two clusters");
        await using var stage = await CountingStage.Set();
        await using (var process = await stage.Start())
        {
            for (var value = 1; value <= 5; value++)
                await stage.Send(CountingStage.Add("a", value));
            await stage.Until(s => s.Effects(), 5, "effects");
        }

        using var restarted = CountingStage.NewKafka();
        using var producer = CountingStage.Producer(restarted.BootstrapServers);
        for (var value = 6; value <= 8; value++)
            await producer.ProduceAsync(CountingJson.Steps, CountingStage.Record(CountingStage.Add("a", value)));
        var builder = CountingProcess.Builder(stage.Settings(bootstrap: restarted.BootstrapServers));
        CountingProcess.Consume(builder, CountingStage.Topics);
        await using var again = await CountingProcess.Start(builder);

        await stage.Until(s => s.Effects(), 8, "effects");
        Assert.Equal(8, await stage.Database.Scalar<long>($"select last from {S}.counter"));
        Assert.Equal(
            2,
            await stage.Database.Scalar<long>($"select count(distinct cluster_id) from {S}.consumer_offset")
        );
    }

    [Fact]
    public async Task A_claim_that_fails_in_the_handler_rebuilds_the_consumer_and_reads_on()
    {
        await using var stage = await CountingStage.Set();
        await using (var first = await stage.Start()) { }

        await stage.Database.Execute($"alter function {S}.claim_partitions rename to claims_are_closed");
        await stage.Send(CountingStage.Add("a", 1));
        await using var process = await stage.Start();
        await Eventually.Is(
            () => process.Logs.Lines.Any(l => l is { Event: 4105, Exception: not null }),
            "a failed claim"
        );
        await stage.Database.Execute($"alter function {S}.claims_are_closed rename to claim_partitions");

        await stage.Until(s => s.Effects(), 1, "effect");
        Assert.Equal(ConsumerPhase.Claimed, process.Board.State.Phase);
    }

    [Fact]
    public void A_share_is_what_is_held_of_a_topic()
    {
        var board = new Sync.Messaging.Kafka.ConsumerBoard(TimeProvider.System);
        board.Partitions(32);
        board.Report("g", s => s with { Claimed = [new("a", 0), new("a", 1), new("b", 0)] });

        Assert.Equal(2, board.Held("a"));
        Assert.Equal(2 / 32.0, board.Of("a"));
        Assert.Equal(0, board.Held("c"));
    }

    static async Task<CountingProcess> Started(CountingStage stage, FakeKafka kafka)
    {
        var process = await stage.Start(build: kafka.Replace);
        await Eventually.Is(() => process.Board.State.Phase is ConsumerPhase.Claimed, "claimed");
        return process;
    }

    /// <summary>A row from an earlier life, in tables that a first process made.</summary>
    static async Task Stored(CountingStage stage, FakeKafka kafka, long offset)
    {
        await using (var process = await stage.Start(build: new FakeKafka().Replace)) { }

        await stage.Database.Execute($"delete from {S}.consumer_offset");
        await stage.Database.Execute(
            $"insert into {S}.consumer_offset (consumer_group, cluster_id, topic, partition, next_offset, owner) values ('{stage.Group}', '{kafka.Id}', '{Zero.Topic}', 0, {offset}, 'a')"
        );
    }

    static async Task<(long Next, long Epoch)> Row(CountingStage stage) =>
        (
            await stage.Query(
                $"select next_offset, epoch from {S}.consumer_offset where topic = '{Zero.Topic}' and partition = 0",
                r => (r.GetInt64(0), r.GetInt64(1))
            )
        )[0];

    static Task<List<(long From, long To, string Reason)>> Gaps(CountingStage stage) =>
        stage.Query(
            $"select from_offset, to_offset, reason from {S}.feed_gap order by id",
            r => (r.GetInt64(0), r.GetInt64(1), r.GetString(2))
        );

    static OffsetStore Offsets(CountingStage stage) => new(stage.Database.DataSource, S, stage.Group, "operator");

    sealed class Hook : IRestoreHook
    {
        public TaskCompletionSource Began { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Restored(CancellationToken cancellationToken)
        {
            Began.TrySetResult();
            return Done.Task.WaitAsync(cancellationToken);
        }
    }
}

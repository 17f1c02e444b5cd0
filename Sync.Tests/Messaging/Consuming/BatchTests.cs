using System.Text;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Sagas;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>What happens inside one batch, and when one fails.</summary>
public sealed class BatchTests
{
    const string S = CountingDb.Schema;

    [Fact]
    public async Task Offsets_sagas_rows_and_messages_commit_together()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 50, perKey: 10);
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Equal(1, await stage.Database.Scalar<long>($"select count(distinct xmin::text) from {S}.effect"));
    }

    [Fact]
    public async Task After_a_commit_that_failed_every_key_is_applied_in_order_and_once()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 10, perKey: 10);
        var commit = new Interference(
            (point, n) =>
                point == "before-commit" && n == 1
                    ? throw new StaleSagaException("Counter", "Update", 1, 0)
                    : Task.CompletedTask
        );
        await using var process = await stage.Start(
            b => b.Before = _ => Task.Yield().AsTask(),
            build: b =>
            {
                kafka.Replace(b);
                commit.Replace(b);
            },
            configure: (e, _) => e.UseMessageRetry(r => r.Immediate(3))
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Single(process.Logs.Of(4110));
        Assert.Empty(process.Logs.Of(4111));
    }

    [Fact]
    public async Task A_fenced_batch_applies_nothing_and_reaches_no_retry()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var handled = 0;
        await using var process = await stage.Start(
            b =>
                b.Before = _ =>
                {
                    Interlocked.Increment(ref handled);
                    return Task.CompletedTask;
                },
            build: kafka.Replace,
            configure: (e, _) => e.UseMessageRetry(r => r.Immediate(3))
        );
        await Support.Eventually.Is(
            () => process.Board.State.Phase == Sync.Messaging.Hosting.ConsumerPhase.Claimed,
            "claimed"
        );
        await stage.Database.Execute($"update {S}.consumer_offset set epoch = epoch + 1, owner = 'another'");
        var produced = Fill(kafka, keys: 5, perKey: 4);
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Single(process.Logs.Of(4104));
        Assert.Empty(process.Logs.Of(4110));
        Assert.Equal(produced.Count, handled);
    }

    [Fact]
    public async Task A_concurrency_limit_below_the_batch_does_not_stop_the_barrier()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 500, perKey: 1);
        await using var process = await stage.Start(
            build: kafka.Replace,
            configure: (e, _) => e.UseConcurrencyLimit(16)
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        // Neither tried again nor one by one: the first try went through.
        Assert.Empty(process.Logs.Of(4110));
        Assert.Empty(process.Logs.Of(4111));
    }

    [Fact]
    public async Task Half_a_mutation_is_never_stored()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        kafka.Add(CountingStage.Add("a", 2, ask: "spoil"));
        kafka.Add(CountingStage.Add("a", 3));
        await using var process = await stage.Start(b => b.Before = Spoil, build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        Assert.Equal(
            [(2L, 3L, "{\"a\": 3}", "{\"Note\": null, \"Values\": []}", 0)],
            await stage.Query(
                $"select count, last, seen, detail, cardinality(tags) from {S}.counter",
                r => (r.GetInt64(0), r.GetInt64(1), r.GetString(2), r.GetString(3), r.GetInt32(4))
            )
        );
        Assert.Equal(1, await stage.DeadLetters());
    }

    [Fact]
    public async Task A_retry_begins_at_the_last_staged_state()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        kafka.Add(CountingStage.Add("a", 2, ask: "spoil"));
        var tries = 0;
        await using var process = await stage.Start(
            b => b.Before = c => c.Message.Ask is null || ++tries > 2 ? Task.CompletedTask : Spoil(c),
            build: kafka.Replace,
            configure: (e, _) => e.UseMessageRetry(r => r.Immediate(2))
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        Assert.Equal(
            [(2L, 0)],
            await stage.Query($"select count, cardinality(tags) from {S}.counter", r => (r.GetInt64(0), r.GetInt32(1)))
        );
        Assert.Equal(3, tries);
        Assert.Equal(0, await stage.DeadLetters());
        Assert.Equal(2, await Echoes(stage, 2));
    }

    [Fact]
    public async Task A_saga_that_fails_after_it_produced_sends_nothing()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1, ask: "fail late"));
        kafka.Add(CountingStage.Add("b", 2));
        await using var process = await stage.Start(
            b =>
                b.After = c =>
                    c.Message.Ask is null ? Task.CompletedTask : throw new InvalidOperationException("asked to fail"),
            build: kafka.Replace
        );
        kafka.Open();

        using var reader = stage.Read(CountingJson.Echoes);
        Assert.Equal("b", Assert.Single(await reader.Read(1)).Key);
        Assert.Equal(1, await stage.DeadLetters());
        Assert.Equal(1, await stage.Effects());
        Assert.Equal(
            0,
            await stage.Database.Scalar<long>($"select count(*) from {S}.outbox where topic = 'echoes' and key = 'a'")
        );
    }

    [Fact]
    public async Task Two_keys_that_meet_in_one_saga_take_turns()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var counter = CountingStage.Id("shared");
        for (var value = 1; value <= 500; value++)
        {
            kafka.Add(CountingStage.Add("a", value, counter));
            kafka.Add(CountingStage.Add("b", value, counter));
        }

        var met = 0;
        await using var process = await stage.Start(
            b =>
                b.Before = async c =>
                {
                    var before = c.Saga.Count;
                    await Task.Yield();
                    if (c.Saga.Count != before)
                        Interlocked.Increment(ref met);
                },
            build: kafka.Replace
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 1_000, "effects");
        Assert.Equal(1_000, await stage.Database.Scalar<long>($"select count from {S}.counter"));
        Assert.Equal(0, met);
    }

    [Fact]
    public async Task A_finalised_saga_that_is_created_again_in_its_batch_holds_the_new_values()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();
        await stage.Until(s => s.Effects(), 1, "effect");

        kafka.Close();
        kafka.Add(Close("a"));
        kafka.Add(CountingStage.Add("a", 5));
        kafka.Open();
        await stage.Until(s => s.Effects(), 2, "effects");
        Assert.Equal(
            [(1L, 5L, 2L)],
            await stage.Query(
                $"select count, last, version from {S}.counter",
                r => (r.GetInt64(0), r.GetInt64(1), r.GetInt64(2))
            )
        );

        kafka.Add(Close("a"));
        await stage.Until(s => s.Database.Scalar<long>($"select 1 - count(*) from {S}.counter"), 1, "row gone");
    }

    [Fact]
    public async Task A_saga_created_and_finalised_in_one_batch_leaves_its_messages_only()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        kafka.Add(Close("a"));
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), 1, "effect");
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.counter"));
        Assert.Equal(1, await Echoes(stage, 1));
    }

    [Fact]
    public async Task An_update_of_a_deleted_saga_does_not_bring_it_back()
    {
        await using var stage = await CountingStage.Set();
        await using var process = await stage.Start(build: new FakeKafka().Replace);
        var table = Table(process);
        var row = new SagaRow(
            CountingStage.Id("a"),
            table.Read(new Counter { CorrelationId = CountingStage.Id("a"), CurrentState = "Open" }),
            Version: 2
        );

        await using var batch = stage.Database.DataSource.CreateBatch();
        batch.BatchCommands.Add(table.Update([row]));
        await batch.ExecuteNonQueryAsync();

        Assert.Equal(0ul, batch.BatchCommands[0].Rows);
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.counter"));
    }

    [Fact]
    public async Task A_saga_that_another_process_inserted_first_is_loaded_and_changed()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        var other = new Interference(
            async (point, n) =>
            {
                if (point == "after-stage" && n == 1)
                    await stage.Database.Execute(
                        $$"""
                        insert into {{S}}.counter
                        values ('{{CountingStage.Id(
                            "a"
                        )}}', 'Open', null, 100, 0, '{}', '{"Values":[]}', '{}', null, null, 0, 1)
                        """
                    );
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            other.Replace(b);
        });
        kafka.Open();

        await stage.Until(s => s.Effects(), 1, "effect");
        Assert.Equal(101, await stage.Database.Scalar<long>($"select count from {S}.counter"));
        Assert.Single(process.Logs.Of(4110));
    }

    [Fact]
    public async Task A_message_that_changes_nothing_writes_nothing()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();
        await stage.Until(s => s.Effects(), 1, "effect");
        await stage.Database.Execute($"update {S}.counter set name = 'same', seen = '{{\"b\":2,\"a\":1}}'");

        kafka.Add(
            new Renamed
            {
                Key = "a",
                Name = "same",
                Value = 0,
            }
        );
        await stage.Until(
            s => s.Database.Scalar<long>($"select sum(next_offset)::bigint from {S}.consumer_offset"),
            2,
            "offsets"
        );

        Assert.Equal(1, await stage.Database.Scalar<long>($"select version from {S}.counter"));
    }

    [Fact]
    public async Task A_record_that_PostgreSQL_refuses_at_the_write_is_kept_and_all_others_are_applied_in_order()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 25, perKey: 10);
        var culprit = kafka.Add(CountingStage.Add("k3", 999, text: "no text holds \0"));
        produced.AddRange(Fill(kafka, keys: 25, perKey: 9, from: 2_000));
        await using var process = await stage.Start(b => b.Before = _ => Task.Yield().AsTask(), build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        Assert.Equal(
            [("commit", "SQLSTATE 22021", culprit.Offset)],
            await stage.Query(
                $"select reason_code, reason, \"offset\" from {S}.dead_letter",
                r => (r.GetString(0), r.GetString(1), r.GetInt64(2))
            )
        );
        var effects = await stage.Query(
            $"select key, value from {S}.effect order by at",
            r => (Key: r.GetString(0), Value: r.GetInt64(1))
        );
        Assert.Equal(produced.Count, effects.Count);
        Assert.Equal(produced.Select(p => (p.Key, p.Value)).Order(), effects.Order());
        foreach (var key in effects.GroupBy(e => e.Key))
            Assert.Equal(key.Select(e => e.Value).Order(), key.Select(e => e.Value));
    }

    [Fact]
    public async Task Offsets_with_holes_are_advanced_from_what_is_stored()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1), hole: 3);
        kafka.Add(CountingStage.Add("a", 2), hole: 7);
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();
        await stage.Until(s => s.Effects(), 2, "effects");
        kafka.Add(CountingStage.Add("a", 3), hole: 5);
        await stage.Until(s => s.Effects(), 3, "effects");

        Assert.Equal(18, await stage.Database.Scalar<long>($"select max(next_offset) from {S}.consumer_offset"));
        Assert.Empty(process.Logs.Of(4104));
    }

    [Fact]
    public async Task Records_of_a_partition_that_was_revoked_while_its_batch_was_collected_are_dropped()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 20, perKey: 2);
        var lost = kafka.PartitionOf(CountingJson.Steps, "k0");
        var happened = false;
        kafka.BeforeRecord = (_, source) =>
        {
            // Half of the batch is collected: the group takes the partition away, another process consumes what is in it,
            // and the group gives it back.
            if (happened || source.Positions[lost] < 2)
                return;
            happened = true;
            source.Revoke([lost]);
            stage
                .Database.Execute(
                    $"update {S}.consumer_offset set next_offset = 1, epoch = epoch + 1 where topic = 'steps' and partition = {lost.Partition.Value}"
                )
                .GetAwaiter()
                .GetResult();
            source.Assign([lost]);
        };
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();

        var expected = produced.Where(p => p.Partition != lost.Partition.Value || p.Offset >= 1).ToList();
        await stage.Until(s => s.Effects(), expected.Count, "effects");
        var effects = await stage.Query(
            $"select partition, \"offset\" from {S}.effect",
            r => (r.GetInt32(0), r.GetInt64(1))
        );
        Assert.Equal(expected.Select(p => (p.Partition, p.Offset)).Order(), effects.Order());
        Assert.Empty(process.Logs.Of(4104));
    }

    [Fact]
    public async Task A_commit_whose_answer_was_lost_is_not_run_again_and_not_taken_for_fencing()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 10, perKey: 3);
        var cut = Cut("after-commit", times: 1);
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            cut.Replace(b);
        });
        kafka.Open();
        await stage.Until(s => s.Effects(), produced.Count, "effects");

        produced.Add(At(kafka.Add(CountingStage.Add("k0", 100)), "k0", 100));
        await stage.Until(s => s.Effects(), produced.Count, "effects after the next batch");
        await Proof.Holds(stage, produced);
        Assert.Empty(process.Logs.Of(4104));
        Assert.Equal(2, await stage.Database.Scalar<long>($"select max(epoch) from {S}.consumer_offset"));
    }

    [Fact]
    public async Task While_PostgreSQL_cannot_be_reached_the_batch_is_kept_and_nothing_is_dead_lettered()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 10, perKey: 3);
        var cut = Cut("after-stage", times: 3);
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            cut.Replace(b);
        });
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Equal(3, process.Logs.Of(4105).Count());
        Assert.Equal(0, await stage.DeadLetters());
        Assert.Empty(kafka.Current!.Paused);
        Assert.Equal(1, kafka.Created);
    }

    [Fact]
    public async Task A_behaviour_that_was_only_stopped_for_a_while_is_not_condemned()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        var stops = 0;
        // In the batch, and once alone, the budget runs out as it does in a process that is not scheduled.
        await using var process = await stage.Start(
            b =>
                b.Before = c =>
                    Interlocked.Increment(ref stops) > 2
                        ? Task.CompletedTask
                        : throw new BatchTimeoutException(BatchRunner.Budget, handler: true),
            build: kafka.Replace
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 1, "effect");
        Assert.Equal(0, await stage.DeadLetters());
    }

    /// <summary>The verdict was committed and nobody said so; what waits behind it is of other partitions.</summary>
    [Fact]
    public async Task A_verdict_whose_answer_was_lost_loses_no_record_behind_it()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var culprit = kafka.Add(CountingStage.Add("k0", 999, text: "no text holds \0"));
        var produced = Fill(kafka, keys: 20, perKey: 3);
        // Neither the batch nor the record alone gets as far as that: the first commit is the verdict's.
        var cut = Cut("after-commit", times: 1);
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            cut.Replace(b);
        });
        kafka.Open();
        await stage.Until(s => s.DeadLetters(), 1, "dead letter");
        produced.AddRange(Fill(kafka, keys: 20, perKey: 1, from: 100));

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Empty(process.Logs.Of(4104));
        Assert.Equal(
            culprit.Offset,
            Assert.Single(await stage.Query($"select \"offset\" from {S}.dead_letter", r => r.GetInt64(0)))
        );
    }

    /// <summary>The fence names one partition; the records of all others are in the same hand.</summary>
    [Fact]
    public async Task A_fence_while_records_go_one_by_one_loses_none_of_the_other_partitions()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 20, perKey: 3);
        var (first, second) = (produced[0].Partition, produced.First(p => p.Partition != produced[0].Partition));
        var fence = new Interference(
            async (point, n) =>
            {
                if (point == "before-commit" && n <= 4)
                    throw new StaleSagaException("Counter", "Update", 1, 0);
                // Between two transactions of one record each.
                if (point == "after-store-offset" && n == 1)
                    await stage.Database.Execute(
                        $"update {S}.consumer_offset set epoch = epoch + 1 where topic = 'steps' and partition = {second.Partition}"
                    );
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            fence.Replace(b);
        });
        kafka.Open();
        await Support.Eventually.Is(() => process.Logs.Of(4104).Any(), "fenced");
        produced.AddRange(Fill(kafka, keys: 20, perKey: 1, from: 100));

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        Assert.NotEqual(first, second.Partition);
        await Proof.Holds(stage, produced);
        Assert.Single(process.Logs.Of(4104));
    }

    [Fact]
    public async Task Records_that_come_while_a_batch_waits_for_its_next_try_outlive_a_commit_without_an_answer()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 10, perKey: 1);
        var interference = new Interference(
            (point, n) =>
            {
                switch (point, n)
                {
                    case ("before-commit", 1):
                        throw new StaleSagaException("Counter", "Update", 1, 0);
                    // The next try is not at once: the loop polls before it.
                    case ("before-commit", 2):
                        produced.AddRange(Fill(kafka, keys: 10, perKey: 1, from: 2));
                        throw new StaleSagaException("Counter", "Update", 1, 0);
                    case ("after-commit", 1):
                        throw new NpgsqlException("the connection was lost", new IOException());
                    default:
                        return Task.CompletedTask;
                }
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            interference.Replace(b);
        });
        kafka.Open();
        await stage.Until(s => s.Effects(), 10, "effects of the first batch");
        produced.AddRange(Fill(kafka, keys: 10, perKey: 1, from: 100));

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
    }

    /// <summary>The row stands where neither the lost commit nor the batch before would have left it.</summary>
    [Fact]
    public async Task A_commit_without_an_answer_whose_database_went_back_goes_on_from_the_row()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var first = Enumerable.Range(1, 10).Select(i => kafka.Add(CountingStage.Add("a", i)).Offset).ToList();
        var restored = new Interference(
            async (point, n) =>
            {
                if (point != "after-commit" || n != 2)
                    return;
                await stage.Database.Execute(
                    $"update {S}.consumer_offset set next_offset = 4 where topic = 'steps' and next_offset > 0"
                );
                throw new NpgsqlException("the connection was lost", new IOException());
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            restored.Replace(b);
        });
        kafka.Open();
        await stage.Until(s => s.Effects(), 10, "effects of the first batch");
        kafka.Close();
        var second = Enumerable.Range(11, 10).Select(i => kafka.Add(CountingStage.Add("a", i)).Offset).ToList();
        kafka.Open();

        await stage.Until(s => s.Effects(), 36, "effects, those from offset 4 on twice");
        Assert.Equal(
            first.Concat(second).Select(o => (o, o < 4 ? 1L : 2L)),
            await stage.Query(
                $"select \"offset\", count(*) from {S}.effect group by 1 order by 1",
                r => (r.GetInt64(0), r.GetInt64(1))
            )
        );
        Assert.Single(process.Logs.Of(4113));
    }

    /// <summary>The group's partitions are given time after a fence; a backlog in the others is not taken for one batch.</summary>
    [Fact]
    public async Task What_comes_while_the_loop_waits_is_no_larger_batch()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 1, perKey: 1);
        var backlog = new Interference(
            (point, n) =>
            {
                if (point == "after-collect" && n == 1)
                    produced.AddRange(Fill(kafka, keys: 40, perKey: 30, from: 2));
                return Task.CompletedTask;
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            backlog.Replace(b);
        });
        await Support.Eventually.Is(
            () => process.Board.State.Phase == Sync.Messaging.Hosting.ConsumerPhase.Claimed,
            "claimed"
        );
        await stage.Database.Execute(
            $"update {S}.consumer_offset set epoch = epoch + 1 where topic = 'steps' and partition = {produced[0].Partition}"
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 1_201, "effects");
        await Proof.Holds(stage, produced);
        Assert.Single(process.Logs.Of(4104));
        Assert.InRange(
            await stage.Database.Scalar<long>(
                $"select max(n) from (select count(*) n from {S}.effect group by xmin::text) batches"
            ),
            1,
            ConsumerLoop.MaxRecords
        );
    }

    /// <summary>The group takes a member that does not poll for dead, however busy it is.</summary>
    [Fact]
    public async Task Records_that_go_one_by_one_and_slowly_do_not_keep_the_loop_from_polling()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 6, perKey: 1);
        var time = new Skipping();
        var polls = new List<int>();
        var slow = new Interference(
            (point, n) =>
            {
                if (point == "before-commit" && n <= 4)
                    throw new StaleSagaException("Counter", "Update", 1, 0);
                if (point != "after-store-offset")
                    return Task.CompletedTask;
                polls.Add(kafka.Polls);
                time.Skip(TimeSpan.FromSeconds(60));
                return Task.CompletedTask;
            }
        );
        await using var process = await stage.Start(build: b =>
        {
            b.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(time));
            kafka.Replace(b);
            slow.Replace(b);
        });
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Equal(polls.Distinct().Count(), polls.Count);
        Assert.Equal(produced.Count, polls.Count);
    }

    /// <summary>All of them at once take longer than a statement may; alone, none does.</summary>
    [Fact]
    public async Task A_batch_that_takes_too_long_to_write_is_written_one_by_one()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var produced = Fill(kafka, keys: 5, perKey: 2);
        var slow = new Interference(
            (point, n) =>
                point == "before-commit" && n <= 4
                    ? throw new NpgsqlException("Exception while reading from stream", new TimeoutException())
                    : Task.CompletedTask
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            slow.Replace(b);
        });
        kafka.Open();

        await stage.Until(s => s.Effects(), produced.Count, "effects");
        await Proof.Holds(stage, produced);
        Assert.Single(process.Logs.Of(4111));
        Assert.Equal(10, await stage.Database.Scalar<long>($"select count(distinct xmin::text) from {S}.effect"));
    }

    /// <summary>The system's clock, of which a test skips a part.</summary>
    sealed class Skipping : TimeProvider
    {
        long _skipped;

        public void Skip(TimeSpan part) =>
            Interlocked.Add(ref _skipped, part.Ticks * TimestampFrequency / TimeSpan.TicksPerSecond);

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _skipped);
    }

    static Interference Cut(string at, int times) =>
        new(
            (point, n) =>
                point == at && n <= times
                    ? throw new NpgsqlException("the connection was lost", new IOException())
                    : Task.CompletedTask
        );

    static Produced At((Confluent.Kafka.TopicPartition Partition, long Offset) at, string key, long value) =>
        new(at.Partition.Topic, at.Partition.Partition.Value, at.Offset, key, value);

    internal static List<Produced> Fill(FakeKafka kafka, int keys, int perKey, long from = 1)
    {
        var produced = new List<Produced>();
        for (var i = 0; i < perKey; i++)
        {
            for (var k = 0; k < keys; k++)
            {
                var (partition, offset) = kafka.Add(CountingStage.Add($"k{k}", from + i));
                produced.Add(new(partition.Topic, partition.Partition.Value, offset, $"k{k}", from + i));
            }
        }

        return produced;
    }

    static Closed Close(string key) => new() { Key = key, Counter = CountingStage.Id(key) };

    static Task Spoil(BehaviorContext<Counter, Step> context)
    {
        if (context.Message.Ask is null)
            return Task.CompletedTask;

        context.Saga.Count += 1_000;
        context.Saga.Seen["half"] = 1;
        context.Saga.Detail.Note = "half";
        context.Saga.Detail.Values.Add(666);
        context.Saga.Tags.Add("half");
        throw new InvalidOperationException("asked to fail");
    }

    static SagaTable Table(CountingProcess process) =>
        ((SagaStorage<Counter>)process.Services.GetService(typeof(SagaStorage<Counter>))!).Table;

    /// <summary>Echoes that were written, sent or not.</summary>
    static async Task<long> Echoes(CountingStage stage, int expected)
    {
        using var reader = stage.Read(CountingJson.Echoes);
        await Support.Eventually.Is(
            async () => await stage.Database.Scalar<long>($"select count(*) from {S}.outbox") == 0,
            "the outbox is empty"
        );
        return (await reader.Read(expected)).Count;
    }
}

static class YieldExtensions
{
    /// <summary>Goes on elsewhere, so that what runs side by side really does.</summary>
    public static async Task AsTask(this System.Runtime.CompilerServices.YieldAwaitable yield) => await yield;
}

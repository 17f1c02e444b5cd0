using Microsoft.Extensions.DependencyInjection;
using Sync.Messaging.Hosting;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

public sealed class LeaseTests
{
    const string S = PingDb.Schema;

    [Fact]
    public async Task T39_a_restarted_replica_takes_its_own_lease_without_waiting_for_its_end()
    {
        await using var stage = await PingStage.Set();
        await using (var before = await PingProcess.Start(stage.Database, stage.Kafka))
            await Eventually.Is(() => before.Logs.Of(4130).Any(), "the lease is taken");
        // As a killed process leaves it.
        await stage.Database.Execute($"update {S}.outbox_lease set owner = 'ping/a', until = now() + interval '1 day'");

        await using var restarted = await PingProcess.Start(stage.Database, stage.Kafka);
        await restarted.Send(new Pinged("k", 1));

        Assert.Single(await stage.Reader.Read(1));
    }

    [Fact]
    public async Task A_lease_that_another_replica_holds_is_waited_for()
    {
        await using var stage = await PingStage.Set();
        await using var first = await PingProcess.Start(stage.Database, stage.Kafka, "a");
        await Eventually.Is(() => first.Logs.Of(4130).Any(), "the lease is taken");
        await using var second = await PingProcess.Start(stage.Database, stage.Kafka, "b");
        await second.Send(new Pinged("k", 1));
        await stage.IsEmpty();
        Assert.Empty(second.Logs.Of(4130));

        await first.Stop();
        await second.Send(new Pinged("k", 2));
        await stage.IsEmpty();

        Assert.Single(second.Logs.Of(4130));
        Assert.Equal(2, (await stage.Reader.Read(2)).Count);
    }

    [Fact]
    public async Task T39_of_two_live_processes_of_one_name_the_older_stops_sending()
    {
        await using var stage = await PingStage.Set();
        await using var older = await PingProcess.Start(stage.Database, stage.Kafka, "a");
        await Eventually.Is(() => older.Logs.Of(4130).Any(), "the older has the lease");
        await using var younger = await PingProcess.Start(stage.Database, stage.Kafka, "a");
        await Eventually.Is(() => younger.Logs.Of(4130).Any(), "the younger has taken it");

        await Eventually.Is(() => older.Logs.Of(4131).Any(), "the older has seen that");
        for (var i = 0; i < 50; i++)
            await younger.Send(new Pinged("k", i));
        await stage.IsEmpty();

        Assert.Equal(Enumerable.Range(0, 50), (await stage.Reader.Read(50)).Select(OutboxTests.Number));
        Assert.Single(older.Logs.Of(4130));
        Assert.Empty(younger.Logs.Of(4131));
        Assert.Equal(
            await stage.Database.Scalar<long>($"select epoch from {S}.outbox_lease"),
            Epoch(younger.Logs.Of(4130).Single().Text)
        );
    }

    [Fact]
    public async Task A_stop_sends_what_is_in_hand_and_gives_the_lease_back()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        await Eventually.Is(() => process.Logs.Of(4130).Any(), "the lease is taken");
        await process.Send([.. Enumerable.Range(0, 500).Select(i => new Pinged("k", i))]);
        await process.Stop();

        Assert.True(await stage.Database.Scalar<bool>($"select until = '-infinity' from {S}.outbox_lease"));
        await using var next = await PingProcess.Start(stage.Database, stage.Kafka, "b");
        await stage.IsEmpty();
        Assert.Equal(Enumerable.Range(0, 500), (await stage.Reader.Read(500)).Select(OutboxTests.Number));
    }

    [Fact]
    public async Task T19_rows_that_left_and_were_not_deleted_when_the_process_froze_are_sent_again_and_nothing_else()
    {
        await using var stage = await PingStage.Set();
        var freeze = new Freeze("outbox-before-delete");
        await using var frozen = await PingProcess.Start(
            stage.Database,
            stage.Kafka,
            "a",
            builder => builder.Services.AddSingleton<CrashPoints>(freeze)
        );
        await frozen.Send([.. Enumerable.Range(0, 100).Select(i => new Pinged($"k{i % 3}", i))]);
        await freeze.Reached;
        await stage.Reader.Read(100);

        await using var next = await PingProcess.Start(stage.Database, stage.Kafka, "a");
        await next.Send(new Pinged("k0", 100));
        await stage.IsEmpty();
        // The zombie wakes, and deletes what is long gone.
        freeze.Release();
        await Eventually.Is(() => frozen.Logs.Of(4131).Any(), "the zombie has lost its lease");
        await next.Send(new Pinged("k0", 101));
        var records = await stage.Reader.Read(202);

        Assert.Equal(202, records.Count);
        Assert.All(records.GroupBy(OutboxTests.Number), g => Assert.Equal(g.Key < 100 ? 2 : 1, g.Count()));
        foreach (var key in records.GroupBy(r => r.Key))
        {
            var firsts = key.Select(OutboxTests.Number).Distinct().ToList();
            Assert.Equal(firsts.Order(), firsts);
        }
    }

    static long Epoch(string text) => long.Parse(text[(text.LastIndexOf(' ') + 1)..]);

    /// <summary>Stops at a place, as a frozen process does, until it is released.</summary>
    sealed class Freeze(string at) : CrashPoints
    {
        readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => _reached.Task;

        public void Release() => _released.TrySetResult();

        public override async ValueTask Pass(string point)
        {
            if (point != at || _released.Task.IsCompleted)
                return;
            _reached.TrySetResult();
            await _released.Task;
        }
    }
}

using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

public sealed class ScheduleTests
{
    const string S = PingDb.Schema;

    [Fact]
    public async Task T22_a_message_behind_a_timer_of_its_key_that_is_due_tomorrow_leaves_at_once()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        await Schedule(stage, process, new Pinged("k", 1), "1 day");
        await process.Send(new Pinged("k", 2));
        await Schedule(stage, process, new Pinged("k", 3), "0 s");

        // The timer that is due shows that the mover has looked.
        Assert.Equal([2, 3], (await stage.Reader.Read(2)).Select(OutboxTests.Number));
        Assert.Equal(1, await stage.Database.Scalar<long>($"select count(*) from {S}.schedule"));
    }

    [Fact]
    public async Task Timers_that_are_due_leave_in_the_order_in_which_they_were_due_with_their_token()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        await using (var connection = await stage.Database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            foreach (var (number, ago) in new[] { (2, "10 s"), (1, "20 s"), (3, "5 s") })
                await Schedule(
                    connection,
                    process,
                    new Pinged("k", number),
                    $"-{ago}",
                    new Guid(number, 0, 0, new byte[8])
                );
            await transaction.CommitAsync();
        }

        var records = await stage.Reader.Read(3);

        Assert.Equal([1, 2, 3], records.Select(OutboxTests.Number));
        Assert.Equal(
            [1, 2, 3],
            records.Select(r => Guid.Parse(r.Header(CloudEventNames.SchedulingTokenId)!).ToByteArray()[0])
        );
        await Eventually.Is(
            async () => await stage.Database.Scalar<long>($"select count(*) from {S}.schedule") == 0,
            "the schedule is empty"
        );
    }

    [Fact]
    public async Task Two_replicas_move_a_timer_once()
    {
        await using var stage = await PingStage.Set();
        await using var first = await PingProcess.Start(stage.Database, stage.Kafka, "a");
        await using var second = await PingProcess.Start(stage.Database, stage.Kafka, "b");

        await using (var connection = await stage.Database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            for (var i = 0; i < 1_200; i++)
                await Schedule(connection, first, new Pinged("k", i), "0 s");
            await transaction.CommitAsync();
        }

        await stage.Reader.Read(1_200);
        await stage.IsEmpty();
        await first.Send(new Pinged("k", 1_200));

        Assert.Equal(Enumerable.Range(0, 1_201), (await stage.Reader.Read(1_201)).Select(OutboxTests.Number).Order());
    }

    [Fact]
    public async Task Timers_wait_while_back_pressure_is_on()
    {
        await using var stage = await PingStage.Set();
        var queue = new Queue { Rows = BackPressureGauge.MaxRows + 1 };
        await using var process = await PingProcess.Start(
            stage.Database,
            stage.Kafka,
            configure: builder => builder.Services.AddSingleton<IBacklog>(queue)
        );
        var pressure = process.Services.GetRequiredService<IBackPressure>();
        await Eventually.Is(() => pressure.IsOn, "back-pressure is on");

        await Schedule(stage, process, new Pinged("k", 1), "0 s");
        await process.Send(new Pinged("k", 2));
        await stage.Reader.Read(1);
        Assert.Contains("back-pressure", process.Board.Degraded.Keys);

        queue.Rows = BackPressureGauge.MaxRows / 2;
        Assert.Equal([2, 1], (await stage.Reader.Read(2)).Select(OutboxTests.Number));
        Assert.False(pressure.IsOn);
        Assert.Equal(2, process.Logs.Of(4140).Count());
    }

    static async Task Schedule(PingStage stage, PingProcess process, Pinged message, string due)
    {
        await using var connection = await stage.Database.DataSource.OpenConnectionAsync();
        await Schedule(connection, process, message, due);
    }

    static async Task Schedule(
        NpgsqlConnection connection,
        PingProcess process,
        Pinged message,
        string due,
        Guid? token = null
    )
    {
        var id = token ?? Guid.NewGuid();
        var row = process.Services.GetRequiredService<MessageEncoder>().Encode(message, schedulingToken: id);
        await using var command = new NpgsqlCommand(
            $"insert into {S}.schedule values ($1, clock_timestamp() + $2::interval, $3, $4, $5, $6)",
            connection
        )
        {
            Parameters =
            {
                new() { Value = id },
                new() { Value = due },
                new() { Value = row.Topic },
                new() { Value = row.Key },
                new() { Value = row.Headers.ToBytes() },
                new() { Value = row.Body },
            },
        };
        await command.ExecuteNonQueryAsync();
    }

    sealed class Queue : IBacklog
    {
        long _rows;

        public string Name => "work";

        public long Rows
        {
            get => Volatile.Read(ref _rows);
            set => Volatile.Write(ref _rows, value);
        }

        public Task<long> Count(NpgsqlConnection connection, long limit, CancellationToken cancellationToken) =>
            Task.FromResult(Rows);
    }
}

using System.Diagnostics;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>
/// The same transaction as the kernel's (state, effects, outbox and offsets together), for one message type, one process and no
/// failure: no fence, no dead letters, no retries, no state machine. What this kernel is slower than it, MassTransit and
/// everything that can go wrong cost.
/// </summary>
sealed class HandWrittenConsumer(
    KafkaClients clients,
    NpgsqlDataSource database,
    MessageEncoder encoder,
    IHostApplicationLifetime lifetime
) : BackgroundService
{
    const int RowsAtOnce = 1_000;

    const string Load = $"""
        select correlation_id, count, version from {TallyDb.Schema}.tally where correlation_id = any($1) for update
        """;

    const string Upsert = $"""
        insert into {TallyDb.Schema}.tally (correlation_id, current_state, count, last, version)
        select id, 'Open', count, last, version from unnest($1, $2, $3, $4) as t (id, count, last, version)
        on conflict (correlation_id) do update
          set count = excluded.count, last = excluded.last, version = excluded.version
        """;

    const string InsertOutbox =
        $"insert into {TallyDb.Schema}.plain_outbox (topic, key, headers, body) select * from unnest($1, $2, $3, $4)";

    const string MoveOffsets = $"""
        insert into {TallyDb.Schema}.plain_offset select * from unnest($1, $2)
        on conflict (partition) do update set next_offset = excluded.next_offset
        """;

    const string Waiting = $"""
        select id, topic, key, headers, body from {TallyDb.Schema}.plain_outbox where id > $1 order by id limit $2
        """;

    readonly SemaphoreSlim _written = new(0);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await ByHand.CreateTables(database, stoppingToken);
        await Task.WhenAll(
            Task.Factory.StartNew(
                () => Consume(stoppingToken),
                stoppingToken,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default
            ),
            Deliver(stoppingToken)
        );
    }

    void Consume(CancellationToken stopping)
    {
        try
        {
            var config = clients.Consumer(Contenders.Group);
            using var consumer = new ConsumerBuilder<byte[], byte[]>(config)
                .SetLogHandler(clients.Log)
                .SetPartitionsAssignedHandler((_, partitions) => Positions(partitions))
                .Build();
            consumer.Subscribe(BenchJson.Events);
            var batch = new List<ConsumeResult<byte[], byte[]>>(ConsumerLoop.MaxRecords);
            while (!stopping.IsCancellationRequested)
            {
                batch.Clear();
                var wait = TimeSpan.FromMilliseconds(100);
                while (batch.Count < ConsumerLoop.MaxRecords && consumer.Consume(wait) is { } record)
                {
                    batch.Add(record);
                    wait = TimeSpan.Zero;
                }

                if (batch.Count > 0)
                    Commit(batch).GetAwaiter().GetResult();
            }

            consumer.Close();
        }
        catch (Exception)
        {
            lifetime.StopApplication();
            throw;
        }
    }

    List<TopicPartitionOffset> Positions(List<TopicPartition> partitions)
    {
        var stored = new Dictionary<int, long>();
        using var connection = database.OpenConnection();
        using var command = new NpgsqlCommand(
            $"select partition, next_offset from {TallyDb.Schema}.plain_offset",
            connection
        );
        using (var rows = command.ExecuteReader())
        {
            while (rows.Read())
                stored[rows.GetInt32(0)] = rows.GetInt64(1);
        }

        return
        [
            .. partitions.Select(p => new TopicPartitionOffset(
                p,
                stored.TryGetValue(p.Partition.Value, out var next) ? next : Offset.Beginning
            )),
        ];
    }

    async Task Commit(List<ConsumeResult<byte[], byte[]>> batch)
    {
        var events = batch.ConvertAll(r => JsonSerializer.Deserialize(r.Message.Value, BenchJson.Default.Happened)!);
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();

        var tallies = new Dictionary<Guid, Tally>();
        await using (var load = new NpgsqlCommand(Load, connection, transaction))
        {
            load.Parameters.Add(Array(events.Select(e => e.Subject).Distinct()));
            await using var rows = await load.ExecuteReaderAsync();
            while (await rows.ReadAsync())
                tallies[rows.GetGuid(0)] = new() { Count = rows.GetInt64(1), Version = rows.GetInt64(2) };
        }

        var messages = new List<OutgoingMessage>(2 * events.Count);
        foreach (var happened in events)
        {
            var began = Stopwatch.GetTimestamp();
            var activity = ByHand.Begin();
            if (!tallies.TryGetValue(happened.Subject, out var tally))
                tallies[happened.Subject] = tally = new();
            tally.Count++;
            tally.Version++;
            tally.Last = happened.Value;
            messages.AddRange(BenchJson.Commands.Select(topic => encoder.Encode(BenchJson.Answer(happened, topic))));
            ByHand.End(activity, began);
        }

        var next = batch.GroupBy(r => r.Partition.Value).ToDictionary(g => g.Key, g => g.Max(r => r.Offset.Value) + 1);
        await using var write = new NpgsqlBatch(connection, transaction)
        {
            BatchCommands =
            {
                new(Upsert)
                {
                    Parameters =
                    {
                        Array(tallies.Keys),
                        Array(tallies.Values.Select(t => t.Count)),
                        Array(tallies.Values.Select(t => t.Last)),
                        Array(tallies.Values.Select(t => t.Version)),
                    },
                },
                new(TallyDb.InsertEffects)
                {
                    Parameters =
                    {
                        Array(batch.Select(r => r.Partition.Value)),
                        Array(batch.Select(r => r.Offset.Value)),
                        Array(events.Select(e => e.Key)),
                        Array(events.Select(e => e.Value)),
                    },
                },
                new(InsertOutbox)
                {
                    Parameters =
                    {
                        Array(messages.Select(m => m.Topic)),
                        Array(messages.Select(m => m.Key)),
                        Array(messages.Select(m => m.Headers.ToBytes())),
                        Array(messages.Select(m => m.Body)),
                    },
                },
                new(MoveOffsets) { Parameters = { Array(next.Keys), Array(next.Values) } },
            },
        };
        await write.ExecuteNonQueryAsync();
        await transaction.CommitAsync();
        _written.Release();
    }

    static NpgsqlParameter<T[]> Array<T>(IEnumerable<T> values) => new() { TypedValue = [.. values] };

    /// <summary>There is one writer, so ids become visible in their order.</summary>
    async Task Deliver(CancellationToken stopping)
    {
        using var producer = new ProducerBuilder<byte[], byte[]>(clients.Producer()).SetLogHandler(clients.Log).Build();
        var last = 0L;
        while (!stopping.IsCancellationRequested)
        {
            var rows = await Read(last, stopping);
            if (rows.Count == 0)
            {
                await _written.WaitAsync(stopping);
                continue;
            }

            await Send(producer, rows);
            last = rows[^1].Id;
            await using var delete = database.CreateCommand(
                $"delete from {TallyDb.Schema}.plain_outbox where id <= $1"
            );
            delete.Parameters.Add(new NpgsqlParameter<long> { TypedValue = last });
            await delete.ExecuteNonQueryAsync(stopping);
        }
    }

    async Task<List<(long Id, OutgoingMessage Message)>> Read(long last, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(Waiting);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = last });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = RowsAtOnce });
        var rows = new List<(long, OutgoingMessage)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            rows.Add(
                (
                    reader.GetInt64(0),
                    new(
                        reader.GetString(1),
                        reader.GetFieldValue<byte[]>(2),
                        MessageHeaders.FromBytes(reader.GetFieldValue<byte[]>(3)),
                        reader.GetFieldValue<byte[]>(4)
                    )
                )
            );
        return rows;
    }

    static Task Send(IProducer<byte[], byte[]> producer, List<(long Id, OutgoingMessage Message)> rows)
    {
        var left = rows.Count;
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var (_, message) in rows)
            producer.Produce(
                message.Topic,
                ByHand.Record(message),
                report =>
                {
                    if (report.Error.IsError)
                        sent.TrySetException(new KafkaException(report.Error));
                    else if (Interlocked.Decrement(ref left) == 0)
                        sent.TrySetResult();
                }
            );
        return sent.Task;
    }

    public override void Dispose()
    {
        _written.Dispose();
        base.Dispose();
    }
}

using System.Diagnostics;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>
/// Consume, write, produce, next. A crash between the write and the produce loses messages, one between the produce and
/// Kafka's stored offset doubles effects: it is here to show what these promises cost, not as an alternative.
/// </summary>
sealed class NaiveConsumer(
    KafkaClients clients,
    NpgsqlDataSource database,
    MessageEncoder encoder,
    IHostApplicationLifetime lifetime
) : BackgroundService
{
    const string Upsert = $"""
        insert into {TallyDb.Schema}.tally as t (correlation_id, current_state, count, last, version)
        values ($1, 'Open', 1, $2, 1)
        on conflict (correlation_id) do update set count = t.count + 1, last = excluded.last, version = t.version + 1
        """;

    const string InsertEffect =
        $"insert into {TallyDb.Schema}.effect (partition, \"offset\", key, value) values ($1, $2, $3, $4)";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await ByHand.CreateTables(database, stoppingToken);
        await Task.Factory.StartNew(
            () => Consume(stoppingToken),
            stoppingToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default
        );
    }

    void Consume(CancellationToken stopping)
    {
        try
        {
            var config = clients.Consumer(Contenders.Group);
            config.AutoOffsetReset = AutoOffsetReset.Earliest;
            using var consumer = new ConsumerBuilder<byte[], byte[]>(config).SetLogHandler(clients.Log).Build();
            using var producer = new ProducerBuilder<byte[], byte[]>(clients.Producer())
                .SetLogHandler(clients.Log)
                .Build();
            consumer.Subscribe(BenchJson.Events);
            while (!stopping.IsCancellationRequested)
            {
                if (consumer.Consume(TimeSpan.FromMilliseconds(100)) is not { } record)
                    continue;
                Handle(record, producer).GetAwaiter().GetResult();
                consumer.StoreOffset(record);
            }

            consumer.Close();
        }
        catch (Exception)
        {
            // A round without a number says that something is wrong; this process ends, and its log says what.
            lifetime.StopApplication();
            throw;
        }
    }

    async Task Handle(ConsumeResult<byte[], byte[]> record, IProducer<byte[], byte[]> producer)
    {
        var began = Stopwatch.GetTimestamp();
        var activity = ByHand.Begin();
        var happened = JsonSerializer.Deserialize(record.Message.Value, BenchJson.Default.Happened)!;
        await using (var connection = await database.OpenConnectionAsync())
        {
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    new(Upsert)
                    {
                        Parameters =
                        {
                            new NpgsqlParameter<Guid> { TypedValue = happened.Subject },
                            new NpgsqlParameter<long> { TypedValue = happened.Value },
                        },
                    },
                    new(InsertEffect)
                    {
                        Parameters =
                        {
                            new NpgsqlParameter<int> { TypedValue = record.Partition.Value },
                            new NpgsqlParameter<long> { TypedValue = record.Offset.Value },
                            new NpgsqlParameter<string> { TypedValue = happened.Key },
                            new NpgsqlParameter<long> { TypedValue = happened.Value },
                        },
                    },
                },
            };
            await batch.ExecuteNonQueryAsync();
        }

        await Task.WhenAll(
            BenchJson
                .Commands.Select(topic => encoder.Encode(BenchJson.Answer(happened, topic)))
                .Select(message => producer.ProduceAsync(message.Topic, ByHand.Record(message)))
        );
        ByHand.End(activity, began);
    }
}

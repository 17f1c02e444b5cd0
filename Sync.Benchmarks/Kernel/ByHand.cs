using System.Diagnostics;
using System.Diagnostics.Metrics;
using Confluent.Kafka;
using Npgsql;
using Sync.Messaging.Wire;

namespace Sync.Benchmarks.Kernel;

/// <summary>What both contenders without this kernel share.</summary>
static class ByHand
{
    public const string Tables = $"""
        create schema if not exists {TallyDb.Schema};
        {TallyDb.Tables}
        create table {TallyDb.Schema}.plain_offset (partition int primary key, next_offset bigint not null);
        create table {TallyDb.Schema}.plain_outbox (
          id bigint generated always as identity primary key, topic text not null, key bytea not null,
          headers bytea not null, body bytea not null);
        """;

    static readonly ActivitySource Source = new("sync.bench");
    static readonly Meter Meter = new("sync.bench");
    static readonly Counter<long> Consumed = Meter.CreateCounter<long>("messaging.client.consumed.messages");
    static readonly Histogram<double> Duration = Meter.CreateHistogram<double>("messaging.process.duration", "s");

    /// <summary>A span, a count and a duration for every message: the least that telemetry means.</summary>
    public static Activity? Begin() => Source.StartActivity("process", ActivityKind.Consumer);

    public static void End(Activity? activity, long began)
    {
        Consumed.Add(1);
        Duration.Record(Stopwatch.GetElapsedTime(began).TotalSeconds);
        activity?.Dispose();
    }

    public static Message<byte[], byte[]> Record(OutgoingMessage message)
    {
        var headers = new Headers();
        foreach (var (name, value) in message.Headers)
            headers.Add(new Header(name, value));
        return new()
        {
            Key = message.Key,
            Value = message.Body,
            Headers = headers,
        };
    }

    public static async Task CreateTables(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(Tables);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Sync.Messaging.Hosting;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Delivering;

public sealed class OutboxTests
{
    const string S = PingDb.Schema;

    [Fact]
    public async Task Rows_leave_in_the_order_of_their_ids_and_are_deleted()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        for (var batch = 0; batch < 5; batch++)
            await process.Send([.. Enumerable.Range(batch * 500, 500).Select(i => new Pinged($"k{i % 7}", i))]);
        var records = await stage.Reader.Read(2_500);
        await stage.IsEmpty();

        Assert.Equal(2_500, records.Count);
        foreach (var key in records.GroupBy(r => r.Key))
            Assert.Equal(key.Select(Number).Order(), key.Select(Number));
    }

    [Fact]
    public async Task A_message_carries_what_a_receiver_needs_to_read_and_trace_it()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        using var activity = new Activity("work").Start();

        await process.Send(new Pinged("cus-ä", 7));
        activity.Stop();
        var record = Assert.Single(await stage.Reader.Read(1));

        Assert.Equal("cus-ä", record.Key);
        Assert.Equal("1.0", record.Header(CloudEventNames.SpecVersion));
        Assert.Equal("test.pinged.v1", record.Header(CloudEventNames.Type));
        Assert.Equal("sync/ping", record.Header(CloudEventNames.Source));
        Assert.Equal("cus-ä", record.Header(CloudEventNames.Subject));
        Assert.Equal("7", record.Header(CloudEventNames.Sequence));
        Assert.Equal(activity.Id, record.Header(CloudEventNames.TraceParent));
    }

    [Fact]
    public async Task The_way_out_is_a_span_between_who_wrote_a_message_and_who_reads_it()
    {
        await using var stage = await PingStage.Set();
        ConcurrentQueue<Activity> spans = [];
        var trace = ActivityTraceId.CreateRandom();
        using var listener = Listen(trace, spans);
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        OutgoingMessage message;
        ActivitySpanId writer;
        using (var cause = Cause(trace, ActivityTraceFlags.Recorded))
        {
            writer = cause.SpanId;
            message = process.Outbox.Encode(new Pinged("k", 1));
        }

        await Write(process, message);
        var record = Assert.Single(await stage.Reader.Read(1));
        await stage.IsEmpty();

        // Its row is deleted only once it is acknowledged, and by then the span has ended.
        var span = Assert.Single(spans);
        Assert.Equal($"send {stage.Kafka.Named("pings")}", span.OperationName);
        Assert.Equal(ActivityKind.Producer, span.Kind);
        Assert.Equal(writer, span.ParentSpanId);
        Assert.Equal(span.Id, record.Header(CloudEventNames.TraceParent));
        Assert.Equal(ActivityStatusCode.Unset, span.Status);
        Assert.InRange(Assert.IsType<double>(span.GetTagItem("sync.kernel.outbox.age")), 0, double.MaxValue);
        Assert.Equal(
            ("kafka", "send", stage.Kafka.Named("pings"), record.Header(CloudEventNames.Id)),
            (
                span.GetTagItem("messaging.system"),
                span.GetTagItem("messaging.operation.name"),
                span.GetTagItem("messaging.destination.name"),
                span.GetTagItem("messaging.message.id")
            )
        );
        Assert.Equal(
            ($"{record.Partition}", record.Offset),
            (span.GetTagItem("messaging.destination.partition.id"), span.GetTagItem("messaging.kafka.offset"))
        );
        Assert.DoesNotContain(span.TagObjects, tag => $"{tag.Value}" == "k");
    }

    /// <summary>Whoever reads a message that another process wrote belongs to what that one wrote it in, however it came here.</summary>
    [Fact]
    public async Task A_message_of_another_process_leaves_under_the_trace_parent_that_it_had()
    {
        await using var stage = await PingStage.Set();
        ConcurrentQueue<Activity> spans = [];
        var trace = ActivityTraceId.CreateRandom();
        using var listener = Listen(trace, spans);
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        OutgoingMessage message;
        string parent;
        using (var cause = Cause(trace, ActivityTraceFlags.Recorded))
        {
            parent = cause.Id!;
            message = process.Outbox.Encode(new Pinged("k", 1));
        }

        var at = message.Headers.FindIndex(h => h.Key == CloudEventNames.Source);
        message.Headers[at] = new(CloudEventNames.Source, "/another"u8.ToArray());
        await Write(process, message);
        var record = Assert.Single(await stage.Reader.Read(1));
        await stage.IsEmpty();

        Assert.Equal(parent, record.Header(CloudEventNames.TraceParent));
        Assert.Equal(parent, Assert.Single(spans).ParentId);
    }

    [Fact]
    public async Task A_message_of_a_trace_that_is_not_sampled_has_no_span_on_its_way_out()
    {
        await using var stage = await PingStage.Set();
        ConcurrentQueue<Activity> spans = [];
        var trace = ActivityTraceId.CreateRandom();
        using var listener = Listen(trace, spans);
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        OutgoingMessage message;
        string parent;
        using (var cause = Cause(trace, ActivityTraceFlags.None))
        {
            parent = cause.Id!;
            message = process.Outbox.Encode(new Pinged("k", 1));
        }

        await Write(process, message);
        var record = Assert.Single(await stage.Reader.Read(1));
        await stage.IsEmpty();

        Assert.Equal(parent, record.Header(CloudEventNames.TraceParent));
        Assert.Empty(spans);
    }

    static ActivityListener Listen(ActivityTraceId trace, ConcurrentQueue<Activity> spans)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "sync.kernel",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                if (span.TraceId == trace)
                    spans.Enqueue(span);
            },
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    static Activity Cause(ActivityTraceId trace, ActivityTraceFlags flags) =>
        new Activity("cause").SetParentId(trace, ActivitySpanId.CreateRandom(), flags).Start();

    static async Task Write(PingProcess process, OutgoingMessage message)
    {
        var source = process.Services.GetRequiredService<Npgsql.NpgsqlDataSource>();
        await using var connection = await source.OpenConnectionAsync();
        await process.Outbox.Write(connection, [message], CancellationToken.None);
        process.Outbox.Signal();
    }

    [Fact]
    public async Task Rows_of_a_transaction_that_rolls_back_never_leave()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        await using (var connection = await stage.Database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await process.Outbox.Write(connection, [process.Outbox.Encode(new Pinged("k", 1))], CancellationToken.None);
            await transaction.RollbackAsync();
        }

        await process.Send(new Pinged("k", 2));
        await stage.IsEmpty();

        Assert.Equal(2, Number(Assert.Single(await stage.Reader.Read(1))));
    }

    [Fact]
    public async Task T20_an_id_that_becomes_visible_after_a_higher_one_was_sent_is_sent()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        await process.Send(new Pinged("before", 0));
        await stage.Reader.Read(1);

        await using var connection = await stage.Database.DataSource.OpenConnectionAsync();
        await using var late = await connection.BeginTransactionAsync();
        await process.Outbox.Write(connection, [process.Outbox.Encode(new Pinged("late", 1))], CancellationToken.None);
        await process.Send(new Pinged("early", 2));
        await stage.Reader.Until(r => r.Any(m => m.Key == "early"), "the higher id has left");
        await stage.IsEmpty();
        // Several looks from behind the higher id.
        await process.Send(new Pinged("early", 3));
        await stage.Reader.Read(3);
        await late.CommitAsync();

        await Eventually.Is(
            async () => (await stage.Reader.Until(_ => true, "")).Any(r => r.Key == "late"),
            "the lower id has left",
            TimeSpan.FromSeconds(30)
        );
    }

    [Fact]
    public async Task T21_a_row_that_kafka_never_takes_becomes_a_dead_letter_and_its_neighbours_leave_once()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        var body = new byte[1_100_000];
        body.AsSpan().Fill((byte)'x');
        var cause = ActivityTraceId.CreateRandom();
        ConcurrentQueue<Activity> spans = [];
        ConcurrentQueue<Activity> sends = [];
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                if (span.TraceId == cause && span.OperationName == "kernel.dead_letter")
                    spans.Enqueue(span);
                else if (span.TraceId == cause && span.OperationName.StartsWith("send ", StringComparison.Ordinal))
                    sends.Enqueue(span);
            },
        };
        ActivitySource.AddActivityListener(listener);
        OutgoingMessage good;
        using (
            new Activity("cause").SetParentId(cause, ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded).Start()
        )
            good = process.Outbox.Encode(new Pinged("k", 1));
        var large = good with { Body = body };

        await using (var connection = await stage.Database.DataSource.OpenConnectionAsync())
        {
            await process.Outbox.Write(
                connection,
                [good, large, process.Outbox.Encode(new Pinged("k", 2))],
                CancellationToken.None
            );
        }

        process.Outbox.Signal();
        await stage.IsEmpty();
        var records = await stage.Reader.Read(2);

        Assert.Equal([1, 2], records.Select(Number));
        Assert.Equal(1, await stage.Database.Scalar<long>($"select count(*) from {S}.dead_letter"));
        Assert.Equal("out", await stage.Database.Scalar<string>($"select direction from {S}.dead_letter"));
        Assert.Equal("too-large", await stage.Database.Scalar<string>($"select reason_code from {S}.dead_letter"));
        Assert.Equal(
            "test.pinged.v1",
            await stage.Database.Scalar<string>($"select message_type from {S}.dead_letter")
        );
        Assert.Equal(body, await stage.Database.Scalar<byte[]>($"select value from {S}.dead_letter"));
        Assert.Equal("k"u8.ToArray(), await stage.Database.Scalar<byte[]>($"select key from {S}.dead_letter"));
        Assert.Equal(
            Convert.ToBase64String("1.0"u8),
            await stage.Database.Scalar<string>(
                $"select h->>'value' from {S}.dead_letter, jsonb_array_elements(headers) h where h->>'name' = 'ce_specversion'"
            )
        );
        using var notices = stage.Read(PingStage.DeadLetters);
        var notice = Assert.Single(await notices.Read(1));
        Assert.Equal(("k", "too-large"), (notice.Key, notice.Header("dead_letter_reason_code")));
        Assert.Equal(
            await stage.Database.Scalar<Guid>($"select id from {S}.dead_letter"),
            Guid.Parse(notice.Header("dead_letter_id")!)
        );
        Assert.Contains(process.Logs.Of(4132), l => l.Text.Contains("MsgSizeTooLarge", StringComparison.Ordinal));
        await Eventually.Is(() => !spans.IsEmpty, "the trace of the message says so");
        Assert.Equal("too-large", Assert.Single(Assert.Single(spans).Events).Name);
        Assert.Equal([null, "MsgSizeTooLarge"], sends.Select(s => (string?)s.GetTagItem("error.type")).Order());
    }

    [Fact]
    public async Task A_row_whose_headers_cannot_be_read_becomes_a_dead_letter()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        await stage.Database.Execute(
            $"insert into {S}.outbox (topic, key, headers, body) values ('{stage.Kafka.Named("pings")}', 'k', '\\x05000000ff', 'b')"
        );
        await process.Send(new Pinged("k", 2));
        await stage.IsEmpty();

        Assert.Equal(2, Number(Assert.Single(await stage.Reader.Read(1))));
        Assert.Equal(
            "refused-by-kafka",
            await stage.Database.Scalar<string>($"select reason_code from {S}.dead_letter")
        );
    }

    [Fact]
    public async Task A_topic_that_kafka_does_not_know_stops_alone_and_goes_on_when_it_exists()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);

        await process.Send(new Pinged("k", 1, "missing"), new Pinged("k", 2), new Pinged("k", 3, "missing"));
        await stage.Reader.Read(1);
        await Eventually.Is(() => process.Logs.Of(4134).Any(), "the topic is stopped");

        Assert.Contains($"topic-stopped:{stage.Kafka.Named("missing")}", process.Board.Degraded.Keys);
        Assert.Equal(2, await stage.OutboxRows());

        stage.Kafka.CreateTopic("missing", PingProcess.Partitions);
        await stage.IsEmpty();
        using var reader = stage.Read("missing");
        Assert.Equal([1, 3], (await reader.Read(2)).Select(Number));
        await Eventually.Is(() => process.Board.Degraded.Count == 0, "nothing is degraded any more");
    }

    [Fact]
    public async Task A_row_of_a_stopped_topic_does_not_make_the_outbox_look_full()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        await process.Send(new Pinged("k", 1, "missing"));
        await Eventually.Is(() => process.Logs.Of(4134).Any(), "the topic is stopped");

        // As if everything else had come and gone behind it for long.
        await stage.Database.Execute(
            $"select setval(pg_get_serial_sequence('{S}.outbox', 'id'), {BackPressureGauge.MaxRows + 10})"
        );
        await process.Send(new Pinged("k", 2, "missing"));
        await Eventually.Is(() => process.Board.Backlog.Rows > 1, "both rows are seen");

        Assert.Equal(2, process.Board.Backlog.Rows);
        Assert.Empty(process.Logs.Of(4140));
    }

    [Fact]
    public async Task A_topic_that_kafka_refuses_to_us_stops_alone_and_its_rows_wait()
    {
        const short produce = 0;
        const int topicAuthorizationFailed = 29;
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        await process.Send(new Pinged("k", 0));
        await stage.Reader.Read(1);

        stage.Kafka.FailNext(produce, topicAuthorizationFailed);
        await process.Send(new Pinged("k", 1));
        await Eventually.Is(() => process.Logs.Of(4134).Any(), "the topic is stopped");
        await stage.IsEmpty();

        Assert.Equal([0, 1], (await stage.Reader.Read(2)).Select(Number));
        await Eventually.Is(() => process.Board.Degraded.Count == 0, "nothing is degraded any more");
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.dead_letter"));
    }

    [Fact]
    public async Task T24_produce_errors_never_change_the_order_of_a_key()
    {
        const short produce = 0;
        const int notLeader = 6;
        const int timedOut = 7;
        const int disconnect = -195;
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        var meters = process.Services.GetRequiredService<IMeterFactory>();
        var givenUp = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, all) =>
        {
            if (instrument.Name == "sync.kernel.outbox.duplicates" && instrument.Meter.Scope == meters)
                all.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, messages, _, _) => Interlocked.Add(ref givenUp, messages));
        listener.Start();

        for (var batch = 0; batch < 6; batch++)
        {
            stage.Kafka.FailNext(produce, timedOut, 0, notLeader, 0, 0, disconnect, timedOut);
            await process.Send([.. Enumerable.Range(batch * 500, 500).Select(i => new Pinged("one", i))]);
            if (batch == 3)
            {
                // Longer than any time-out of a message that someone may set.
                stage.Kafka.Down();
                await Eventually.Is(() => process.Logs.Of(4143).Any(), "Kafka is seen to be down");
                stage.Kafka.Up();
            }
        }

        await stage.IsEmpty();
        var records = await stage.Reader.Until(r => r.Any(x => Number(x) == 2_999), "the last message");

        // What the client has taken it sends until Kafka answers. A message that it gives up comes again out of turn.
        Assert.Equal(0, Interlocked.Read(ref givenUp));

        // A broker that was cut off after it stored a request is asked again, and the embedded one stores it again: a run may
        // repeat. No message comes before the first copy of the one ahead of it.
        var next = 0;
        foreach (var number in records.Select(Number))
        {
            Assert.InRange(number, 0, next);
            next = Math.Max(next, number + 1);
        }

        Assert.Equal(3_000, next);
    }

    [Fact]
    public async Task A_producer_that_can_do_nothing_any_more_is_replaced_and_its_rows_are_sent()
    {
        const short produce = 0;
        const int outOfOrderSequence = 45;
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        await process.Send(new Pinged("k", 0));
        await stage.Reader.Read(1);

        stage.Kafka.FailNext(produce, outOfOrderSequence);
        await process.Send([.. Enumerable.Range(1, 50).Select(i => new Pinged("k", i))]);
        await Eventually.Is(() => process.Logs.Of(4133).Any(), "the producer is rebuilt");
        await stage.IsEmpty();

        // No order is asserted: a real broker refuses what was under way behind the gap, the mock takes it.
        Assert.Equal(Enumerable.Range(0, 51), (await stage.Reader.Read(51)).Select(Number).Distinct().Order());
    }

    [Fact]
    public async Task A_stop_while_Kafka_is_away_loses_nothing()
    {
        await using var stage = await PingStage.Set();
        await using (var process = await PingProcess.Start(stage.Database, stage.Kafka))
        {
            await process.Send(new Pinged("k", 0));
            await stage.Reader.Read(1);
            stage.Kafka.Down();
            await process.Send([.. Enumerable.Range(1, 50).Select(i => new Pinged("k", i))]);
            await process.Stop();
            Assert.Equal(50, await stage.OutboxRows());
        }

        stage.Kafka.Up();
        await using var next = await PingProcess.Start(stage.Database, stage.Kafka, "b");
        await stage.IsEmpty();

        Assert.Equal(Enumerable.Range(0, 51), (await stage.Reader.Read(51)).Select(Number));
    }

    internal static int Number(KafkaRecord record) =>
        System.Text.Json.JsonSerializer.Deserialize(record.Value, PingedJson.Default.Pinged)!.Number;
}

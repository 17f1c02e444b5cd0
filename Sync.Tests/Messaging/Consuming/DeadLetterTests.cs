using System.Text;
using System.Text.Json;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;
using Sync.Tests.Support;
using MessageHeaders = Sync.Messaging.Wire.MessageHeaders;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>What cannot be handled is kept whole, with a reason that holds no value of it.</summary>
public sealed class DeadLetterTests
{
    const string S = CountingDb.Schema;

    [Fact]
    public async Task Unreadable_records_of_every_reason_come_back_whole()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        var sent =
            new List<(
                string Code,
                TopicPartition Partition,
                long Offset,
                byte[]? Key,
                byte[]? Value,
                MessageHeaders Headers
            )>();
        void Send(string code, string? key, byte[]? value, Action<MessageHeaders>? change = null)
        {
            var headers = Headers();
            change?.Invoke(headers);
            var bytes = key is null ? null : Encoding.UTF8.GetBytes(key);
            var (partition, offset) = kafka.Add(
                new(CountingJson.Steps, sent.Count % CountingStage.Partitions),
                bytes,
                value,
                headers
            );
            sent.Add((code, new(partition.Topic, partition.Partition.Value), offset, bytes, value, headers));
        }

        var good = Body("""{"key":"a","counter":"11111111-1111-1111-1111-111111111111","value":1}""");
        Send("no-value", "a", null);
        Send("too-large", "a", new byte[MessageDecoder.MaxValueBytes + 1]);
        Send("no-type", "a", good, h => h.RemoveAll(x => x.Key == CloudEventNames.Type));
        Send("unknown-type", "a", good, h => Set(h, CloudEventNames.Type, "test.of-tomorrow.v1"));
        Send("bad-cloudevent", "a", good, h => Set(h, CloudEventNames.SpecVersion, "0.3"));
        Send("bad-cloudevent", "a", good, h => h.RemoveAll(x => x.Key == CloudEventNames.Id));
        Send("bad-cloudevent", "a", good, h => Set(h, CloudEventNames.ContentType, "text/xml"));
        Send("bad-cloudevent", "a", good, h => h.Add(new(CloudEventNames.Type, [0xC3, 0x28])));
        Send("bad-json", "a", Body("""{"key":"a","""));
        Send("bad-json", "a", [0x7B, 0x22, 0xC3, 0x28, 0x22, 0x3A, 0x31, 0x7D]);
        Send(
            "bad-json",
            "a",
            Body(string.Concat(Enumerable.Repeat("[", 40)) + string.Concat(Enumerable.Repeat("]", 40)))
        );
        Send("bad-json", "a", [0xEF, 0xBB, 0xBF, .. good]);
        Send("schema", "a", Body("""{"key":"a","value":1}"""));
        Send("schema", "a", Body("""{"key":"a","counter":"11111111-1111-1111-1111-111111111111","value":"1"}"""));
        Send(
            "schema",
            "a",
            Body("""{"key":"a","key":"b","counter":"11111111-1111-1111-1111-111111111111","value":1}""")
        );
        Send("schema", "a", Body("""{"key":"a","counter":"11111111-1111-1111-1111-111111111111","value":-1}"""));
        Send("schema", "a", Body("null"));
        Send("bad-key", null, good);
        Send("bad-key", "", good);
        Send("bad-key", "b", good);
        Send(
            "handler",
            "a",
            Body("""{"key":"a","counter":"11111111-1111-1111-1111-111111111111","value":1,"ask":"fail"}""")
        );
        Send(
            "test-verdict",
            "a",
            Body("""{"key":"a","counter":"11111111-1111-1111-1111-111111111111","value":1,"ask":"refuse"}""")
        );
        kafka.Add(CountingStage.Add("neighbour", 7));

        await using var process = await stage.Start(
            b =>
                b.After = c =>
                    c.Message.Ask switch
                    {
                        "fail" => throw new InvalidOperationException("a secret of the message"),
                        "refuse" => throw new RefusedMessageException("test-verdict", "it can never be handled"),
                        _ => Task.CompletedTask,
                    },
            build: kafka.Replace
        );
        kafka.Open();

        await stage.Until(s => s.DeadLetters(), sent.Count, "dead letters");
        await stage.Until(s => s.Effects(), 1, "effect of the neighbour");
        var rows = await stage.Query(
            $"select reason_code, topic, partition, \"offset\", key, value, headers, cluster_id, consumer_group, reason from {S}.dead_letter",
            r =>
                (
                    Code: r.GetString(0),
                    Partition: new TopicPartition(r.GetString(1), r.GetInt32(2)),
                    Offset: r.GetInt64(3),
                    Key: r.IsDBNull(4) ? null : r.GetFieldValue<byte[]>(4),
                    Value: r.IsDBNull(5) ? null : r.GetFieldValue<byte[]>(5),
                    Headers: r.GetString(6),
                    Cluster: r.GetString(7),
                    Group: r.GetString(8),
                    Reason: r.GetString(9)
                )
        );
        foreach (var (code, partition, offset, key, value, headers) in sent)
        {
            var row = Assert.Single(rows, r => r.Partition == partition && r.Offset == offset);
            Assert.Equal(code, row.Code);
            Assert.Equal(key, row.Key);
            Assert.Equal(value, row.Value);
            Assert.Equal(
                headers.Select(h => (h.Key, h.Value is null ? null : Convert.ToBase64String(h.Value))),
                JsonSerializer
                    .Deserialize<JsonElement[]>(row.Headers)!
                    .Select(h => (h.GetProperty("name").GetString()!, h.GetProperty("value").GetString()))
            );
            Assert.Equal(("fake", stage.Group), (row.Cluster, row.Group));
            Assert.DoesNotContain("secret", row.Reason, StringComparison.Ordinal);
        }

        Assert.Contains(rows, r => r.Reason == "$.counter: a required member is missing");
        Assert.Contains(rows, r => r.Reason.StartsWith("$.value:", StringComparison.Ordinal));
        Assert.Contains(rows, r => r.Reason == "value: is negative");
        Assert.Contains(
            rows,
            r => r.Reason.StartsWith("System.InvalidOperationException in ", StringComparison.Ordinal)
        );
        Assert.DoesNotContain(process.Logs.Lines, l => l.Text.Contains("secret", StringComparison.Ordinal));

        using var copies = stage.Read(new ConsumingOptions().DeadLetterTopic);
        var read = await copies.Read(sent.Count);
        Assert.Equal(
            sent.Select(s => s.Code).Order(StringComparer.Ordinal),
            read.Select(r => r.Header("dead_letter_reason_code")!).Order(StringComparer.Ordinal)
        );
        Assert.Empty(Assert.Single(read, r => r.Header("dead_letter_reason_code") == "too-large").Value);
    }

    [Fact]
    public async Task A_behaviour_that_hangs_is_dead_lettered_and_its_neighbours_go_on()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        kafka.Add(CountingStage.Add("b", 2, ask: "hang"));
        kafka.Add(CountingStage.Add("c", 3));
        await using var process = await stage.Start(
            b =>
                b.Before = c =>
                    c.Message.Ask is null
                        ? Task.CompletedTask
                        : Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, c.CancellationToken),
            build: kafka.Replace
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        await stage.Until(s => s.DeadLetters(), 1, "dead letter");
        Assert.Equal(
            "handler-timeout",
            await stage.Database.Scalar<string>($"select reason_code from {S}.dead_letter")
        );
    }

    [Fact]
    public async Task When_everything_is_refused_the_brake_holds_and_the_offsets_stay()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        for (var i = 0; i < 40; i++)
            kafka.Add(CountingStage.Add($"k{i}", 1));
        await using var process = await stage.Start(
            b => b.Before = _ => throw new InvalidOperationException("a bad release"),
            build: kafka.Replace
        );
        kafka.Open();
        await stage.Until(s => s.DeadLetters(), 40, "dead letters");

        for (var i = 0; i < 60; i++)
            kafka.Add(CountingStage.Add($"k{i}", 2));
        await Eventually.Is(() => process.Board.State.Brake is not null, "the brake");

        Assert.Single(process.Logs.Of(4121));
        Assert.InRange(await stage.DeadLetters(), 40, 50);
        Assert.Equal(
            await stage.DeadLetters(),
            await stage.Database.Scalar<long>($"select sum(next_offset)::bigint from {S}.consumer_offset")
        );
    }

    /// <summary>A good record behind the bad ones must not carry the offset over them.</summary>
    [Fact]
    public async Task What_comes_before_the_brake_closes_does_not_pass_the_records_that_it_holds()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        for (var i = 0; i < 60; i++)
            kafka.Add(CountingStage.Add($"k{i}", 1, ask: "fail"));
        var interference = new Interference(
            (point, n) =>
            {
                if (point != "after-stage" || n > 2)
                    return Task.CompletedTask;
                // Before the second retry the loop polls.
                if (n == 2)
                    for (var i = 0; i < 60; i++)
                        kafka.Add(CountingStage.Add($"k{i}", 2));
                throw new Sync.Messaging.Batching.StaleSagaException("Counter", "Update", 1, 0);
            }
        );
        await using var process = await stage.Start(
            b =>
                b.Before = c =>
                    c.Message.Ask is null ? Task.CompletedTask : throw new InvalidOperationException("a bad release"),
            build: b =>
            {
                kafka.Replace(b);
                interference.Replace(b);
            }
        );
        kafka.Open();
        await Eventually.Is(() => process.Board.State.Brake is not null, "the brake");
        var polls = kafka.Polls;
        await Eventually.Is(() => kafka.Polls > polls + 100, "the loop goes on polling");

        Assert.Equal(0, await stage.Effects());
        Assert.Equal(0, await stage.Database.Scalar<long>($"select sum(next_offset)::bigint from {S}.consumer_offset"));
    }

    [Fact]
    public async Task A_type_that_was_unknown_is_read_again_by_the_version_that_knows_it()
    {
        await using var stage = await CountingStage.Set();
        await using (
            var old = await stage.Start(build: b =>
                b.Services.Replace(ServiceDescriptor.Singleton(new MessageCatalog()))
            )
        )
        {
            await stage.Send(CountingStage.Add("a", 1));
            await stage.Send(CountingStage.Add("a", 2));
            var foreign = CountingStage.Record(CountingStage.Add("b", 3));
            foreign.Headers.Remove(CloudEventNames.Type);
            foreign.Headers.Add(CloudEventNames.Type, Body("test.of-tomorrow.v1"));
            await stage.SendRaw(foreign);
            await stage.Until(s => s.DeadLetters(), 3, "dead letters");
        }

        await using var process = await stage.Start();
        await stage.Until(s => s.Effects(), 2, "effects");

        Assert.Equal(2, await stage.Database.Scalar<long>($"select last from {S}.counter"));
        Assert.Equal(
            ["open", "replayed", "replayed"],
            (await stage.Query($"select state from {S}.dead_letter", r => r.GetString(0))).Order(StringComparer.Ordinal)
        );
        Assert.Single(process.Logs.Of(4124));
    }

    [Fact]
    public async Task What_would_leave_the_transaction_is_refused_and_names_Produce()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        string[] asked = ["publish", "send", "respond", "bus publish", "save"];
        foreach (var ask in asked)
            kafka.Add(CountingStage.Add(ask, 1, ask: ask));
        var errors = new System.Collections.Concurrent.ConcurrentDictionary<string, string>();
        await using var process = await stage.Start(
            b =>
                b.Before = async c =>
                {
                    try
                    {
                        await Escape(c, c.Message.Ask!);
                    }
                    catch (InvalidOperationException e)
                    {
                        errors[c.Message.Ask!] = e.Message;
                        throw;
                    }
                },
            build: kafka.Replace
        );
        kafka.Open();

        await stage.Until(s => s.DeadLetters(), asked.Length, "dead letters");
        Assert.Equal(asked.Order(StringComparer.Ordinal), errors.Keys.Order(StringComparer.Ordinal));
        Assert.All(errors.Values, e => Assert.Contains("context.Produce(message)", e, StringComparison.Ordinal));
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.counter"));

        static async Task Escape(BehaviorContext<Counter, Step> context, string way)
        {
            var services = context.GetPayload<IServiceProvider>();
            var echo = new Echoed { Key = "a", Value = 1 };
            switch (way)
            {
                case "publish":
                    await context.Publish(echo);
                    break;
                case "send":
                    await context.Send(new Uri("queue:elsewhere"), echo);
                    break;
                case "respond":
                    await context.RespondAsync(echo);
                    break;
                case "bus publish":
                    await services.GetRequiredService<IPublishEndpoint>().Publish(echo);
                    break;
                default:
                    await using (
                        var db = services.GetRequiredService<IDbContextFactory<CountingDb>>().CreateDbContext()
                    )
                    {
                        db.Add(new Counter { CorrelationId = Guid.NewGuid(), CurrentState = "Open" });
                        await db.SaveChangesAsync();
                    }

                    break;
            }
        }
    }

    [Fact]
    public void The_same_record_is_the_same_dead_letter()
    {
        ConsumedRecord Record(long offset, byte[] value) =>
            new(new(CountingJson.Steps, 1), offset, [1], value, [], null, Epoch: 1);
        DeadLetter Letter(ConsumedRecord record) => new(record, "t", "handler", "r", 1);

        var id = Letter(Record(5, [1])).Id("c");
        Assert.Equal(id, Letter(Record(5, [1])).Id("c"));
        Assert.NotEqual(id, Letter(Record(5, [2])).Id("c"));
        Assert.NotEqual(id, Letter(Record(6, [1])).Id("c"));
        Assert.NotEqual(id, Letter(Record(5, [1])).Id("d"));
    }

    static byte[] Body(string json) => Encoding.UTF8.GetBytes(json);

    static MessageHeaders Headers() =>
        new()
        {
            { CloudEventNames.SpecVersion, "1.0" },
            { CloudEventNames.Id, Guid.NewGuid().ToString() },
            { CloudEventNames.Type, "test.added.v1" },
            { CloudEventNames.Source, "stranger" },
            { "x-twice", "1" },
            { "x-twice", "2" },
            new KeyValuePair<string, byte[]?>("x-null", null),
        };

    static void Set(MessageHeaders headers, string name, string value)
    {
        headers.RemoveAll(h => h.Key == name);
        headers.Add(name, value);
    }

    sealed record TopicPartition(string Topic, int Partition);
}

using System.Diagnostics;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>What an endpoint offers to sagas and consumers.</summary>
public sealed class EndpointTests
{
    const string S = CountingDb.Schema;

    [Fact]
    public async Task An_event_of_a_base_type_receives_every_message_that_derives_from_it()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1));
        kafka.Add(
            new Corrected
            {
                Key = "a",
                Counter = CountingStage.Id("a"),
                Value = 2,
            }
        );
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        Assert.Equal(2, await stage.Database.Scalar<long>($"select last from {S}.counter"));
    }

    [Fact]
    public async Task A_query_correlation_sees_what_was_staged_before_it()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1, text: "new name"));
        kafka.Add(
            new Renamed
            {
                Key = "a",
                Name = "new name",
                Value = 10,
            }
        );
        kafka.Add(CountingStage.Add("a", 2, text: "newer name"));
        kafka.Add(
            new Renamed
            {
                Key = "a",
                Name = "newer name",
                Value = 100,
            }
        );
        await using var process = await stage.Start(build: kafka.Replace);
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        await stage.Until(s => s.Database.Scalar<long>($"select count from {S}.counter"), 112, "in the count");
        Assert.Single(process.Logs.Of(4150));
        Assert.Equal(0, await stage.DeadLetters());
    }

    [Fact]
    public async Task A_timer_set_twice_in_a_batch_that_is_rolled_back_once_is_one_row()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        kafka.Add(CountingStage.Add("a", 1, ask: "schedule"));
        kafka.Add(CountingStage.Add("a", 2, ask: "schedule"));
        var failOnce = new Interference(
            (point, n) =>
                point == "before-commit" && n == 1
                    ? throw new StaleSagaException("Counter", "Update", 1, 0)
                    : Task.CompletedTask
        );
        await using var process = await stage.Start(build: b =>
        {
            kafka.Replace(b);
            failOnce.Replace(b);
        });
        kafka.Open();

        await stage.Until(s => s.Effects(), 2, "effects");
        Assert.Equal(
            await stage.Database.Scalar<Guid>($"select ring_token from {S}.counter"),
            await stage.Database.Scalar<Guid>($"select token from {S}.schedule")
        );

        kafka.Add(CountingStage.Add("a", 3, ask: "unschedule"));
        await stage.Until(s => s.Effects(), 3, "effects");
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.schedule"));
        Assert.Equal(0, await stage.Database.Scalar<long>($"select rings from {S}.counter"));
    }

    [Fact]
    public async Task A_timer_fires_once_and_an_outdated_one_is_ignored()
    {
        await using var stage = await CountingStage.Set();
        await using var process = await stage.Start();
        await stage.Send(CountingStage.Add("a", 1, ask: "ring at once"));

        await stage.Until(
            s => s.Database.Scalar<long>($"select coalesce(sum(rings), 0)::bigint from {S}.counter"),
            1,
            "ring"
        );
        Assert.Equal(
            1,
            await stage.Database.Scalar<long>($"select count(*) from {S}.counter where ring_token is null")
        );

        // A message without the saga's token, as a late copy of an older timer would be.
        await stage.Send(CountingStage.Add("a", 2, ask: "schedule"));
        await stage.Send(new Rang { Key = "a", Counter = CountingStage.Id("a") });
        await stage.Send(CountingStage.Add("a", 3));
        await stage.Until(s => s.Effects(), 3, "effects");
        Assert.Equal(0, await stage.DeadLetters());
    }

    [Fact]
    public async Task A_saga_and_a_consumer_with_a_prefetch_share_one_commit_and_one_select()
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        for (var i = 0; i < 20; i++)
        {
            kafka.Add(CountingStage.Add($"k{i}", 1));
            kafka.Add(CountingStage.Add($"k{i}", 1), CountingJson.MoreSteps);
            kafka.Add(new Echoed { Key = $"k{i}", Value = i }, CountingJson.MoreSteps);
        }

        var prefetch = new CountingPrefetch();
        await using var process = await stage.Start(
            build: b =>
            {
                kafka.Replace(b);
                b.Services.AddBatchPrefetch<Echoed, Found, CountingPrefetch>();
                b.Services.AddSingleton<IBatchPrefetch<Echoed, Found>>(prefetch);
            },
            configure: (e, context) => e.ConfigureConsumer<EchoConsumer>(context),
            register: r => r.AddConsumer<EchoConsumer>()
        );
        kafka.Open();

        await stage.Until(s => s.Effects(), 60, "effects");
        // One a round, and rounds are few; not one a message.
        Assert.InRange(prefetch.Reads, 1, 10);
        Assert.Equal(1, await stage.Database.Scalar<long>($"select count(distinct xmin::text) from {S}.effect"));
        Assert.Equal(20, await stage.Database.Scalar<long>($"select count(*) from {S}.effect where value >= 1000"));
    }

    [Fact]
    public async Task A_trace_runs_through_a_message_and_a_batch_has_links_only()
    {
        await using var stage = await CountingStage.Set();
        var spans = new System.Collections.Concurrent.ConcurrentBag<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "MassTransit" or "sync.kernel",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Add,
        };
        ActivitySource.AddActivityListener(listener);
        var kafka = new FakeKafka();
        using (var cause = new Activity("cause").Start())
        {
            kafka.Add(CountingStage.Add("a", 1));
            var trace = cause.TraceId;
            cause.Stop();
            await using var process = await stage.Start(build: kafka.Replace);
            kafka.Open();
            using var reader = stage.Read(CountingJson.Echoes);
            var echo = Assert.Single(await reader.Read(1));
            await Eventually.Is(
                () => spans.Any(s => s.OperationName == "kernel.batch" && s.Links.Any(l => l.Context.TraceId == trace)),
                "the batch's span"
            );

            var received = Assert.Single(
                spans,
                s => s.TraceId == trace && s.OperationName.EndsWith("receive", StringComparison.Ordinal)
            );
            Assert.Equal(cause.SpanId, received.ParentSpanId);
            var handled = Assert.Single(
                spans,
                s => s.TraceId == trace && s.OperationName.EndsWith("process", StringComparison.Ordinal)
            );
            // The way out is a span between who wrote the message and who reads it.
            var sent = Assert.Single(
                spans,
                s => s.TraceId == trace && s.OperationName == $"send {stage.Kafka.Named(CountingJson.Echoes)}"
            );
            Assert.Equal(handled.SpanId, sent.ParentSpanId);
            Assert.Equal(sent.Id, echo.Header(Sync.Messaging.Wire.CloudEventNames.TraceParent));
            var batch = spans.First(s =>
                s.OperationName == "kernel.batch" && s.Links.Any(l => l.Context.TraceId == trace)
            );
            Assert.Equal(default, batch.ParentSpanId);
            Assert.Equal(batch.GetTagItem("sync.batch.id"), handled.GetTagItem("sync.batch.id"));
        }
    }

    [Fact]
    public void A_retry_with_a_delay_is_refused_at_start()
    {
        var builder = CountingProcess.Builder(
            new Dictionary<string, string?>
            {
                ["Kafka:Bootstrap"] = "127.0.0.1:1",
                ["Database:Url"] = "Host=127.0.0.1;Port=1;Database=none;Username=none",
            }
        );
        CountingProcess.Consume(
            builder,
            CountingStage.Topics,
            (e, _) => MessageRetryConfigurationExtensions.UseMessageRetry(e, r => r.Interval(3, 1_000))
        );
        using var host = builder.Build();

        var refused = Assert.ThrowsAny<Exception>(() => host.Services.GetRequiredService<IBusControl>());
        Assert.Contains("UseMessageRetry(r => r.Immediate(n))", refused.ToString(), StringComparison.Ordinal);
    }

    /// <summary>T31. Ten times: the stop comes while a behaviour runs, and the behaviour goes on after it.</summary>
    [Fact]
    public Task A_stop_during_a_batch_lets_it_commit() => StopsDuringABatch(10);

    /// <summary>T31. A hundred starts and stops take minutes, so it is run by <c>./sync test --thorough</c>.</summary>
    [Fact(Explicit = true)]
    public Task A_hundred_stops_during_a_batch_lose_nothing_and_double_nothing() => StopsDuringABatch(100);

    static async Task StopsDuringABatch(int times)
    {
        await using var stage = await CountingStage.Set();
        var kafka = new FakeKafka();
        List<Produced> produced = [];
        for (var i = 1; i <= times; i++)
        {
            var last = new LastToStop();
            var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var stopped = new StopSignal();
            var (partition, offset) = kafka.Add(CountingStage.Add("a", i));
            produced.Add(new(partition.Topic, partition.Partition.Value, offset, "a", i));
            await using var process = await stage.Start(
                b =>
                    b.Before = async c =>
                    {
                        entered.TrySetResult();
                        await stopped.Seen.WaitAsync(c.CancellationToken);
                        await Task.Yield();
                        c.CancellationToken.ThrowIfCancellationRequested();
                    },
                build: b =>
                {
                    kafka.Replace(b);
                    b.Services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(last));
                },
                configure: (e, _) => e.ConnectReceiveEndpointObserver(stopped)
            );
            kafka.Open();
            await entered.Task.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

            await process.Stop().WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

            Assert.Equal(i, await stage.Effects());
            Assert.True(last.WasInTime, $"stop {i} used up what the host gives to a stop");
        }

        await Proof.Holds(stage, produced);
        Assert.Equal(0, await stage.DeadLetters());
    }

    /// <summary>T13. Kafka hears of what is committed here, also at a stop that gives up a batch.</summary>
    [Fact]
    public async Task What_was_read_and_given_up_at_a_stop_is_not_said_to_be_done()
    {
        await using var stage = await CountingStage.Set();
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var stopped = new StopSignal();
        await using (
            var process = await stage.Start(
                b =>
                    b.Before = async c =>
                    {
                        entered.TrySetResult();
                        await stopped.Seen.WaitAsync(c.CancellationToken);
                        throw new NpgsqlException("PostgreSQL goes away", new IOException());
                    },
                configure: (e, _) => e.ConnectReceiveEndpointObserver(stopped)
            )
        )
        {
            await stage.Send(CountingStage.Add("a", 1));
            await entered.Task.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);
            await process.Stop();
            Assert.Equal(0, await stage.Effects());
        }

        await using var next = await stage.Start();
        await stage.Until(s => s.Effects(), 1, "effect");

        // A group that stands further in Kafka than in PostgreSQL looks like a database that was restored.
        Assert.Equal(0, await stage.Database.Scalar<long>($"select count(*) from {S}.feed_gap"));
        Assert.Equal(1, await stage.Effects());
    }

    /// <summary>Services stop one after the other, in a time that the host gives to all. Whether it was enough is seen when the last is told.</summary>
    sealed class LastToStop : IHostedService
    {
        public bool WasInTime { get; private set; }

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            WasInTime = !cancellationToken.IsCancellationRequested;
            return Task.CompletedTask;
        }
    }

    /// <summary>The endpoint is about to be told to stop.</summary>
    sealed class StopSignal : IReceiveEndpointObserver
    {
        readonly TaskCompletionSource _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Seen => _seen.Task;

        public Task Stopping(ReceiveEndpointStopping stopping)
        {
            _seen.TrySetResult();
            return Task.CompletedTask;
        }

        public Task Ready(ReceiveEndpointReady ready) => Task.CompletedTask;

        public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;

        public Task Faulted(ReceiveEndpointFaulted faulted) => Task.CompletedTask;
    }

    public sealed record Found(long Number);

    sealed class CountingPrefetch : IBatchPrefetch<Echoed, Found>
    {
        int _reads;

        public int Reads => _reads;

        public async Task<IReadOnlyList<Found?>> Read(
            IReadOnlyList<Echoed> messages,
            NpgsqlConnection connection,
            CancellationToken cancellationToken
        )
        {
            Interlocked.Increment(ref _reads);
            await using var command = new NpgsqlCommand(
                "select 1000 + v from unnest($1) with ordinality t(v, n) order by n",
                connection
            );
            command.Parameters.Add(new() { Value = messages.Select(m => m.Value).ToArray() });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            var found = new List<Found?>();
            while (await reader.ReadAsync(cancellationToken))
                found.Add(new(reader.GetInt64(0)));
            return found;
        }
    }

    sealed class EchoConsumer : IConsumer<Echoed>
    {
        public async Task Consume(ConsumeContext<Echoed> context)
        {
            var found = await context.Prefetched<Echoed, Found>();
            context.Rows().Add(new Effect(CountingJson.MoreSteps, 0, 0, context.Message.Key, found!.Number));
        }
    }
}

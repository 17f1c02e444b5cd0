using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Messaging.Hosting;
using Sync.Orchestrator;
using Sync.Orchestrator.Storage;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>What is promised to be kept for a time only is gone afterwards, and nothing else is.</summary>
public sealed class RetentionTests
{
    [Fact]
    public async Task What_has_had_its_time_is_dropped_and_what_still_waits_stays()
    {
        await using var database = await OrchestratorDatabase.Create();
        await InsertTombstones(database);
        // More than one piece of the history is old; of the rest each stands for a way to stay.
        await database.Postgres.Execute(
            $"""
            insert into sync.timeline (at, correlation_id, revision, code, direction, paths)
            select now() - interval '401 days', gen_random_uuid(), n, 'old', 'in', array[]::text[]
              from generate_series(1, {Retention.Piece * 2 + 10}) n;
            insert into sync.timeline (at, correlation_id, revision, code, direction, paths)
            values (now() - interval '399 days', gen_random_uuid(), 1, 'young', 'in', array[]::text[]);
            insert into sync.dead_letter (id, direction, consumer_group, reason_code, reason, first_at, state, closed_at)
            select gen_random_uuid(), 'in', name, 'schema', 'x', now() - interval '500 days', state, now() - age
              from (values ('open', 'open', null), ('closed', 'replayed', interval '31 days'),
                           ('closed lately', 'replayed', interval '29 days')) l (name, state, age);
            insert into sync.feed_gap (feed, reason, found_at, state, closed_at)
            select name, 'x', now() - interval '500 days', state, now() - age
              from (values ('open', 'open', null), ('closed', 'closed', interval '401 days'),
                           ('closed lately', 'closed', interval '399 days')) g (name, state, age)
            """
        );
        var logs = new CapturedLogs();
        await using var services = Services(database, logs);
        var retention = ActivatorUtilities.CreateInstance<Retention>(services);

        await retention.Once(TestContext.Current.CancellationToken);

        Assert.Equal(["young"], await database.Rows("select distinct code from sync.timeline"));
        Assert.Equal(
            ["closed lately", "open"],
            await database.Rows("select consumer_group from sync.dead_letter order by 1")
        );
        Assert.Equal(["closed lately", "open"], await database.Rows("select feed from sync.feed_gap order by 1"));
        Assert.Equal(
            ["asked", "attention", "live", "young"],
            await database.Rows("select customer_id from sync.customer order by 1")
        );
        Assert.Equal(
            [
                "Removed 1 dead letters, kept for 30 days",
                "Removed 1 feed gaps, kept for 400 days",
                $"Removed {Retention.Piece * 2 + 10} rows of the timeline, kept for 400 days",
                "Removed 2 tombstones, kept for 400 days",
            ],
            logs.Of(4170).Select(l => l.Text)
        );
        Assert.Empty(logs.Of(4171));
    }

    [Fact]
    public async Task Whoever_finds_another_replica_at_it_leaves()
    {
        await using var database = await OrchestratorDatabase.Create();
        await database.Postgres.Execute(
            "insert into sync.dead_letter (id, direction, consumer_group, reason_code, reason, state, closed_at) values (gen_random_uuid(), 'in', 'g', 'schema', 'x', 'replayed', '2000-01-01')"
        );
        await using var services = Services(database, new CapturedLogs());
        var retention = ActivatorUtilities.CreateInstance<Retention>(services);
        await using var other = await database.Postgres.DataSource.OpenConnectionAsync(
            TestContext.Current.CancellationToken
        );
        await using (var transaction = await other.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var locking = other.CreateCommand();
            locking.CommandText = "select pg_advisory_xact_lock(hashtext('sync.retention'), hashtext('sync'))";
            await locking.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

            await retention.Once(TestContext.Current.CancellationToken);
        }

        Assert.Equal(["1"], await database.Rows("select count(*) from sync.dead_letter"));
        await retention.Once(TestContext.Current.CancellationToken);
        Assert.Equal(["0"], await database.Rows("select count(*) from sync.dead_letter"));
    }

    /// <summary>A scan of all customers, or of all messages that ever failed, once an hour would be felt.</summary>
    [Fact]
    public async Task The_oldest_rows_are_found_by_an_index()
    {
        await using var database = await OrchestratorDatabase.Create();
        foreach (
            var (rows, index) in ((string, string)[])
                [
                    ("dead letters", "dead_letter_closed"),
                    ("tombstones", "customer_tombstone"),
                    ("rows of the timeline", "pk_timeline"),
                ]
        )
        {
            var kind = Retention.OfKernel("sync").Concat(Lifetimes.All).Single(k => k.Rows == rows);
            var plan = await database.Rows(
                "set enable_seqscan = off; set enable_bitmapscan = off; explain "
                    + kind.Sql.Replace("$1", "interval '1 day'", StringComparison.Ordinal)
                        .Replace("$2", "10", StringComparison.Ordinal)
            );
            Assert.Contains(plan, line => line.Contains($"using {index} ", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Every_process_drops_what_has_had_its_time()
    {
        var services = new ServiceCollection();
        services.AddOrchestrator();
        Assert.Contains(
            services,
            s => s.ServiceType == typeof(IHostedService) && s.ImplementationType == typeof(Retention)
        );
    }

    static async Task InsertTombstones(OrchestratorDatabase database)
    {
        var old = TimeProvider.System.GetUtcNow().AddDays(-401);
        async Task Insert(string id, string state, DateTimeOffset since, bool sent = false, string? attention = null)
        {
            await using var story = await Scenario.InStep();
            var customer = story.Customer;
            if (sent)
            {
                await story.Deleted();
                customer = story.Customer;
                customer.Behind = [];
            }

            customer.CurrentState = state;
            customer.Since = since;
            customer.Attention = attention;
            await database.Insert(id, customer);
        }

        await Insert("gone", "Removed", old);
        await Insert("merged", "Merged", old);
        await Insert("young", "Removed", old.AddDays(2));
        await Insert("live", "Live", old);
        await Insert("attention", "Removed", old, attention: "recreated product");
        await Insert("asked", "Removed", old, sent: true);
    }

    static ServiceProvider Services(OrchestratorDatabase database, CapturedLogs logs)
    {
        var services = new ServiceCollection()
            .AddMetrics()
            .AddLogging(l => l.AddProvider(logs))
            .AddSingleton(TimeProvider.System)
            .AddSingleton(new ProcessIdentity("orchestrator", "sync", "sync-orchestrator"));
        foreach (var kind in Lifetimes.All)
            services.AddSingleton(kind);
        return services.AddSingleton(database.Postgres.DataSource).BuildServiceProvider();
    }
}

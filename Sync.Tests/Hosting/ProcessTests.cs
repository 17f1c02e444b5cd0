using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Sandbox.Kafka;
using Sync.Tests.Messaging.Delivering;
using Sync.Tests.Support;

namespace Sync.Tests.Hosting;

public sealed class ProcessTests
{
    [Fact]
    public async Task T40_topics_with_another_number_of_partitions_refuse_the_start_and_both_numbers_are_named()
    {
        await using var database = await TestPostgres.Create();
        using var kafka = new EmbeddedKafka(["right"], PingProcess.Partitions);
        kafka.CreateTopic("wrong", 3);
        kafka.CreateTopic("products-own", 7);
        var logs = new CapturedLogs();
        var builder = PingProcess.Builder(PingProcess.Settings(database, kafka.BootstrapServers, "a"), logs);
        builder.Services.AddTopics(["right", "wrong", "absent"], ["products-own"]);

        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(builder, []));

        var faults = logs.Of(4162).Select(l => l.Text).ToList();
        Assert.Equal(2, faults.Count);
        Assert.Contains(
            faults,
            f => f.Contains("topic wrong has 3 partitions, KAFKA__PARTITIONS says 4", StringComparison.Ordinal)
        );
        Assert.Contains(faults, f => f.Contains("topic absent does not exist", StringComparison.Ordinal));
        Assert.Equal(
            [(LogLevel.Warning, "products-own"), (LogLevel.Error, "wrong")],
            logs.Of(4118).Select(l => (l.Level, l.Text.Split(' ')[1])).Order()
        );
    }

    [Fact]
    public async Task A_product_s_own_topic_with_another_number_of_partitions_is_only_warned_of()
    {
        await using var stage = await PingStage.Set();
        stage.Kafka.CreateTopic("products-own", 7);

        await using var process = await PingProcess.Start(
            stage.Database,
            stage.Kafka,
            configure: builder =>
                builder.Services.AddTopics([stage.Kafka.Named("pings")], [stage.Kafka.Named("products-own")])
        );

        Assert.Equal(LogLevel.Warning, Assert.Single(process.Logs.Of(4118)).Level);
        Assert.Single(process.Logs.Of(4160));
    }

    [Fact]
    public async Task A_database_without_our_tables_refuses_the_start_and_says_how_to_make_them()
    {
        await using var database = await TestPostgres.Create();
        using var kafka = new EmbeddedKafka([], PingProcess.Partitions);
        var logs = new CapturedLogs();
        var settings = PingProcess.Settings(database, kafka.BootstrapServers, "a");
        settings["Database:MigrateAtStart"] = "false";

        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(PingProcess.Builder(settings, logs), []));

        Assert.Contains("DATABASE__MIGRATEATSTART", Assert.Single(logs.Of(4162)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_release_whose_migrations_are_missing_waits_for_them_and_says_which()
    {
        await using var database = await TestPostgres.Create();
        using var kafka = new EmbeddedKafka([], PingProcess.Partitions);
        var logs = new CapturedLogs();
        var settings = PingProcess.Settings(database, kafka.BootstrapServers, "a");
        settings["Database:MigrateAtStart"] = "false";
        Assert.Equal(SyncProcess.Succeeded, await SyncProcess.Run(PingProcess.Builder(settings, logs), ["migrate"]));
        const string History = $"{PingDb.Schema}.migrations_history";
        await database.Execute($"create table kept as select * from {History}; delete from {History}");

        using var host = PingProcess.Builder(settings, logs).Build();
        var starting = host.StartAsync(TestContext.Current.CancellationToken);
        await Eventually.Is(() => logs.Of(4169).Any(), "it says what it waits for");
        Assert.Contains("20260101000000_Messaging", Assert.Single(logs.Of(4169)).Text, StringComparison.Ordinal);
        Assert.False(starting.IsCompleted);

        await database.Execute($"insert into {History} select * from kept");
        await starting.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.Single(logs.Of(4160));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(PostgresErrorCodes.UndefinedTable)]
    [InlineData(PostgresErrorCodes.UndefinedColumn)]
    [InlineData(PostgresErrorCodes.UndefinedFunction)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege)]
    public void Tables_or_rights_that_are_missing_are_no_fault_of_a_message(string state) =>
        Assert.Equal(
            FailureClass.Unavailable,
            Failures.Classify(new PostgresException("refused", "ERROR", "ERROR", state), committing: false)
        );

    [Fact]
    public async Task A_database_that_does_not_exist_refuses_the_start()
    {
        await using var database = await TestPostgres.Create();
        using var kafka = new EmbeddedKafka([], PingProcess.Partitions);
        var logs = new CapturedLogs();
        var settings = PingProcess.Settings(database, kafka.BootstrapServers, "a");
        settings["Database:Url"] = settings["Database:Url"]!.Replace(
            "Database=test",
            "Database=absent",
            StringComparison.Ordinal
        );

        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(PingProcess.Builder(settings, logs), []));

        Assert.Contains("the database does not exist", Assert.Single(logs.Of(4162)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_verb_migrate_needs_the_database_only_and_can_be_repeated()
    {
        await using var database = await TestPostgres.Create();
        var settings = new Dictionary<string, string?> { ["Database:Url"] = database.ConnectionString };

        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(
                SyncProcess.Succeeded,
                await SyncProcess.Run(PingProcess.Builder(settings, new CapturedLogs()), ["migrate"])
            );
        }

        string[] tables =
        [
            "consumer_offset",
            "dead_letter",
            "feed_gap",
            "migrations_history",
            "outbox",
            "outbox_lease",
            "schedule",
        ];
        Assert.Equal(
            tables,
            await database.Scalar<string[]>(
                $"select array_agg(table_name::text order by table_name) from information_schema.tables where table_schema = '{PingDb.Schema}'"
            )
        );
        Assert.Equal(
            ["advance_offsets", "claim_partitions"],
            await database.Scalar<string[]>(
                $"select array_agg(routine_name::text order by routine_name) from information_schema.routines where routine_schema = '{PingDb.Schema}'"
            )
        );
        Assert.Equal(
            0,
            await database.Scalar<long>("select count(*) from information_schema.tables where table_schema = 'public'")
        );
    }

    [Fact]
    public async Task The_kernel_s_functions_need_no_search_path()
    {
        await using var database = await TestPostgres.Create();
        foreach (var statement in MessagingTables.Create(PingDb.Schema))
            await database.Execute(statement);

        await database.Execute(
            $"""
            set search_path to pg_catalog;
            select {PingDb.Schema}.claim_partitions('g', 'c', '{"{t}"}', '{"{0}"}', '{"{5}"}', 'me');
            select {PingDb.Schema}.advance_offsets('g', 'c', '{"{t}"}', '{"{0}"}', '{"{1}"}', '{"{5}"}', '{"{9}"}');
            """
        );

        Assert.Equal(9, await database.Scalar<long>($"select next_offset from {PingDb.Schema}.consumer_offset"));
        foreach (var statement in MessagingTables.Drop(PingDb.Schema))
            await database.Execute(statement);
        Assert.Equal(
            0,
            await database.Scalar<long>(
                $"select count(*) from information_schema.tables where table_schema = '{PingDb.Schema}'"
            )
        );
    }

    [Fact]
    public async Task An_unknown_verb_is_refused()
    {
        var logs = new CapturedLogs();

        Assert.Equal(
            SyncProcess.Refused,
            await SyncProcess.Run(PingProcess.Builder(new Dictionary<string, string?>(), logs), ["dance"])
        );

        Assert.Contains("migrate", Assert.Single(logs.Of(4162)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Kafka_s_silence_and_PostgreSQL_s_make_a_process_not_ready_but_leave_it_alive()
    {
        var time = new ShiftedTime();
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(
            stage.Database,
            stage.Kafka,
            configure: builder =>
            {
                builder.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(time));
                builder.Services.Replace(ServiceDescriptor.Singleton<IConsumerHealth>(new Claimed()));
            }
        );
        using var http = new HttpClient
        {
            BaseAddress = process.Services.GetRequiredService<ManagementServer>().Address,
        };
        await Eventually.Is(async () => (await Ready(http)).Code == HttpStatusCode.OK, "the process is ready");

        stage.Kafka.Down();
        await Eventually.Is(() => process.Logs.Of(4143).Any(), "Kafka's silence is seen");
        time.Ahead(TimeSpan.FromSeconds(16));
        var kafkaDown = await Eventually.Get(
            () => Ready(http),
            r => r.Reasons.SequenceEqual(["kafka-unreachable"]),
            "only Kafka is silent"
        );
        Assert.Equal(HttpStatusCode.ServiceUnavailable, kafkaDown.Code);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/health/live")).StatusCode);

        stage.Kafka.Up();
        await Eventually.Is(async () => (await Ready(http)).Code == HttpStatusCode.OK, "the process is ready again");

        await stage.Database.Execute($"alter table {PingDb.Schema}.outbox rename to outbox_away");
        await Eventually.Is(() => process.Logs.Of(4141).Any(), "PostgreSQL's failure is seen");
        time.Ahead(TimeSpan.FromSeconds(6));
        await Eventually.Is(
            async () => (await Ready(http)).Reasons.Contains("database-unreachable"),
            "PostgreSQL makes it not ready"
        );
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/health/live")).StatusCode);
        await stage.Database.Execute($"alter table {PingDb.Schema}.outbox_away rename to outbox");
    }

    [Fact]
    public async Task Metrics_are_served_under_their_names()
    {
        await using var stage = await PingStage.Set();
        await using var process = await PingProcess.Start(stage.Database, stage.Kafka);
        using var http = new HttpClient
        {
            BaseAddress = process.Services.GetRequiredService<ManagementServer>().Address,
        };
        await process.Send(new Pinged("a-key-that-nobody-may-see", 1));
        await stage.Reader.Read(1);
        await stage.IsEmpty();

        var page = await Eventually.Get(
            () => http.GetStringAsync(new Uri("/metrics", UriKind.Relative)),
            text => text.Contains("messaging_client_sent_messages", StringComparison.Ordinal),
            "the page shows what was sent"
        );

        foreach (
            var name in (string[])
                [
                    "sync_kernel_outbox_rows",
                    "sync_kernel_outbox_age_seconds",
                    "sync_kernel_outbox_delivery_seconds",
                    "sync_kernel_lease_changes",
                    "sync_kernel_backpressure",
                    "messaging_client_operation_duration_seconds",
                    "dotnet_gc",
                ]
        )
        {
            Assert.Contains(name, page, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("nobody-may-see", page, StringComparison.Ordinal);
    }

    static async Task<(HttpStatusCode Code, List<string> Reasons)> Ready(HttpClient http)
    {
        using var response = await http.GetAsync("/health/ready");
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        return (
            response.StatusCode,
            [.. answer.GetProperty("reasons").EnumerateArray().Select(r => r.GetProperty("code").GetString()!)]
        );
    }

    sealed class Claimed : IConsumerHealth
    {
        public ConsumerState State => new(ConsumerPhase.Claimed, DateTimeOffset.UnixEpoch, null, null, null, []);
    }
}

using System.Text;
using Confluent.Kafka;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Orchestrator;
using Sync.Orchestrator.Storage;
using Sync.Sandbox.Kafka;
using Sync.Tests.Support;

namespace Sync.Tests.Orchestrator;

/// <summary>The orchestrator as it runs: from Kafka, through the machine, into PostgreSQL and back onto Kafka.</summary>
public sealed class ServiceTests
{
    const int Partitions = 4;

    [Fact]
    public async Task A_snapshot_on_kafka_becomes_a_row_a_timeline_and_a_command_for_every_vendor()
    {
        await using var stage = await Stage.Set();
        using var reader = new KafkaReader(
            stage.Kafka.BootstrapServers,
            Partitions,
            Topics.Commands("billing"),
            Topics.Commands("crm")
        );

        await stage.Produce(
            Topics.Customers,
            "c-1",
            "product.customer.created.v1",
            """{"customerId":"c-1","revision":1,"customer":{"name":"Ann","email":"ann@example.com","phone":null,"attributes":{}}}"""
        );
        var commands = (await reader.Read(2)).ToList();
        Assert.All(commands, c => Assert.Equal(("c-1", "sync.customer.push.v1"), (c.Key, c.Header("ce_type"))));
        Assert.All(commands, c => Assert.Contains("\"operation\":\"create\"", c.Value, StringComparison.Ordinal));
        Assert.Equal(
            "Live",
            await stage.Database.Scalar<string>("select state from dashboard.customers where customer_id = 'c-1'")
        );
        Assert.Equal(
            3L,
            await stage.Database.Scalar<long>("select count(*) from sync.timeline where customer_id = 'c-1'")
        );
        Assert.Equal(1L, await stage.Database.Scalar<long>("select count(*) from sync.schedule"));
        Assert.Single(stage.Logs.Of(1000));

        // Whoever waits for an answer that was lost asks again, unchanged, when the timer rings.
        await stage.Database.Execute("update sync.schedule set due_at = now()");
        var repeated = (await reader.Read(4)).Skip(2).ToList();
        Assert.Equal(
            commands.Select(c => c.Value).Order(StringComparer.Ordinal),
            repeated.Select(c => c.Value).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task A_report_about_nobody_parks_the_object_where_a_person_sees_it()
    {
        await using var stage = await Stage.Set();

        await stage.Produce(
            Topics.Reports("crm"),
            "c-9",
            "sync.customer.reported.v1",
            """{"system":"crm","customerId":"c-9","generation":0,"obs":1,"externalId":"crm-9"}"""
        );

        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<long>(
                    "select count(*) from dashboard.attention where external_id = 'crm-9' and detail = 'unknown customer'"
                ) == 1,
            "the object is parked"
        );
        Assert.Equal(0L, await stage.Database.Scalar<long>("select count(*) from sync.customer"));
    }

    [Fact]
    public async Task Objects_are_matched_by_email_deletions_braked_and_a_person_erased_in_the_database()
    {
        // A window that no slow machine leaves.
        await using var stage = await Stage.Set(
            ("Customers:DeletionBrake", "1"),
            ("Customers:DeletionWindow", "01:00:00")
        );
        async Task Snapshot(string id, string email, string name) =>
            await stage.Produce(
                Topics.Customers,
                id,
                "product.customer.created.v1",
                $$"""{"customerId":"{{id}}","revision":1,"customer":{"name":"{{name}}","email":"{{email}}","phone":null} }"""
            );
        async Task Find(string ext, string email) =>
            await stage.Produce(
                Topics.Reports("billing"),
                ext,
                "sync.object.found.v1",
                $$"""{"system":"billing","externalId":"{{ext}}","fields":{"name":"Ann","email":"{{email}}"} }"""
            );
        Task Is(string sql, string what) =>
            Eventually.Is(async () => await stage.Database.Scalar<long>($"select count(*) from {sql}") > 0, what);

        string[] ids = ["c-1", "c-2", "c-3"];
        foreach (var id in ids)
            await Snapshot(id, id == "c-3" ? "c@example.com" : "ab@example.com", id == "c-3" ? "Secretta" : "Ann");
        await Is("(select 1 from sync.customer having count(*) = 3) x", "three customers");

        // One candidate, several, none: read by hash of the e-mail, whatever its case.
        await Find("cus_c", " C@Example.com");
        await Find("cus_ab", "AB@example.com");
        await Find("cus_new", "new@example.com");
        await Is(
            "dashboard.attention where external_id = 'cus_ab' and detail = 'ambiguous: c-1, c-2'",
            "several are named"
        );
        await Is("sync.found_object where ext = 'cus_c' and customer_id = 'c-3'", "the one is asked");
        await Is("sync.customer where current_state = 'Proposed'", "nobody is a new person");

        // Of three deletions one spreads: the count is read from the timeline, and goes on within a batch. The first is c-1's,
        // since of c-3 an object is parked that may have taken the place.
        foreach (var id in ids)
        {
            await stage.Produce(
                Topics.Reports("billing"),
                id,
                "sync.customer.reported.v1",
                $$"""{"system":"billing","customerId":"{{id}}","generation":0,"obs":1,"externalId":"cus-{{id}}","gone":true}"""
            );
            if (id == ids[0])
                await Is("sync.timeline where code = 'deletion.seen' and customer_id = 'c-1'", "the first is seen");
        }

        await Is(
            "(select 1 from sync.timeline where code = 'deletion.seen' having count(*) = 3) x",
            "three deletions are seen"
        );
        Assert.Equal(
            2L,
            await stage.Database.Scalar<long>("select count(*) from dashboard.attention where reason = 'deletion-held'")
        );
        Assert.Equal(
            1L,
            await stage.Database.Scalar<long>("select count(*) from sync.customer where current_state = 'Removing'")
        );

        // Somebody is erased whose record lies about in every table: whole messages, words, and hashes of comparisons, beside
        // the customer's id, an object's, and nobody's. Another person's stay.
        var hash = Normaliser.EmailKey("c@example.com")!;
        await using (
            var lie = stage.Database.DataSource.CreateCommand(
                """
                with reasons as (update sync.timeline set reason = 'Secretta' where customer_id = 'c-3'),
                     letters as (
                       insert into sync.dead_letter (id, direction, consumer_group, key, value, reason_code, reason)
                       values (gen_random_uuid(), 'in', 'g', 'c-3', 'Secretta', 'schema', 'x'),
                              (gen_random_uuid(), 'in', 'g', 'other', 'theirs', 'schema', 'x')),
                     timers as (
                       insert into sync.schedule (token, due_at, topic, key, headers, body)
                       values (gen_random_uuid(), '2999-01-01', 'sync.requests.v1', 'c-3', '', 'Secretta')),
                     run as (
                       insert into sync.comparison (id, system, kind, apply, requested_by, asked_at, state)
                       values (gen_random_uuid(), 'billing', 'import', true, 'kim', now(), 'done') returning id)
                insert into sync.comparison_finding (comparison_id, subject, correlation_id, customer_id, email_key, class)
                select id, 'object:' || ext, object_id, customer_id, key, 'create'
                  from run, (values ('1', null::uuid, 'c-3', $1), ('2', $2, null, $1), ('3', null, null, $1),
                                    ('4', null, null, sha256('other'))) f (ext, object_id, customer_id, key)
                """
            )
        )
        {
            lie.Parameters.Add(new() { Value = hash });
            lie.Parameters.Add(new() { Value = CustomerIds.ObjectId("billing", "cus-c-3") });
            await lie.ExecuteNonQueryAsync();
        }

        Task<List<string>> Found() => Traces.Of(stage.Database.DataSource, "sync", hash, "Secretta", "c@example.com");
        Assert.Superset(
            new HashSet<string>
            {
                "comparison_finding.email_key",
                "customer.email_key",
                "customer.golden",
                "customer.systems",
                "dead_letter.value",
                "found_object.fields",
                "schedule.body",
                "timeline.reason",
            },
            (await Found()).ToHashSet()
        );
        await stage.Produce(
            Topics.Requests,
            "c-3",
            "sync.request.erase.v1",
            """{"customerId":"c-3","requestedBy":"kim","requestedAt":"2026-01-02T03:04:05.000Z"}"""
        );
        await Is("sync.timeline where customer_id = 'c-3' and code = 'operator.erase'", "erasure is asked for");
        var delete = await Sent(stage, "product", "c-3");
        await stage.Produce(
            Topics.Customers,
            "c-3",
            "product.customer.deleted.v1",
            $$"""{"customerId":"c-3","revision":2,"applied":{"commandId":"{{delete}}","outcome":"done"} }"""
        );
        foreach (var system in (string[])["billing", "crm"])
            await Answer(stage, system, "c-3");
        await Is("sync.customer where customer_id = 'c-3' and current_state = 'Removed'", "everybody deleted it");
        // The timer went with the other rows, and the adapters' answers may be lost: it was set anew, and asks them again.
        Assert.Equal(
            1L,
            await stage.Database.Scalar<long>(
                "with rung as (update sync.schedule set due_at = now() where key = 'c-3' returning 1) select count(*) from rung"
            )
        );
        await Is(
            "sync.timeline where customer_id = 'c-3' and code = 'command.repeated'",
            "the adapters are asked again"
        );
        foreach (var system in (string[])["billing", "crm"])
            await Answer(stage, system, "c-3");
        await Is("sync.customer where customer_id = 'c-3' and erased_at is not null", "everybody forgot");

        // What the deliverer holds is sent and deleted.
        await Is("(select 1 from sync.outbox having count(*) = 0) x", "nothing waits to be sent");
        Assert.Empty(await Found());
        Assert.Equal(
            0L,
            await stage.Database.Scalar<long>(
                """
                select (select count(*) from sync.timeline where customer_id = 'c-3' and code <> 'erased' and paths <> '{}')
                     + (select count(*) from sync.dead_letter where key = 'c-3')
                """
            )
        );
        Assert.Equal(
            1L,
            await stage.Database.Scalar<long>(
                "select count(*) from sync.comparison_finding where email_key is not null"
            )
        );
        Assert.Equal(
            1L,
            await stage.Database.Scalar<long>(
                "select count(*) from sync.timeline where customer_id = 'c-3' and code = 'erased' and reason like '%findings 3'"
            )
        );
        Assert.Equal(1L, await stage.Database.Scalar<long>("select count(*) from sync.dead_letter"));
        Assert.Equal(["billing", "billing", "crm", null, null], await Receipt(stage, "c-3"));
    }

    [Fact]
    public async Task A_gap_of_a_feed_is_one_row_that_its_second_report_closes_in_any_order()
    {
        await using var stage = await Stage.Set();
        async Task Gap(string id, string closed) =>
            await stage.Produce(
                Topics.Reports("billing"),
                "events",
                "sync.feed.gap.v1",
                $$"""{"gapId":"{{id}}","system":"billing","feed":"events","reason":"older than the vendor keeps","openedAt":"2026-01-02T03:04:05.000Z"{{closed}}}"""
            );
        const string Closed = ""","closedAt":"2026-01-02T04:04:05.000Z" """;

        await Gap("00000000-0000-0000-0000-000000000001", "");
        await Gap("00000000-0000-0000-0000-000000000001", Closed);
        await Gap("00000000-0000-0000-0000-000000000002", Closed);
        await Gap("00000000-0000-0000-0000-000000000002", "");
        await Gap("00000000-0000-0000-0000-000000000003", "");

        // One key, so the last one's row comes after all that was said of the others.
        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<long>("select count(*) from sync.feed_gap where gap_id is not null") == 3,
            "three gaps"
        );
        Assert.Equal(
            "1 billing events closed, 2 billing events closed, 3 billing events open",
            await stage.Database.Scalar<string>(
                "select string_agg(concat_ws(' ', right(gap_id::text, 1), system, feed, state), ', ' order by gap_id) from sync.feed_gap where gap_id is not null"
            )
        );
        Assert.Equal(0L, await stage.Database.Scalar<long>("select count(*) from sync.dead_letter"));
    }

    /// <summary>The vendor has not the object any more, whatever it is asked.</summary>
    static async Task Answer(Stage stage, string system, string id)
    {
        var command = await Sent(stage, system, id);
        var obs = await stage.Database.Scalar<long>(
            $"select (systems #>> '{{systems,{system},obs}}')::bigint + 1 from sync.customer where customer_id = '{id}'"
        );
        await stage.Produce(
            Topics.Reports(system),
            id,
            "sync.customer.reported.v1",
            $$"""{"system":"{{system}}","customerId":"{{id}}","generation":0,"obs":{{obs}},"ack":"{{command}}","outcome":"done","gone":true}"""
        );
    }

    static Task<string> Sent(Stage stage, string system, string id) =>
        stage.Database.Scalar<string>(
            $"select systems #>> '{{systems,{system},sent,id}}' from sync.customer where customer_id = '{id}'"
        );

    static async Task<List<string?>> Receipt(Stage stage, string id)
    {
        List<string?> systems = [];
        await using var command = stage.Database.DataSource.CreateCommand(
            $"select system from sync.timeline where customer_id = '{id}' and code = 'erased' order by system nulls last"
        );
        await using var rows = await command.ExecuteReaderAsync();
        while (await rows.ReadAsync())
            systems.Add(rows.IsDBNull(0) ? null : rows.GetString(0));
        return systems;
    }

    [Fact]
    public async Task What_can_never_be_handled_is_dead_lettered_with_its_reason_and_the_rest_goes_on()
    {
        await using var stage = await Stage.Set();
        async Task Product(long revision, string customer) =>
            await stage.Produce(
                Topics.Customers,
                "c-1",
                "product.customer.updated.v1",
                $$"""{"customerId":"c-1","revision":{{revision}},"customer":{{customer}}}"""
            );

        await Product(1, """{"name":"Ann","email":null,"phone":null}""");
        await Product(2, """{"name":"Secretta","email":null}""");
        await Product(3, """{"name":"nul\u0000Secretta","email":null,"phone":null}""");
        await stage.Produce(
            Topics.Reports("crm"),
            "c-1",
            "sync.customer.reported.v1",
            """{"system":"fax","customerId":"c-1","generation":0,"obs":1}"""
        );
        await Product(4, """{"name":"Bea","email":null,"phone":null}""");

        await Eventually.Is(
            async () => await stage.Database.Scalar<long>("select coalesce(max(revision), 0) from sync.customer") == 2,
            "the last snapshot is merged"
        );
        await Eventually.Is(
            async () => await stage.Database.Scalar<long>("select count(*) from sync.dead_letter") == 3,
            "three dead letters"
        );
        Assert.Equal(
            "schema schema unknown-system",
            await stage.Database.Scalar<string>(
                "select string_agg(reason_code, ' ' order by reason_code) from sync.dead_letter"
            )
        );
        Assert.Equal(
            0L,
            await stage.Database.Scalar<long>("select count(*) from sync.dead_letter where reason like '%Secretta%'")
        );
    }

    [Fact]
    public async Task Every_fault_of_settings_and_mapping_is_named_at_once_and_the_start_refused()
    {
        var logs = new CapturedLogs();
        var builder = Builder(
            new Dictionary<string, string?>
            {
                ["Product:Mode"] = "sideways",
                ["Sync:Config"] = Path.Combine(Repository.Root, "no-such-folder"),
            },
            logs
        );

        Assert.Equal(SyncProcess.Refused, await SyncProcess.Run(builder, []));

        var faults = logs.Of(4162).Select(l => l.Text).ToList();
        Assert.All(
            (string[])["PRODUCT__MODE", "systems.json", "fields.json", "DATABASE__URL", "KAFKA__BOOTSTRAP"],
            name => Assert.Contains(faults, f => f.Contains(name, StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task A_product_that_is_only_read_is_said_at_start()
    {
        await using var stage = await Stage.Set(("Product:Mode", "one-way"));

        Assert.Single(stage.Logs.Of(1001));
        Assert.Contains("one-way", Assert.Single(stage.Logs.Of(1000)).Text, StringComparison.Ordinal);
    }

    /// <summary>The orchestrator reads what the product sends, whichever way it says it, and keeps what it cannot read whole.</summary>
    [Fact]
    public async Task A_structured_event_is_followed_and_an_unreadable_one_is_kept_as_it_came()
    {
        await using var stage = await Stage.Set();
        using var reader = new KafkaReader(stage.Kafka.BootstrapServers, Partitions, Topics.Commands("billing"));
        const string broken = """{"specversion":"1.0","type":"product.customer.created.v1","id":"2","source":"shop"}""";

        await stage.ProduceRaw(
            Topics.Customers,
            "c-1",
            """{"specversion":"1.0","type":"product.customer.created.v1","id":"5b9d2b0e-2d6a-4a43-9c3e-1f3f8d0a7c11","source":"shop","data":{"customerId":"c-1","revision":1,"customer":{"name":"Ann","email":null,"phone":null}}}""",
            new() { ["content-type"] = "application/cloudevents+json" }
        );
        await stage.ProduceRaw(
            Topics.Customers,
            "c-1",
            broken,
            new() { ["content-type"] = "application/cloudevents+json" }
        );

        await Eventually.Is(
            async () => await stage.Database.Scalar<long>("select count(*) from sync.dead_letter") == 1,
            "one of them is kept"
        );
        var command = Assert.Single(await reader.Read(1));
        Assert.Equal(("c-1", "5b9d2b0e-2d6a-4a43-9c3e-1f3f8d0a7c11"), (command.Key, command.Header("ce_causationid")));
        Assert.Equal(
            $"bad-cloudevent {broken} 1",
            await stage.Database.Scalar<string>(
                "select concat_ws(' ', reason_code, convert_from(value, 'UTF8'), jsonb_array_length(headers)) from sync.dead_letter"
            )
        );
    }

    [Fact]
    public async Task A_product_with_json_of_its_own_is_read_from_its_own_topic_and_never_asked()
    {
        const string topic = "shop.people";
        await using var stage = await Stage.SetWith(
            topic,
            """
            { "topic": "shop.people", "key": "any", "id": "person", "revision": "at", "absent": "empty",
              "type": { "from": "header:kind", "created": ["joined"], "updated": ["changed"], "deleted": ["left"], "ignored": ["seen"] },
              "fields": { "name": "names.0", "email": "mail" } }
            """,
            ("Product:Format", "plain"),
            ("Product:Mode", "one-way")
        );
        using var reader = new KafkaReader(stage.Kafka.BootstrapServers, Partitions, Topics.Commands("billing"));
        Task Send(string kind, string body) => stage.ProduceRaw(topic, "any key", body, new() { ["kind"] = kind });

        await Send(
            "joined",
            """{"person":"p-1","at":"2026-01-02T03:04:05Z","names":["Ann"],"mail":"ann@example.com"}"""
        );
        await Send("seen", """{"whatever":1}""");
        await Send("changed", """{"person":"p-1","at":"2026-01-02T03:04:04Z","names":["Old"]}""");
        await Send("changed", """{"person":"p-1","at":"soon","names":["Ann"]}""");
        var command = Assert.Single(await reader.Read(1));
        Assert.Equal("p-1", command.Key);
        Assert.Contains("\"name\":\"Ann\"", command.Value, StringComparison.Ordinal);

        await Send("changed", """{"person":"p-1","at":"2026-01-02T03:04:06Z","names":["Ann"]}""");
        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<long>(
                    "select count(*) from sync.customer where customer_id = 'p-1' and golden ->> 'email' is null"
                ) == 1,
            "what the product left out is empty"
        );
        // Neither waits for the other: they may be of different partitions.
        await Eventually.Is(
            async () =>
                await stage.Database.Scalar<string>(
                    "select coalesce(string_agg(reason_code, ' '), '') from sync.dead_letter"
                ) == "schema",
            "the record without a time is a dead letter"
        );
        Assert.Equal(
            0L,
            await stage.Database.Scalar<long>(
                $"select count(*) from sync.outbox where topic = '{Topics.CustomerCommands}'"
            )
        );
    }

    [Fact]
    public async Task Json_of_its_own_makes_a_product_one_way_and_its_map_is_checked_with_all_settings()
    {
        var config = Directory.CreateTempSubdirectory("sync-mapping-").FullName;
        try
        {
            foreach (var file in (string[])["systems.json", "fields.json"])
                File.Copy(Path.Combine(Repository.Root, "config", file), Path.Combine(config, file));
            var logs = new CapturedLogs();
            Task<int> Start() =>
                SyncProcess.Run(
                    Builder(
                        new Dictionary<string, string?> { ["Product:Format"] = "plain", ["Sync:Config"] = config },
                        logs
                    ),
                    []
                );

            Assert.Equal(SyncProcess.Refused, await Start());
            await File.WriteAllTextAsync(
                Path.Combine(config, "product.json"),
                """{ "id": "", "revision": "", "type": { "from": "t", "updated": ["u"] }, "fields": { "name": "n" } }"""
            );
            Assert.Equal(SyncProcess.Refused, await Start());

            var faults = logs.Of(4162).Select(l => l.Text).ToList();
            Assert.All(
                (string[])
                    [
                        "PRODUCT__MODE: must be one-way with PRODUCT__FORMAT=plain",
                        "product.json: cannot be read",
                        "product.json: id: is empty",
                        "product.json: revision: is empty",
                        "KAFKA__BOOTSTRAP",
                    ],
                part => Assert.Contains(faults, f => f.Contains(part, StringComparison.Ordinal))
            );
        }
        finally
        {
            Directory.Delete(config, recursive: true);
        }
    }

    static HostApplicationBuilder Builder(IDictionary<string, string?> settings, CapturedLogs logs)
    {
        var builder = SyncProcess.CreateBuilder(
            [],
            new ProcessIdentity("orchestrator", OrchestratorDb.Schema, Groups.Orchestrator)
        );
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(logs);
        builder.Services.AddOrchestrator();
        return builder;
    }

    internal sealed class Stage : IAsyncDisposable
    {
        readonly IHost _host;
        readonly IProducer<byte[], byte[]> _producer;
        readonly string _config;

        Stage(TestPostgres database, EmbeddedKafka kafka, IHost host, CapturedLogs logs, string config)
        {
            Database = database;
            Kafka = kafka;
            _host = host;
            Logs = logs;
            _config = config;
            _producer = new ProducerBuilder<byte[], byte[]>(
                new ProducerConfig
                {
                    BootstrapServers = kafka.BootstrapServers,
                    Partitioner = Partitioner.Murmur2Random,
                }
            ).Build();
        }

        public TestPostgres Database { get; }
        public EmbeddedKafka Kafka { get; }
        public CapturedLogs Logs { get; }
        public IServiceProvider Services => _host.Services;

        public static Task<Stage> Set(params (string Name, string Value)[] settings) =>
            SetWith(Topics.Customers, null, settings);

        /// <param name="product">The product's topic.</param>
        /// <param name="map">What product.json says.</param>
        public static async Task<Stage> SetWith(
            string product,
            string? map,
            params (string Name, string Value)[] settings
        )
        {
            var config = Directory.CreateTempSubdirectory("sync-mapping-").FullName;
            await File.WriteAllTextAsync(
                Path.Combine(config, "systems.json"),
                """
                [ { "name": "product", "fields": { "name": { "to": "name" }, "email": { "to": "email" }, "phone": { "to": "phone" } } },
                  { "name": "billing", "fields": { "name": { "to": "name" }, "email": { "to": "email" } } },
                  { "name": "crm", "fields": { "name": { "to": "Name" }, "phone": { "to": "Phone" } } } ]
                """
            );
            await File.WriteAllTextAsync(Path.Combine(config, "fields.json"), "[]");
            if (map is not null)
                await File.WriteAllTextAsync(Path.Combine(config, "product.json"), map);
            var database = await TestPostgres.Create();
            var kafka = new EmbeddedKafka(
                [
                    product,
                    Topics.CustomerCommands,
                    Topics.Requests,
                    Topics.DeadLetters,
                    Topics.Reports("billing"),
                    Topics.Commands("billing"),
                    Topics.Reports("crm"),
                    Topics.Commands("crm"),
                ],
                Partitions
            );
            var logs = new CapturedLogs();
            var builder = Builder(
                new Dictionary<string, string?>
                {
                    ["Kafka:Bootstrap"] = kafka.BootstrapServers,
                    ["Kafka:Embedded"] = "true",
                    ["Kafka:Partitions"] = $"{Partitions}",
                    ["Database:Url"] = database.ConnectionString,
                    ["Database:MigrateAtStart"] = "true",
                    ["Sync:Replica"] = "a",
                    ["Sync:Config"] = config,
                },
                logs
            );
            builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value));
            var host = builder.Build();
            await host.StartAsync(TestContext.Current.CancellationToken);
            return new(database, kafka, host, logs, config);
        }

        public Task Produce(string topic, string key, string type, string body) =>
            _producer.ProduceAsync(
                topic,
                new Message<byte[], byte[]>
                {
                    Key = Encoding.UTF8.GetBytes(key),
                    Value = Encoding.UTF8.GetBytes(body),
                    Headers = new()
                    {
                        { "ce_specversion", "1.0"u8.ToArray() },
                        { "ce_id", Encoding.UTF8.GetBytes(Guid.NewGuid().ToString()) },
                        { "ce_type", Encoding.UTF8.GetBytes(type) },
                        { "ce_source", "test"u8.ToArray() },
                        { "ce_time", "2026-01-02T03:04:05.000Z"u8.ToArray() },
                        { "content-type", "application/json"u8.ToArray() },
                    },
                }
            );

        public Task ProduceRaw(string topic, string key, string body, Dictionary<string, string> headers)
        {
            var record = new Message<byte[], byte[]>
            {
                Key = Encoding.UTF8.GetBytes(key),
                Value = Encoding.UTF8.GetBytes(body),
                Headers = [],
            };
            foreach (var (name, value) in headers)
                record.Headers.Add(name, Encoding.UTF8.GetBytes(value));
            return _producer.ProduceAsync(topic, record);
        }

        public async ValueTask DisposeAsync()
        {
            await _host.StopAsync();
            _host.Dispose();
            _producer.Dispose();
            Kafka.Dispose();
            await Database.DisposeAsync();
            Directory.Delete(_config, recursive: true);
        }
    }
}

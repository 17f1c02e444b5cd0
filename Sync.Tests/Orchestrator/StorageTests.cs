using System.Text;
using CsCheck;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sync.Contracts;
using Sync.Contracts.Systems;
using Sync.Messaging.Hosting;
using Sync.Messaging.Sagas;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.Storage;
using Sync.Tests.Support;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

public sealed class StorageTests
{
    static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    /// <summary>A row of the first release, kept as it was written.</summary>
    const string OldSystems = """
        {"v": 1, "systems": {"crm": {"ext": "crm-1", "gen": 2, "obs": 17, "gone": false, "base": {"name": "ANN", "email": null},
         "at": {"name": "Ann", "email": null}, "brake": "held", "refused": {"phone": "1"}, "linked": true, "reached": 4,
         "idOnObject": true, "sent": {"id": "0b6f0d4c-8f0a-4f0e-8a3e-7f6f7b0f6a52", "gen": 2, "rev": 5, "op": "update",
         "ext": "crm-1", "write": {"name": "Bea"}, "expect": {"name": "ANN"}, "attempt": 3,
         "dueAt": "2026-01-02T03:04:05+00:00", "changedAt": "2026-01-02T03:00:00+00:00"}},
         "product": {"obs": 9, "linked": true}}}
        """;

    [Fact]
    public void A_row_of_an_older_release_is_read()
    {
        var systems = StateJson.Systems(OldSystems);

        var crm = systems["crm"];
        Assert.Equal(("crm-1", 2, 17L, "held", 4L), (crm.Ext, crm.Gen, crm.Obs, crm.Brake, crm.Reached));
        Assert.True(crm.Linked && crm.IdOnObject && !crm.Gone);
        Assert.Equal("ANN", crm.Base["name"]);
        Assert.True(crm.Base.ContainsKey("email"));
        Assert.Equal("1", crm.Refused["phone"]);
        var sent = crm.Sent!;
        Assert.Equal((Operation.Update, 3, 5L, "Bea"), (sent.Op, sent.Attempt, sent.Rev, sent.Write["name"]));
        Assert.Equal(Now, sent.DueAt);
        // What that release did not write yet has its default.
        Assert.Equal((9L, 0, true), (systems["product"].Obs, systems["product"].Gen, systems["product"].Linked));
        Assert.Empty(systems["product"].Base);
        Assert.Equal("Ann", StateJson.Fields("""{"v":1,"fields":{"name":"Ann"}}""")["name"]);
        Assert.Equal(
            "Oslo",
            StateJson.Held("""{"v":1,"fields":{"address.city":{"golden":"Oslo"}}}""")["address.city"]["golden"]
        );
    }

    [Fact]
    public void A_row_of_a_later_release_is_refused_instead_of_half_understood()
    {
        var fault = Assert.Throws<InvalidOperationException>(() =>
            StateJson.Fields("""{"v":2,"fields":{"name":"Ann"}}""")
        );

        Assert.Contains("version 2", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_state_survives_its_column()
    {
        var text = Gen.String.Select(s => s.Replace("\0", "", StringComparison.Ordinal)).Where(IsText);
        var values = Gen.Select(text, text.Null())
            .Array[0, 5]
            .Select(pairs => new Values(pairs.Select(p => KeyValuePair.Create(p.Item1, p.Item2))));
        var state = Gen.Select(values, values, values, Gen.Long, Gen.Int[0, 9], Gen.Bool, text.Null())
            .Select(
                (b, at, refused, obs, gen, flag, ext) =>
                    new SystemState
                    {
                        Base = b,
                        At = at,
                        Refused = refused,
                        Obs = obs,
                        Gen = gen,
                        Gone = flag,
                        Linked = !flag,
                        Ext = ext,
                        Brake = flag ? BrakeReasons.Held : null,
                        Sent = flag
                            ? null
                            : new SentCommand
                            {
                                Id = Guid.Empty,
                                Op = Operation.Update,
                                Write = at,
                                Expect = b,
                                Attempt = gen,
                                DueAt = Now,
                            },
                    }
            );

        state.Sample(
            system =>
            {
                SortedDictionary<string, SystemState> systems = new(StringComparer.Ordinal) { ["crm"] = system };
                var json = StateJson.Systems(systems);
                Assert.Equal(json, StateJson.Systems(StateJson.Systems(json)));
                Assert.Equal(system.Base, StateJson.Systems(json)["crm"].Base);
                Assert.Equal(system.Sent?.Write, StateJson.Systems(json)["crm"].Sent?.Write);
            },
            iter: 500
        );
    }

    [Fact]
    public async Task A_customer_and_an_object_survive_the_kernel_s_statements()
    {
        await using var stage = await Stage.Set();
        await using var story = await Scenario.InStep(null, ("address.city", "Ångström \"quoted\" \\ ☃"));
        await story.Snapshot(("name", "Bea"), ("email", "ann@example.com"), ("phone", "Ab1"), ("address.city", "Oslo"));
        await story.Edit(Crm, ("address.city", "Kyiv"));
        var customer = story.Customer;
        customer.DueToken = Guid.NewGuid();
        var found = new FoundObject
        {
            CorrelationId = CustomerIds.ObjectId(Crm, "crm-7"),
            CurrentState = "Parked",
            System = Crm,
            Ext = "crm-7",
            Fields = new() { ["name"] = "Ann" },
            Reason = "unmatched",
            Since = Now,
        };

        foreach (var saga in (object[])[customer, found])
        {
            var table = SagaTable.From(stage.Model, saga.GetType());
            var id = ((MassTransit.ISaga)saga).CorrelationId;
            var row = new SagaRow(id, table.Read(saga), 1);
            await stage.Execute(table.Insert([row]));
            var loaded = await stage.Load(table, id);
            // Read back and written again, it is the same: a message that changes nothing causes no write.
            Assert.True(table.Same(row.Columns, table.Read(table.Materialize(id, loaded.Columns))));
            await stage.Execute(table.Update([row]));
            Assert.Equal(2, (await stage.Load(table, id)).Version);
        }

        Assert.Equal(
            States.Text(customer),
            States.Text(
                (CustomerSync)
                    SagaTable
                        .From(stage.Model, typeof(CustomerSync))
                        .Materialize(
                            customer.CorrelationId,
                            (
                                await stage.Load(
                                    SagaTable.From(stage.Model, typeof(CustomerSync)),
                                    customer.CorrelationId
                                )
                            ).Columns
                        )
            )
        );
    }

    [Fact]
    public async Task A_timeline_row_is_written_as_it_is_and_in_order()
    {
        await using var stage = await Stage.Set();
        var entries = Enumerable
            .Range(1, 50)
            .Select(i => new TimelineEntry
            {
                At = Now.AddSeconds(i),
                CorrelationId = CustomerIds.CorrelationId("c-1"),
                CustomerId = "c-1",
                Revision = i,
                Code = Codes.Reported,
                System = i % 2 == 0 ? Crm : null,
                Direction = i % 2 == 0 ? Direction.In : Direction.Out,
                Paths = i % 3 == 0 ? [] : ["name", "attributes.a,b \"c\" \\ {}"],
                ExternalId = "crm-1",
                Reason = i % 2 == 0 ? "said 'so'; drop table sync.timeline" : null,
                MessageId = Guid.NewGuid(),
                Calls = i % 2 == 0 ? 0.005 : null,
                DurationMs = i % 2 == 0 ? i : null,
                TraceId = "4bf92f3577b34da6a3ce929d0e0e4736",
            })
            .ToList();

        await using (var connection = await stage.Database.DataSource.OpenConnectionAsync())
            await new TimelineWriter().Write(entries, connection, CancellationToken.None);

        await using var db = stage.Context();
        var rows = await db.Timeline.OrderBy(t => t.Id).ToListAsync();
        Assert.Equivalent(entries, rows.Select(r => r with { Id = 0 }), strict: true);
    }

    /// <summary>Dozens of people are erased in one batch, beside a list of a million objects.</summary>
    [Fact]
    public async Task The_rows_of_a_person_are_found_by_indexes()
    {
        await using var stage = await Stage.Set();
        // Of a dead letter's key a stranger decides; this one is longer than a row of a B-tree, and cannot be made shorter.
        await stage.Rows(
            """
            insert into sync.dead_letter (id, direction, consumer_group, key, reason_code, reason)
            select gen_random_uuid(), 'in', 'g', case when n > 1 then convert_to('c-' || n, 'UTF8')
                     else (select string_agg(sha512(convert_to(i::text, 'UTF8')), ''::bytea) from generate_series(1, 100) i) end,
                   'schema', 'x'
              from generate_series(1, 5000) n;
            insert into sync.schedule (token, due_at, topic, key, headers, body)
            select gen_random_uuid(), now(), 't', convert_to('c-' || n, 'UTF8'), '', '' from generate_series(1, 5000) n;
            insert into sync.comparison (id, system, kind, apply, requested_by, asked_at)
            values ('00000000-0000-0000-0000-000000000001', 'crm', 'import', false, 'kim', now());
            insert into sync.comparison_finding (comparison_id, subject, correlation_id, customer_id, email_key, class)
            select '00000000-0000-0000-0000-000000000001', 'object:' || n, gen_random_uuid(), 'c-' || n,
                   sha256(convert_to(n::text, 'UTF8')), 'create'
              from generate_series(1, 20000) n;
            analyze sync.dead_letter, sync.schedule, sync.comparison_finding
            """
        );

        string[] values =
        [
            "'c-7'::bytea",
            "array['c-7'::bytea, 'crm-7'::bytea]",
            "gen_random_uuid()",
            "now()",
            "'c-7'",
            "null::uuid",
            "array['00000000-0000-0000-0000-000000000007'::uuid]",
        ];
        var sql = ErasureWriter.Sql;
        for (var i = 0; i < values.Length; i++)
            sql = sql.Replace($"${i + 1}", values[i], StringComparison.Ordinal);
        var plan = await stage.Rows("explain " + sql);

        Assert.All(
            (string[])
                [
                    "dead_letter_key",
                    "schedule_key",
                    "comparison_finding_customer",
                    "comparison_finding_object",
                    "comparison_finding_email",
                ],
            index => Assert.Contains(plan, line => line.Contains($" {index} ", StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task The_migration_makes_what_the_model_says_and_takes_it_back()
    {
        await using var stage = await Stage.Set();
        await using var db = stage.Context();

        Assert.False(db.Database.HasPendingModelChanges());

        await Microsoft
            .EntityFrameworkCore.Infrastructure.AccessorExtensions.GetService<Microsoft.EntityFrameworkCore.Migrations.IMigrator>(
                db.Database
            )
            .MigrateAsync("0");
        Assert.Equal(
            0L,
            await stage.Database.Scalar<long>(
                "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('sync', 'dashboard') and c.relname not like '%migrations_history%'"
            )
        );
        await db.Database.MigrateAsync();
    }

    /// <summary>A replica whose clock is behind wrote of deletions that others did not see, and each counted to its own fifty.</summary>
    [Theory]
    [InlineData("at = now() - interval '5 minutes'", true)]
    [InlineData("at = now() + interval '5 minutes'", true)]
    [InlineData("at = now() + interval '5 minutes', counted_at = now() - interval '2 minutes'", false)]
    // Written before there was a column for it.
    [InlineData("counted_at = null", true)]
    [InlineData("at = now() - interval '2 minutes', counted_at = null", false)]
    public async Task Deletions_are_counted_by_the_database_s_clock(string row, bool counts)
    {
        await using var stage = await Stage.Set();
        await stage.Rows(
            "insert into sync.timeline (at, correlation_id, revision, code, system, direction, paths) "
                + $"select now(), gen_random_uuid(), 1, '{Codes.DeletionSeen}', 'crm', 'in', array[]::text[] from generate_series(1, 3); "
                + $"update sync.timeline set {row}"
        );
        var vanished = new VanishedObjects(
            Microsoft.Extensions.Options.Options.Create(
                new Sync.Orchestrator.Brakes.CustomersOptions { DeletionBrake = 3 }
            )
        );
        await using var connection = await stage.Database.DataSource.OpenConnectionAsync(
            TestContext.Current.CancellationToken
        );

        var read = await vanished.Read(
            [
                new CustomerReported
                {
                    System = Crm,
                    CustomerId = "c-1",
                    Generation = 0,
                    Obs = 1,
                    Gone = true,
                },
            ],
            connection,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(counts, read.Single()!.IsTooMany());
    }

    [Fact]
    public async Task The_database_is_the_approved_one()
    {
        await using var stage = await Stage.Set();
        Approved.Matches("schema.txt", await stage.Dump());
    }

    [Fact]
    public async Task The_dashboard_shows_customers_and_what_waits_for_a_person_without_personal_data()
    {
        await using var stage = await Stage.Set();
        await using var story = await Scenario.InStep(TwoWay with { DeletionBrake = (_, _) => true });
        await story.Gone(Billing);
        await stage.Insert(story.Customer);
        await stage.Insert(
            new FoundObject
            {
                CorrelationId = CustomerIds.ObjectId(Crm, "crm-7"),
                CurrentState = "Parked",
                System = Crm,
                Ext = "crm-7",
                Fields = new() { ["name"] = "Ann" },
                CustomerId = "c-1",
                Reason = "second object of customer c-1",
                Since = Now,
            }
        );
        // The slot names this one: it only looks parked.
        await stage.Insert(
            new FoundObject
            {
                CorrelationId = CustomerIds.ObjectId(Crm, story.Customer.System(Crm).Ext!),
                CurrentState = "Parked",
                System = Crm,
                Ext = story.Customer.System(Crm).Ext!,
                CustomerId = "c-1",
                Reason = "duplicate of customer c-1",
                Since = Now,
            }
        );

        var customers = await stage.Rows("select * from dashboard.customers");
        var attention = await stage.Rows("select * from dashboard.attention order by kind");

        var customer = Assert.Single(customers);
        Assert.Contains("c-1|Live|1|", customer, StringComparison.Ordinal);
        Assert.Contains("\"externalId\": \"crm-1\"", customer, StringComparison.Ordinal);
        Assert.Contains("deletion-held billing", customer, StringComparison.Ordinal);
        Assert.Equal(2, attention.Count);
        Assert.StartsWith("customer|c-1||billing|deletion-held||", attention[0], StringComparison.Ordinal);
        Assert.Contains("spread", attention[0], StringComparison.Ordinal);
        Assert.StartsWith(
            "object|c-1|crm-7|crm|duplicate||second object of customer c-1|",
            attention[1],
            StringComparison.Ordinal
        );
        Assert.DoesNotContain(
            "Ann",
            string.Join('\n', [.. customers, .. attention]),
            StringComparison.OrdinalIgnoreCase
        );
    }

    [Fact]
    public async Task What_an_operator_ignored_of_an_object_is_shown_again_for_another_reason()
    {
        await using var stage = await Stage.Set();
        string[] reasons =
        [
            "ambiguous",
            "unanswered",
            "one-way",
            "unmatched",
            "duplicate of customer c-1",
            "unknown customer",
        ];
        foreach (var reason in reasons)
        {
            foreach (var ignored in (string?[])[null, reason, "another"])
                await stage.Insert(
                    new FoundObject
                    {
                        CorrelationId = CustomerIds.ObjectId(Crm, $"{reason} {ignored}"),
                        CurrentState = "Parked",
                        System = Crm,
                        Ext = $"{reason} {ignored}",
                        Reason = reason,
                        Ignored = ignored,
                        Candidates = reason == "ambiguous" ? ["c-1", "c-2"] : [],
                        Since = Now,
                    }
                );
        }

        var rows = await stage.Rows("select reason, detail, what_to_do from dashboard.attention order by 1");

        Assert.Equal(2 * reasons.Length, rows.Count);
        Assert.All(rows, row => Assert.Matches(@"^[a-z-]+\|.+\|.{20,}$", row));
        Assert.Contains(rows, row => row.StartsWith("ambiguous|ambiguous: c-1, c-2|", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.StartsWith("duplicate|", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.StartsWith("unknown-customer|", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_reason_for_attention_says_what_to_do()
    {
        await using var stage = await Stage.Set();
        var reasons = typeof(AttentionReasons).GetFields().Select(f => (string)f.GetRawConstantValue()!).ToList();
        foreach (var reason in reasons)
            await stage.Insert(
                new CustomerSync
                {
                    CorrelationId = CustomerIds.CorrelationId(reason),
                    CustomerId = reason,
                    CurrentState = "Live",
                    Attention = $"{reason} crm name,address.city",
                    Since = Now,
                }
            );

        var rows = await stage.Rows("select reason, system, paths, what_to_do from dashboard.attention");

        Assert.Equal(reasons.Count, rows.Count);
        Assert.All(rows, row => Assert.Matches(@"^[a-z-]+\|crm\|name,address\.city\|.{10,}$", row));
    }

    static bool IsText(string text)
    {
        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetByteCount(text);
            return true;
        }
        catch (EncoderFallbackException)
        {
            return false;
        }
    }

    sealed class Stage : IAsyncDisposable
    {
        readonly DbContextOptions<OrchestratorDb> _options;

        Stage(TestPostgres database)
        {
            Database = database;
            var options = new DbContextOptionsBuilder<OrchestratorDb>();
            options.UseSyncPostgres(database.DataSource, OrchestratorDb.Schema);
            _options = options.Options;
            using var context = Context();
            Model = context.Model;
        }

        public TestPostgres Database { get; }
        public Microsoft.EntityFrameworkCore.Metadata.IModel Model { get; }

        public static async Task<Stage> Set()
        {
            var stage = new Stage(await TestPostgres.Create());
            await using var db = stage.Context();
            await db.Database.MigrateAsync();
            return stage;
        }

        public OrchestratorDb Context() => new(_options);

        public Task Insert(object saga)
        {
            var table = SagaTable.From(Model, saga.GetType());
            return Execute(table.Insert([new(((MassTransit.ISaga)saga).CorrelationId, table.Read(saga), 1)]));
        }

        public async Task Execute(NpgsqlBatchCommand command)
        {
            await using var connection = await Database.DataSource.OpenConnectionAsync();
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(command);
            Assert.Equal(1, await batch.ExecuteNonQueryAsync());
        }

        public async Task<SagaRow> Load(SagaTable table, Guid id)
        {
            await using var connection = await Database.DataSource.OpenConnectionAsync();
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(table.Select([id]));
            await using var reader = await batch.ExecuteReaderAsync();
            Assert.True(await reader.ReadAsync());
            return table.ReadRow(reader);
        }

        public async Task<List<string>> Rows(string sql)
        {
            await using var command = Database.DataSource.CreateCommand(sql);
            await using var reader = await command.ExecuteReaderAsync();
            List<string> rows = [];
            while (await reader.ReadAsync())
                rows.Add(
                    string.Join(
                        '|',
                        Enumerable
                            .Range(0, reader.FieldCount)
                            .Select(i =>
                                reader.IsDBNull(i) ? ""
                                : reader.GetValue(i) is string[] array ? string.Join(',', array)
                                : reader.GetValue(i).ToString()
                            )
                    )
                );
            return rows;
        }

        public async Task<string> Dump()
        {
            string[] parts =
            [
                """
                    select 'table ' || table_schema || '.' || table_name || ' ' || column_name || ' ' || udt_name
                             || case is_nullable when 'NO' then ' not null' else '' end
                             || coalesce(' default ' || column_default, '')
                             || case is_identity when 'YES' then ' identity ' || lower(identity_generation) else '' end
                      from information_schema.columns join information_schema.tables using (table_schema, table_name)
                     where table_schema = 'sync' and table_type = 'BASE TABLE' order by table_name, ordinal_position
                    """,
                "select indexdef from pg_indexes where schemaname = 'sync' order by indexname",
                """
                    select 'function ' || p.oid::regprocedure || ' returns ' || pg_get_function_result(p.oid)
                      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'sync' order by 1
                    """,
                """
                    select 'view ' || c.relname || coalesce('.' || a.attname || ' ' || format_type(a.atttypid, null), '') || ': ' || d.description
                      from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
                      left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
                     where n.nspname = 'dashboard' and c.relkind = 'v' order by c.relname, d.objsubid
                    """,
                "select 'view ' || viewname || E'\\n' || definition from pg_views where schemaname = 'dashboard' order by viewname",
            ];
            var dump = new StringBuilder();
            foreach (var part in parts)
                dump.AppendLine(string.Join('\n', await Rows(part))).AppendLine();
            return dump.ToString();
        }

        public ValueTask DisposeAsync() => Database.DisposeAsync();
    }
}

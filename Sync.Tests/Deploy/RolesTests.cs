using Npgsql;
using Sync.Tests.Orchestrator;
using Sync.Tests.Support;

namespace Sync.Tests.Deploy;

/// <summary>
/// What <c>deploy/postgres/roles.sql</c> allows, asked of the server as each role. That it allows enough is what the tests of
/// the running processes show, which have these roles.
/// </summary>
public sealed class RolesTests(RolesTests.Installed installed) : IClassFixture<RolesTests.Installed>
{
    const string Tables = """
        select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('sync', 'stripe', 'salesforce') order by 1
        """;

    [Fact]
    public async Task A_dashboard_reads_every_view_and_no_table()
    {
        await using var dashboard = NpgsqlDataSource.Create(installed.Roles.Url(TestRoles.Dashboard));
        var views = await installed.Rows("select viewname from pg_views where schemaname = 'dashboard' order by 1");
        var tables = await installed.Rows(Tables);

        Assert.Contains("waiting", views);
        Assert.Contains("sync.customer", tables);
        foreach (var view in views)
            Assert.Null(await Refusal(dashboard, $"select * from dashboard.{view}"));
        Assert.Null(await Refusal(dashboard, "select * from dashboard.timeline('waiting')"));
        foreach (var table in tables)
            Assert.Equal((table, "42501"), (table, await Refusal(dashboard, $"select * from {table}")));
    }

    [Fact]
    public async Task A_dashboard_sees_no_personal_data()
    {
        var seen = new List<string>();
        foreach (var view in await installed.Rows("select viewname from pg_views where schemaname = 'dashboard'"))
            seen.AddRange(
                await installed.Rows($"select row_to_json(v)::text from dashboard.{view} v", TestRoles.Dashboard)
            );

        Assert.Contains(seen, row => row.Contains("refused", StringComparison.Ordinal));
        Assert.Contains(seen, row => row.Contains("cus_1", StringComparison.Ordinal));
        Assert.DoesNotContain(
            seen,
            row => row.Contains(OrchestratorDatabase.Personal, StringComparison.OrdinalIgnoreCase)
        );
    }

    [Fact]
    public async Task A_dashboard_can_neither_write_nor_wait_for_anybody()
    {
        await using var dashboard = NpgsqlDataSource.Create(installed.Roles.Url(TestRoles.Dashboard));

        // 25006: the session is read-only; 42501: and may not, if it were not.
        foreach (var begin in (string[])["", "set transaction_read_only = off; "])
        {
            Assert.True(Refused(await Refusal(dashboard, begin + "create table dashboard.mine (a int)")));
            Assert.True(Refused(await Refusal(dashboard, begin + "create temp table mine (a int)")));
            Assert.True(Refused(await Refusal(dashboard, begin + "delete from sync.customer")));
            Assert.True(Refused(await Refusal(dashboard, begin + "lock table sync.customer in share mode")));
            Assert.True(Refused(await Refusal(dashboard, begin + "select * from sync.customer for update")));
            Assert.True(Refused(await Refusal(dashboard, begin + "select sync.roll_up()")));
        }

        Assert.Equal(["1s"], await installed.Rows("show lock_timeout", TestRoles.Dashboard));
        Assert.Equal(["10s"], await installed.Rows("show statement_timeout", TestRoles.Dashboard));
    }

    [Theory]
    [InlineData(TestRoles.Orchestrator, "sync")]
    [InlineData(TestRoles.Stripe, "stripe")]
    [InlineData(TestRoles.Salesforce, "salesforce")]
    public async Task A_process_reads_and_writes_its_own_rows_and_touches_nobody_else_s(string role, string schema)
    {
        var rights = await installed.Rows(
            $"""
            select format('%I.%I', schemaname, tablename) || ' ' || string_agg(p, ',' order by p)
              from pg_tables, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) p
             where schemaname in ('sync', 'stripe', 'salesforce')
               and has_table_privilege('{installed.Roles.Name(role)}', format('%I.%I', schemaname, tablename), p)
             group by schemaname, tablename order by schemaname, tablename
            """
        );
        var own = (await installed.Rows(Tables))
            .Where(t => t.StartsWith(schema + ".", StringComparison.Ordinal))
            .ToList();
        Assert.Contains($"{schema}.migrations_history", own);
        // How far migrations went is the owner's to write.
        Assert.Equal(
            own.Select(t => t == $"{schema}.migrations_history" ? $"{t} SELECT" : $"{t} DELETE,INSERT,SELECT,UPDATE")
                .Order(),
            rights.Order()
        );

        await using var process = NpgsqlDataSource.Create(installed.Roles.Url(role));
        foreach (var other in (string[])["sync.customer", "stripe.link", "salesforce.link"])
            Assert.Equal(
                other.StartsWith(schema + ".", StringComparison.Ordinal) ? null : "42501",
                await Refusal(process, $"select * from {other}")
            );
        Assert.Equal("42501", await Refusal(process, $"create table {schema}.mine (a int)"));
        Assert.Equal("42501", await Refusal(process, $"drop table {schema}.outbox"));
        Assert.Equal("42501", await Refusal(process, "create schema mine"));
        Assert.Equal("42501", await Refusal(process, "create table public.mine (a int)"));
        Assert.Null(await Refusal(process, $"select {schema}.claim_partitions('g', 'c', '{{}}', '{{}}', '{{}}', 'o')"));
    }

    [Fact]
    public async Task An_operator_reads_every_process_s_rows_and_makes_no_tables()
    {
        await using var people = NpgsqlDataSource.Create(installed.Roles.Url(TestRoles.Operator));
        foreach (var table in await installed.Rows(Tables))
            Assert.Null(await Refusal(people, $"select * from {table}"));
        Assert.Null(await Refusal(people, "select * from dashboard.attention"));
        Assert.Equal("42501", await Refusal(people, "create table sync.mine (a int)"));
    }

    [Fact]
    public async Task The_script_may_run_again_and_takes_over_an_installation_of_before()
    {
        await installed.Roles.Postgres.Execute(
            "create table stripe.of_before (a int); create view dashboard.of_before as select a from stripe.of_before"
        );
        await installed.Roles.Script();

        Assert.Equal(
            [installed.Roles.Name("owner")],
            await installed.Rows(
                "select distinct relowner::regrole::text from pg_class where relnamespace in ('sync'::regnamespace, 'stripe'::regnamespace, 'salesforce'::regnamespace, 'dashboard'::regnamespace) and relkind in ('r', 'v')"
            )
        );
        Assert.Equal(["0"], await installed.Rows("select count(*) from dashboard.of_before", TestRoles.Dashboard));
        // What the script takes from everybody, the views' readers keep.
        foreach (var view in await installed.Rows("select viewname from pg_views where schemaname = 'dashboard'"))
            Assert.Single(await installed.Rows($"select count(v) from dashboard.{view} v", TestRoles.Dashboard));
        await installed.Roles.Postgres.Execute("drop view dashboard.of_before; drop table stripe.of_before");
    }

    static bool Refused(string? state) => state is "42501" or "25006";

    /// <summary>The code by which PostgreSQL refuses it; null where it does it. Nothing is kept.</summary>
    static async Task<string?> Refusal(NpgsqlDataSource role, string sql)
    {
        await using var connection = await role.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        try
        {
            await using var command = connection.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
            return null;
        }
        catch (PostgresException refused)
        {
            return refused.SqlState;
        }
    }

    public sealed class Installed : IAsyncLifetime
    {
        public TestRoles Roles { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Roles = await TestRoles.Create();
            await OrchestratorDatabase.On(Roles.Postgres).InsertOneOfEach();
            await Roles.Postgres.Execute(
                $"""
                insert into stripe.link (lane, ext, version, due_at, last) values ('customer:c-1', 'cus_1', 1, now(), jsonb_build_object('name', '{OrchestratorDatabase.Personal}'));
                insert into stripe.work (id, lane, kind, body) values (gen_random_uuid(), 'customer:c-1', 'hint', jsonb_build_object('name', '{OrchestratorDatabase.Personal}'));
                insert into salesforce.dead_letter (id, direction, consumer_group, key, value, reason_code, reason)
                values (gen_random_uuid(), 'in', 'g', '{OrchestratorDatabase.Personal}', '{OrchestratorDatabase.Personal}', 'bad-key', 'no id');
                """
            );
        }

        public ValueTask DisposeAsync() => Roles.DisposeAsync();

        public async Task<List<string>> Rows(string sql, string? role = null)
        {
            await using var source = NpgsqlDataSource.Create(
                role is null ? Roles.Postgres.ConnectionString : Roles.Url(role)
            );
            await using var command = source.CreateCommand(sql);
            await using var reader = await command.ExecuteReaderAsync();
            List<string> rows = [];
            while (await reader.ReadAsync())
                rows.Add($"{reader.GetValue(0)}");
            return rows;
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Commands;
using Sync.Orchestrator.Comparing;
using Sync.Orchestrator.Customers;
using Sync.Tests.Adapters;
using Sync.Tests.Support;
using static Sync.Tests.Orchestrator.TestRules;

namespace Sync.Tests.Orchestrator;

/// <summary>Import and reconcile, from the command line through a running orchestrator to an adapter that the test plays.</summary>
public sealed class ComparingTests(CommandLineStage stage) : IClassFixture<CommandLineStage>
{
    // ---- one object, judged ----

    static async Task<CustomerSync> Customer(bool free = false)
    {
        await using var story = await Scenario.InStep(null, ("name", "Ann"), ("email", "ann@example.com"));
        if (free)
            story.Customer.System(Crm).BeginLife(ext: null);
        return story.Customer;
    }

    static ListedObject Object(
        string ext,
        string? id = null,
        string? name = null,
        string? email = null,
        string system = Crm
    ) =>
        new()
        {
            ExternalId = ext,
            CustomerId = id,
            Fields = Config
                .System(system)
                .Fields.Keys.ToDictionary(
                    f => f,
                    f =>
                        f == "name" ? name
                        : f == "email" ? email
                        // As every customer of a scenario has it, in this system's form.
                        : f == "phone" ? Scenario.Form(system, f, "Ab1")
                        : null
                ),
        };

    static Finding Judge(
        ListedObject o,
        CustomerSync? carried,
        CustomerSync[]? candidates = null,
        bool oneWay = false
    ) =>
        Judging.Judge(
            Crm,
            o,
            carried,
            candidates ?? [],
            oneWay ? OneWay : TwoWay,
            new(DateTimeOffset.UnixEpoch, Guid.NewGuid)
        );

    [Fact]
    public async Task An_object_without_an_id_is_judged_by_its_e_mail()
    {
        var stranger = Object("x", name: "Other", email: "ann@example.com");

        var create = Judge(stranger, null);
        Assert.Equal(FindingClasses.Create, create.Class);
        Assert.Equal(["billing create 1", "crm read 1", "crm update 1", "product create 1"], Asked(create));
        var link = Judge(stranger, null, [await Customer(free: true)]);
        Assert.Equal((FindingClasses.Link, Scenario.Id), (link.Class, link.CustomerId));
        Assert.Equal(["name"], link.Paths);

        Assert.Equal(FindingClasses.Duplicate, Judge(stranger, null, [await Customer()]).Class);
        Assert.Equal(
            FindingClasses.Ambiguous,
            Judge(stranger, null, [await Customer(free: true), await Customer(free: true)]).Class
        );
        Assert.Equal(FindingClasses.OneWay, Judge(stranger, null, oneWay: true).Class);
    }

    static IEnumerable<string> Asked(Finding finding) =>
        finding.Costs.Select(c => $"{c.Key} {c.Value}").Order(StringComparer.Ordinal);

    [Fact]
    public async Task An_object_that_carries_its_id_is_looked_at_twice_and_not_written_to_where_nothing_differs()
    {
        ListedObject Carrying(string name) => Object("x", Scenario.Id, name, "ann@example.com");

        Assert.Equal(["crm read 2"], Asked(Judge(Carrying("Ann"), await Customer(free: true))));
        Assert.Equal(["crm read 2", "crm update 1"], Asked(Judge(Carrying("Bea"), await Customer(free: true))));
        Assert.Equal(["crm read 2"], Asked(Judge(Carrying("Ann"), await Customer())));
        Assert.Equal(["crm read 2"], Asked(Judge(Carrying("Ann"), carried: null)));
    }

    /// <summary>An import leaves alone what is linked, whatever differs; a repair does not.</summary>
    [Fact]
    public async Task What_an_import_leaves_alone_costs_it_nothing()
    {
        await Insert("cost-1", "cost-1@example.com", c => c.Since = DateTimeOffset.UnixEpoch);
        var differing = Object("billing-cost-1", "cost-1", "Bea", "cost-1@example.com", Billing);

        var import = Json(stage.Run("import", "--from", "billing", "--dry-run", "--json", "--wait", "180"));
        await List(Billing, differing);
        var left = await import;
        var reconcile = Json(stage.Run("reconcile", "--system", "billing", "--json", "--wait", "180"));
        await List(Billing, differing);

        Assert.Contains(left["classes"]!.AsArray(), c => (string?)c!["class"] == "differs");
        Assert.Empty(left["calls"]!.AsArray());
        // A look at what differs, and an update.
        Assert.True((long)(await reconcile)["systems"]![0]!["mostCalls"]!["billing"]! >= 4);
    }

    [Fact]
    public async Task An_object_with_an_id_is_judged_by_that_customers_slot()
    {
        var customer = await Customer();
        var ext = customer.System(Crm).Ext!;
        ListedObject Carrying(string of, string? name = "Ann") => Object(of, Scenario.Id, name, "ann@example.com");

        Assert.Equal(FindingClasses.UnknownCustomer, Judge(Carrying("x"), null).Class);
        Assert.Equal(FindingClasses.Link, Judge(Carrying("x"), await Customer(free: true)).Class);
        Assert.Equal(FindingClasses.Duplicate, Judge(Carrying("x"), await Customer()).Class);
        // Its e-mail says somebody else; the id was written down.
        var other = await Customer(free: true);
        other.CustomerId = "other";
        Assert.Equal(Scenario.Id, Judge(Carrying("x"), await Customer(free: true), [other]).CustomerId);
        // Another form of the same value is no difference.
        Assert.Equal(FindingClasses.Same, Judge(Carrying(ext, " Ann "), await Customer()).Class);
        var differs = Judge(Carrying(ext, "Bea"), await Customer());
        Assert.Equal((FindingClasses.Differs, "name"), (differs.Class, string.Join(',', differs.Paths)));
    }

    [Fact]
    public async Task What_a_vendor_made_of_the_golden_value_is_no_drift_until_somebody_changes_one_of_the_two()
    {
        // The vendor cuts the name off, which no mapping says; it was written, read back and is known.
        var customer = await Customer();
        var state = customer.System(Crm);
        customer.Golden["name"] = state.At["name"] = "Ann of a long name";
        state.Base["name"] = "Ann of a";
        Finding Listed(string? name) => Judge(Object(state.Ext!, Scenario.Id, name, "ann@example.com"), customer);

        Assert.Equal(FindingClasses.Same, Listed("Ann of a").Class);
        // The view says the same of what the saga knows.
        Assert.DoesNotContain(FieldStanding.Of(customer, Config), f => f is { System: Crm, Differs: true });

        foreach (var edited in (string?[])["Ann of", "Bea", null])
            Assert.Equal(["name"], Listed(edited).Paths);
        customer.Golden["name"] = "Ann of another name";
        Assert.Equal(
            (FindingClasses.Differs, "name"),
            (Listed("Ann of a").Class, string.Join(',', Listed("Ann of a").Paths))
        );
    }

    [Fact]
    public async Task What_a_person_or_a_command_is_about_is_not_called_drift()
    {
        var waiting = await Customer();
        waiting.Golden["name"] = "Bea";
        waiting.System(Crm).Sent = new SentCommand { Op = Operation.Update };
        var ext = waiting.System(Crm).Ext!;
        var o = Object(ext, Scenario.Id, "Ann", "ann@example.com");
        Assert.Equal(FindingClasses.Waiting, Judge(o, waiting).Class);

        var refused = await Customer();
        refused.Golden["name"] = refused.System(Crm).Refused["name"] = "Bea";
        Assert.Equal(FindingClasses.Refused, Judge(o, refused).Class);

        var held = await Customer();
        held.Golden["name"] = "Bea";
        held.Held["name"] = new() { ["golden"] = "Bea", [Crm] = "Ann" };
        Assert.Equal(FindingClasses.Held, Judge(o, held).Class);

        var removed = await Customer();
        removed.CurrentState = nameof(Stage.Removed);
        removed.System(Crm).Brake = BrakeReasons.Kept;
        Assert.Equal(FindingClasses.Kept, Judge(o, removed).Class);
        Assert.Equal(FindingClasses.Removed, Judge(Object("other", Scenario.Id), removed).Class);
    }

    // ---- the whole way ----

    async Task<JsonNode> Json(Task<Printed> run)
    {
        var printed = await run;
        Assert.True(printed.ExitCode == 0, printed.Out + printed.Error);
        return JsonNode.Parse(printed.Out)!;
    }

    /// <summary>The adapter hears of a comparison and lists what the test says, in parts.</summary>
    async Task<Guid> List(string system, params ListedObject[] objects)
    {
        var id = await Asked(system);
        await TellAll(system, id, objects);
        return id;
    }

    /// <summary>The comparison of which the adapter has heard. Until somebody lists, it waits.</summary>
    async Task<Guid> Asked(string system)
    {
        var id = Guid.Parse(
            (
                await Eventually.Get(
                    () =>
                        stage.Database.Rows(
                            $"select id from sync.comparison where system = '{system}' and state = 'listing'"
                        ),
                    rows => rows.Count == 1,
                    "a comparison has begun"
                )
            )[0]
        );
        using var reader = new KafkaReader(
            stage.Kafka.BootstrapServers,
            CommandLineStage.Partitions,
            Topics.Commands(system)
        );
        await reader.Until(
            records => records.Any(r => r.Key == $"{id}" && r.Header("ce_type") == "sync.scan.request.v1"),
            "the adapter is asked to list"
        );
        return id;
    }

    async Task TellAll(string system, Guid id, ListedObject[] objects)
    {
        foreach (var part in objects.Chunk(3))
            await Tell(system, id, part);
        await Tell(system, id, [], done: true);
    }

    Task Tell(string system, Guid id, ListedObject[] objects, bool done = false) =>
        stage.Produce(
            Topics.Reports(system),
            $"{id}",
            "sync.objects.listed.v1",
            JsonSerializer.Serialize(
                new ObjectsListed
                {
                    System = system,
                    RequestId = id,
                    Objects = [.. objects],
                    Done = done,
                },
                Sync.Contracts.Json.ContractsJson.Default.ObjectsListed
            )
        );

    async Task Insert(string id, string email, Action<CustomerSync>? change = null)
    {
        await using var story = await Scenario.InStep(null, ("name", "Ann"), ("email", email));
        var customer = story.Customer;
        foreach (var system in Vendors)
            customer.System(system).Ext = $"{system}-{id}";
        change?.Invoke(customer);
        await stage.Database.Insert(id, customer);
    }

    /// <summary>All that a run may change; of the timers those of its own subjects, since a neighbour's end when they end.</summary>
    Task<List<string>> State(string subjects) =>
        stage.Database.Rows(
            $"""
            select (select count(*) from sync.customer), (select count(*) from sync.found_object),
                   (select count(*) from sync.timeline),
                   (select count(*) from sync.schedule where convert_from(key, 'UTF8') ~ '{subjects}'),
                   (select md5(string_agg(c::text, '' order by correlation_id)) from sync.customer c)
            """
        );

    [Fact]
    public async Task A_dry_run_says_what_an_import_would_do_and_cost_and_changes_nothing()
    {
        await Insert("dry-1", "dry-1@example.com", c => c.System(Crm).BeginLife(ext: null));
        await Insert("dry-2", "dry-2@example.com");
        using var commands = new KafkaReader(
            stage.Kafka.BootstrapServers,
            CommandLineStage.Partitions,
            [.. Config.Systems.Keys.Select(Topics.Commands)]
        );
        const string Mine = "^(o[1-6]|(crm-)?dry-[12]|crm-7|ghost)$";
        var before = await State(Mine);

        var run = Json(stage.Run("import", "--from", "crm", "--dry-run", "--json", "--wait", "180"));
        var id = await List(
            Crm,
            Object("o1", name: "Other", email: "DRY-1@example.com"),
            Object("o2", email: "dry-1@example.com"),
            Object("o3", name: "New", email: "new@example.com"),
            Object("o4", email: "new@example.com"),
            Object("o5", email: $"{OrchestratorDatabase.Personal}@example.com"),
            Object("o6", id: "ghost"),
            Object("crm-7"),
            Object("crm-dry-2", "dry-2", "Ann", "dry-2@example.com")
        );
        var said = await run;

        Assert.Equal(before, await State(Mine));
        var classes = said["classes"]!
            .AsArray()
            .ToDictionary(c => (string)c!["class"]!, c => (long)c!["objects"]!, StringComparer.Ordinal);
        Assert.Equal(
            new Dictionary<string, long>
            {
                ["ambiguous"] = 1,
                ["create"] = 1,
                ["duplicate"] = 2,
                ["link"] = 1,
                ["parked"] = 1,
                ["unknown-customer"] = 1,
            },
            classes.OrderBy(c => c.Key, StringComparer.Ordinal).ToDictionary()
        );
        Assert.Equal((8, 1), ((long)said["seen"]!, (long)said["same"]!));
        var calls = said["calls"]!.AsArray().Select(c => $"{c!["system"]} {c["operation"]} {c["mostCalls"]}").ToList();
        Assert.Equal(
            [
                // Who is created may be there: a look, and an update with a look before and after it.
                "billing create 4",
                // The object that carries an id is looked at twice.
                "crm read 7",
                // The one that is linked, and the one that a customer is made of.
                "crm update 6",
                "product create 1",
            ],
            calls
        );
        Assert.Equal((4L, 13L), ((long)said["mostCalls"]!["billing"]!, (long)said["mostCalls"]!["crm"]!));
        // The conflict: what the object says otherwise gives way to the golden record.
        Assert.Contains(
            said["findings"]!.AsArray(),
            f =>
                (string?)f!["class"] == "link"
                && (string?)f["paths"]![0] == "name"
                && (string?)f["customerId"] == "dry-1"
        );
        Assert.DoesNotContain("New", said.ToJsonString(), StringComparison.Ordinal);
        // They told which objects are one person's, and are of no use any more.
        Assert.Equal(
            ["0"],
            await stage.Database.Rows(
                $"select count(*) from sync.comparison_finding where comparison_id = '{id}' and email_key is not null"
            )
        );
        Assert.Equal(
            ["0"],
            await stage.Database.Rows(
                $"select count(*) from sync.comparison_finding where comparison_id = '{id}' and applied"
            )
        );
        // Vendors were asked for a list, and for nothing else.
        var asked = await commands.Until(r => r.Any(c => c.Key == $"{id}"), "the request");
        Assert.Equal(
            ["sync.scan.request.v1"],
            asked
                .Where(r =>
                    r.Offset >= 0 && (r.Key == $"{id}" || r.Key is "o1" or "o2" or "o3" or "o4" or "o5" or "o6")
                )
                .Select(r => r.Header("ce_type"))
        );
    }

    /// <summary>Comparing a whole list takes minutes of a large catalog; here it takes as long as the test holds it.</summary>
    [Fact]
    public async Task The_end_of_a_list_holds_no_customer_up()
    {
        await Insert("end-1", "end-1@example.com");
        var run = Json(stage.Run("reconcile", "--system", "crm", "--json", "--wait", "180"));
        var id = await Asked(Crm);
        await Tell(Crm, id, [Object("crm-end-1", "end-1", "Ann", "end-1@example.com")]);
        Task<List<string>> Run(string columns) =>
            stage.Database.Rows($"select {columns} from sync.comparison where id = '{id}'");
        await Eventually.Is(async () => (await Run("seen"))[0] == "1", "the part is judged");

        await using (var connection = await stage.Database.Postgres.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using var held = new NpgsqlCommand(
                "lock table sync.comparison_finding in exclusive mode",
                connection,
                transaction
            );
            await held.ExecuteNonQueryAsync();
            await Tell(Crm, id, [], done: true);
            await Eventually.Is(async () => (await Run("state"))[0] == "closing", "the list is whole");

            await stage.Produce(
                Topics.Customers,
                "end-2",
                "product.customer.updated.v1",
                """{"customerId":"end-2","revision":1,"customer":{"name":"Ann","email":"end-2@example.com","phone":null}}"""
            );
            await Eventually.Is(
                async () =>
                    (await stage.Database.Rows("select 1 from sync.customer where customer_id = 'end-2'")).Count == 1,
                "a customer goes on meanwhile"
            );
            Assert.Equal("closing", (await Run("state"))[0]);
        }

        Assert.Equal(1, (long)(await run)["systems"]![0]!["seen"]!);
    }

    /// <summary>A list is compared right after it was written, when the planner's statistics know nothing of it.</summary>
    [Fact]
    public async Task A_list_that_statistics_do_not_know_is_not_compared_row_by_row_with_itself()
    {
        await using var database = await OrchestratorDatabase.Create();
        var (before, id) = (Guid.NewGuid(), Guid.NewGuid());
        foreach (
            var (comparison, system, statistics) in ((Guid, string, string)[])
                [(before, "billing", "analyze sync.comparison_finding"), (id, "crm", "")]
        )
            await database.Postgres.Execute(
                $"""
                insert into sync.comparison (id, system, kind, apply, requested_by, asked_at, state)
                values ('{comparison}', '{system}', 'reconcile', false, 'test', now(), 'closing');
                insert into sync.comparison_finding (comparison_id, subject, external_id, class)
                select '{comparison}', 'object:' || n, n, 'same' from generate_series(1, 5000) n;
                {statistics}
                """
            );

        await using var connection = await database.Postgres.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ComparisonCloser.Prepare(connection, CancellationToken.None);
        foreach (
            var statement in ComparisonCloser.CloseSql.Where(s =>
                s.StartsWith("update sync.comparison_finding", StringComparison.Ordinal)
            )
        )
        {
            await using var explain = new NpgsqlCommand($"explain {statement}", connection);
            explain.Parameters.Add(new() { Value = id });
            if (statement.Contains("$2", StringComparison.Ordinal))
                explain.Parameters.Add(new() { Value = "crm" });
            List<string> plan = [];
            await using (var reader = await explain.ExecuteReaderAsync())
                while (await reader.ReadAsync())
                    plan.Add(reader.GetString(0));
            Assert.DoesNotContain("Nested Loop", string.Join('\n', plan), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_import_hands_every_strangers_object_over_once_and_says_what_became_of_it()
    {
        await Insert("imp-1", "imp-1@example.com", c => c.System(Crm).BeginLife(ext: null));
        await Insert("imp-2", "imp-2@example.com");
        ListedObject[] objects =
        [
            Object("i1", name: "Ann", email: "imp-1@example.com"),
            Object("i2", name: "New", email: "imported@example.com"),
            Object("i3", email: "imp-2@example.com"),
            Object("i4", email: $"{OrchestratorDatabase.Personal}@example.com"),
            Object("crm-imp-2", "imp-2", "Ann", "imp-2@example.com"),
        ];
        Assert.Equal(ExitCodes.Refused, (await stage.Run("import", "--from", "crm")).ExitCode);

        var first = stage.Run("import", "--from", "crm", "--yes", "--json", "--wait", "180");
        var id = await Asked(Crm);
        // Typed again while it goes on, it looks on at the same run.
        var again = await stage.Run("import", "--from", "crm", "--yes", "--json", "--wait", "1");
        Assert.Equal(ExitCodes.Pending, again.ExitCode);
        Assert.Contains($"{id}", again.Out, StringComparison.Ordinal);
        await TellAll(Crm, id, objects);
        using var reader = new KafkaReader(
            stage.Kafka.BootstrapServers,
            CommandLineStage.Partitions,
            Topics.Commands(Crm)
        );
        bool IsRead(KafkaRecord r) =>
            r.Header("ce_type") == "sync.object.read.v1" && r.Key.StartsWith('i') && r.Key.Length == 2;
        var reads = (await reader.Until(r => r.Count(IsRead) >= 4, "each is to be looked at")).Where(IsRead).ToList();
        Assert.All(reads, r => Assert.Equal("kim", (string?)JsonNode.Parse(r.Value)!["requestedBy"]));
        foreach (var o in objects.Where(o => reads.Exists(r => r.Key == o.ExternalId)))
            await stage.Produce(
                Topics.Reports(Crm),
                o.ExternalId,
                "sync.object.found.v1",
                JsonSerializer.Serialize(
                    new ObjectFound
                    {
                        System = Crm,
                        ExternalId = o.ExternalId,
                        Fields = o.Fields,
                        RequestedBy = "kim",
                    },
                    Sync.Contracts.Json.ContractsJson.Default.ObjectFound
                )
            );

        // Until the product agrees, nobody knows whose the new one is.
        var made = CustomerIds.Minted(Crm, "i2");
        using var product = new KafkaReader(
            stage.Kafka.BootstrapServers,
            CommandLineStage.Partitions,
            Topics.Commands("product")
        );
        var create = (await product.Until(r => r.Any(c => c.Key == made), "the product is asked")).Single(c =>
            c.Key == made
        );
        var command = (string?)JsonNode.Parse(create.Value)!["commandId"];
        await stage.Produce(
            Topics.Customers,
            made,
            "product.customer.updated.v1",
            $$$$"""{"customerId":"{{{{made}}}}","revision":1,"applied":{"commandId":"{{{{command}}}}","outcome":"done"},"customer":{"name":"New","email":"imported@example.com","phone":null,"address":{"city":null},"attributes":{}}}"""
        );

        var said = await Json(first);
        Assert.Equal(["i1", "i2", "i3", "i4"], reads.Select(r => r.Key).Order(StringComparer.Ordinal));
        Assert.Equal($"{id}", (string?)said["id"]);
        Assert.Equal(
            (2L, 2L, 0L),
            ((long)said["results"]!["linked"]!, (long)said["results"]!["parked"]!, (long)said["results"]!["asking"]!)
        );
        Assert.Equal(4, (long)said["applied"]!);
        Assert.Equal(
            ["crm-imp-2"],
            await stage.Database.Rows(
                "select systems #>> '{systems,crm,ext}' from sync.customer where customer_id = 'imp-2'"
            )
        );

        // Each object's history begins with who asked for the import.
        Assert.Equal(
            ["i1|kim", "i2|kim", "i3|kim", "i4|kim"],
            await stage.Database.Rows(
                """
                select distinct on (external_id) external_id, requested_by from dashboard.object_timeline
                 where system = 'crm' and external_id in ('i1', 'i2', 'i3', 'i4') order by external_id, at, message_id
                """
            )
        );

        // A late copy of what drives the run does nothing any more.
        await stage.Produce(
            Topics.Requests,
            $"{id}",
            "sync.request.apply-findings.v1",
            $$"""{"comparisonId":"{{id}}"}"""
        );
        await Tell(Crm, id, objects, done: true);
        await stage.Run("customer", "resync", "imp-2");
        Assert.Equal(["4"], await stage.Database.Rows($"select applied from sync.comparison where id = '{id}'"));
        Assert.Equal(4, (await reader.Until(_ => true, "all")).Count(IsRead));
    }

    /// <summary>What a killed process had sent may be sent once more, and lie beside its copy in one batch.</summary>
    [Fact]
    public async Task What_drives_a_run_acts_on_each_finding_once_however_often_it_comes()
    {
        await using var database = await OrchestratorDatabase.Create();
        var id = Guid.NewGuid();
        await database.Postgres.Execute(
            $"""
            insert into sync.comparison (id, system, kind, apply, requested_by, asked_at, state)
            values ('{id}', 'crm', 'import', true, 'kim', now(), 'applying');
            insert into sync.comparison_finding (comparison_id, subject, external_id, class, applied)
            select '{id}', 'object:' || ext, ext, 'create', ext = 'a' from unnest(array['a', 'b', 'c']) ext
            """
        );
        await using var connection = await database.Postgres.DataSource.OpenConnectionAsync();
        await using var batch = await connection.BeginTransactionAsync();

        // Side by side, and in a later round of the batch.
        var pieces = new List<Piece?>();
        foreach (
            var round in (ApplyFindings[][])
                [
                    [new() { ComparisonId = id }, After("a")],
                    [After("a")],
                ]
        )
            pieces.AddRange(await new NextPiece().Read(round, connection, TestContext.Current.CancellationToken));
        await batch.RollbackAsync();
        await using var next = await connection.BeginTransactionAsync();
        var again = await new NextPiece().Read([After("b")], connection, TestContext.Current.CancellationToken);

        Assert.Equal(["b", "c"], pieces.OfType<Piece>().SelectMany(piece => piece.Findings).Select(f => f.ExternalId));
        Assert.Equal("c", Assert.Single(Assert.Single(again)!.Findings).ExternalId);

        ApplyFindings After(string ext) => new() { ComparisonId = id, After = $"object:{ext}" };
    }

    [Fact]
    public async Task Reconcile_tells_drift_by_class_and_mends_it_by_the_ordinary_way_only_when_asked()
    {
        foreach (var name in (string[])["same", "differs", "bare", "missing"])
            await Insert($"rec-{name}", $"rec-{name}@example.com", c => c.Since = DateTimeOffset.UnixEpoch);
        // Not in the list either, but it changed behind the list's back.
        await Insert("rec-late", "rec-late@example.com", c => c.Since = DateTimeOffset.MaxValue.AddYears(-1_000));
        ListedObject[] objects =
        [
            Object("billing-rec-same", "rec-same", "Ann", "rec-same@example.com", Billing),
            Object("billing-rec-differs", "rec-differs", "Bea", "rec-differs@example.com", Billing),
            Object("billing-rec-bare", null, "Ann", "rec-bare@example.com", Billing),
            Object("stranger", null, "Zed", "zed@example.com", Billing),
        ];
        Task<List<string>> Mended() =>
            stage.Database.Rows(
                "select distinct customer_id from dashboard.timeline where customer_id like 'rec-%' and code = 'operator.resync' and system = 'billing' order by 1"
            );

        var look = Json(stage.Run("reconcile", "--system", "billing", "--json", "--limit", "1000", "--wait", "180"));
        await List(Billing, objects);
        var found = (await look)["systems"]![0]!["findings"]!
            .AsArray()
            .Where(f => ((string?)f!["customerId"])?.StartsWith("rec-", StringComparison.Ordinal) == true)
            .ToDictionary(f => (string)f!["customerId"]!, f => (string)f!["class"]!, StringComparer.Ordinal);

        Assert.Equal(
            new Dictionary<string, string>
            {
                ["rec-bare"] = "id-lacking",
                ["rec-differs"] = "differs",
                ["rec-missing"] = "missing",
            },
            found.OrderBy(f => f.Key, StringComparer.Ordinal).ToDictionary()
        );
        Assert.Empty(await Mended());

        var repair = Json(stage.Run("reconcile", "--system", "billing", "--repair", "--json", "--wait", "180"));
        await List(Billing, objects);
        await repair;
        await Eventually.Is(async () => (await Mended()).Count == 3, "each is read again");
        Assert.Equal(["rec-bare", "rec-differs", "rec-missing"], await Mended());
        // A stranger is an import's business.
        using var reader = new KafkaReader(
            stage.Kafka.BootstrapServers,
            CommandLineStage.Partitions,
            Topics.Commands(Billing)
        );
        var commands = await reader.Until(
            r =>
                r.Any(c =>
                    c.Key == "rec-missing" && c.Value.Contains("\"operation\":\"read\"", StringComparison.Ordinal)
                ),
            "the adapter is asked to read"
        );
        Assert.DoesNotContain(commands, c => c.Key == "stranger");
    }

    [Fact]
    public async Task While_one_comparison_of_a_system_runs_another_kind_is_told_to_wait()
    {
        await stage.Database.Postgres.Execute(
            "insert into sync.comparison (id, system, kind, apply, requested_by, asked_at) values (gen_random_uuid(), 'crm', 'reconcile', true, 'timer', now())"
        );

        var printed = await stage.Run("import", "--from", "crm", "--dry-run");

        Assert.Equal(ExitCodes.Nothing, printed.ExitCode);
        Assert.Contains("asked by timer", printed.Error, StringComparison.Ordinal);
        var pending = await stage.Run("reconcile", "--system", "crm", "--repair", "--wait", "1");
        Assert.Equal(ExitCodes.Pending, pending.ExitCode);
        await stage.Database.Postgres.Execute("update sync.comparison set state = 'done' where system = 'crm'");
    }

    /// <summary>Its last part is in a dead letter, or in the log that was read before the database was restored.</summary>
    [Fact]
    public async Task A_comparison_that_nothing_is_heard_of_makes_way_for_the_next()
    {
        var stuck = Guid.NewGuid();
        await stage.Database.Postgres.Execute(
            $"insert into sync.comparison (id, system, kind, apply, requested_by, asked_at, heard_at) values ('{stuck}', 'crm', 'reconcile', true, 'timer', now() - interval '9 hours', now() - interval '7 hours')"
        );

        var run = stage.Run("import", "--from", "crm", "--dry-run", "--json", "--wait", "180");
        await Eventually.Is(
            async () =>
                run.IsCompleted
                || (await stage.Database.Rows($"select state from sync.comparison where id = '{stuck}'")) is ["done"],
            "the one before is ended"
        );
        if (!run.IsCompleted)
            await List(Crm);

        Assert.Equal(0, (await run).ExitCode);
    }

    [Fact]
    public async Task A_reconciliation_comes_by_itself_once_a_day_and_not_on_the_first()
    {
        await using var database = await OrchestratorDatabase.Create();
        await database.Postgres.Execute(TestOutbox.Table("sync"));
        var outbox = new TestOutbox("sync");
        var timer = new ReconcileTimer(
            database.Postgres.DataSource,
            outbox,
            TwoWay,
            Options.Create(new CustomersOptions()),
            TimeProvider.System,
            NullLogger<ReconcileTimer>.Instance
        );
        Task At(string when) =>
            database.Postgres.Execute(
                $"insert into sync.timeline (at, correlation_id, revision, code, direction, paths) values ({when}, gen_random_uuid(), 1, 'x', 'in', array[]::text[])"
            );

        await At("now()");
        Assert.Equal(0, await timer.Once(default));
        await database.Postgres.Execute("update sync.timeline set at = now() - interval '2 days'");
        Assert.Equal(2, await timer.Once(default));
        var asked = (await outbox.All(database.Postgres)).OfType<Compare>().ToList();
        Assert.Equal(["billing", "crm"], asked.Select(c => c.System).Order(StringComparer.Ordinal));
        Assert.All(
            asked,
            c => Assert.Equal((ComparisonKind.Reconcile, true, "timer"), (c.Kind, c.Apply, c.RequestedBy))
        );

        // Two replicas ask with one id; and what is under way, or was done today, is not due.
        Assert.Equal(2, await timer.Once(default));
        Assert.Equal(
            2,
            (await outbox.All(database.Postgres)).OfType<Compare>().Select(c => c.ComparisonId).Distinct().Count()
        );
        await database.Postgres.Execute(
            "insert into sync.comparison (id, system, kind, apply, requested_by, asked_at, state) values (gen_random_uuid(), 'crm', 'reconcile', true, 'timer', now(), 'done'), (gen_random_uuid(), 'billing', 'import', true, 'kim', now(), 'listing')"
        );
        Assert.Equal(0, await timer.Once(default));

        // Nothing was heard of it for long, so it will not end.
        await database.Postgres.Execute(
            "update sync.comparison set asked_at = now() - interval '7 hours' where state = 'listing'"
        );
        Assert.Equal(1, await timer.Once(default));
    }

    [Fact]
    public async Task The_product_is_imported_from_its_topic()
    {
        await stage.Produce(
            Topics.Customers,
            "prod-1",
            "product.customer.updated.v1",
            """{"customerId":"prod-1","revision":1,"customer":{"name":"Ann","email":"prod-1@example.com","phone":null,"address":{"city":null},"attributes":{}}}"""
        );
        await Eventually.Is(
            async () =>
                (await stage.Database.Rows("select 1 from sync.customer where customer_id = 'prod-1'")).Count == 1,
            "the first snapshot is taken in"
        );
        // A database that lost it, as after a restore: the record was handled, and its customer is unknown.
        await stage.Database.Postgres.Execute("delete from sync.customer where customer_id = 'prod-1'");

        var dry = await Json(stage.Run("import", "--from", "product", "--dry-run", "--json"));
        Assert.Equal((1L, 1L), ((long)dry["new"]!, (long)dry["creates"]!["crm"]!));
        Assert.Empty(await stage.Database.Rows("select 1 from sync.customer where customer_id = 'prod-1'"));

        var import = await Json(stage.Run("import", "--from", "product", "--yes", "--json", "--wait", "180"));
        Assert.Equal((0L, 1L), ((long)import["new"]!, (long)import["sentAgain"]!));
        Assert.Single(await stage.Database.Rows("select 1 from sync.customer where customer_id = 'prod-1'"));
    }

    [Fact]
    public async Task A_dry_run_from_the_product_says_what_it_would_ask_vendors_for_and_what_it_cannot_know()
    {
        Task Told(string id, string type, string customer) =>
            stage.Produce(
                Topics.Customers,
                id,
                $"product.customer.{type}.v1",
                $$$"""{"customerId":"{{{id}}}","revision":1{{{customer}}}}"""
            );
        string[] ids = ["told-new", "told-newer", "told-in-step", "told-gone"];
        var before = await Json(stage.Run("import", "--from", "product", "--dry-run", "--json"));
        foreach (var id in ids[..3])
            await Told(
                id,
                "updated",
                $$$""","customer":{"name":"Ann","email":"{{{id}}}@example.com","phone":null,"address":{"city":null},"attributes":{}}"""
            );
        await Told("told-gone", "deleted", "");
        await Eventually.Is(
            async () =>
                (await stage.Database.Rows("select 1 from sync.customer where customer_id like 'told-%'")).Count == 4,
            "all are taken in"
        );
        // Two were lost, one is known as of an earlier record and in one vendor, and one is in step.
        await stage.Database.Postgres.Execute(
            """
            delete from sync.customer where customer_id in ('told-new', 'told-gone');
            update sync.customer set systems = jsonb_set(
                jsonb_set(systems, '{systems,product,obs}', '0'), '{systems,crm,ext}', '"crm-told"')
             where customer_id = 'told-newer';
            update sync.customer set behind = array[]::text[] where customer_id = 'told-in-step'
            """
        );
        var state = await State("^(crm-)?told-");

        var dry = await Json(stage.Run("import", "--from", "product", "--dry-run", "--json"));
        var words = await stage.Run("import", "--from", "product", "--dry-run");

        long More(params string[] path)
        {
            static long At(JsonNode? node, string[] path) =>
                (long?)path.Aggregate(node, (at, member) => at?[member]) ?? 0;
            return At(dry, path) - At(before, path);
        }

        Assert.Equal(
            (4, 4, 1, 1, 1, 1, 1, 2),
            (
                More("records"),
                More("customers"),
                More("new"),
                More("newer"),
                More("known"),
                More("inStep"),
                More("deleted"),
                More("toSendAgain")
            )
        );
        // One is created everywhere; the other where it is not yet, and updated where it is.
        Assert.Equal((2, 8), (More("creates", "billing"), More("mostCalls", "billing")));
        Assert.Equal((1, 7), (More("creates", "crm"), More("mostCalls", "crm")));
        Assert.Equal(["links", "conflicts"], dry["notKnown"]!.AsArray().Select(n => (string?)n));
        Assert.Contains("Not known: links and conflicts.", words.Out, StringComparison.Ordinal);
        Assert.Contains("./sync import --from crm --dry-run", words.Out, StringComparison.Ordinal);
        Assert.Contains("records were passed over and would be sent again", words.Out, StringComparison.Ordinal);
        Assert.Equal(state, await State("^(crm-)?told-"));

        // The topic is the neighbours', too: nothing is left to import.
        var import = await Json(stage.Run("import", "--from", "product", "--yes", "--json", "--wait", "180"));
        Assert.Equal(0, (long)import["new"]! + (long)import["newer"]!);
    }

    [Fact]
    public async Task A_product_that_speaks_structured_events_is_imported_and_what_is_not_understood_is_counted()
    {
        Task Told(string body) =>
            stage.Produce(
                Topics.Customers,
                "prod-2",
                body,
                new Confluent.Kafka.Headers { { "content-type", "application/cloudevents+json"u8.ToArray() } }
            );
        var refusedBefore = Refused(await Json(stage.Run("import", "--from", "product", "--dry-run", "--json")));
        await Told(
            """{"specversion":"1.0","id":"1","source":"test","type":"product.customer.created.v1","data":{"customerId":"prod-2","revision":1,"customer":{"name":"Ann","email":"prod-2@example.com","phone":null,"address":{"city":null},"attributes":{}}}}"""
        );
        await Told(
            """{"specversion":"1.0","id":"2","source":"test","type":"product.customer.created.v1","data":{"customerId":"prod-2"}}"""
        );
        await Eventually.Is(
            async () =>
                (await stage.Database.Rows("select 1 from sync.customer where customer_id = 'prod-2'")).Count == 1,
            "the first snapshot is taken in"
        );
        await stage.Database.Postgres.Execute("delete from sync.customer where customer_id = 'prod-2'");

        var dry = await Json(stage.Run("import", "--from", "product", "--dry-run", "--json"));
        Assert.Equal((1L, 1L), ((long)dry["new"]!, Refused(dry) - refusedBefore));
        var words = await stage.Run("import", "--from", "product", "--dry-run");
        Assert.Contains($"{Refused(dry)} records were not understood (", words.Out, StringComparison.Ordinal);
        Assert.Contains($"{Refused(dry)} schema", words.Out, StringComparison.Ordinal);
        var import = await Json(stage.Run("import", "--from", "product", "--yes", "--json", "--wait", "180"));
        Assert.Equal((0L, 1L), ((long)import["new"]!, (long)import["sentAgain"]!));

        static long Refused(JsonNode said) => (long?)said["notUnderstood"]!["schema"] ?? 0;
    }

    [Fact]
    public async Task A_product_with_JSON_of_its_own_is_imported_from_its_own_topic()
    {
        const string Topic = CommandLineStage.OwnTopic;
        var config = Directory.CreateTempSubdirectory("sync-plain-").FullName;
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(config, "systems.json"), TestRules.Systems);
            await File.WriteAllBytesAsync(Path.Combine(config, "fields.json"), TestRules.Fields);
            await File.WriteAllTextAsync(
                Path.Combine(config, "product.json"),
                $$"""
                { "topic": "{{Topic}}", "key": "any", "id": "id", "revision": "version",
                  "type": { "from": "event", "created": ["New"], "ignored": ["SignedIn"] }, "fields": { "name": "name" } }
                """
            );
            var settings = new Dictionary<string, string?>(stage.Settings)
            {
                ["Sync:Config"] = config,
                ["Product:Mode"] = "one-way",
                ["Product:Format"] = "plain",
            };
            const string New = """{"event":"New","id":"own-1","version":3,"name":"Ann"}""";
            var at = await stage.Produce(Topic, null, New, new Confluent.Kafka.Headers());
            await stage.Produce(Topic, "x", """{"event":"SignedIn","id":"own-1"}""", new Confluent.Kafka.Headers());
            await stage.Produce(Topic, "x", """{"event":"Other"}""", new Confluent.Kafka.Headers());

            var dry = await Json(
                CommandLineStage.Run(settings, null, "import", "--from", "product", "--dry-run", "--json")
            );
            Assert.Equal(
                (Topic, 3L, 1L, 1L, 1L),
                (
                    (string)dry["topic"]!,
                    (long)dry["records"]!,
                    (long)dry["customers"]!,
                    (long)dry["new"]!,
                    (long)dry["notUnderstood"]!["unknown-type"]!
                )
            );

            // An orchestrator has passed it over; nobody is there that would read it once more.
            await stage.Database.Postgres.Execute(
                $"""
                insert into sync.consumer_offset
                select (jsonb_populate_record(o, jsonb_build_object('topic', '{Topic}', 'partition', {at.Partition.Value}, 'next_offset', {at.Offset.Value
                    + 1}))).*
                  from sync.consumer_offset o limit 1
                """
            );
            var import = await CommandLineStage.Run(
                settings,
                null,
                ["import", "--from", "product", "--yes", "--json", "--wait", "1"]
            );
            Assert.Equal((ExitCodes.Pending, 1L), (import.ExitCode, (long?)JsonNode.Parse(import.Out)?["sentAgain"]));
            using var reader = new KafkaReader(stage.Kafka.BootstrapServers, CommandLineStage.Partitions, Topic);
            var copies = (await reader.Read(4)).Where(r => r.Value == New).ToList();
            Assert.Equal([at.Partition.Value, at.Partition.Value], copies.Select(c => c.Partition));
        }
        finally
        {
            Directory.Delete(config, recursive: true);
        }
    }
}

using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Messaging.Kafka;
using Sync.Orchestrator.Commands;
using Sync.Tests.Support;
using static Sync.Tests.Orchestrator.OrchestratorDatabase;

namespace Sync.Tests.Orchestrator;

/// <summary>What a person types, sees and gets: every verb over a running orchestrator.</summary>
public sealed class CommandLineTests(CommandLineStage stage) : IClassFixture<CommandLineStage>
{
    static readonly Terminal Nowhere = new(TextReader.Null, TextWriter.Null, TextWriter.Null, false, false, false);

    [Fact]
    public void Verbs_arguments_options_and_their_help_are_the_approved_ones()
    {
        var text = new StringBuilder();
        Describe(CommandLine.Root(Nowhere), "./sync", text);

        Approved.Matches("commands.txt", text.ToString());
    }

    [Fact]
    public async Task Json_has_the_approved_members()
    {
        // Of its own: other tests resolve what waits, and an empty list shows no member.
        await stage.Database.InsertOneOfEach("json-");
        await stage.Database.Postgres.Execute(
            """
            insert into sync.dead_letter (id, direction, consumer_group, topic, key, value, reason_code, reason)
            values ('0b6f0d4c-8f0a-4f0e-8a3e-7f6f7b0f6a52', 'in', 'g', 'product.customers.v1', 'c-1', '1', 'bad-json', 'broken')
                on conflict do nothing;
            insert into sync.feed_gap (feed, reason, topic, partition, from_offset, to_offset) values ('kafka', 'x', 't', 0, 1, 2);
            insert into sync.timeline (at, correlation_id, customer_id, revision, code, system, direction, paths)
            select now(), gen_random_uuid(), 'flaps', 1, 'reported', case n % 2 when 0 then 'crm' else 'billing' end, 'in', '{name}'
              from generate_series(1, 4) n;
            """
        );
        await stage.Run("customer", "resync", "json-held");
        string[][] verbs =
        [
            ["status"],
            ["customer", "show", "json-waiting"],
            ["customer", "show", "json-held", "--values"],
            ["customer", "timeline", "json-held"],
            ["customer", "diff", "json-waiting"],
            ["customer", "resync", "json-held"],
            ["attention"],
            ["attention", "explain", "value-refused"],
            ["drift"],
            ["stuck"],
            ["brakes"],
            ["gaps"],
            ["echo"],
            ["flapping"],
            ["budget"],
            ["dead-letters", "list"],
            ["dead-letters", "show", "0b6f0d4c-8f0a-4f0e-8a3e-7f6f7b0f6a52"],
            ["object", "list"],
            ["object", "show", "crm", "crm-7"],
            ["customer", "erase", "json-kept", "--yes", "--wait", "1"],
            ["customer", "receipt", "json-kept"],
            ["customer", "show"],
        ];
        var text = new StringBuilder();
        foreach (var verb in verbs)
        {
            var printed = await stage.Run([.. verb, "--json"]);
            Assert.Equal("", printed.Error);
            text.Append("./sync ").AppendJoin(' ', verb).Append(" --json\n");
            foreach (var member in Members(JsonNode.Parse(printed.Out), "").Distinct().Order(StringComparer.Ordinal))
                text.Append("  ").Append(member).Append('\n');
        }

        Approved.Matches("command-json.txt", text.ToString());
    }

    [Fact]
    public async Task Values_are_printed_only_when_asked_for()
    {
        foreach (var verb in (string[])["show", "diff"])
        {
            foreach (
                var form in (string[][])
                    [
                        [],
                        ["--json"],
                    ]
            )
            {
                var plain = await stage.Run(["customer", verb, "waiting", .. form]);
                var values = await stage.Run(["customer", verb, "waiting", "--values", .. form]);

                Assert.Equal((0, 0), (plain.ExitCode, values.ExitCode));
                Assert.DoesNotContain(Personal, plain.Out + plain.Error, StringComparison.OrdinalIgnoreCase);
                Assert.Contains(Personal + "2", values.Out, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>The result may go to a file while a person looks on, and the other way about.</summary>
    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, false, false)]
    public async Task A_bar_is_drawn_where_the_error_stream_is_a_terminal(bool output, bool error, bool drawn)
    {
        await using var said = new StringWriter();
        await using var session = new Session(
            new Terminal(TextReader.Null, TextWriter.Null, said, output, error, InIsTerminal: true),
            new Output(TextWriter.Null, said, json: false, onTerminal: output),
            "kim",
            TimeSpan.Zero
        );
        var bar = new CompareVerbs.Bar(session);

        bar.Show("crm: 1 objects listed", 0, null, finished: false);
        bar.Show("crm: 2 objects", 2, 2, finished: true);

        Assert.Equal(drawn, said.ToString().Contains('\r', StringComparison.Ordinal));
        Assert.Contains("crm: 2 objects", said.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_says_field_by_field_how_each_system_stands()
    {
        // Of its own: other tests resolve what waits.
        await stage.Database.InsertOneOfEach("seen-");
        foreach (
            var (id, system, path, standing) in ((string, string, string, string)[])
                [
                    ("seen-in-step", "crm", "name", "same"),
                    ("seen-waiting", "billing", "name", "waiting"),
                    ("seen-refused", "crm", "name", "refused"),
                    ("seen-held", "crm", "address.city", "held"),
                    ("seen-gone", "billing", "email", "gone"),
                ]
        )
        {
            var page = JsonNode.Parse((await stage.Run("customer", "show", id, "--json")).Out)!;
            var field = page["fields"]!
                .AsArray()
                .Single(f => (string?)f!["path"] == path && (string?)f["system"] == system)!;
            Assert.Equal((id, standing), (id, (string?)field["standing"]));
        }

        var shown = await stage.Run("customer", "show", "seen-gone");
        Assert.Contains("deletion held", shown.Out, StringComparison.Ordinal);
        Assert.Contains("./sync attention explain deletion-held", shown.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_lands_in_the_timeline_with_who_asked_and_on_the_customer_s_partition()
    {
        using var reader = new KafkaReader(stage.Kafka.BootstrapServers, CommandLineStage.Partitions, Topics.Requests);

        var printed = await stage.Run("customer", "retry", "in-step", "--system", "crm");

        Assert.Equal((0, ""), (printed.ExitCode, printed.Error));
        Assert.Contains("retry in-step: done, asked by kim", printed.Out, StringComparison.Ordinal);
        Assert.Equal(
            ["kim|crm"],
            await stage.Database.Rows(
                "select requested_by, system from dashboard.timeline where customer_id = 'in-step' and code = 'operator.retry'"
            )
        );
        var record = (
            await reader.Until(
                records => records.Any(r => r.Key == "in-step" && r.Header("ce_type") == "sync.request.retry.v1"),
                "the request"
            )
        ).First(r => r.Key == "in-step" && r.Header("ce_type") == "sync.request.retry.v1");
        Assert.Equal(Murmur2.Partition("in-step"u8, CommandLineStage.Partitions), record.Partition);
        Assert.Equal(
            ("1.0", "sync/orchestrator", "in-step"),
            (record.Header("ce_specversion"), record.Header("ce_source"), record.Header("ce_subject"))
        );
    }

    [Fact]
    public async Task What_waits_for_a_person_is_resolved_by_its_command()
    {
        Task<List<string>> Waiting(string id) =>
            stage.Database.Rows($"select reason from dashboard.attention where customer_id = '{id}'");

        Assert.Equal(["conflict-held"], await Waiting("held"));
        Assert.Equal(0, (await stage.Run("customer", "take", "held", "address.city", "crm")).ExitCode);
        Assert.Empty(await Waiting("held"));

        Assert.Equal(["deletion-held"], await Waiting("gone"));
        Assert.Equal(0, (await stage.Run("customer", "release", "gone", "billing", "restore")).ExitCode);
        Assert.Empty(await Waiting("gone"));

        Assert.Equal(["deletion-refused"], await Waiting("not-deleted"));
        Assert.Equal(0, (await stage.Run("customer", "ignore", "not-deleted")).ExitCode);
        Assert.Empty(await Waiting("not-deleted"));

        Assert.Equal(["value-refused"], await Waiting("refused"));
        var retried = await stage.Run("attention", "retry", "--reason", "value-refused", "--yes");
        Assert.Contains("retry refused: done", retried.Out, StringComparison.Ordinal);
        Assert.Empty(await Waiting("refused"));

        // A second time there is nothing to do, and it is said.
        var again = await stage.Run("customer", "release", "gone", "billing", "restore", "--json");
        Assert.Equal(ExitCodes.Nothing, again.ExitCode);
        Assert.Equal("nothing", (string?)JsonNode.Parse(again.Out)!["outcome"]);
        Assert.Equal(
            ExitCodes.Nothing,
            (await stage.Run("attention", "retry", "--reason", "value-refused", "--yes")).ExitCode
        );
    }

    [Fact]
    public async Task An_object_is_linked_retried_and_ignored_and_a_person_erased_with_a_receipt()
    {
        foreach (
            var (ext, verb) in ((string, string[])[])
                [
                    ("crm-l", ["link", "crm", "crm-l", "in-step"]),
                    ("crm-r", ["retry", "crm", "crm-r"]),
                    ("crm-i", ["ignore", "crm", "crm-i"]),
                ]
        )
        {
            await stage.Database.Insert(
                new Sync.Orchestrator.FoundObjects.FoundObject
                {
                    CorrelationId = CustomerIds.ObjectId("crm", ext),
                    CurrentState = "Parked",
                    System = "crm",
                    Ext = ext,
                    Reason = "ambiguous",
                    Since = DateTimeOffset.UnixEpoch,
                }
            );
            var printed = await stage.Run(["object", .. verb]);
            Assert.Equal((0, ""), (printed.ExitCode, printed.Error));
        }

        Assert.Equal(ExitCodes.NotFound, (await stage.Run("object", "retry", "crm", "nothing")).ExitCode);
        Assert.Equal(ExitCodes.Nothing, (await stage.Run("customer", "release-loop", "kept")).ExitCode);

        var listed = await stage.Run("object", "list", "--system", "crm", "--state", "parked", "--json");
        Assert.Contains(
            "crm-i",
            JsonNode.Parse(listed.Out)!["items"]!.AsArray().Select(i => (string?)i!["externalId"])
        );
        Assert.DoesNotContain(
            Personal,
            (await stage.Run("object", "show", "crm", "crm-7")).Out,
            StringComparison.Ordinal
        );
        Assert.Contains(
            Personal,
            (await stage.Run("object", "show", "crm", "crm-7", "--values")).Out,
            StringComparison.Ordinal
        );
        Assert.Equal(ExitCodes.NotFound, (await stage.Run("object", "show", "crm", "nothing")).ExitCode);
        Assert.Equal(ExitCodes.Refused, (await stage.Run("object", "list", "--state", "gone")).ExitCode);
    }

    [Fact]
    public async Task A_person_is_erased_and_the_receipt_says_what_was_forgotten_where()
    {
        await using (var story = await Scenario.InStep())
        {
            await story.Deleted();
            await story.AnswerAll();
            await stage.Database.Insert("erased-one", story.Customer);
        }

        Assert.Equal(ExitCodes.Refused, (await stage.Run("customer", "erase", "erased-one")).ExitCode);
        Assert.Equal(ExitCodes.NotFound, (await stage.Run("customer", "receipt", "erased-one")).ExitCode);
        var unsure = await CommandLineStage.Run(stage.Settings, "no", "customer", "erase", "erased-one");
        Assert.Equal(ExitCodes.Nothing, unsure.ExitCode);

        var erasing = stage.Run("customer", "erase", "erased-one", "--yes", "--wait", "60");
        foreach (var system in (string[])["billing", "crm"])
        {
            var command = (
                await Eventually.Get(
                    () =>
                        stage.Database.Rows(
                            $"select s.sent ->> 'id', s.sent ->> 'gen' from sync.customer c cross join lateral dashboard.state_systems(c.systems) s where c.customer_id = 'erased-one' and s.system = '{system}' and s.sent ->> 'op' = 'erase'"
                        ),
                    rows => rows.Count == 1,
                    $"{system} is asked to forget"
                )
            )[0]
                .Split('|');
            await stage.Produce(
                Topics.Reports(system),
                "erased-one",
                "sync.customer.reported.v1",
                $$"""{"system":"{{system}}","customerId":"erased-one","generation":{{command[1]}},"obs":99,"ack":"{{command[0]}}","outcome":"done","forgotten":{"ledger":3,"record":1} }"""
            );
        }

        var printed = await erasing;
        Assert.Equal((0, ""), (printed.ExitCode, printed.Error));
        Assert.Contains("ledger 3, record 1", printed.Out, StringComparison.Ordinal);
        Assert.Contains("timeline ", printed.Out, StringComparison.Ordinal);
        Assert.Contains("crm: deleted", printed.Out, StringComparison.Ordinal);
        Assert.Contains("forgotten by everybody", printed.Out, StringComparison.Ordinal);
        var receipt = await stage.Run("customer", "receipt", "erased-one", "--json");
        Assert.NotNull(JsonNode.Parse(receipt.Out)!["erasedAt"]);
        Assert.Equal(ExitCodes.Nothing, (await stage.Run("customer", "erase", "erased-one", "--yes")).ExitCode);
    }

    [Fact]
    public async Task An_erasure_that_nobody_answers_is_not_called_done()
    {
        await stage.Database.InsertOneOfEach("late-");

        var printed = await stage.Run("customer", "erase", "late-kept", "--yes", "--wait", "1", "--json");

        Assert.Equal(ExitCodes.Pending, printed.ExitCode);
        var document = JsonNode.Parse(printed.Out)!;
        Assert.Equal("pending", (string?)document["outcome"]);
        Assert.Null((string?)document["receipt"]?["erasedAt"]);
    }

    [Fact]
    public async Task All_that_a_brake_holds_is_released_at_once()
    {
        // Held in the one system that no other test's customers are held in.
        foreach (var id in (string[])["br-1", "br-2"])
        {
            await using var story = await Scenario.InStep(TestRules.TwoWay with { DeletionBrake = (_, _) => true });
            await story.Gone(TestRules.Crm);
            await stage.Database.Insert(id, story.Customer);
        }

        Assert.Equal(ExitCodes.Refused, (await stage.Run("brakes", "release", "deletions", "crm", "maybe")).ExitCode);
        Assert.Equal(ExitCodes.Refused, (await stage.Run("brakes", "release", "deletions", "crm", "restore")).ExitCode);
        var released = await stage.Run("brakes", "release", "deletions", "crm", "restore", "--yes");

        Assert.Equal(0, released.ExitCode);
        Assert.Contains("release br-1: done", released.Out, StringComparison.Ordinal);
        Assert.Contains("release br-2: done", released.Out, StringComparison.Ordinal);
        Assert.Empty(
            await stage.Database.Rows(
                "select customer_id from dashboard.brakes where brake = 'deletion' and system = 'crm'"
            )
        );
        Assert.Equal(
            ExitCodes.Nothing,
            (await stage.Run("brakes", "release", "deletions", "crm", "restore", "--yes")).ExitCode
        );
        Assert.Equal(ExitCodes.Nothing, (await stage.Run("brakes", "release", "loops", "--yes")).ExitCode);
    }

    [Fact]
    public async Task Gaps_of_topics_and_of_vendors_feeds_are_shown_open_and_closed()
    {
        await stage.Produce(
            Topics.Reports("crm"),
            "events",
            "sync.feed.gap.v1",
            """{"gapId":"5f5f3c1e-55a3-4a55-9c7b-0d8f5c0d3b77","system":"crm","feed":"events","reason":"expired","openedAt":"2026-01-02T03:04:05.000Z"}"""
        );
        await Eventually.Is(
            async () => (await stage.Run("gaps")).Out.Contains("expired", StringComparison.Ordinal),
            "the vendor's gap is shown"
        );

        await stage.Produce(
            Topics.Reports("crm"),
            "events",
            "sync.feed.gap.v1",
            """{"gapId":"5f5f3c1e-55a3-4a55-9c7b-0d8f5c0d3b77","system":"crm","feed":"events","reason":"expired","openedAt":"2026-01-02T03:04:05.000Z","closedAt":"2026-01-02T04:04:05.000Z"}"""
        );
        await Eventually.Is(
            async () => !(await stage.Run("gaps")).Out.Contains("expired", StringComparison.Ordinal),
            "it is closed"
        );
        var all = JsonNode.Parse((await stage.Run("gaps", "--closed", "--json")).Out)!["items"]!.AsArray();
        var gap = Assert.Single(all, g => (string?)g!["system"] == "crm")!;
        Assert.Equal(
            ("crm", "closed", "scan"),
            ((string?)gap["process"], (string?)gap["state"], (string?)gap["closedBy"])
        );
    }

    [Fact]
    public async Task What_waits_has_a_reason_that_is_explained_by_a_command_and_stands_in_the_document()
    {
        var comment = (
            await stage.Database.Rows(
                "select col_description('dashboard.attention'::regclass, attnum) from pg_attribute where attrelid = 'dashboard.attention'::regclass and attname = 'reason'"
            )
        )[0];
        var reasons = comment[(comment.IndexOf(':', StringComparison.Ordinal) + 1)..]
            .Split([',', ';', '.', ' '], StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(
            reasons.Order(StringComparer.Ordinal),
            AttentionVerbs.Explanations.Keys.Order(StringComparer.Ordinal)
        );
        var document = Repository.Read("docs/operate.md");
        Assert.Empty(reasons.Where(r => !document.Contains($"| `{r}` |", StringComparison.Ordinal)));
        foreach (var (reason, explanation) in AttentionVerbs.Explanations)
        {
            var verbs = explanation.Commands.Where(c => c.StartsWith("./sync ", StringComparison.Ordinal)).ToList();
            Assert.True(verbs.Count > 0, $"{reason} has no command");
            foreach (var verb in verbs)
            {
                var words = verb.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                var command = CommandLine
                    .Root(Nowhere)
                    .Subcommands.Single(c => c.Name == words[1])
                    .Subcommands.SingleOrDefault(c => c.Name == words[2]);
                Assert.True(command is not null, $"{reason} names {verb}, which is no command");
            }
        }
    }

    [Fact]
    public async Task Nobody_is_asked_about_who_is_not_there()
    {
        var before = await stage.Database.Rows("select count(*) from sync.dead_letter");

        var printed = await stage.Run("customer", "retry", "nobody");

        Assert.Equal(ExitCodes.NotFound, printed.ExitCode);
        Assert.Contains("No customer has the id \"nobody\"", printed.Error, StringComparison.Ordinal);
        Assert.Equal("", printed.Out);
        Assert.Equal(before, await stage.Database.Rows("select count(*) from sync.dead_letter"));
        Assert.Equal(ExitCodes.NotFound, (await stage.Run("customer", "timeline", "nobody")).ExitCode);
        Assert.Equal(ExitCodes.NotFound, (await stage.Run("attention", "explain", "nothing")).ExitCode);
    }

    [Fact]
    public async Task Who_does_not_wait_is_told_that_it_stays_asked()
    {
        // Nobody answers: the orchestrator of this database reads another Kafka.
        using var other = new Sync.Sandbox.Kafka.EmbeddedKafka([Topics.Requests], CommandLineStage.Partitions);
        var settings = new Dictionary<string, string?>(stage.Settings) { ["Kafka:Bootstrap"] = other.BootstrapServers };

        var printed = await CommandLineStage.Run(settings, null, "customer", "resync", "in-step", "--wait", "0");

        Assert.Equal(ExitCodes.Pending, printed.ExitCode);
        Assert.Contains("It stays asked", printed.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("customer shw c-1", "shw")]
    [InlineData("customer show", "customer id")]
    [InlineData("customer release c-1 crm maybe", "spread or restore")]
    [InlineData("customer retry in-step --system fax", "product, billing, crm")]
    [InlineData("customer take held address.city fax", "product, billing, crm")]
    [InlineData("drift --limit 0", "--limit")]
    [InlineData("drift --limit many", "many")]
    [InlineData("status --wait -1", "--wait")]
    [InlineData("dead-letters replay x", "x")]
    [InlineData("attention retry --reason conflict-held --yes", "value-refused")]
    [InlineData("attention retry --reason value-refused --by ", "--by")]
    [InlineData("kernel resume t 0 --from somewhere", "earliest, latest or an offset")]
    public async Task A_wrong_command_line_ends_with_2_and_says_what_is_wrong(string line, string says)
    {
        var printed = await stage.Run(line.Split(' '));

        Assert.Equal(ExitCodes.Refused, printed.ExitCode);
        Assert.Contains(says, printed.Error, StringComparison.Ordinal);
        Assert.Equal("", printed.Out);
    }

    [Fact]
    public async Task Missing_settings_and_a_silent_database_are_said_apart()
    {
        var missing = await CommandLineStage.Run([], null, "status");
        Assert.Equal(ExitCodes.Refused, missing.ExitCode);
        Assert.Contains("DATABASE__URL: is missing", missing.Error, StringComparison.Ordinal);

        var silent = await CommandLineStage.Run(
            new() { ["Database:Url"] = "Host=127.0.0.1;Port=9;Username=u;Password=hidden-one;Database=d" },
            null,
            "status"
        );
        Assert.Equal(ExitCodes.Failed, silent.ExitCode);
        Assert.Contains("does not answer", silent.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden-one", silent.Error, StringComparison.Ordinal);

        await using var empty = await TestPostgres.Create();
        var bare = await CommandLineStage.Run(
            new() { ["Database:Url"] = empty.ConnectionString },
            null,
            "drift",
            "--json"
        );
        Assert.Equal(ExitCodes.Refused, bare.ExitCode);
        Assert.Equal("database-without-schema", (string?)JsonNode.Parse(bare.Out)!["error"]!["code"]);
    }

    [Fact]
    public async Task A_dead_letter_is_replayed_once_and_its_message_takes_effect()
    {
        await stage.Produce(
            Topics.Requests,
            "late",
            "sync.request.retry.v1",
            """{"customerId":"late","requestedBy":"lee","requestedAt":"2026-01-02T03:04:05Z"}"""
        );
        var id = (
            await Eventually.Get(
                () =>
                    stage.Database.Rows("select id from dashboard.dead_letters where key = 'late' and state = 'open'"),
                ids => ids.Count == 1,
                "the dead letter"
            )
        )[0];
        Assert.Contains(
            "unknown-customer",
            (await stage.Run("dead-letters", "show", id)).Out,
            StringComparison.Ordinal
        );
        await using (var story = await Scenario.InStep())
            await stage.Database.Insert("late", story.Customer);

        var replayed = await stage.Run("dead-letters", "replay", id);
        var again = await stage.Run("dead-letters", "replay", id);

        Assert.Equal((0, ExitCodes.Nothing), (replayed.ExitCode, again.ExitCode));
        await Eventually.Is(
            async () =>
                (
                    await stage.Database.Rows(
                        "select requested_by from dashboard.timeline where customer_id = 'late' and code = 'operator.retry'"
                    )
                )
                    is ["lee"],
            "the replayed request is a row of the timeline"
        );
        Assert.Equal(
            ["replayed|kim"],
            await stage.Database.Rows("select state, closed_by from dashboard.dead_letters where key = 'late'")
        );
        Assert.Contains("already, by kim", again.Error, StringComparison.Ordinal);
        Assert.Equal(
            ExitCodes.NotFound,
            (await stage.Run("dead-letters", "replay", Guid.NewGuid().ToString())).ExitCode
        );
    }

    [Fact]
    public async Task A_dead_letter_without_a_key_is_not_sent_again()
    {
        var id = Guid.NewGuid();
        await stage.Database.Postgres.Execute(
            $"insert into sync.dead_letter (id, direction, consumer_group, topic, value, headers, reason_code, reason) values ('{id}', 'in', 'g', '{Topics.Requests}', '1', '[]', 'bad-key', 'no key')"
        );

        var printed = await stage.Run("dead-letters", "replay", $"{id}");

        Assert.Equal(ExitCodes.Nothing, printed.ExitCode);
        Assert.Contains("no key or no value", printed.Error, StringComparison.Ordinal);
        Assert.Equal(["open"], await stage.Database.Rows($"select state from sync.dead_letter where id = '{id}'"));
    }

    [Fact]
    public async Task A_partition_goes_on_where_the_operator_says_and_the_jump_is_a_gap()
    {
        var topic = Topics.Reports(TestRules.Billing);
        const string Epoch =
            "select epoch from sync.consumer_offset where topic = 'sync.billing.reports.v1' and partition = 0";
        var before = (await stage.Database.Rows(Epoch))[0];

        var unasked = await stage.Run("kernel", "resume", topic, "0", "--from", "earliest");
        var outside = await stage.Run("kernel", "resume", topic, "0", "--from", "999", "--yes");
        var unknown = await stage.Run("kernel", "resume", "no-such-topic", "0", "--from", "latest", "--yes");

        Assert.Equal(
            (ExitCodes.Refused, ExitCodes.Refused, ExitCodes.NotFound),
            (unasked.ExitCode, outside.ExitCode, unknown.ExitCode)
        );
        Assert.Equal(before, (await stage.Database.Rows(Epoch))[0]);

        var resumed = await stage.Run("kernel", "resume", topic, "0", "--from", "latest", "--yes", "--json");

        Assert.Equal((0, ""), (resumed.ExitCode, resumed.Error));
        Assert.NotEqual(before, (await stage.Database.Rows(Epoch))[0]);
        var gap = Assert.Single(
            JsonNode.Parse((await stage.Run("gaps", "--json")).Out)!["items"]!.AsArray(),
            g => (string?)g!["topic"] == topic
        )!;
        Assert.Equal(("sync", "resumed by an operator: kim"), ((string?)gap["process"], (string?)gap["reason"]));
    }

    [Fact]
    public void Every_reason_for_attention_is_explained()
    {
        var reasons = typeof(Sync.Orchestrator.Customers.Merging.AttentionReasons)
            .GetFields()
            .Concat(typeof(Sync.Orchestrator.FoundObjects.ParkedReasons).GetFields())
            .Select(f => (string)f.GetRawConstantValue()!);

        Assert.Empty(reasons.Except(AttentionVerbs.Explanations.Keys));
    }

    [Fact]
    public void A_standing_says_the_same_word_in_the_view_and_on_the_page()
    {
        var words = typeof(Standings).GetFields().Select(f => (string)f.GetRawConstantValue()!).Order();

        Assert.Equal(["gone", "held", "refused", "same", "unseen", "waiting"], words);
    }

    static void Describe(Command command, string path, StringBuilder text)
    {
        text.Append(path);
        foreach (var argument in command.Arguments)
            text.Append($" <{argument.HelpName ?? argument.Name}>");
        text.Append('\n').Append("    ").Append(command.Description).Append('\n');
        foreach (var argument in command.Arguments)
            text.Append($"    <{argument.HelpName ?? argument.Name}>: {argument.Description}\n");
        foreach (var option in command.Options.Where(o => o.Name is not ("--help" or "--version")))
            text.Append($"    {option.Name}{(option.Required ? " (required)" : "")}: {option.Description}\n");
        foreach (var verb in command.Subcommands.OrderBy(c => c.Name, StringComparer.Ordinal))
            Describe(verb, $"{path} {verb.Name}", text);
    }

    static IEnumerable<string> Members(JsonNode? node, string path) =>
        node switch
        {
            JsonObject document => document.SelectMany(m =>
                // Names of systems and fields are data.
                Members(m.Value, $"{path}.{(path is ".systems" or ".golden" or ".receipt.systems" ? "*" : m.Key)}")
                    .Prepend($"{path}.{(path is ".systems" or ".golden" or ".receipt.systems" ? "*" : m.Key)}")
            ),
            JsonArray array => array.SelectMany(item => Members(item, path + "[]")),
            _ => [],
        };
}

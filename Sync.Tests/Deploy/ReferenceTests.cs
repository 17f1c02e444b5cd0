using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Sync.Contracts;
using Sync.Orchestrator.Customers.Merging;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.Deploy;

/// <summary>
/// The pages of <c>docs/reference</c> are made from the code, the database and the contract, and fail here when they are not
/// what those say. <c>SYNC_APPROVE=1</c> writes them anew.
/// </summary>
public sealed partial class ReferenceTests(RolesTests.Installed installed) : IClassFixture<RolesTests.Installed>
{
    const string Again =
        "Made by `SYNC_APPROVE=1 ./sync test -class Sync.Tests.Deploy.ReferenceTests`; a test fails when it is stale.";

    /// <summary>What each table is for. The columns come from the database.</summary>
    static readonly Dictionary<string, string> Tables = new(StringComparer.Ordinal)
    {
        ["api_budget"] = "What the vendor last told of the account's calls.",
        ["api_usage"] = "Our calls by hour, replica and operation.",
        ["comparison"] = "Imports and reconciliations that were asked for, and how far they are.",
        ["comparison_finding"] =
            "What a comparison found: ids, paths and classes, hashes of e-mails until its list is whole, never a value.",
        ["consumer_offset"] = "How far each partition is consumed, and the fence against a process that lost it.",
        ["cursor"] = "How far each feed of the vendor was read, and which replica follows it.",
        ["customer"] = "One row a customer, which is one saga. Personal data in `golden`, `held` and `systems`.",
        ["dead_letter"] = "Messages that could not be handled, kept whole. Personal data in `key` and `value`.",
        ["feed_gap"] = "Windows in which a feed may have lost something.",
        ["first_listing"] = "When every object of the account was listed for the first time.",
        ["found_object"] = "Objects in a vendor without a customer's id. Personal data in `fields`.",
        ["hint_seen"] = "Changes of the vendor that were taken in, by id, against doubles.",
        ["ledger"] =
            "Commands and what became of them. Personal data in `write` and `expect` while a command is open; hashes afterwards.",
        ["link"] = "One row a lane: a customer, or an object without one. Personal data in `last`.",
        ["link_start"] =
            "The version below which no lane reports after a restore: new rows begin with it, older ones are raised when they are taken.",
        ["mapping"] = "The mapping that stored values were read with.",
        ["migrations_history"] = "Which migrations were applied.",
        ["minute_events"] = "The timeline counted by minute, for dashboards.",
        ["minute_lag"] = "Latencies counted by minute and bucket, for dashboards.",
        ["outbox"] = "Messages on their way to Kafka. Personal data in `body`.",
        ["outbox_lease"] = "Which replica sends the outbox.",
        ["roll_up"] = "Up to which minute the timeline is counted.",
        ["scan"] = "Listings of all objects, and what they found.",
        ["scan_unseen"] = "Objects that a running listing has not met.",
        ["schedule"] = "Timers. Personal data never: a timer names a customer.",
        ["stranger"] = "Objects of the account that carry nobody's id, as last listed. Hashes of e-mails, no values.",
        ["timeline"] = "What happened, append-only: codes, paths, ids, never a value.",
        ["webhook"] = "Webhooks that were accepted and not read yet. Personal data in `body`.",
        ["work"] = "Commands, hints and requests that wait for a worker. Personal data in `body`.",
    };

    [Fact]
    public void Settings()
    {
        var text = Page(
            "Settings",
            "Each is a variable of the environment; a process reads nothing else. Every fault is named at the start, all at once."
        );
        string? comment = null;
        foreach (
            var line in Repository
                .Read(".env.example")
                .Split('\n')
                .SkipWhile(l => !l.StartsWith("# ----", StringComparison.Ordinal))
        )
        {
            if (Section().Match(line) is { Success: true } section)
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"\n## {section.Groups["name"].Value}\n\n| setting | default | |\n|---|---|---|\n"
                );
            else if (Setting().Match(line) is { Success: true } setting)
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| `{setting.Groups["name"].Value}` | {Quoted(setting.Groups["value"].Value)} | {Cell(comment!)} |\n"
                );
            else if (line.StartsWith("# ", StringComparison.Ordinal))
                comment = line[2..];
        }

        Approved.MatchesDocument("docs/reference/settings.md", text.ToString());
    }

    [Fact]
    public void Topics_and_messages()
    {
        var text = Page(
            "Topics",
            $"All have the same number of partitions, {Topics.Partitions} unless `KAFKA__PARTITIONS` says otherwise, and are keyed by text as UTF-8 bytes with the partitioner murmur2. What a message holds stands in the [contract](../contract)."
        );
        text.Append("\n| topic | from | to | messages |\n|---|---|---|---|\n");
        foreach (
            var (file, ways) in ((string, Dictionary<string, (string, string)>)[])
                [
                    (
                        "docs/contract/asyncapi.yaml",
                        new()
                        {
                            ["customers"] = ("product", "orchestrator"),
                            ["customerCommands"] = ("orchestrator", "product"),
                        }
                    ),
                    (
                        "docs/contract/asyncapi-internal.yaml",
                        new()
                        {
                            ["commands"] = ("orchestrator", "the system's adapter"),
                            ["reports"] = ("the system's adapter", "orchestrator"),
                            ["requests"] = ("orchestrator, operators", "orchestrator"),
                        }
                    ),
                ]
        )
        {
            var channels = (YamlMappingNode)Yaml(file)["channels"];
            Assert.Equal(
                ways.Keys.Order(StringComparer.Ordinal),
                channels.Children.Keys.Select(k => $"{k}").Order(StringComparer.Ordinal)
            );
            foreach (var (name, channel) in channels.Children)
            {
                var (from, to) = ways[$"{name}"];
                var messages = ((YamlMappingNode)channel["messages"]).Children.Keys.Select(m => $"`{m}`");
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| `{channel["address"]}` | {from} | {to} | {string.Join("<br>", messages)} |\n"
                );
            }
        }

        text.Append(
            CultureInfo.InvariantCulture,
            $"| `{Topics.DeadLetters}` | every process | people | a copy of every dead letter; the table is the truth |\n"
        );
        text.Append("\n## Consumer groups\n\n");
        foreach (
            var group in (string[])
                [Groups.Orchestrator, Groups.Adapter(SystemNames.Stripe), Groups.Adapter(SystemNames.Salesforce)]
        )
            text.Append(CultureInfo.InvariantCulture, $"- `{group}`\n");
        text.Append("\nOffsets are rows of `consumer_offset`, not Kafka's.\n");
        Approved.MatchesDocument("docs/reference/topics.md", text.ToString());
    }

    [Fact]
    public async Task The_tables()
    {
        var text = Page(
            "Tables",
            "Each process has a schema of its own, made by its verb `migrate`, and reads no other's. They change with releases: dashboards and queries rely on the [views](views.md)."
        );
        var seen = new HashSet<string>();
        foreach (var schema in (string[])["sync", "stripe", "salesforce"])
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## Schema {schema}\n");
            foreach (
                var table in await installed.Rows(
                    $"select tablename from pg_tables where schemaname = '{schema}' order by 1"
                )
            )
            {
                Assert.True(Tables.ContainsKey(table), $"{schema}.{table} has no sentence here");
                text.Append(CultureInfo.InvariantCulture, $"\n### {schema}.{table}\n\n{Tables[table]}\n\n");
                // Adapters have the same tables: the second refers to the first.
                if (schema == "salesforce" && seen.Contains(table))
                {
                    text.Append(CultureInfo.InvariantCulture, $"As `stripe.{table}`.\n");
                    continue;
                }

                seen.Add(table);
                var columns = await installed.Rows(
                    $"""
                    select format('| `%s` | %s%s |', column_name, data_type || case when data_type = 'ARRAY' then ' of ' || substr(udt_name, 2) else '' end,
                                  case is_nullable when 'NO' then '' else ', may be null' end)
                      from information_schema.columns where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position
                    """
                );
                text.Append("| column | type |\n|---|---|\n").AppendJoin('\n', columns).Append('\n');
            }
        }

        Approved.MatchesDocument("docs/reference/tables.md", text.ToString());
    }

    [Fact]
    public async Task The_views()
    {
        var text = Page(
            "Views",
            "Schema `dashboard`, for dashboards, people and scripts. Columns are added at the end and never change their meaning. No view holds personal data, none takes a lock that anybody waits for, and the role `sync_dashboard` reads these and nothing else. Adapters whose tables are in another database have their own there."
        );
        foreach (
            var view in await installed.Rows("select viewname from pg_views where schemaname = 'dashboard' order by 1")
        )
        {
            var comment = await installed.Rows($"select obj_description('dashboard.{view}'::regclass)");
            text.Append(
                CultureInfo.InvariantCulture,
                $"\n## dashboard.{view}\n\n{comment.Single().Replace(" No personal data.", "", StringComparison.Ordinal)}\n\n| column | type | |\n|---|---|---|\n"
            );
            foreach (
                var column in await installed.Rows(
                    $"""
                    select format('| `%s` | %s | %s |', a.attname, format_type(a.atttypid, null), col_description(a.attrelid, a.attnum))
                      from pg_attribute a where a.attrelid = 'dashboard.{view}'::regclass and a.attnum > 0 order by a.attnum
                    """
                )
            )
            {
                Assert.DoesNotContain("|  |", column, StringComparison.Ordinal);
                text.Append(column).Append('\n');
            }
        }

        foreach (
            var function in await installed.Rows(
                "select format(E'\\n## dashboard.%s\\n\\n%s\\n', p.oid::regprocedure::text, obj_description(p.oid)) from pg_proc p where p.pronamespace = 'dashboard'::regnamespace and p.proname = 'timeline'"
            )
        )
            text.Append(function.Replace("dashboard.dashboard.", "dashboard.", StringComparison.Ordinal));
        Approved.MatchesDocument("docs/reference/views.md", text.ToString());
    }

    [Fact]
    public void Telemetry()
    {
        var text = Page(
            "Telemetry",
            "Each process serves `/metrics` on its management port and sends traces and metrics as OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Prometheus sees `_` for dots, the unit behind, `_total` on counters. Attributes name systems, operations, topics and outcomes, never a customer. [The alerts](../operate.md#alerts) and [the dashboards](../../deploy/grafana/dashboards) are made of these."
        );
        text.Append("\n## Metrics\n\n| name | kind | unit | |\n|---|---|---|---|\n");
        foreach (var instrument in OperatingTests.Instruments().OrderBy(i => i.Name, StringComparer.Ordinal))
        {
            Assert.False(
                string.IsNullOrEmpty(instrument.Description),
                $"{instrument.Name} does not say what it measures"
            );
            var kind = instrument.GetType().Name.Split('`')[0];
            text.Append(
                CultureInfo.InvariantCulture,
                $"| `{instrument.Name}` | {kind.Replace("Observable", "", StringComparison.Ordinal).ToLowerInvariant()} | {instrument.Unit} | {instrument.Description} |\n"
            );
        }

        text.Append(
            "\nBeside these: `MassTransit`, `Npgsql`, `System.Runtime`, ASP.NET Core and HttpClient as their makers describe them.\n"
        );
        text.Append(
            "\n## Traces\n\nOne trace an outside edit: from the product's event, the webhook or the change event through Kafka, the saga, the outbox and the adapter to the vendor calls, by `traceparent` in headers and rows; a test over the real processes follows each span to its parent. In it hang, one below the other:\n\n| span | of | |\n|---|---|---|\n| *stripe webhook* | Stripe's adapter | The request, until it is stored |\n| `adapter intake` | adapter | A change that a vendor told of becomes work |\n| `adapter hint`, `adapter create`, `adapter update`, … | adapter | A round: what was found out about an object, or a command that is carried out |\n| *stripe read*, *salesforce update*, … | adapter | A call of the round; below it the HTTP request. One for many customers is a trace of its own, linked to the first hundred |\n| `send <topic>` | every process | A message's way from the outbox to Kafka's acknowledgement. `sync.kernel.outbox.age` is how long its row had waited before, in seconds; `messaging.message.id` is the message's `ce_id` |\n| `sync-orchestrator receive`, `sync-stripe receive`, … | every process | A message that was read, until its batch is committed; `process` below it is its handling |\n\nA product that goes on with the trace of a command in the event that answers it, as the sandbox's does, is in the trace too. A batch, `kernel.batch`, is in none: it is linked to the first hundred.\n\nEvery row of the timeline holds its `trace_id`, and the span that handled the message has an event for each of its [codes](events.md). A message that became a dead letter, on its way in or out, has a span `kernel.dead_letter` in its trace, with an event of its reason's code.\n"
        );
        Approved.MatchesDocument("docs/reference/telemetry.md", text.ToString());
    }

    [Fact]
    public void Events()
    {
        var text = Page(
            "Events",
            "What happened has one code for each cause and operation; with `direction` and `system` beside it, it is told apart everywhere: as `code` in `dashboard.timeline`, in the metric `sync.orchestrator.events`, as an event of the span, and in log event 1060 (level Debug). The code of a dead letter is its `reason_code` in `dashboard.dead_letters`, `reason` in the metric `sync.kernel.dead_letters`, the event of its span, and in log event 4120. Codes that vendors answer with have [a page of their own](../vendor-errors.md)."
        );
        text.Append("\n## Codes\n\n| code | direction | |\n|---|---|---|\n");
        foreach (var code in typeof(Codes).GetFields(BindingFlags.Static | BindingFlags.Public))
        {
            var name = (string)code.GetRawConstantValue()!;
            var meaning = code.GetCustomAttribute<DescriptionAttribute>()?.Description;
            Assert.False(string.IsNullOrEmpty(meaning), $"{name} does not say what it means");
            text.Append(
                CultureInfo.InvariantCulture,
                $"| `{name}` | {(name.StartsWith("command.", StringComparison.Ordinal) ? "out" : "in")} | {meaning} |\n"
            );
        }

        text.Append(
            "\n## Log events\n\nOne JSON object a line; `event` is the number. Identifiers only, never a value.\n"
        );
        var ids = new Dictionary<int, string>();
        foreach (
            var project in (string[])
                [
                    "Sync.Orchestrator",
                    "Sync.Adapter",
                    "Sync.Messaging",
                    "Sync.Stripe.Adapter",
                    "Sync.Salesforce.Adapter",
                ]
        )
        {
            text.Append(CultureInfo.InvariantCulture, $"\n### {project}\n\n| event | level | |\n|---|---|---|\n");
            var events = Assembly
                .Load(project)
                .GetTypes()
                .Where(t => t.Name == "Log")
                .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
                .Select(m => m.GetCustomAttribute<LoggerMessageAttribute>())
                .OfType<LoggerMessageAttribute>()
                .OrderBy(e => e.EventId)
                .ToList();
            Assert.NotEmpty(events);
            foreach (var e in events)
            {
                // A number is of one project; it may say the same at two levels.
                Assert.True(
                    ids.TryAdd(e.EventId, project) || ids[e.EventId] == project,
                    $"{e.EventId} is of {project} too"
                );
                // The level of some is told by who logs.
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| {e.EventId} | {(e.Level == LogLevel.None ? "by case" : e.Level)} | {Cell(e.Message ?? "")} |\n"
                );
            }
        }

        Approved.MatchesDocument("docs/reference/events.md", text.ToString());
    }

    [Fact]
    public void Commands()
    {
        var text = Page(
            "Commands",
            "`./sync help` is the door; what looks into a running Sync and asks it for things is the orchestrator's own command line. `--json` speaks JSON, `--help` says more. Every process also has the verbs `migrate` and `topics`, and the Stripe adapter `webhooks register`."
        );
        text.Append("\n```text\n")
            .Append(Repository.Read("Sync.Tests/Approved/commands.txt").Trim('\n'))
            .Append("\n```\n");
        Approved.MatchesDocument("docs/reference/commands.md", text.ToString());
    }

    static StringBuilder Page(string title, string introduction) =>
        new StringBuilder().Append(CultureInfo.InvariantCulture, $"# {title}\n\n{introduction}\n\n{Again}\n");

    static string Quoted(string value) => value.Length == 0 ? "" : $"`{value}`";

    static string Cell(string text) =>
        text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);

    static YamlNode Yaml(string path)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read(path)));
        return stream.Documents[0].RootNode;
    }

    [GeneratedRegex("^# ---- (?<name>.+?) -+$")]
    private static partial Regex Section();

    [GeneratedRegex("^#(?<name>[A-Z][A-Z0-9_]+)=(?<value>.*)$")]
    private static partial Regex Setting();
}

using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;
using Sync.Adapter.Hosting;
using Sync.Adapter.Vendors;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Outbox;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;
using Sync.Salesforce.Adapter;
using Sync.Salesforce.Adapter.Client;
using Sync.Stripe.Adapter;
using Sync.Stripe.Adapter.Webhooks;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.Deploy;

/// <summary>Whoever operates Sync finds every reason and every alert on one page, and none that does not exist.</summary>
public sealed partial class OperatingTests
{
    const string Rules = "deploy/prometheus/alerts.yaml";
    const string VendorErrors = "docs/vendor-errors.md";

    static readonly string Page = Repository.Read("docs/operate.md");

    static readonly string[] Meters =
    [
        KernelTelemetry.MeterName,
        AdapterTelemetry.Name,
        Sync.Orchestrator.Telemetry.MeterName,
        WebhookMetrics.Name,
        ApiBudget.MeterName,
    ];

    [Fact]
    public void Every_reason_that_waits_for_a_person_is_explained() =>
        Assert.Equal(
            Constants(typeof(AttentionReasons), typeof(ParkedReasons))
                // The view's own words where a customer gave the reason, or an older release.
                .Concat(["duplicate", "parked", "unknown-customer", "unmatched"])
                .Order(StringComparer.Ordinal),
            Table("What waits for a person", "reason").Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Every_brake_is_explained() =>
        Assert.Equal(
            Constants(typeof(BrakeReasons)).Select(Open).Order(StringComparer.Ordinal),
            Table("What waits for a person", "brake").Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Every_reason_of_a_dead_letter_is_explained() =>
        Assert.Equal(
            Constants(typeof(DeadLetterReasons))
                .Concat(Said(RefusedWith(), "Sync.Adapter", "Sync.Orchestrator", "Sync.Messaging"))
                .Distinct()
                .Order(StringComparer.Ordinal),
            Table("Dead letters", "reason").Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Every_reason_that_waits_for_a_vendor_is_explained() =>
        Assert.Equal(
            // The frame's own words; those of the vendors stand in their tables.
            Said(FailedWith(), "Sync.Adapter", "Sync.Stripe.Adapter", "Sync.Salesforce.Adapter")
                .Select(Open)
                .Distinct()
                .Order(StringComparer.Ordinal),
            Table("What waits for a vendor", "reason").Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Every_reason_of_the_health_page_is_explained() =>
        Assert.Equal(
            Said(
                    HealthReasons(),
                    "Sync.Adapter",
                    "Sync.Messaging",
                    "Sync.Orchestrator",
                    "Sync.Stripe.Adapter",
                    "Sync.Salesforce.Adapter"
                )
                .Select(Open)
                .Distinct()
                .Order(StringComparer.Ordinal),
            Table("Health", "reason").Order(StringComparer.Ordinal)
        );

    [Fact]
    public void What_vendors_answer_is_printed_from_the_tables_that_classify_it()
    {
        var text = new StringBuilder(
            """
            # What vendors answer

            Made from the tables by which the adapters classify errors; `SYNC_APPROVE=1 ./sync test -class Sync.Tests.Deploy.OperatingTests` writes it anew. A code of an action *pause* shows as `configuration:<code>` and waits for a person; one of *refused* parks the value or the command; all others pass by themselves.


            """
        );
        foreach (
            var (vendor, table) in new (string, IReadOnlyList<ErrorRow>)[]
            {
                ("Stripe", StripeErrors.Table),
                ("Salesforce", SalesforceErrors.Table),
            }
        )
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"## {vendor}\n\n| code | when | action | meaning | what to do |\n|---|---|---|---|---|\n"
            );
            foreach (var row in table)
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| `{row.Code}` | {row.When} | {Action(row.Action)} | {row.Meaning} | {row.Remedy ?? Otherwise(row.Action)} |\n"
                );
            text.Append('\n');
        }

        Approved.MatchesDocument(VendorErrors, text.ToString());
    }

    /// <summary>The pages about vendors promise what an adapter does about a code; its table decides.</summary>
    [Theory]
    [InlineData("docs/stripe.md", true)]
    [InlineData("docs/salesforce.md", false)]
    public void A_code_on_a_vendor_s_page_is_one_that_pauses(string page, bool stripe)
    {
        var pausing = (stripe ? StripeErrors.Table : SalesforceErrors.Table)
            .Where(row => row.Action == ErrorAction.PauseAll)
            .Select(row => row.Code)
            .ToList();
        var named = Configuration().Matches(Repository.Read(page)).Select(m => m.Groups["code"].Value).ToList();

        Assert.NotEmpty(named);
        Assert.Empty(named.Where(code => !pausing.Exists(row => row.StartsWith(code, StringComparison.Ordinal))));
    }

    [Fact]
    public void Every_alert_has_its_entry_and_no_entry_is_without_a_rule()
    {
        var alerts = Alerts().Select(alert => alert.Name).ToList();

        Assert.NotEmpty(alerts);
        Assert.Equal(alerts.Distinct(), alerts);
        Assert.Equal(
            alerts.Order(StringComparer.Ordinal),
            Heading().Matches(Page).Select(m => m.Groups["name"].Value).Order(StringComparer.Ordinal)
        );
        Assert.All(Alerts(), alert => Assert.Contains(alert.Severity, (string[])["critical", "warning"]));
    }

    [Fact]
    public void An_alert_that_a_table_refers_to_exists() =>
        Assert.Empty(
            Reference().Matches(Page).Select(m => m.Groups["name"].Value).Except(Alerts().Select(a => a.Name))
        );

    [Fact]
    public async Task Every_series_that_a_rule_or_the_page_names_is_exported()
    {
        var exported = await Exported();
        var named = Alerts()
            .SelectMany(alert => Series().Matches(alert.Expression).Select(m => (Where: alert.Name, m.Value)))
            .Concat(Series().Matches(Page).Select(m => (Where: "docs/operate.md", m.Value)))
            .ToList();

        Assert.NotEmpty(named);
        Assert.Empty(
            named
                .Where(use => !exported.Contains(use.Value))
                .Select(use => $"{use.Where}: no process exports {use.Value}")
        );
    }

    /// <summary>
    /// Names as the exporter that the processes use writes them: each of our instruments is made once more under the same
    /// name, unit and kind, measured once, and scraped.
    /// </summary>
    internal static async Task<HashSet<string>> Exported()
    {
        using var copies = new Meter($"sync.test.{Guid.NewGuid():N}");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder
            .Services.AddOpenTelemetry()
            .WithMetrics(metrics => metrics.AddMeter(copies.Name).AddRuntimeInstrumentation().AddPrometheusExporter());
        await using var app = builder.Build();
        app.MapPrometheusScrapingEndpoint();
        await app.StartAsync(TestContext.Current.CancellationToken);

        foreach (var instrument in Instruments())
        {
            if (instrument is Counter<long>)
                copies.CreateCounter<long>(instrument.Name, instrument.Unit).Add(1);
            else if (instrument is Histogram<double> or Histogram<int>)
                copies.CreateHistogram<double>(instrument.Name, instrument.Unit).Record(1);
            else
                copies.CreateObservableGauge(instrument.Name, () => 1L, instrument.Unit);
        }

        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
        var text = await http.GetStringAsync(
            new Uri("/metrics", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        return [.. SampleName().Matches(text).Select(m => m.Groups["name"].Value)];
    }

    /// <summary>Every instrument that the processes make: all meters of ours.</summary>
    internal static List<Instrument> Instruments()
    {
        Dictionary<string, Instrument> found = [];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                lock (found)
                {
                    if (Meters.Contains(instrument.Meter.Name))
                        found[instrument.Name] = instrument;
                }
            },
        };
        listener.Start();
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        using var consuming = new ConsumingMetrics(new ConsumerBoard(TimeProvider.System), TimeProvider.System);
        using var adapter = new AdapterTelemetry("test");
        _ = ConsumingMetrics.DeadLetters;
        _ = new DeliveryMetrics(meters, new HealthBoard(TimeProvider.System));
        _ = Retention.Expired(meters);
        _ = new Sync.Orchestrator.Telemetry(meters);
        using var webhooks = new WebhookMetrics();
        using var budget = new ApiBudget();
        lock (found)
            return [.. found.Values];
    }

    static IEnumerable<(string Name, string Expression, string Severity)> Alerts()
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read(Rules)));
        return ((YamlSequenceNode)stream.Documents[0].RootNode["groups"])
            .SelectMany(group => (YamlSequenceNode)group["rules"])
            .Select(rule => (rule["alert"].ToString(), rule["expr"].ToString(), rule["labels"]["severity"].ToString()));
    }

    static IEnumerable<string> Constants(params Type[] types) =>
        types.SelectMany(type =>
            type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
                .Where(field => field.IsLiteral && field.FieldType == typeof(string))
                .Select(field => (string)field.GetRawConstantValue()!)
        );

    /// <summary>Words in the code of projects, where each place says its own.</summary>
    static IEnumerable<string> Said(Regex said, params string[] projects) =>
        Repository
            .Files()
            .Where(path =>
                path.EndsWith(".cs", StringComparison.Ordinal)
                && projects.Any(project => path.StartsWith(project + "/", StringComparison.Ordinal))
            )
            .SelectMany(path => said.Matches(Repository.Read(path)))
            .Select(match => match.Groups["reason"].Value);

    /// <summary>A reason with an open end stands on the page as its beginning and three dots.</summary>
    static string Open(string reason)
    {
        var end = reason.IndexOf('{', StringComparison.Ordinal);
        var begin = end < 0 ? reason : reason[..end];
        return begin.EndsWith(':') || begin.EndsWith(": ", StringComparison.Ordinal) || begin.EndsWith('-')
            ? begin + "…"
            : begin;
    }

    /// <summary>The first column of the table below a heading whose first column is called so.</summary>
    static List<string> Table(string heading, string column)
    {
        var section = Page.Split("\n## ").Single(part => part.StartsWith(heading + "\n", StringComparison.Ordinal));
        return
        [
            .. section
                .Split('\n')
                .SkipWhile(line => !line.StartsWith($"| {column} |", StringComparison.Ordinal))
                .Skip(2)
                .TakeWhile(line => line.StartsWith('|'))
                .SelectMany(line => Code().Matches(line.Split('|')[1]))
                .Select(match => match.Groups["code"].Value),
        ];
    }

    /// <summary>What an operator does where the row names nothing of its own.</summary>
    static string Otherwise(ErrorAction action) =>
        action switch
        {
            ErrorAction.Retry => "nothing: it is tried again",
            ErrorAction.SlowDown => "nothing: all calls slow down, then speed up again",
            ErrorAction.Refused => "correct the value in any system, or the cause, and `./sync customer retry`",
            ErrorAction.Gone => "nothing: it counts as a deletion seen there",
            ErrorAction.Moved or ErrorAction.Taken or ErrorAction.SignIn => "nothing",
            _ => throw new InvalidOperationException($"{action} must say what to do"),
        };

    static string Action(ErrorAction action) =>
        action switch
        {
            ErrorAction.Retry => "again, with growing pauses",
            ErrorAction.SlowDown => "all slow down",
            ErrorAction.PauseAll => "pause",
            ErrorAction.Refused => "refused",
            ErrorAction.Gone => "the object is gone",
            ErrorAction.Moved => "read again",
            ErrorAction.Taken => "look which record it is",
            ErrorAction.SignIn => "sign in, once more",
            _ => throw new InvalidOperationException($"{action} has no words yet"),
        };

    [GeneratedRegex("""RefusedMessageException\(\s*"(?<reason>[a-z-]+)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex RefusedWith();

    // A failure made by name, the gate's two words, and what a lane is given back with.
    [GeneratedRegex(
        """
            (?: Failed\(\s* | =>\s*new\(\s* ) (?: FailureClass\.\w+,\s* )? "(?<reason>[a-z_-]+)",
            | (?: CircuitCode | ConfigurationPrefix | FirstListing )\s=\s"(?<reason>[a-z-]+:?)"
            | \$"(?<reason>commit-\{)
            | delay,\s*"(?<reason>[a-z-]+)"
            """,
        RegexOptions.IgnorePatternWhitespace
    )]
    private static partial Regex FailedWith();

    [GeneratedRegex(
        """(?:\.Set|[Rr]easons\.Add\(\s*new)\(\s*\$?"(?<reason>[a-z:-]+)[{"] """,
        RegexOptions.IgnorePatternWhitespace
    )]
    private static partial Regex HealthReasons();

    [GeneratedRegex("`(?<code>[^`]+)`")]
    private static partial Regex Code();

    [GeneratedRegex("`configuration:(?<code>[A-Za-z0-9_]+)")]
    private static partial Regex Configuration();

    [GeneratedRegex("^### (?<name>\\w+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"\*(?<name>Sync\w+)\*")]
    private static partial Regex Reference();

    [GeneratedRegex(@"\bsync_(?:kernel|adapter|orchestrator|stripe|salesforce)_[a-z_]+\b")]
    private static partial Regex Series();

    // Series by their samples, and what a histogram's are called together.
    [GeneratedRegex("^(?:# TYPE )?(?<name>[a-z_]+)(?:\\{| )", RegexOptions.Multiline)]
    private static partial Regex SampleName();
}

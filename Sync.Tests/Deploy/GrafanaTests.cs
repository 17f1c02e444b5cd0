using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Npgsql;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.Deploy;

/// <summary>
/// The dashboards as Grafana gets them. That every query also answers against running processes is shown where those run, in
/// <c>EndToEnd/MonitoringTests</c>.
/// </summary>
public sealed partial class GrafanaTests(RolesTests.Installed installed) : IClassFixture<RolesTests.Installed>
{
    [Fact]
    public void Every_dashboard_is_whole()
    {
        Assert.Equal(["customer.json", "kernel.json", "overview.json", "vendors.json"], Boards.All.Select(b => b.File));
        Assert.Equal(Boards.All.Count, Boards.All.Select(b => $"{b.Board["uid"]}").Distinct().Count());
        foreach (var (file, board) in Boards.All)
        {
            var panels = Boards.Panels(board).ToList();
            Assert.Equal(panels.Count, panels.Select(p => (int)p["id"]!).Distinct().Count());
            Assert.All(panels, p => Assert.True($"{p["title"]}".Length > 0, file));
            // Panels lie beside each other, not on top.
            var cells = panels.SelectMany(Cells).ToList();
            Assert.Equal(cells.Count, cells.Distinct().Count());
            Assert.All(panels, p => Assert.InRange((int)p["gridPos"]!["x"]! + (int)p["gridPos"]!["w"]!, 1, 24));
        }
    }

    [Fact]
    public void A_panel_asks_a_source_that_is_provisioned()
    {
        var sources = Yaml("deploy/grafana/provisioning/datasources/sync.yaml")["datasources"];
        var known = ((YamlSequenceNode)sources).ToDictionary(s => $"{s["uid"]}", s => $"{s["type"]}");

        Assert.All(
            Boards.All.SelectMany(b => Boards.Panels(b.Board)).SelectMany(Sources),
            source => Assert.Equal(known[$"{source["uid"]}"], $"{source["type"]}")
        );
        Assert.Equal(
            "sync_dashboard",
            $"{((YamlSequenceNode)sources).Single(s => $"{s["uid"]}" == "sync-postgres")["user"]}"
        );
    }

    [Fact]
    public async Task Every_statement_of_a_panel_is_answered_to_the_role_that_reads_views_alone()
    {
        await using var dashboard = NpgsqlDataSource.Create(installed.Roles.Url(TestRoles.Dashboard));
        List<string> faults = [];
        foreach (var query in Boards.Queries.Where(q => q.Language == "sql"))
        {
            try
            {
                await using var command = dashboard.CreateCommand(Boards.Filled(query, "o'brien"));
                await using var rows = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
                if (query.Text.Contains(" as time", StringComparison.Ordinal))
                    Assert.Equal(
                        ["time", "metric", "value"],
                        Enumerable.Range(0, rows.FieldCount).Select(rows.GetName)
                    );
            }
            catch (PostgresException e)
            {
                faults.Add($"{query}: {e.MessageText}");
            }
        }

        Assert.Empty(faults);
    }

    [Fact]
    public async Task Every_series_of_a_panel_is_one_that_a_process_exports()
    {
        var exported = await OperatingTests.Exported();
        var used = Boards.Queries.Where(q => q.Language == "promql").ToList();

        Assert.NotEmpty(used);
        Assert.Empty(
            used.SelectMany(q => Metric().Matches(q.Text).Select(m => (Query: q, m.Value)))
                .Where(use => !exported.Contains(use.Value))
                .Select(use => $"{use.Query}: no process exports {use.Value}")
        );
    }

    [Fact]
    public void Everything_that_is_measured_is_on_a_dashboard()
    {
        // One instrument, one panel: what nobody looks at need not be measured.
        var text = string.Concat(Boards.Queries.Select(q => q.Text));
        var unseen = OperatingTests
            .Instruments()
            .Select(i => i.Name.Replace('.', '_'))
            .Where(name => !text.Contains(name, StringComparison.Ordinal));
        Assert.Equal(
            [
                // What a process says of its clients is in the traces, and of objects that were found in the timeline.
                "messaging_client_operation_duration",
                "sync_adapter_feed_last_change",
                "sync_kernel_batch_rounds",
                // Housekeeping: what stays of it is seen in the size of the tables.
                "sync_kernel_expired",
                "sync_kernel_schedule_moved",
                "sync_orchestrator_dropped",
                "sync_orchestrator_objects_found",
            ],
            unseen.Distinct().Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public async Task Prometheus_s_own_checker_takes_the_rules()
    {
        var rules = Path.Combine(Repository.Root, "deploy/prometheus/alerts.yaml");
        var (code, said) = await Prometheus.Check("check", "rules", rules);

        Assert.True(code == 0, said);
    }

    static IEnumerable<(int, int)> Cells(JsonNode panel)
    {
        var at = panel["gridPos"]!;
        return Enumerable
            .Range((int)at["x"]!, (int)at["w"]!)
            .SelectMany(x => Enumerable.Range((int)at["y"]!, (int)at["h"]!).Select(y => (x, y)));
    }

    static IEnumerable<JsonNode> Sources(JsonNode panel) =>
        (panel["targets"]?.AsArray().Select(t => t!["datasource"]) ?? [])
            .Append(panel["datasource"])
            .OfType<JsonNode>();

    static YamlNode Yaml(string path)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read(path)));
        return stream.Documents[0].RootNode;
    }

    [GeneratedRegex(
        @"\b(?:sync_(?:kernel|adapter|orchestrator|stripe|salesforce)|messaging_(?:client|process)|dotnet)_[a-z_]+"
    )]
    private static partial Regex Metric();
}

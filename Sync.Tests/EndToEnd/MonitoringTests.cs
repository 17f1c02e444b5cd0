using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Npgsql;
using Sync.Tests.Deploy;
using Sync.Tests.Support;
using YamlDotNet.RepresentationModel;

namespace Sync.Tests.EndToEnd;

/// <summary>Dashboards and alerts against the processes that they are made for.</summary>
[Collection(EndToEndCollection.Name)]
public sealed partial class MonitoringTests(RunningStack running)
{
    [Fact]
    public async Task Every_query_of_a_panel_and_every_alert_is_answered_by_a_prometheus_that_scrapes_the_processes()
    {
        await using var prometheus = await Prometheus.Scrape(running.Stack.Processes.Select(p => p.Port));
        var run = running.Run;
        await run.Create("e2e-monitored", new JsonObject { ["name"] = "Monitored" }.ToJsonString());
        await run.InStep("e2e-monitored");
        // A rate needs two looks after something happened.
        await prometheus.Until(
            "count(count_over_time(sync_orchestrator_merges_total[5m]) > 2) > 0 and count(up == 1) == 3"
        );

        List<string> faults = [];
        var answered = 0;
        foreach (var query in Boards.Queries.Where(q => q.Language == "promql"))
        {
            try
            {
                var series = await prometheus.Query(Boards.Filled(query, customer: ""));
                if (series.Count > 0)
                    answered++;
                else if (await All(prometheus, query.Text))
                    faults.Add($"{query}: there are such series, and no answer");
                foreach (var label in Boards.Labels(query.Legend).Where(_ => series.Count > 0))
                {
                    if (!series.Any(s => s!["metric"]![label] is not null))
                        faults.Add($"{query}: no series has the label {label}");
                }
            }
            catch (InvalidOperationException e)
            {
                faults.Add($"{query}: {e.Message}");
            }
        }

        foreach (var (alert, expression) in Alerts())
        {
            try
            {
                await prometheus.Query(expression);
            }
            catch (InvalidOperationException e)
            {
                faults.Add($"{alert}: {e.Message}");
            }
        }

        Assert.Empty(faults);
        Assert.True(answered > 20, $"only {answered} panels show anything");
    }

    [Fact]
    public async Task Every_statement_of_a_panel_is_answered_by_the_database_of_the_running_processes()
    {
        await using var dashboard = NpgsqlDataSource.Create(running.Roles.Url(TestRoles.Dashboard));
        await running.Run.Create("e2e-shown", new JsonObject { ["name"] = RunningStack.Personal }.ToJsonString());
        await running.Run.InStep("e2e-shown");
        // A change after the creation: one edge is an answer to it.
        await running.Run.Change("e2e-shown", new JsonObject { ["phone"] = "+442079460018" });
        await running.Run.InStep("e2e-shown");

        List<string> seen = [];
        var empty = new List<string>();
        foreach (var query in Boards.Queries.Where(q => q.Language == "sql"))
        {
            await using var command = dashboard.CreateCommand(Boards.Filled(query, "e2e-shown"));
            await using var rows = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
            var before = seen.Count;
            while (await rows.ReadAsync(TestContext.Current.CancellationToken))
                seen.Add(string.Join('|', Enumerable.Range(0, rows.FieldCount).Select(i => $"{rows.GetValue(i)}")));
            if (seen.Count == before)
                empty.Add(query.Panel);
        }

        Assert.DoesNotContain(seen, row => row.Contains(RunningStack.Personal, StringComparison.OrdinalIgnoreCase));
        Assert.Empty(
            ((string[])["State", "Systems", "Timeline", "The same by edge", "What happens", "Last 24 hours"]).Intersect(
                empty
            )
        );
    }

    /// <summary>Whether Prometheus has a series of every name in it.</summary>
    static async Task<bool> All(Prometheus prometheus, string text)
    {
        foreach (var name in Name().Matches(text).Select(m => m.Value).Distinct())
        {
            if ((await prometheus.Query($"count_over_time({name}[1m]) > 1")).Count == 0)
                return false;
        }

        return true;
    }

    static IEnumerable<(string Alert, string Expression)> Alerts()
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Read("deploy/prometheus/alerts.yaml")));
        return ((YamlSequenceNode)stream.Documents[0].RootNode["groups"])
            .SelectMany(group => (YamlSequenceNode)group["rules"])
            .Select(rule => (rule["alert"].ToString(), rule["expr"].ToString()));
    }

    [GeneratedRegex(
        @"\b(?:sync_(?:kernel|adapter|orchestrator|stripe|salesforce)|messaging_(?:client|process)|dotnet)_[a-z_]+"
    )]
    private static partial Regex Name();
}

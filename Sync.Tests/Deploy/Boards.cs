using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sync.Tests.Support;

namespace Sync.Tests.Deploy;

/// <summary>A query of a panel in <c>deploy/grafana/dashboards</c>.</summary>
/// <param name="Language"><c>sql</c> or <c>promql</c>.</param>
/// <param name="Legend">What Grafana writes at each series: text with labels in double braces; empty for SQL.</param>
sealed record BoardQuery(string Board, string Panel, string Language, string Text, string Legend)
{
    public override string ToString() => $"{Board}, \"{Panel}\": {Text}";
}

static partial class Boards
{
    const string Folder = "deploy/grafana/dashboards/";

    public static IReadOnlyList<(string File, JsonNode Board)> All { get; } =
    [
        .. Repository
            .Files()
            .Where(path => path.StartsWith(Folder, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(path => (path[Folder.Length..], JsonNode.Parse(Repository.Read(path))!)),
    ];

    public static IEnumerable<JsonNode> Panels(JsonNode board) => board["panels"]!.AsArray().Select(p => p!);

    public static IEnumerable<BoardQuery> Queries { get; } =
    [
        .. All.SelectMany(board =>
            Panels(board.Board)
                .SelectMany(panel =>
                    (panel["targets"]?.AsArray() ?? [])
                        .Select(target => target!)
                        .Select(target =>
                            target["rawSql"] is { } sql
                                ? new BoardQuery(board.File, $"{panel["title"]}", "sql", $"{sql}", "")
                                : new BoardQuery(
                                    board.File,
                                    $"{panel["title"]}",
                                    "promql",
                                    $"{target["expr"]}",
                                    $"{target["legendFormat"]}"
                                )
                        )
                )
        ),
    ];

    /// <summary>As Grafana fills it in: macros, and the variables of the dashboard.</summary>
    public static string Filled(BoardQuery query, string customer) =>
        query.Language == "sql"
            ? TimeFilter()
                .Replace(query.Text, "$1 between now() - interval '6 hours' and now()")
                .Replace(
                    "${customer:sqlstring}",
                    $"'{customer.Replace("'", "''", StringComparison.Ordinal)}'",
                    StringComparison.Ordinal
                )
            : query.Text.Replace("$__rate_interval", "1m", StringComparison.Ordinal);

    public static IEnumerable<string> Labels(string legend) => Label().Matches(legend).Select(m => m.Groups[1].Value);

    [GeneratedRegex(@"\$__timeFilter\(([a-z_]+)\)")]
    private static partial Regex TimeFilter();

    [GeneratedRegex(@"\{\{([a-z_]+)\}\}")]
    private static partial Regex Label();
}

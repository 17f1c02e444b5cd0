using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace Sync.Benchmarks.Figures;

/// <summary>
/// Puts chapters on the screen, and as JSON and Markdown into files. <c>docs/figures.md</c> is the one place where figures
/// stand; each chapter there is replaced by its next full run, and a quick one leaves the page alone.
/// </summary>
sealed class Report(IAnsiConsole console, string folder, string page)
{
    const string Head = """
        # Figures

        Measured by `./sync bench`, which writes this page. Nowhere else is a number claimed. What is compared, and why it is
        fair, stands in [Sync.Benchmarks/README.md](../Sync.Benchmarks/README.md). Medians, in brackets the smallest and the
        largest of the rounds. A chapter that is not here has not been measured on a machine that did nothing else.

        """;

    static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    public void Show(Chapter chapter)
    {
        foreach (var table in chapter.Tables)
        {
            console.WriteLine();
            var shown = new Spectre.Console.Table().Title(Markup.Escape(table.Title)).Border(TableBorder.Rounded);
            foreach (var (column, index) in table.Columns.Select((c, i) => (c, i)))
                shown.AddColumn(
                    new TableColumn(Markup.Escape(column)) { Alignment = index == 0 ? Justify.Left : Justify.Right }
                );
            foreach (var row in table.Rows)
                shown.AddRow([.. row.Select(Markup.Escape)]);
            console.Write(shown);
            foreach (var note in table.Notes)
                console.WriteLine(note);
        }

        foreach (var failure in chapter.Failures)
            console.MarkupLineInterpolated($"[red]{failure}[/]");
    }

    /// <param name="quick">Figures of a quick run are for looking, not for quoting.</param>
    public void Write(Chapter chapter, Machine machine, DateTimeOffset at, bool quick)
    {
        Directory.CreateDirectory(folder);
        var json = Path.Combine(folder, $"{chapter.Name}{(quick ? "-quick" : "")}.json");
        File.WriteAllText(
            json,
            JsonSerializer.Serialize(
                new
                {
                    chapter.Name,
                    At = at,
                    Quick = quick,
                    Machine = machine,
                    machine.IsIdle,
                    chapter.Failures,
                    Measured = chapter.Raw,
                },
                Json
            ) + "\n"
        );
        console.WriteLine($"raw numbers: {json}");
        if (quick)
            return;

        File.WriteAllText(
            page,
            Replace(File.Exists(page) ? File.ReadAllText(page) : Head, chapter.Name, Text(chapter, machine, at))
        );
        console.WriteLine($"figures: {page}");
    }

    public static string Text(Chapter chapter, Machine machine, DateTimeOffset at)
    {
        var text = new StringBuilder();
        text.Append($"## {chapter.Title}\n\n{chapter.Method}\n\n");
        text.Append(
            $"{at:d MMMM yyyy}, {(machine.IsIdle ? "" : "**on a machine that others were using, so not to be quoted**, ")}{machine}.\n"
        );
        foreach (var table in chapter.Tables)
        {
            text.Append($"\n**{table.Title}**\n\n");
            text.Append($"| {string.Join(" | ", table.Columns)} |\n");
            text.Append($"|{string.Concat(table.Columns.Select((_, i) => i == 0 ? "---|" : "---:|"))}\n");
            foreach (var row in table.Rows)
                text.Append($"| {string.Join(" | ", row)} |\n");
            foreach (var note in table.Notes)
                text.Append($"\n{note}\n");
        }

        foreach (var failure in chapter.Failures)
            text.Append($"\n**{failure}**\n");
        return text.ToString();
    }

    /// <summary>Each chapter stands between marks, so that one can be measured anew without the others.</summary>
    public static string Replace(string page, string name, string text)
    {
        var (begin, end) = ($"<!-- bench {name} -->\n", $"<!-- end {name} -->\n");
        var chapter = $"{begin}\n{text}\n{end}";
        var from = page.IndexOf(begin, StringComparison.Ordinal);
        var to = page.IndexOf(end, StringComparison.Ordinal);
        return from < 0 || to < from
            ? $"{page.TrimEnd('\n')}\n\n{chapter}"
            : $"{page[..from]}{chapter}{page[(to + end.Length)..]}";
    }
}

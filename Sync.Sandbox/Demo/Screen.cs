using Spectre.Console;
using Sync.Sandbox.Stack;

namespace Sync.Sandbox.Demo;

/// <summary>
/// What a person sees: one line a flow, and below it, on a terminal, what is going on right now. Where nobody watches, in a
/// pipe or a log, it is plain text, a line at the beginning of each flow and one at its end.
/// </summary>
sealed class Screen
{
    readonly IAnsiConsole _console;
    readonly bool _live;

    public Screen()
    {
        _live = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        _console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = _live ? AnsiSupport.Detect : AnsiSupport.No,
                // Its own look asks whether somebody can type; it is enough here that somebody reads.
                Interactive = _live ? InteractionSupport.Yes : InteractionSupport.No,
            }
        );
        if (!_live)
            _console.Profile.Width = 10_000; // no line is broken where a program may read it
    }

    public void Line(string text = "") => _console.WriteLine(text);

    public void Heading(string text) => _console.MarkupLineInterpolated($"[bold]{text}[/]");

    /// <summary>From a person's hand in one place to the moment the edit was seen in another.</summary>
    public void Latencies(Latencies seen)
    {
        if (seen.Everybody.Count > 0)
        {
            Heading("From a person's hand to the other places");
            Latencies(cell => seen.Everybody.TryGetValue(cell, out var took) ? Flows.Ms(took) : "");
        }

        if (seen.Meanwhile.Count > 0)
        {
            Heading("The same while the third place is down");
            Latencies(cell =>
                !seen.Meanwhile.TryGetValue(cell, out var took) ? ""
                : took is { } reached ? Flows.Ms(reached)
                : "once it is back"
            );
        }
    }

    void Latencies(Func<Cell, string> text)
    {
        var table = new Table { Border = _live ? TableBorder.Rounded : TableBorder.Ascii }.AddColumn("edit");
        foreach (var place in Place.All)
            table.AddColumn(new TableColumn($"seen in {place}").RightAligned());
        foreach (var row in Matrix.Cells.GroupBy(cell => (cell.Change, cell.Origin)))
        {
            var to = row.ToDictionary(cell => cell.Target, text);
            table.AddRow([
                $"{row.Key.Change.ToString().ToLowerInvariant()} in {row.Key.Origin}",
                .. Place.All.Select(place => to.GetValueOrDefault(place, "")),
            ]);
        }

        _console.Write(table);
    }

    public async Task<bool> Show(
        string title,
        int number,
        int of,
        Func<Action<string>, Task<string>> run,
        CancellationToken cancellationToken
    )
    {
        var label = $"[{number}/{of}] {title}";
        string? result = null;
        Exception? failure = null;
        async Task Run(Action<string> say)
        {
            try
            {
                result = await run(say);
            }
            // Whatever fails in a flow, the next one runs and the last line is said.
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                failure = e;
            }
        }

        if (_live)
        {
            await _console
                .Status()
                .Spinner(Spinner.Known.Dots)
                .StartAsync(
                    Markup.Escape(label),
                    context => Run(what => context.Status = Markup.Escape($"{label}: {what}"))
                );
        }
        else
        {
            Line($"  ....  {label}");
            await Run(static _ => { });
        }

        if (failure is null)
        {
            _console.MarkupLineInterpolated($"  [green]ok[/]    {label}: {result}");
            return true;
        }

        _console.MarkupLineInterpolated($"  [red]FAIL[/]  {label}");
        foreach (var line in failure.Message.Split('\n'))
            Line("        " + line);
        return false;
    }
}

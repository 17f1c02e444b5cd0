using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// What a verb says: tables for people, one JSON document for programs. A document's members are only ever added to.
/// Results go to the output, everything else to the error stream.
/// </summary>
sealed class Output
{
    static readonly JsonWriterOptions Writing = new()
    {
        Indented = true,
        // It goes to a terminal or a program, not into a page.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    readonly TextWriter _out;
    readonly TextWriter _error;
    readonly IAnsiConsole _console;

    public Output(TextWriter output, TextWriter error, bool json, bool onTerminal)
    {
        _out = output;
        _error = error;
        Json = json;
        _console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(output),
                Ansi = onTerminal ? AnsiSupport.Detect : AnsiSupport.No,
                Interactive = InteractionSupport.No,
            }
        );
        if (!onTerminal)
            _console.Profile.Width = 10_000; // no line is broken where a program may read it
    }

    public bool Json { get; }

    public void Document(JsonNode document)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, Writing))
            document.WriteTo(writer);
        _out.WriteLine(System.Text.Encoding.UTF8.GetString(stream.ToArray()));
    }

    public void Line(string text = "") => _console.WriteLine(text);

    public void Heading(string text) => _console.MarkupLineInterpolated($"[bold]{text}[/]");

    /// <summary>Said beside the result; a program does not read it.</summary>
    public void Note(string text)
    {
        if (!Json)
            _error.WriteLine(text);
    }

    public void Failure(string code, string message, string? whatToDo)
    {
        if (!Json)
        {
            _error.WriteLine(message);
            if (whatToDo is not null)
                _error.WriteLine("  " + whatToDo);
            return;
        }

        var error = new JsonObject { ["code"] = code, ["message"] = message };
        if (whatToDo is not null)
            error["whatToDo"] = whatToDo;
        Document(new JsonObject { ["error"] = error });
    }

    public void Table(IReadOnlyList<string> titles, IEnumerable<IReadOnlyList<string>> rows)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (var title in titles)
            table.AddColumn(new TableColumn(new Text(title)) { NoWrap = title != "what to do" && title != "reason" });
        foreach (var row in rows)
            table.AddRow(row.Select(cell => new Text(cell)));
        _console.Write(table);
    }

    /// <summary>How a value stands in a table. Times are UTC.</summary>
    public static string Text(object? value) =>
        value switch
        {
            null or DBNull => "",
            string text => text,
            bool flag => flag ? "yes" : "no",
            DateTime time => Text(new DateTimeOffset(DateTime.SpecifyKind(time, DateTimeKind.Utc))),
            DateTimeOffset time => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            TimeSpan span => Age(span),
            IEnumerable<string> list => string.Join(", ", list),
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? "",
        };

    /// <summary>In the largest unit that fits: 45 s, 12 min, 5 h, 3 d.</summary>
    public static string Age(TimeSpan span) =>
        span switch
        {
            { TotalSeconds: < 120 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0} s"),
            { TotalMinutes: < 120 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMinutes:0} min"),
            { TotalHours: < 48 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalHours:0} h"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{span.TotalDays:0} d"),
        };

    /// <summary>How a value stands in a document: times RFC 3339, UTC, milliseconds.</summary>
    public static JsonNode? Node(object? value) =>
        value switch
        {
            null or DBNull => null,
            JsonNode node => node,
            string text => JsonValue.Create(text),
            bool flag => JsonValue.Create(flag),
            int number => JsonValue.Create(number),
            long number => JsonValue.Create(number),
            double number => JsonValue.Create(number),
            decimal number => JsonValue.Create(number),
            Guid id => JsonValue.Create(id.ToString()),
            DateTime time => Node(new DateTimeOffset(DateTime.SpecifyKind(time, DateTimeKind.Utc))),
            DateTimeOffset time => JsonValue.Create(
                time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)
            ),
            TimeSpan span => JsonValue.Create(Math.Round(span.TotalSeconds, 3)),
            IEnumerable<string> list => new JsonArray([.. list.Select(item => (JsonNode?)JsonValue.Create(item))]),
            _ => JsonValue.Create(value.ToString()),
        };
}

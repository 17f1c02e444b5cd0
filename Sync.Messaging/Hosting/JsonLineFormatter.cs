using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Sync.Messaging.Hosting;

/// <summary>
/// One JSON object a line: time, level, event, category, message, its values, trace. Of an exception it shows what
/// <see cref="SafeExceptions"/> allows.
/// </summary>
sealed class JsonLineFormatter(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "sync-json";
    const string Template = "{OriginalFormat}";

    public override void Write<TState>(
        in LogEntry<TState> logEntry,
        IExternalScopeProvider? scopeProvider,
        TextWriter textWriter
    )
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            var values = logEntry.State as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
            json.WriteStartObject();
            json.WriteString(
                "time",
                time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)
            );
            json.WriteString("level", logEntry.LogLevel.ToString());
            json.WriteNumber("event", logEntry.EventId.Id);
            json.WriteString("category", logEntry.Category);
            json.WriteString("message", Message(logEntry, values));
            foreach (var (name, value) in values)
            {
                if (name != Template)
                    json.WriteString(JsonNamingPolicy.CamelCase.ConvertName(name), Text(value));
            }

            if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
            {
                json.WriteString("trace", activity.TraceId.ToHexString());
                json.WriteString("span", activity.SpanId.ToHexString());
            }

            if (logEntry.Exception is { } exception)
                Write(json, exception);
            json.WriteEndObject();
        }

        textWriter.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    /// <summary>A line of a library may have an exception among its values: then the template stands for the message.</summary>
    static string Message<TState>(in LogEntry<TState> entry, IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        foreach (var (_, value) in values)
        {
            if (value is Exception)
                return values.FirstOrDefault(v => v.Key == Template).Value as string ?? entry.Category;
        }

        // Without the exception: some formatters append its text.
        return entry.Formatter(entry.State, null);
    }

    static string? Text(object? value) =>
        value switch
        {
            Exception e => e.GetType().FullName,
            IFormattable f => f.ToString(null, CultureInfo.InvariantCulture),
            _ => value?.ToString(),
        };

    static void Write(Utf8JsonWriter json, Exception exception)
    {
        json.WriteStartArray("exception");
        foreach (var cause in SafeExceptions.Chain(exception))
        {
            json.WriteStartObject();
            json.WriteString("type", cause.GetType().FullName);
            if (SafeExceptions.Text(cause) is { Length: > 0 } text)
                json.WriteString("text", text);
            json.WriteStartArray("frames");
            foreach (
                var frame in (cause.StackTrace ?? "").Split(
                    '\n',
                    StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries
                )
            )
                json.WriteStringValue(frame);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}

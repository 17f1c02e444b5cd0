using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Trace;
using Sync.Messaging.Hosting;
using Sync.Tests.Messaging.Delivering;
using Sync.Tests.Support;

namespace Sync.Tests.Hosting;

public sealed class PrivacyTests
{
    const string Value = "ada@example.com";

    [Fact]
    public void A_log_line_shows_an_exception_s_type_and_frames_and_not_its_text()
    {
        var line = Format(log =>
        {
            try
            {
                throw new InvalidOperationException(Value, new FormatException(Value));
            }
            catch (InvalidOperationException e)
            {
                log.LogError(7, e, "Customer {CustomerId} failed", "cus-1");
            }
        });

        using var json = JsonDocument.Parse(line);
        Assert.Equal("Customer cus-1 failed", json.RootElement.GetProperty("message").GetString());
        Assert.Equal("cus-1", json.RootElement.GetProperty("customerId").GetString());
        Assert.Equal(7, json.RootElement.GetProperty("event").GetInt32());
        Assert.Equal(
            ["System.InvalidOperationException", "System.FormatException"],
            json.RootElement.GetProperty("exception").EnumerateArray().Select(e => e.GetProperty("type").GetString())
        );
        Assert.Contains(nameof(PrivacyTests), line, StringComparison.Ordinal);
        Assert.DoesNotContain(Value, line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_library_s_line_with_an_exception_among_its_values_shows_its_type_only()
    {
        var line = Format(log => log.LogError("It failed: {Exception}", new InvalidOperationException(Value)));

        Assert.Contains("System.InvalidOperationException", line, StringComparison.Ordinal);
        Assert.DoesNotContain(Value, line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_a_database_error_the_code_and_the_names_are_shown_and_no_value()
    {
        await using var database = await TestPostgres.Create();
        var error = await Assert.ThrowsAsync<PostgresException>(() => database.Execute($"select '{Value}'::uuid"));

        var line = Format(log => log.LogError(error, "It failed"));

        Assert.Contains("22P02", line, StringComparison.Ordinal);
        Assert.DoesNotContain(Value, line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_span_of_a_failed_statement_holds_no_text_of_the_error()
    {
        await using var database = await TestPostgres.Create();
        var spans = new ConcurrentCollection<Activity>();
        using var provider = Sdk.CreateTracerProviderBuilder()
            .AddSource("Npgsql", nameof(PrivacyTests))
            .AddProcessor(new ExceptionScrubber())
            .AddInMemoryExporter(spans)
            .Build();
        using var source = new ActivitySource(nameof(PrivacyTests));

        await Assert.ThrowsAsync<PostgresException>(() => database.Execute($"select '{Value}'::text::uuid"));
        using (var own = source.StartActivity("own"))
        {
            own!.AddException(new InvalidOperationException(Value));
            own.AddEvent(new ActivityEvent("kept"));
            own.SetStatus(ActivityStatusCode.Error, Value);
        }

        provider.ForceFlush();

        var exported = Assert.Single(spans, s => s.OperationName == "own");
        Assert.Equal(["exception", "kept"], exported.Events.Select(e => e.Name));
        Assert.Equal(ActivityStatusCode.Error, exported.Status);
        var texts = spans.SelectMany(s =>
            s.Events.SelectMany(e => e.Tags)
                .Concat(s.TagObjects.Where(t => t.Key is not ("db.statement" or "db.query.text")))
                .Select(t => $"{t.Value}")
                .Append(s.StatusDescription ?? "")
        );
        Assert.DoesNotContain(texts, t => t.Contains(Value, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_span_of_a_call_holds_no_query_and_the_call_is_not_logged()
    {
        await using var stage = await PingStage.Set();
        var spans = new ConcurrentCollection<Activity>();
        await using var process = await PingProcess.Start(
            stage.Database,
            stage.Kafka,
            configure: builder =>
            {
                builder.Services.ConfigureOpenTelemetryTracerProvider(traces => traces.AddInMemoryExporter(spans));
                builder.Services.AddHttpClient("vendor");
                builder.Logging.SetMinimumLevel(LogLevel.Trace).AddFilter("System", LogLevel.Trace);
            }
        );
        using var http = process.Services.GetRequiredService<IHttpClientFactory>().CreateClient("vendor");
        using var source = new ActivitySource("sync.test");

        ActivityTraceId trace;
        using (var span = source.StartActivity("call"))
        {
            trace = span!.TraceId;
            var address = process.Services.GetRequiredService<ManagementServer>().Address!;
            using var answer = await http.GetAsync(new Uri(address, $"/health/live?email={Value}"));
        }

        process.Services.GetRequiredService<TracerProvider>().ForceFlush();
        // The process goes on making spans, and sees those of tests beside this one; what is judged is this trace, as it
        // stood at this moment.
        var seen = spans.Snapshot().Where(s => s.TraceId == trace).ToList();
        var call = Assert.Single(seen, s => s.GetTagItem("url.full") is not null);
        Assert.Contains("/health/live", $"{call.GetTagItem("url.full")}", StringComparison.Ordinal);
        Assert.DoesNotContain(
            seen.SelectMany(s => s.TagObjects),
            t => $"{t.Value}".Contains("ada", StringComparison.Ordinal)
        );
        Assert.DoesNotContain(
            process.Logs.Lines,
            l => l.Category.StartsWith("System.Net.Http", StringComparison.Ordinal)
        );
    }

    static string Format(Action<ILogger> log)
    {
        var output = new StringWriter();
        log(new FormatterLogger(new JsonLineFormatter(TimeProvider.System), output));
        return output.ToString();
    }

    sealed class FormatterLogger(JsonLineFormatter formatter, TextWriter output) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> format
        ) => formatter.Write(new LogEntry<TState>(logLevel, "test", eventId, state, exception, format), null, output);
    }
}

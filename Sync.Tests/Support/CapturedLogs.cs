using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Sync.Tests.Support;

public sealed record CapturedLog(LogLevel Level, int Event, string Category, string Text, Exception? Exception);

/// <summary>Keeps what a host logs.</summary>
public sealed class CapturedLogs : ILoggerProvider
{
    readonly ConcurrentQueue<CapturedLog> _lines = new();

    public IReadOnlyCollection<CapturedLog> Lines => _lines;

    public IEnumerable<CapturedLog> Of(int eventId) => _lines.Where(l => l.Event == eventId);

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

    public void Dispose() { }

    sealed class Logger(string category, ConcurrentQueue<CapturedLog> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => lines.Enqueue(new(logLevel, eventId.Id, category, formatter(state, null), exception));
    }
}

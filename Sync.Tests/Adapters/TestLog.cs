using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Sync.Tests.Adapters;

/// <summary>Every line that was logged, with the exceptions.</summary>
sealed class TestLog
{
    public ConcurrentQueue<(LogLevel Level, int Id, string Text, Exception? Exception)> Lines { get; } = new();

    public ILogger<T> For<T>() => new Of<T>(this);

    public override string ToString() =>
        string.Join('\n', Lines.Select(l => $"{l.Level} {l.Id} {l.Text} {l.Exception}"));

    sealed class Of<T>(TestLog log) : ILogger<T>
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
        ) => log.Lines.Enqueue((logLevel, eventId.Id, formatter(state, exception), exception));
    }
}

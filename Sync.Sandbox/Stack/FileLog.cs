using System.Globalization;
using System.Text;

namespace Sync.Sandbox.Stack;

/// <summary>A log file for the sandbox when it runs inside another program, one line an entry.</summary>
sealed class FileLog(string path, TimeProvider time) : ILoggerProvider
{
    readonly Lock _gate = new();
    readonly StreamWriter _writer = new(
        new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite),
        new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)
    )
    {
        AutoFlush = true,
    };

    public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

    public void Dispose()
    {
        lock (_gate)
            _writer.Dispose();
    }

    void Write(string category, LogLevel level, EventId id, string text, Exception? exception)
    {
        var now = time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);
        lock (_gate)
        {
            if (!_writer.BaseStream.CanWrite)
                return;
            _writer.WriteLine($"{now} {level} {category}[{id.Id}] {text}");
            if (exception is not null)
                _writer.WriteLine(exception);
        }
    }

    sealed class Category(FileLog file, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            if (IsEnabled(logLevel))
                file.Write(name, logLevel, eventId, formatter(state, exception), exception);
        }
    }
}

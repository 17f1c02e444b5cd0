using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Confluent.Kafka;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Sync.Messaging.Hosting;

/// <summary>
/// What may be shown of an exception. A message text can repeat a value that somebody entrusted to us, so only types,
/// codes and frames are shown, and the text only where it is known to be made of identifiers.
/// </summary>
static class SafeExceptions
{
    const int MaxDepth = 5;

    public static string? Text(Exception exception) =>
        exception switch
        {
            PostgresException e => string.Join(
                ' ',
                new[] { e.SqlState, e.SchemaName, e.TableName, e.ConstraintName }.Where(p => !string.IsNullOrEmpty(p))
            ),
            KafkaException e => $"{e.Error.Code}: {e.Error.Reason}",
            SocketException e => e.SocketErrorCode.ToString(),
            OptionsValidationException e => e.Message,
            TimeoutException or OperationCanceledException => null,
            // An Npgsql error that the server did not send speaks of sockets and pools.
            NpgsqlException e when e.GetType() == typeof(NpgsqlException) => e.Message,
            JsonException e => string.Create(
                CultureInfo.InvariantCulture,
                $"line {e.LineNumber}, byte {e.BytePositionInLine}"
            ),
            // Our own name what was wrong, where, and what to do, and hold no values.
            _ when exception.GetType().Namespace?.StartsWith("Sync.", StringComparison.Ordinal) == true =>
                exception.Message,
            _ => null,
        };

    /// <summary>The exception and its causes, outermost first.</summary>
    public static IEnumerable<Exception> Chain(Exception exception)
    {
        var current = exception;
        for (var depth = 0; depth < MaxDepth && current is not null; depth++)
        {
            yield return current;
            current = current is AggregateException { InnerExceptions: [var only] } ? only : current.InnerException;
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using MassTransit;

namespace Sync.Messaging.Wire;

/// <summary>Turns a message of the catalog into the record that Kafka will hold: CloudEvents, binary mode.</summary>
public sealed class MessageEncoder(MessageCatalog catalog, string source, TimeProvider time)
{
    /// <summary>A larger body is refused where it is produced; the broker's limit is 1,000,000 bytes a record.</summary>
    public const int MaxBodyBytes = 900_000;

    /// <exception cref="MessageTooLargeException">The body is larger than <see cref="MaxBodyBytes"/>.</exception>
    /// <exception cref="InvalidOperationException">The type has no kind in the catalog.</exception>
    public OutgoingMessage Encode(object message, Guid? causationId = null, Guid? schedulingToken = null)
    {
        var kind = catalog.Get(message.GetType());
        var body = JsonSerializer.SerializeToUtf8Bytes(message, kind.Json);
        if (body.Length > MaxBodyBytes)
            throw new MessageTooLargeException(kind.Name, body.Length);

        var key = kind.Key(message);
        var headers = new MessageHeaders
        {
            { CloudEventNames.SpecVersion, "1.0" },
            { CloudEventNames.Id, NewId.NextGuid().ToString() },
            { CloudEventNames.Type, kind.Name },
            { CloudEventNames.Source, source },
            {
                CloudEventNames.Time,
                time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)
            },
            { CloudEventNames.Subject, key },
            { CloudEventNames.ContentType, "application/json" },
        };
        if (kind.Sequence(message) is { } sequence)
            headers.Add(CloudEventNames.Sequence, sequence.ToString(CultureInfo.InvariantCulture));
        if (causationId is { } cause)
            headers.Add(CloudEventNames.CausationId, cause.ToString());
        if (schedulingToken is { } token)
            headers.Add(CloudEventNames.SchedulingTokenId, token.ToString());
        if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
        {
            headers.Add(CloudEventNames.TraceParent, activity.Id!);
            if (!string.IsNullOrEmpty(activity.TraceStateString))
                headers.Add(CloudEventNames.TraceState, activity.TraceStateString);
        }

        return new OutgoingMessage(kind.Topic(message), Encoding.UTF8.GetBytes(key), headers, body);
    }
}

/// <summary>A message that no broker of ours takes.</summary>
public sealed class MessageTooLargeException(string type, int bytes)
    : Exception($"{type}: the body has {bytes} bytes; at most {MessageEncoder.MaxBodyBytes} can be sent");

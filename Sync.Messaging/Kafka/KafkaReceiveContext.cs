using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using MassTransit;
using MassTransit.Logging;
using MassTransit.Metadata;
using MassTransit.Serialization;
using MassTransit.Transports;
using MassTransit.Util;
using Sync.Messaging.Batching;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

/// <summary>A decoded record on its way through MassTransit's receive pipe.</summary>
sealed class KafkaReceiveContext : BaseReceiveContext
{
    readonly MessageSlot _slot;
    readonly RecordHeaders _headers;
    readonly ReceiveEndpointContext _endpoint;

    public KafkaReceiveContext(ConsumedRecord record, MessageSlot slot, ReceiveEndpointContext endpoint)
        : base(redelivered: false, endpoint, slot)
    {
        _slot = slot;
        _headers = new(slot.Headers);
        _endpoint = endpoint;
        Body = new BytesMessageBody(record.Value);
        var consume = new QuietConsumeContext(
            this,
            new CatalogSerializerContext(slot.Message, new RecordContext(this, record, slot))
        );
        AddOrUpdatePayload<ConsumeContext>(() => consume, _ => consume);
    }

    /// <summary>The batch's, never the host's stop: a running batch gets its time.</summary>
    public override CancellationToken CancellationToken => _slot.Batch.Token;

    public override MessageBody Body { get; }

    protected override IHeaderProvider HeaderProvider => _headers;

    // MassTransit would log the exception with its text, which may hold values of the message. The kernel logs the dead
    // letter instead.
    public override Task NotifyFaulted<T>(
        ConsumeContext<T> context,
        TimeSpan duration,
        string consumerType,
        Exception exception
    ) => _endpoint.ReceiveObservers.ConsumeFault(context, duration, consumerType, exception);

    public override Task NotifyFaulted(Exception exception) => _endpoint.ReceiveObservers.ReceiveFault(this, exception);

    /// <summary>A fault is a dead letter, not a message to the bus.</summary>
    sealed class QuietConsumeContext(ReceiveContext receiveContext, SerializerContext serializerContext)
        : BodyConsumeContext(receiveContext, serializerContext)
    {
        protected override Task GenerateFault<T>(ConsumeContext<T> context, Exception exception) => Task.CompletedTask;
    }

    sealed class RecordContext(ReceiveContext receiveContext, ConsumedRecord record, MessageSlot slot) : MessageContext
    {
        public Guid? MessageId => slot.MessageId;
        public Guid? RequestId => null;
        public Guid? CorrelationId => null;
        public Guid? ConversationId => null;
        public Guid? InitiatorId =>
            Guid.TryParse(slot.Headers.Text(CloudEventNames.CausationId), out var id) ? id : null;
        public DateTime? ExpirationTime => null;
        public Uri? SourceAddress => null;
        public Uri? DestinationAddress => receiveContext.InputAddress;
        public Uri? ResponseAddress => null;
        public Uri? FaultAddress => null;
        public DateTime? SentTime =>
            DateTimeOffset.TryParse(
                slot.Headers.Text(CloudEventNames.Time),
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal,
                out var time
            )
                ? time.UtcDateTime
                : record.Timestamp?.UtcDateTime;
        public Headers Headers => receiveContext.TransportHeaders;
        public HostInfo Host => HostMetadataCache.Empty;
    }

    /// <summary>Headers as text. MassTransit looks for a trace under a name of its own.</summary>
    sealed class RecordHeaders(Wire.MessageHeaders headers) : IHeaderProvider
    {
        public IEnumerable<KeyValuePair<string, object>> GetAll()
        {
            foreach (var name in headers.Select(h => h.Key).Distinct(StringComparer.Ordinal))
            {
                if (TryGetHeader(name, out var value))
                    yield return new(name, value);
            }
        }

        public bool TryGetHeader(string key, [NotNullWhen(true)] out object? value)
        {
            value = headers.Text(key == DiagnosticHeaders.ActivityId ? CloudEventNames.TraceParent : key);
            return value is not null;
        }
    }
}

/// <summary>
/// The message is decoded already. An event of a base type receives every message that derives from it: what counts is
/// whether the message can be assigned, not its name.
/// </summary>
sealed class CatalogSerializerContext(object message, MessageContext context)
    : BaseSerializerContext(
        SystemTextJsonMessageSerializer.Instance,
        context,
        TypeNames.GetOrAdd(message.GetType(), MessageTypeCache.GetMessageTypeNames)
    )
{
    static readonly ConcurrentDictionary<Type, string[]> TypeNames = new();

    public override bool IsSupportedMessageType<T>() => message is T;

    public override bool IsSupportedMessageType(Type messageType) => messageType.IsInstanceOfType(message);

    public override bool TryGetMessage<T>(out T? found)
        where T : class
    {
        found = message as T;
        return found is not null;
    }

    public override bool TryGetMessage(Type messageType, [NotNullWhen(true)] out object? found)
    {
        found = messageType.IsInstanceOfType(message) ? message : null;
        return found is not null;
    }

    public override IMessageSerializer GetMessageSerializer() => throw RefusingEndpoints.Refusal("Send");

    public override IMessageSerializer GetMessageSerializer<T>(MessageEnvelope envelope, T copied) =>
        throw RefusingEndpoints.Refusal("Send");

    public override IMessageSerializer GetMessageSerializer(object copied, string[] messageTypes) =>
        throw RefusingEndpoints.Refusal("Send");

    public override Dictionary<string, object> ToDictionary<T>(T? value)
        where T : class => ConvertObject.ToDictionary(value);
}

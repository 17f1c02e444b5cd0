using Confluent.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Kafka;

/// <summary>Headers as the client has them, for whoever decodes its records.</summary>
public static class KafkaHeaders
{
    /// <summary>In their order and with doubles; a record without headers has none of them.</summary>
    public static MessageHeaders ToMessageHeaders(this Headers? headers) =>
        [.. (headers ?? []).Select(header => KeyValuePair.Create<string, byte[]?>(header.Key, header.GetValueBytes()))];
}

namespace Sync.Messaging.Wire;

/// <summary>Header names of CloudEvents 1.0 in Kafka's binary mode, and of MassTransit's scheduler. Said once.</summary>
public static class CloudEventNames
{
    public const string SpecVersion = "ce_specversion";
    public const string Id = "ce_id";
    public const string Type = "ce_type";
    public const string Source = "ce_source";
    public const string Time = "ce_time";
    public const string Subject = "ce_subject";

    /// <summary>The number by which a receiver drops late copies, for tools; absent where there is none.</summary>
    public const string Sequence = "ce_sequence";

    /// <summary>The id of the message that caused this one.</summary>
    public const string CausationId = "ce_causationid";
    public const string TraceParent = "traceparent";
    public const string TraceState = "tracestate";
    public const string ContentType = "content-type";

    /// <summary>MassTransit ignores a timer whose token is not the saga's.</summary>
    public const string SchedulingTokenId = "MT-Scheduling-TokenId";
}

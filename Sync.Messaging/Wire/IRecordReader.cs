namespace Sync.Messaging.Wire;

/// <summary>
/// Reads a topic whose sender does not speak CloudEvents: makes of each record what the sender would have sent if it did.
/// What comes out is then checked like every other message.
/// </summary>
public interface IRecordReader
{
    /// <summary>The topic whose records it reads, all of them.</summary>
    string Topic { get; }

    /// <param name="value">At most <see cref="MessageDecoder.MaxValueBytes"/>; any bytes.</param>
    ReadRecord Read(byte[]? key, byte[] value, MessageHeaders headers);
}

/// <summary>A record as CloudEvents in binary mode.</summary>
/// <param name="Headers">With the attributes of the event.</param>
/// <param name="Value">The message as JSON.</param>
public sealed record ReadRecord(MessageHeaders Headers, byte[] Value)
{
    /// <summary>The record is about something else, and is passed over.</summary>
    public static readonly ReadRecord Passed = new([], []) { IsPassed = true };

    /// <summary>Why it cannot be read.</summary>
    internal Refusal? Refusal { get; private init; }

    public bool IsPassed { get; private init; }

    /// <summary>Whether the sender's keys are its own affair; otherwise a key is the one that the message names.</summary>
    public bool AnyKey { get; init; }

    /// <summary>The type of the event as far as it is known, for the dead letter.</summary>
    public string? TypeName { get; init; }

    /// <param name="code">One of the reasons of the dead-letter table.</param>
    /// <param name="reason">Where the fault is. Never a value.</param>
    public static ReadRecord Refused(string code, string reason, string? typeName = null) =>
        new([], []) { Refusal = new(code, reason), TypeName = typeName };
}

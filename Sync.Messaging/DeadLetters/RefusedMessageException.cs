namespace Sync.Messaging.DeadLetters;

/// <summary>
/// A behaviour's verdict that a message can never be handled. It is dead-lettered at once, without retries, and its
/// neighbours go on.
/// </summary>
/// <param name="reasonCode">One of the reasons of the dead-letter table, such as <c>schema</c>.</param>
/// <param name="reason">What was wrong, where, and what to do; never a value of the message.</param>
public sealed class RefusedMessageException(string reasonCode, string reason) : Exception(reason)
{
    public string ReasonCode => reasonCode;
}

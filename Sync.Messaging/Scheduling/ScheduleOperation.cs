using Sync.Messaging.Wire;

namespace Sync.Messaging.Scheduling;

/// <summary>A timer that a behaviour set, or cancelled where there is no message.</summary>
/// <param name="Delay">From the database's clock at the batch's start: a host's wrong clock decides nothing.</param>
readonly record struct ScheduleOperation(Guid Token, OutgoingMessage? Message, TimeSpan Delay);

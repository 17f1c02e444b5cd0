using Sync.Messaging.Hosting;

namespace Sync.Messaging.Outbox;

/// <summary>Wakes the deliverer of this process after a commit.</summary>
public sealed class OutboxSignal(TimeProvider time) : WakeSignal(time);

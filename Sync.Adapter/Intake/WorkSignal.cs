using Sync.Messaging.Hosting;

namespace Sync.Adapter.Intake;

/// <summary>
/// Says in this process that there may be work: intake has committed some, a lane was given back with more, a slot is
/// free. It spares the wait for the next look and promises nothing; other processes' work is found by looking.
/// </summary>
sealed class WorkSignal(TimeProvider time) : WakeSignal(time);

namespace Sync.Messaging.Hosting;

/// <summary>Named places by which the kernel comes. Nothing happens there, unless a test put something in its place.</summary>
class CrashPoints
{
    /// <summary>Says that this place is passed.</summary>
    public virtual ValueTask Pass(string point) => ValueTask.CompletedTask;
}

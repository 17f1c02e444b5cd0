using System.Globalization;

namespace Sync.Messaging.Hosting;

/// <summary>
/// Named places at which a test kills the process: <c>SYNC__CRASHAT=outbox-after-produce:3</c> ends it, as SIGKILL would,
/// the third time that it comes by. Without the variable nothing happens.
/// </summary>
class CrashPoints
{
    readonly string? _point;
    int _left;

    public CrashPoints()
        : this(Environment.GetEnvironmentVariable("SYNC__CRASHAT")) { }

    protected CrashPoints(string? setting)
    {
        var parts = setting?.Split(':') ?? [];
        _point = parts.Length > 0 ? parts[0] : null;
        _left = parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 1;
    }

    /// <summary>Says that this place is passed. A test's own version may wait here instead.</summary>
    public virtual ValueTask Pass(string point)
    {
        if (point == _point && Interlocked.Decrement(ref _left) == 0)
            Environment.FailFast($"asked to crash at {point}");
        return ValueTask.CompletedTask;
    }
}

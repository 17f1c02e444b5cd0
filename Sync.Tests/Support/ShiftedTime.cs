namespace Sync.Tests.Support;

/// <summary>The real clock, that can be set ahead: what waits for a signal goes on, what asks how late it is hears more.</summary>
public sealed class ShiftedTime : TimeProvider
{
    long _ticks;

    public void Ahead(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref _ticks));
}

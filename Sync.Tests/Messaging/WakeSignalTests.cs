using Microsoft.Extensions.Time.Testing;
using Sync.Messaging.Hosting;

namespace Sync.Tests.Messaging;

public sealed class WakeSignalTests
{
    static readonly TimeSpan Long = TimeSpan.FromHours(1);

    readonly FakeTimeProvider _time = new();
    readonly WakeSignal _signal;

    public WakeSignalTests() => _signal = new(_time);

    [Fact]
    public async Task Signals_that_nobody_waits_for_are_one()
    {
        _signal.Set();
        _signal.Set();

        Assert.True(await _signal.Wait(Long, CancellationToken.None));
        var second = _signal.Wait(Long, CancellationToken.None);
        Assert.False(second.IsCompleted);
        _time.Advance(Long);
        Assert.False(await second);
    }

    [Fact]
    public async Task A_signal_ends_one_wait()
    {
        var first = _signal.Wait(Long, CancellationToken.None);
        var second = _signal.Wait(Long, CancellationToken.None);

        _signal.Set();
        Assert.True(await first);
        Assert.False(second.IsCompleted);
        _signal.Set();
        Assert.True(await second);
    }

    [Fact]
    public async Task A_signal_after_the_end_of_a_wait_is_for_the_next()
    {
        var late = _signal.Wait(Long, CancellationToken.None);
        _time.Advance(Long);
        _signal.Set();

        Assert.False(await late);
        Assert.True(await _signal.Wait(Long, CancellationToken.None));
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_takes_no_signal_with_it()
    {
        using var stop = new CancellationTokenSource();
        var stopped = _signal.Wait(Long, stop.Token);
        await stop.CancelAsync();
        _signal.Set();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stopped);
        Assert.True(await _signal.Wait(Long, CancellationToken.None));
    }
}

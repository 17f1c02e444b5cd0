using System.Diagnostics;

namespace Sync.Tests.Support;

/// <summary>Waits for something to become true, at most as long as a busy machine may need.</summary>
public static class Eventually
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(180);
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    public static Task Is(Func<bool> condition, string what) => Is(() => Task.FromResult(condition()), what);

    /// <param name="limit">Only where the rule under test would come true by itself later.</param>
    public static async Task Is(Func<Task<bool>> condition, string what, TimeSpan? limit = null)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(began) > (limit ?? Limit))
                Assert.Fail($"never became true: {what}");
            await Task.Delay(Interval, TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Waits for a value that satisfies a condition, and answers it.</summary>
    public static async Task<T> Get<T>(Func<Task<T>> read, Func<T, bool> isRight, string what)
    {
        var value = await read();
        await Is(
            async () =>
            {
                value = await read();
                return isRight(value);
            },
            what
        );
        return value;
    }
}

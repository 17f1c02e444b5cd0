using Sync.Benchmarks.Kernel;
using Sync.Tests.EndToEnd;
using Sync.Tests.Support;

namespace Sync.Tests.Benchmarks;

/// <summary>The benchmark's contenders, in processes of their own and tiny, so that the benchmark does not rot.</summary>
public sealed class KernelRoundTests
{
    public static TheoryData<string> Contenders => [.. Enum.GetNames<Contender>()];

    [Theory]
    [MemberData(nameof(Contenders))]
    public async Task A_contender_delivers_everything_once_and_in_order_and_has_a_number(string contender)
    {
        await using var sink = await TelemetrySink.Start();
        var round = new Round(TestPostgres.Server, RunningStack.LogFolder("bench"), sink.Address);

        var result = await round.Run(
            new RoundPlan(Enum.Parse<Contender>(contender), KeyShape.Zipf, Events: 100),
            static _ => { },
            TestContext.Current.CancellationToken
        );

        Assert.Empty(result.Faults);
        Assert.True(result.PerSecond > 0);
        // A hundred events can cost less than the clock of processes counts.
        Assert.InRange(result.CpuSecondsPerThousand!.Value, 0, 100);
        Assert.True(result.PeakMemoryMb > 0);
        Assert.True(sink.Requests > 0);
    }

    [Fact]
    public async Task At_a_given_rate_the_time_from_event_to_command_is_measured()
    {
        var round = new Round(TestPostgres.Server, RunningStack.LogFolder("bench"), telemetry: null);

        var result = await round.Run(
            new RoundPlan(Contender.HandWritten, KeyShape.Distinct, Events: 1_200, PerSecond: 200),
            static _ => { },
            TestContext.Current.CancellationToken
        );

        Assert.Empty(result.Faults);
        Assert.True(result.P50Ms > 0);
        Assert.True(result.P99Ms >= result.P50Ms);
    }
}

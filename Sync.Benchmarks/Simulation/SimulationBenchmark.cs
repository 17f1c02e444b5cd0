using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Sync.Benchmarks.Figures;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks.Simulation;

/// <summary>How many random schedules a minute <c>./sync simulate</c> plays through the shipped code.</summary>
sealed partial class SimulationBenchmark(Progress progress)
{
    const int LeastPerMinute = 1_000;

    public async Task<Chapter> Run(bool quick, int rounds, CancellationToken cancellationToken)
    {
        var seeds = quick ? 200 : 2_000;
        List<Tally> tallies = [];
        for (var round = 0; round < rounds; round++)
            tallies.Add(
                await progress.Show(
                    $"{Spread.Number(seeds)} seeds, round {round + 1} of {rounds}",
                    // Other seeds in each round, the same in each run.
                    _ => Play(seeds, 1 + (round * seeds), cancellationToken)
                )
            );

        var perMinute = Spread.Of(tallies.Select(t => (double?)t.PerMinute))!;
        var (edits, writes) = (tallies.Sum(t => t.Edits), tallies.Sum(t => t.Writes));
        return new(
            "simulation",
            "Random schedules of the shipped code",
            $"`./sync simulate --seeds {seeds}` {rounds} times, each with other seeds: every profile in turn, on all cores, start of the program not counted. "
                + "A seed is a whole history of one small world: edits everywhere, faults, crashes, and all promises checked.",
            [
                new(
                    "Schedules",
                    ["", "seeds a minute"],
                    [
                        ["all profiles", perMinute.Text()],
                    ]
                )
                {
                    Notes =
                    [
                        $"{Spread.Number(edits)} edits made {Spread.Number(writes)} writes at vendors. At least {Spread.Number(LeastPerMinute)} a minute is the gate.",
                    ],
                },
            ],
            new { Seeds = seeds, Rounds = tallies }
        )
        {
            // A quick run compiles for longer than it plays.
            Failures =
                quick || perMinute.Median >= LeastPerMinute
                    ? []
                    : [$"Fewer than {Spread.Number(LeastPerMinute)} seeds a minute, which is the gate"],
        };
    }

    /// <exception cref="StackException">A promise did not hold, or the program did not say how it went.</exception>
    static async Task<Tally> Play(int seeds, int first, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            StackOptions.Assembly("Sync.Tests"),
            "-noLogo",
            "-noColor",
            "-noAutoReporters",
            "-reporter",
            "quiet",
            "-explicit",
            "only",
            "-method",
            "Sync.Tests.Simulation.SimulationTests.Simulate",
        ];
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        start.Environment["SYNC_SIMULATE"] = string.Create(CultureInfo.InvariantCulture, $"{seeds};{first};");
        using var process = Process.Start(start) ?? throw new StackException("the simulation cannot be started");
        var said = process.StandardOutput.ReadToEndAsync(cancellationToken);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }

        return process.ExitCode == 0 && Sum().Match(await said) is { Success: true } sum
            ? new(Number(sum, "perMinute"), Number(sum, "edits"), Number(sum, "writes"))
            : throw new StackException($"the simulation of seeds {first} to {first + seeds - 1} failed:\n{await said}");

        static int Number(Match sum, string name) => int.Parse(sum.Groups[name].Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(
        @"\((?<perMinute>\d+) a minute\), 0 failed, (?<edits>\d+) edits, (?<writes>\d+) writes",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture
    )]
    private static partial Regex Sum();

    sealed record Tally(int PerMinute, int Edits, int Writes);
}

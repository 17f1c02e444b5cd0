using System.CommandLine;
using Spectre.Console;
using Sync.Benchmarks.Figures;
using Sync.Benchmarks.Kernel;
using Sync.Benchmarks.Simulation;
using Sync.Benchmarks.Stack;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks;

/// <summary><c>bench</c>: everything, or one chapter.</summary>
static class BenchCommand
{
    const int Rounds = 5;

    public static RootCommand Create()
    {
        var quick = new Option<bool>("--quick")
        {
            Description = "A few small rounds, to see that everything runs; the figures are not written to docs/",
            Recursive = true,
        };
        var rounds = new Option<int?>("--rounds")
        {
            Description = $"Rounds of the kernel's benchmark and of the simulation, {Rounds} unless said",
            Recursive = true,
        };
        var root = new RootCommand("Measures Sync, and writes docs/figures.md; needs a machine that does nothing else")
        {
            quick,
            rounds,
        };
        List<Benchmark> all =
        [
            new(
                "kernel",
                "The delivery kernel beside what it could be compared with",
                (bench, options, cancelled) =>
                    new KernelBenchmark(bench.Postgres, bench.LogFolder, bench.Progress).Run(
                        options.Quick,
                        options.Rounds,
                        cancelled
                    )
            ),
            new(
                "profile",
                "Where the kernel's time goes",
                (bench, options, cancelled) =>
                    new ProfileBenchmark(bench.Postgres, bench.LogFolder, bench.Progress).Run(options.Quick, cancelled)
            ),
            new(
                "latency",
                "From an edit to the other systems, and what the processes need",
                (bench, options, cancelled) =>
                    new LatencyBenchmark(bench.Postgres, bench.LogFolder, bench.Progress).Run(options.Quick, cancelled)
            ),
            new(
                "first-load",
                "A catalog that was there before, and a comparison of everything",
                (bench, options, cancelled) =>
                    new FirstLoadBenchmark(bench.Postgres, bench.LogFolder, bench.Progress).Run(
                        options.Quick,
                        cancelled
                    )
            ),
            new(
                "scale",
                "The orchestrator with a large table",
                (bench, options, cancelled) =>
                    new ScaleBenchmark(bench.Postgres, bench.LogFolder, bench.Progress).Run(options.Quick, cancelled)
            ),
            new(
                "simulation",
                "Random schedules of the shipped code",
                (bench, options, cancelled) =>
                    new SimulationBenchmark(bench.Progress).Run(options.Quick, options.Rounds, cancelled)
            ),
        ];
        foreach (var one in all)
        {
            var command = new Command(one.Name, one.Description);
            command.SetAction((parsed, cancelled) => Run([one], Options(parsed), cancelled));
            root.Add(command);
        }

        root.SetAction((parsed, cancelled) => Run(all, Options(parsed), cancelled));
        return root;

        BenchOptions Options(ParseResult parsed) =>
            new(parsed.GetValue(quick), parsed.GetValue(rounds) ?? (parsed.GetValue(quick) ? 1 : Rounds));
    }

    static async Task<int> Run(List<Benchmark> benchmarks, BenchOptions options, CancellationToken cancellationToken)
    {
        var live =
            !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = live ? AnsiSupport.Detect : AnsiSupport.No,
                Interactive = live ? InteractionSupport.Yes : InteractionSupport.No,
            }
        );
        if (!live)
            console.Profile.Width = 200;
        if (
            Environment.GetEnvironmentVariable(BenchDatabase.Variable) is not { } postgres
            || Environment.GetEnvironmentVariable("SYNC_RUN") is not { } run
        )
        {
            console.WriteLine("bench: start it with ./sync bench, which starts a PostgreSQL for it");
            return 2;
        }

        try
        {
            var machine = await Machine.Describe(postgres, cancellationToken);
            console.WriteLine($"{machine}.");
            if (!machine.IsIdle)
                console.MarkupLine("[yellow]This machine is not idle: the figures are not to be quoted.[/]");
            var report = new Report(
                console,
                Path.Combine(StackOptions.Root, ".sync", "bench"),
                Path.Combine(StackOptions.Root, "docs", "figures.md")
            );
            var bench = new Bench(
                postgres,
                Directory.CreateDirectory(Path.Combine(run, "logs")).FullName,
                new Progress(console, live)
            );
            var failures = 0;
            foreach (var benchmark in benchmarks)
            {
                console.MarkupLineInterpolated($"[bold]{benchmark.Description}[/]");
                var chapter = await benchmark.Run(bench, options, cancellationToken);
                report.Show(chapter);
                report.Write(chapter, machine, DateTimeOffset.UtcNow, options.Quick);
                failures += chapter.Failures.Count;
            }

            console.WriteLine($"bench: {benchmarks.Count} measured, {failures} failed");
            return failures == 0 ? 0 : 1;
        }
        catch (StackException e)
        {
            console.WriteLine(e.Message);
            return 1;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            console.WriteLine("bench: stopped");
            return 130;
        }
    }
}

/// <summary>Where a benchmark runs.</summary>
sealed record Bench(string Postgres, string LogFolder, Progress Progress);

/// <param name="Quick">Small, to see that it runs.</param>
sealed record BenchOptions(bool Quick, int Rounds);

sealed record Benchmark(
    string Name,
    string Description,
    Func<Bench, BenchOptions, CancellationToken, Task<Chapter>> Run
);

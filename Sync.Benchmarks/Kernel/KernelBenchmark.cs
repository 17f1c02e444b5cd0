using Sync.Benchmarks.Figures;

namespace Sync.Benchmarks.Kernel;

/// <summary>How fast the delivery kernel is, beside what it could be compared with.</summary>
sealed class KernelBenchmark(string postgres, string logFolder, Progress progress)
{
    /// <summary>The one number that is a promise: batches must be worth their complication.</summary>
    const double BatchesAreWorth = 10;

    const double LowRate = 200;
    const double LoadedShare = 0.7;

    static readonly KeyShape[] Shapes = Enum.GetValues<KeyShape>();
    static readonly Contender[] All = Enum.GetValues<Contender>();

    public async Task<Chapter> Run(bool quick, int rounds, CancellationToken cancellationToken)
    {
        await using var sink = await TelemetrySink.Start();
        var round = new Round(postgres, logFolder, sink.Address);
        List<RoundResult> results = [];

        var saturated = (
            from number in Enumerable.Range(0, rounds)
            from keys in Shapes
            // Each round begins with another contender, so that none always follows the same one.
            from contender in All.Skip(number % All.Length).Concat(All.Take(number % All.Length))
            select new RoundPlan(contender, keys, Events(contender, quick))
        ).ToList();
        await Run(saturated, "saturated");

        var seconds = quick ? 5 : 20;
        await Run(
            [
                .. from number in Enumerable.Range(0, Math.Min(rounds, 3))
                from contender in All
                // One that can hardly do it shows its queue and nothing else.
                where Rate(contender, KeyShape.Distinct)?.Median > LowRate / LoadedShare
                select Paced(contender, LowRate, seconds),
            ],
            "200 a second"
        );
        await Run(
            [
                .. from contender in All
                where Rate(contender, KeyShape.Distinct) is not null
                select Paced(contender, LoadedShare * Rate(contender, KeyShape.Distinct)!.Median, seconds),
            ],
            "70 % of its most"
        );
        return Chapter(results, sink.Requests, rounds);

        async Task Run(IReadOnlyList<RoundPlan> plans, string what)
        {
            foreach (var (number, plan) in plans.Index())
            {
                var label = $"{what}, {number + 1} of {plans.Count}: {plan.Contender.Title()}, keys {plan.Keys}";
                results.Add(await progress.Show(label, show => round.Run(plan, show, cancellationToken)));
                progress.Line(Line(label, results[^1]));
            }
        }

        Spread? Rate(Contender contender, KeyShape keys) => Rates(results, contender, keys);
    }

    static RoundPlan Paced(Contender contender, double rate, int seconds) =>
        new(contender, KeyShape.Distinct, (int)(rate * (seconds + RoundPlan.WarmSeconds)), rate);

    /// <summary>So many that each works for some half a minute after it is warm, and the embedded Kafka holds them all.</summary>
    static int Events(Contender contender, bool quick) =>
        contender switch
        {
            Contender.Kernel => quick ? 20_000 : 120_000,
            Contender.HandWritten => quick ? 40_000 : 240_000,
            _ => quick ? 3_000 : 15_000,
        };

    static Spread? Rates(IEnumerable<RoundResult> results, Contender contender, KeyShape keys) =>
        Spread.Of(Of(results, contender, keys).Select(r => r.PerSecond));

    /// <summary>Only of rounds whose proof holds.</summary>
    static IEnumerable<RoundResult> Of(IEnumerable<RoundResult> results, Contender contender, KeyShape keys) =>
        results.Where(r => r.Plan.Contender == contender && r.Plan.Keys == keys && r.Faults.Count == 0);

    static Chapter Chapter(List<RoundResult> results, long exports, int rounds)
    {
        List<string> failures =
        [
            .. results
                .Where(r => r.Faults.Count > 0)
                .Select(r => $"No number for a round of {r.Plan.Contender.Title()}: {string.Join("; ", r.Faults)}"),
        ];
        List<string> notes = [];
        foreach (var keys in Shapes)
        {
            if (
                Rates(results, Contender.Kernel, keys) is not { } kernel
                || Rates(results, Contender.KernelSingle, keys) is not { } single
            )
                continue;
            var factor = kernel.Median / single.Median;
            var gate = $"Keys {keys.Text()}: (a) does {Spread.Number(factor, "N1")} times what (b) does";
            notes.Add($"{gate}; at least {BatchesAreWorth} times is the gate.");
            if (factor < BatchesAreWorth)
                failures.Add($"{gate}, and {BatchesAreWorth} times is the gate");
        }

        if (results.Sum(r => r.Doubles) is var doubles and > 0)
            notes.Add($"{doubles} commands came twice, as the promise allows; they count once.");
        return new(
            "kernel",
            "The delivery kernel",
            "An event changes one row, leaves an effect, and sends a message on each of two topics. Counted is what is committed "
                + "*and* read back from Kafka, from the first fifth of the events on. Every round has a fresh broker, database and "
                + $"process, and ends with the proof; one that fails it has no number. {rounds} rounds, interleaved. Logs, metrics "
                + $"and traces are on in all, exported over OTLP ({exports} requests).",
            [
                new(
                    "Saturated: all events are there before the start",
                    ["", "keys", "events/s", "CPU-s per 1,000 events", "peak memory, MB", "measured over, s"],
                    [
                        .. from contender in All
                        from keys in Shapes
                        let of = Of(results, contender, keys).Where(r => r.PerSecond is not null).ToList()
                        where of.Count > 0
                        select (IReadOnlyList<string>)
                            [
                                contender.Title(),
                                keys.Text(),
                                Spread.Of(of.Select(r => r.PerSecond))!.Text(),
                                Spread.Of(of.Select(r => r.CpuSecondsPerThousand))!.Text("N2"),
                                Spread.Of(of.Select(r => (double?)r.PeakMemoryMb))!.Text(),
                                Spread.Of(of.Select(r => r.Seconds))!.Text(),
                            ],
                    ]
                )
                {
                    Notes = notes,
                },
                new(
                    "From an event to each of its commands, keys all distinct",
                    ["", "events/s", "p50, ms", "p99, ms"],
                    [
                        .. from result in results
                        where result is { P50Ms: not null, Faults.Count: 0 }
                        group result by (result.Plan.Contender, result.Plan.PerSecond) into of
                        orderby of.Key.PerSecond != LowRate, of.Key.Contender
                        select (IReadOnlyList<string>)
                            [
                                of.Key.Contender.Title(),
                                of.Key.PerSecond == LowRate
                                    ? Spread.Number(LowRate)
                                    : $"{Spread.Number(of.Key.PerSecond!.Value)} (70 % of its most)",
                                Spread.Of(of.Select(r => r.P50Ms))!.Text("N1"),
                                Spread.Of(of.Select(r => r.P99Ms))!.Text("N1"),
                            ],
                    ]
                )
                {
                    Notes = [$"At {LowRate} a second only those that can do {LowRate / LoadedShare:N0}."],
                },
            ],
            results
        )
        {
            Failures = failures,
        };
    }

    static string Line(string label, RoundResult result) =>
        result.Faults.Count > 0 ? $"{label}: no number, {string.Join("; ", result.Faults)}"
        : result.PerSecond is { } rate
            ? $"{label}: {Spread.Number(rate)} events/s, {Spread.Number(result.CpuSecondsPerThousand!.Value, "N2")} CPU-s per 1,000"
        : $"{label}: p50 {Spread.Number(result.P50Ms!.Value, "N1")} ms, p99 {Spread.Number(result.P99Ms!.Value, "N1")} ms";
}

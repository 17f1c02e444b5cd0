using System.Diagnostics;
using Npgsql;
using Sync.Benchmarks.Figures;
using Sync.Messaging.Kafka;
using Sync.Sandbox.Kafka;
using Sync.Sandbox.Stack;

namespace Sync.Benchmarks.Kernel;

/// <param name="Events">In all, the first fifth of which only warms up when <paramref name="PerSecond"/> is null.</param>
/// <param name="PerSecond">At which events come; null when all are there before the contender starts.</param>
sealed record RoundPlan(Contender Contender, KeyShape Keys, int Events, double? PerSecond = null)
{
    /// <summary>At a given rate, the first seconds only warm up.</summary>
    public const int WarmSeconds = 5;
}

/// <summary>One round's numbers, worth nothing unless <see cref="Faults"/> is empty.</summary>
sealed record RoundResult
{
    public required RoundPlan Plan { get; init; }

    /// <summary>Events a second, committed and with both commands read back from Kafka; of a round without a rate.</summary>
    public double? PerSecond { get; init; }

    /// <summary>The time that <see cref="PerSecond"/> was measured over.</summary>
    public double? Seconds { get; init; }

    /// <summary>Of the contender's process alone.</summary>
    public double? CpuSecondsPerThousand { get; init; }

    /// <summary>Most resident memory of the contender's process.</summary>
    public double PeakMemoryMb { get; init; }

    /// <summary>From an event to each of its commands, of a round with a rate.</summary>
    public double? P50Ms { get; init; }
    public double? P99Ms { get; init; }

    /// <summary>Commands that came twice: the promise allows it.</summary>
    public int Doubles { get; init; }

    /// <summary>What contradicts the proof of no loss, no double effect and order.</summary>
    public required IReadOnlyList<string> Faults { get; init; }
}

/// <summary>A fresh Kafka, a fresh database and a fresh process: a contender works once, and its work is checked.</summary>
sealed class Round(string postgres, string logFolder, Uri? telemetry)
{
    public const int Partitions = 32;

    /// <summary>Without one more command for so long, a contender is stuck.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <param name="whenWarm">Looks at the contender's process while it works; the round waits for it.</param>
    public async Task<RoundResult> Run(
        RoundPlan plan,
        Action<double> progress,
        CancellationToken cancellationToken,
        Func<int, Task>? whenWarm = null
    )
    {
        await using var database = await BenchDatabase.Create(postgres);
        using var kafka = new EmbeddedKafka(
            [BenchJson.Events, .. BenchJson.Commands, new ConsumingOptions().DeadLetterTopic],
            Partitions
        );
        using var feed = new Feed(kafka.BootstrapServers, plan.Keys);
        await using var process = new ManagedProcess(
            $"{plan.Contender}-{plan.Keys}".ToLowerInvariant(),
            StackOptions.Assembly("Sync.Benchmarks"),
            Settings(plan, kafka, database),
            logFolder
        );
        using var checker = new Checker(
            kafka.BootstrapServers,
            Partitions,
            () => process.Pid is { } pid ? ProcessorTime(pid) : default
        );

        if (plan.PerSecond is { } rate)
            await Paced(plan, rate, feed, checker, process, progress, cancellationToken);
        else
            await Saturated(plan, feed, checker, process, progress, whenWarm, cancellationToken);

        var memory = process.Pid is { } alive ? PeakMemory(alive) : 0;
        if (!await process.Stop())
            throw process.Trouble($"{process.Name} did not stop by itself");
        var faults = await Proof.Faults(plan.Contender, database.Source, feed, checker, cancellationToken);
        return Result(plan, checker, memory, faults);
    }

    static RoundResult Result(RoundPlan plan, Checker checker, double memory, IReadOnlyList<string> faults)
    {
        var (warm, end) = (checker.Warm!, checker.End!);
        var seconds = Stopwatch.GetElapsedTime(warm.At, end.At).TotalSeconds;
        var events = (end.Commands - warm.Commands) / (double)BenchJson.Commands.Length;
        var saturated = plan.PerSecond is null;
        return new()
        {
            Plan = plan,
            PerSecond = saturated ? events / seconds : null,
            Seconds = saturated ? seconds : null,
            CpuSecondsPerThousand = saturated
                ? (end.ProcessorTime - warm.ProcessorTime).TotalSeconds / events * 1_000
                : null,
            PeakMemoryMb = memory,
            P50Ms = saturated ? null : Spread.Percentile(checker.LatenciesMs, 0.50),
            P99Ms = saturated ? null : Spread.Percentile(checker.LatenciesMs, 0.99),
            Doubles = checker.Doubles,
            Faults = faults,
        };
    }

    static async Task Saturated(
        RoundPlan plan,
        Feed feed,
        Checker checker,
        ManagedProcess process,
        Action<double> progress,
        Func<int, Task>? whenWarm,
        CancellationToken cancellationToken
    )
    {
        await Task.Run(() => feed.Fill(plan.Events), cancellationToken);
        // Nothing that happened before the start counts as latency.
        checker.MeasureFrom = long.MaxValue;
        checker.Expect(plan.Events);
        process.Start();
        if (whenWarm is not null)
        {
            await Until(checker.IsWarm, checker, process, plan.Events, progress, cancellationToken);
            await whenWarm(process.Pid!.Value);
        }

        await Until(checker.Done, checker, process, plan.Events, progress, cancellationToken);
    }

    static async Task Paced(
        RoundPlan plan,
        double rate,
        Feed feed,
        Checker checker,
        ManagedProcess process,
        Action<double> progress,
        CancellationToken cancellationToken
    )
    {
        checker.MeasureFrom = long.MaxValue;
        process.Start();
        // One event ahead: once it is through, the contender is up.
        await Task.Run(() => feed.Fill(1), cancellationToken);
        checker.Expect(plan.Events + 1);
        await Until(checker.First, checker, process, plan.Events, progress, cancellationToken);
        checker.MeasureFrom = Stopwatch.GetTimestamp() + (RoundPlan.WarmSeconds * Stopwatch.Frequency);
        var pacing = Task.Run(() => feed.Pace(plan.Events, rate), cancellationToken);
        await Until(checker.Done, checker, process, plan.Events, progress, cancellationToken);
        await pacing;
    }

    static async Task Until(
        Task done,
        Checker checker,
        ManagedProcess process,
        int events,
        Action<double> progress,
        CancellationToken cancellationToken
    )
    {
        var (seen, since) = (-1, Stopwatch.GetTimestamp());
        while (!done.IsCompleted)
        {
            await Task.WhenAny(done, Task.Delay(200, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            process.ThrowIfDead();
            progress(checker.Seen / (double)BenchJson.Commands.Length / events);
            if (checker.Seen != seen)
                (seen, since) = (checker.Seen, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(since) > Patience)
                throw process.Trouble($"{process.Name} has delivered nothing for {Patience.TotalSeconds} s");
        }

        await done;
    }

    Dictionary<string, string> Settings(RoundPlan plan, EmbeddedKafka kafka, BenchDatabase database)
    {
        var settings = new Dictionary<string, string>
        {
            [Contenders.Variable] = $"{plan.Contender}",
            ["KAFKA__BOOTSTRAP"] = kafka.BootstrapServers,
            ["KAFKA__EMBEDDED"] = "true",
            ["KAFKA__PARTITIONS"] = $"{Partitions}",
            ["DATABASE__URL"] = database.ConnectionString,
            ["DATABASE__MIGRATEATSTART"] = "true",
            ["SYNC__REPLICA"] = "bench",
        };
        if (telemetry is not null)
        {
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = telemetry.ToString();
            settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
        }

        return settings;
    }

    static TimeSpan ProcessorTime(int pid)
    {
        using var process = Process.GetProcessById(pid);
        return process.TotalProcessorTime;
    }

    static double PeakMemory(int pid)
    {
        using var process = Process.GetProcessById(pid);
        return process.PeakWorkingSet64 / 1024.0 / 1024.0;
    }
}

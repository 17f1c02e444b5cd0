using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;

namespace Sync.Tests.Simulation;

/// <summary>What is left out of a schedule, to find the few moves that matter.</summary>
sealed record Switches(IReadOnlySet<int> Skipped, IReadOnlySet<string> Off)
{
    public static readonly Switches None = new(new HashSet<int>(), new HashSet<string>());

    /// <summary>Faults that can be switched off, by name.</summary>
    public static readonly IReadOnlyDictionary<string, Func<Profile, Profile>> Faults = new Dictionary<
        string,
        Func<Profile, Profile>
    >
    {
        ["requests lost on the way"] = p => p with { LostBefore = 0 },
        ["answers lost"] = p => p with { LostAfter = 0 },
        ["late landings"] = p => p with { LandsLate = 0 },
        ["failing reads"] = p => p with { ReadFails = 0 },
        ["rate limits"] = p => p with { SlowDown = 0 },
        ["refused credentials"] = p => p with { PauseAll = 0 },
        ["spent keys"] = p => p with { KeySpent = 0 },
        ["crashes"] = p => p with { Crashes = 0 },
        ["lost events"] = p => p with { EventsLost = 0 },
        ["doubled events"] = p => p with { EventsDoubled = 0 },
        ["repeated messages"] = p => p with { Repeats = 0 },
        ["the deletion brake"] = p => p with { Brake = 0 },
        ["clock skew"] = p => p with { Skew = TimeSpan.Zero },
        ["copies"] = p => p with { Clones = 0 },
        ["days that pass"] = p => p with { Ages = 0 },
        ["refusals"] = p => p with { Refuses = 0 },
        ["operators"] = p => p with { Operators = false, Matchers = false },
        ["merges"] = p => p with { Merges = 0 },
        ["erasures"] = p => p with { Erases = 0 },
        ["new lives"] = p => p with { Recreates = 0 },
    };

    public bool Skips(int step) => Skipped.Contains(step);

    public Profile Apply(Profile profile) => Off.Aggregate(profile, (p, name) => Faults[name](p));
}

/// <summary>A schedule that breaks a rule.</summary>
sealed record Failure(Profile Profile, long Seed, string Rule, string What)
{
    public override string ToString() => $"profile \"{Profile.Name}\", seed {Seed}: {Rule}: {What}";
}

sealed record Tally(int Seeds, TimeSpan Took, IReadOnlyList<Failure> Failures, int Edits, int Writes)
{
    public double PerMinute => Seeds / Took.TotalMinutes;
}

/// <summary>Runs many seeds side by side, and makes a failing one small.</summary>
static class Simulator
{
    /// <summary>Runs of one shrinking.</summary>
    const int MaxTries = 600;

    public static World Run(Profile profile, long seed, Switches? switches = null, bool traced = false) =>
        new World(profile, seed, switches ?? Switches.None, traced).Run();

    /// <param name="profiles">Seeds go round them.</param>
    /// <param name="progress">Told now and then how many are through.</param>
    public static Tally RunMany(
        IReadOnlyList<Profile> profiles,
        long firstSeed,
        int seeds,
        Action<int, int>? progress = null,
        int stopAfter = int.MaxValue
    )
    {
        var failures = new ConcurrentQueue<Failure>();
        var started = Stopwatch.GetTimestamp();
        var (done, edits, writes) = (0, 0, 0);
        Parallel.For(
            0,
            seeds,
            new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
            (i, loop) =>
            {
                var profile = profiles[i % profiles.Count];
                var world = Run(profile, firstSeed + i);
                Interlocked.Add(ref edits, world.Witness.Edits.Count);
                Interlocked.Add(ref writes, world.Adapters.Sum(a => a.Vendor.Writes.Values.Sum()));
                if (world.Witness.Faults is [var (rule, what), ..])
                {
                    failures.Enqueue(new(profile, firstSeed + i, rule, what));
                    if (failures.Count >= stopAfter)
                        loop.Stop();
                }

                progress?.Invoke(Interlocked.Increment(ref done), failures.Count);
            }
        );
        return new Tally(
            done == 0 ? seeds : done,
            Stopwatch.GetElapsedTime(started),
            [.. failures.OrderBy(f => f.Seed)],
            edits,
            writes
        );
    }

    /// <summary>The failure with all that does not matter left out, as a text to read and a line to run it again.</summary>
    public static string Explain(Failure failure)
    {
        var (profile, seed) = (failure.Profile, failure.Seed);
        var tries = 0;
        bool Fails(Switches s) =>
            tries++ < MaxTries && Run(profile, seed, s).Witness.Faults.Any(f => f.Rule == failure.Rule);

        var switches = Switches.None;
        foreach (var fault in Switches.Faults.Keys)
        {
            var without = switches with { Off = new HashSet<string>(switches.Off) { fault } };
            if (Fails(without))
                switches = without;
        }

        // Delta debugging: ever smaller pieces of the schedule are left out as long as it still fails.
        var kept = Enumerable.Range(0, profile.Steps).ToList();
        for (var size = kept.Count / 2; size >= 1; size = size == 1 ? 0 : Math.Max(1, size / 2))
        {
            for (var at = 0; at < kept.Count && tries < MaxTries; )
            {
                List<int> less = [.. kept.Take(at), .. kept.Skip(at + size)];
                var skipped = Enumerable.Range(0, profile.Steps).Except(less).ToHashSet();
                if (Fails(switches with { Skipped = skipped }))
                    (kept, switches) = (less, switches with { Skipped = skipped });
                else
                    at += size;
            }
        }

        var world = Run(profile, seed, switches, traced: true);
        var text = new StringBuilder();
        text.AppendLine(failure.ToString());
        text.AppendLine(
            $"  again: ./sync simulate --seeds 1 --seed {seed} --profile \"{profile.Name}\"; {kept.Count} of {profile.Steps} steps and "
                + $"{Switches.Faults.Count - switches.Off.Count} of {Switches.Faults.Count} kinds of fault matter"
                + (
                    switches.Off.Count < Switches.Faults.Count
                        ? $": {string.Join(", ", Switches.Faults.Keys.Except(switches.Off))}"
                        : ""
                )
        );
        text.Append(world.Trace);
        return text.ToString();
    }
}

using System.Globalization;

namespace Sync.Tests.Simulation;

/// <summary>
/// The shipped decisions and the shipped frame in random schedules of everything that can go wrong. One seed is one
/// schedule; a failing one is made small, printed and reproduces.
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    /// <summary>What every run of the tests plays through.</summary>
    const int Seeds = 2_000;

    const int ThoroughSeeds = 100_000;

    /// <summary>A test is red by then; only who asks for a run by hand wants them all.</summary>
    const int EnoughFailures = 20;

    [Fact]
    public void All_promises_hold_in_every_schedule() => Play(1, Seeds, Profile.All);

    [Fact(Explicit = true)]
    public void All_promises_hold_in_a_hundred_thousand_schedules() => Play(1_000_000, ThoroughSeeds, Profile.All);

    /// <summary>Seeds that once found something, and what that was.</summary>
    [Theory]
    // A record that came back while its customer was being removed kept the brake of the deletion that had been held.
    [InlineData("live subscriptions", 9586)]
    [InlineData("deletion-heavy", 8790)]
    // A field whose mapping was removed while a command that carries it was under way.
    [InlineData("field unmapped later", 225)]
    // A write that the restored ledger had forgotten was taken for a person's edit.
    [InlineData("restored", 51)]
    [InlineData("restored, late writes", 103379)]
    // A restored lane did not know whose deletion it heard of.
    [InlineData("restored, late writes", 520)]
    // A restored lane adopted a copy, and answered for that one for ever.
    [InlineData("restored, late writes", 121189)]
    // A write landed late, and was read after the vendor's window was over.
    [InlineData("no guard", 973)]
    public void What_was_found_once_stays_found(string profile, long seed) => Play(seed, 1, [Profile.Named(profile)]);

    /// <summary><c>./sync simulate</c>: SYNC_SIMULATE is its arguments, seeds, first seed and profile.</summary>
    [Fact(Explicit = true)]
    public void Simulate()
    {
        if (Environment.GetEnvironmentVariable("SYNC_SIMULATE") is not { } asked)
        {
            Assert.Skip("only ./sync simulate asks for it");
            return;
        }

        var parts = asked.Split(';');
        var seeds = int.Parse(parts[0], CultureInfo.InvariantCulture);
        var first = long.Parse(parts[1], CultureInfo.InvariantCulture);
        var profiles = parts[2].Length > 0 ? [Profile.Named(parts[2])] : Profile.All;
        Play(first, seeds, profiles, live: true);
    }

    void Play(long first, int seeds, IReadOnlyList<Profile> profiles, bool live = false)
    {
        var said = 0;
        var tally = Simulator.RunMany(
            profiles,
            first,
            seeds,
            (done, failed) =>
            {
                if (live && done * 20 / seeds > Volatile.Read(ref said) && Interlocked.Increment(ref said) > 0)
                    Console.WriteLine($"  {done} of {seeds} seeds, {failed} failed");
            },
            stopAfter: live ? int.MaxValue : EnoughFailures,
            failed: live ? failure => Console.WriteLine($"  {failure}") : null
        );
        var sum =
            $"{tally.Seeds} seeds in {tally.Took.TotalSeconds:0} s ({tally.PerMinute:0} a minute), {tally.Failures.Count} failed, {tally.Edits} edits, {tally.Writes} writes";
        if (live)
            Console.WriteLine($"  {sum}");
        output.WriteLine(sum);
        if (tally.Failures.Count == 0)
            return;
        var all = string.Join('\n', tally.Failures.Take(20));
        var rules = string.Join(
            '\n',
            tally
                .Failures.GroupBy(f => $"{f.Profile.Name}: {f.Rule}")
                .OrderByDescending(g => g.Count())
                .Select(g => $"  {g.Count(), 4} {g.Key}")
        );
        Assert.Fail($"{sum}\n{rules}\n{all}\n\n{Simulator.Explain(tally.Failures[0])}");
    }
}

using System.ComponentModel.DataAnnotations;

namespace Sync.Orchestrator.Brakes;

/// <summary>When the orchestrator stops by itself and waits for a person, and what it lets come back.</summary>
sealed class CustomersOptions
{
    public const string Section = "Customers";

    /// <summary>
    /// Deletions seen in one system within <see cref="DeletionWindow"/> that spread by themselves; all more are held. 0 holds
    /// every one.
    /// </summary>
    [Range(0, 1_000_000)]
    public int DeletionBrake { get; init; } = 50;

    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan DeletionWindow { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// News of one customer from vendors within <see cref="LoopWindow"/> that are followed; more are a loop, and nothing is
    /// written for that customer until a person says so. 0 follows all.
    /// </summary>
    [Range(0, 1_000_000)]
    public int LoopBrake { get; init; } = 30;

    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan LoopWindow { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Whether a removed id that the product creates again is followed, as a new life. Never one that was erased.</summary>
    public bool AllowRecreate { get; init; }

    /// <summary>From one comparison of every vendor's objects with the golden record to the next; 0 for none by itself.</summary>
    [Range(0, 8_760)]
    public int ReconcileHours { get; init; } = 24;

    /// <summary>Whether the comparison that comes by itself mends what it finds, by the ordinary way.</summary>
    public bool ReconcileRepair { get; init; } = true;
}

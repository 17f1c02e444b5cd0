using System.Text.Json.Serialization;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.Brakes;

/// <summary>
/// How fast vendors bring news of one customer. Two automations that undo each other, or one that undoes what we write, never
/// end by themselves; each turn of theirs is news of a vendor, whoever wins. A burst from the product is no loop, and costs a
/// write or two.
/// </summary>
sealed class Pace
{
    /// <summary>When the window began.</summary>
    public DateTimeOffset Since { get; set; }

    /// <summary>News in the window.</summary>
    public int Count { get; set; }

    /// <summary>How often each path was news in the window. Values are in the golden record alone.</summary>
    public SortedDictionary<string, int> Paths { get; set; } = new(StringComparer.Ordinal);

    /// <summary>The brake is on: nothing is asked until a person releases it.</summary>
    public bool Tripped { get; set; }

    /// <summary>The paths that alternate: a loop writes the same ones again and again.</summary>
    [JsonIgnore]
    public IEnumerable<string> Alternating => Paths.Where(p => p.Value > 1).Select(p => p.Key);

    /// <summary>Counts one message with news; true when it was one too many.</summary>
    public static bool IsTooFast(
        CustomerSync sync,
        IReadOnlyCollection<string> news,
        LoopBudget budget,
        DateTimeOffset now
    )
    {
        if (news.Count == 0 || sync.Pace is { Tripped: true })
            return false;
        if (sync.Pace is not { } pace || now - pace.Since >= budget.Window)
            sync.Pace = pace = new Pace { Since = now };
        pace.Count++;
        foreach (var path in news)
            pace.Paths[path] = pace.Paths.GetValueOrDefault(path) + 1;
        return pace.Tripped = pace.Count > budget.News;
    }
}

/// <param name="News">Messages of vendors with news of one customer that are followed within the window.</param>
sealed record LoopBudget(int News, TimeSpan Window);

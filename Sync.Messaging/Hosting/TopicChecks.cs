using Microsoft.Extensions.DependencyInjection;

namespace Sync.Messaging.Hosting;

/// <summary>The topics that a process reads or writes, which must exist before it starts.</summary>
public sealed class TopicChecks
{
    /// <summary>Another number of partitions than the setting refuses the start.</summary>
    public HashSet<string> Ours { get; } = new(StringComparer.Ordinal);

    /// <summary>A product's own topics: another number of partitions is a warning.</summary>
    public HashSet<string> Foreign { get; } = new(StringComparer.Ordinal);
}

public static class TopicCheckExtensions
{
    /// <summary>Names topics to be checked at start, and created by the verb <c>topics</c>.</summary>
    public static IServiceCollection AddTopics(
        this IServiceCollection services,
        IEnumerable<string> ours,
        IEnumerable<string>? foreign = null
    ) =>
        services.Configure<TopicChecks>(checks =>
        {
            checks.Ours.UnionWith(ours);
            checks.Foreign.UnionWith(foreign ?? []);
        });
}

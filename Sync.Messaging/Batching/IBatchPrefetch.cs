using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Sync.Messaging.Batching;

/// <summary>
/// Reads, for all messages of one type at once, rows that their consumer needs besides the saga: one statement per round
/// instead of one per message. It sees committed state, perhaps a batch old. Reach it with <c>context.Prefetched</c>.
/// </summary>
public interface IBatchPrefetch<TMessage, TResult>
    where TMessage : class
    where TResult : class
{
    /// <summary>One answer per message, in their order; null where there is nothing.</summary>
    Task<IReadOnlyList<TResult?>> Read(
        IReadOnlyList<TMessage> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    );
}

/// <summary>A registered prefetch without its types.</summary>
abstract class PrefetchSource
{
    public abstract Task<IReadOnlyList<object?>> Read(
        IReadOnlyList<object> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    );
}

sealed class PrefetchSource<TMessage, TResult>(IBatchPrefetch<TMessage, TResult> prefetch) : PrefetchSource
    where TMessage : class
    where TResult : class
{
    public override async Task<IReadOnlyList<object?>> Read(
        IReadOnlyList<object> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        var found = await prefetch.Read([.. messages.Cast<TMessage>()], connection, cancellationToken);
        return found.Count == messages.Count
            ? found
            : throw new InvalidOperationException(
                $"{prefetch.GetType().Name} answered {found.Count} times for {messages.Count} messages; it must answer each"
            );
    }
}

public static class BatchPrefetchExtensions
{
    public static IServiceCollection AddBatchPrefetch<TMessage, TResult, TPrefetch>(this IServiceCollection services)
        where TMessage : class
        where TResult : class
        where TPrefetch : class, IBatchPrefetch<TMessage, TResult>
    {
        services.AddSingleton<IBatchPrefetch<TMessage, TResult>, TPrefetch>();
        services.AddSingleton<PrefetchSource<TMessage, TResult>>();
        return services;
    }

    /// <summary>What the prefetch read for this message.</summary>
    public static async Task<TResult?> Prefetched<TMessage, TResult>(this ConsumeContext<TMessage> context)
        where TMessage : class
        where TResult : class
    {
        var source =
            context.TryGetPayload(out IServiceProvider? services)
            && services.GetService<PrefetchSource<TMessage, TResult>>() is { } registered
                ? registered
                : throw new InvalidOperationException(
                    $"no prefetch of {typeof(TResult).Name} for {typeof(TMessage).Name}; call AddBatchPrefetch at start"
                );
        return context.TryGetPayload(out MessageBuffer? buffer)
            ? (TResult?)await buffer.Batch.Read(buffer.Slot, source, context.Message)
            : throw new InvalidOperationException("a prefetch is read on an endpoint of the Kafka rider");
    }
}

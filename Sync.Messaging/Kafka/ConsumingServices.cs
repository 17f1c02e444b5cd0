using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

static class ConsumingServices
{
    /// <summary>What the Kafka rider's endpoints take from the container.</summary>
    public static IServiceCollection AddConsuming<TDbContext>(this IServiceCollection services)
        where TDbContext : DbContext
    {
        services.AddSettings<ConsumingOptions>(ConsumingOptions.Section);
        services.TryAddSingleton<ConsumerBoard>();
        services.TryAddSingleton<ConsumingMetrics>();
        services.TryAddSingleton<IConsumerHealth>(p => p.GetRequiredService<ConsumerBoard>());
        services.TryAddSingleton<IPartitionShare>(p => p.GetRequiredService<ConsumerBoard>());
        services.TryAddSingleton<IRecordSourceFactory, KafkaRecordSourceFactory>();
        services.ConfigureDbContext<TDbContext>(options => options.AddInterceptors(SaveChangesInBatch.Refused));
        return services;
    }
}

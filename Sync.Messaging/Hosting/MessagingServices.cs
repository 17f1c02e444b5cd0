using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Kafka;
using Sync.Messaging.Outbox;
using Sync.Messaging.Scheduling;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Hosting;

public static class MessagingServices
{
    /// <summary>
    /// What a process needs to take part: its messages, its database, Kafka's clients, and the outbox with its deliverer
    /// and timers. Call it before <c>AddMassTransit</c>: services stop in reverse, so that the deliverer outlives the
    /// endpoints that write to its outbox.
    /// </summary>
    public static IServiceCollection AddMessaging<TDbContext>(
        this IServiceCollection services,
        Action<MessageCatalog> messages
    )
        where TDbContext : DbContext
    {
        services.AddSettings<KafkaOptions>(KafkaOptions.Section);
        services.AddSettings<DatabaseOptions>(DatabaseOptions.Section);
        services.AddSettings<ReplicaOptions>(ReplicaOptions.Section);
        services.TryAddSingleton(TimeProvider.System);

        var catalog = new MessageCatalog();
        messages(catalog);
        services.AddSingleton(catalog);
        services.AddSingleton(p => new MessageEncoder(
            catalog,
            p.GetRequiredService<ProcessIdentity>().Source,
            p.GetRequiredService<TimeProvider>()
        ));

        services.AddSingleton(DataSource);
        services.AddDbContextFactory<TDbContext>(
            (p, options) =>
                options.UseSyncPostgres(
                    p.GetRequiredService<NpgsqlDataSource>(),
                    p.GetRequiredService<ProcessIdentity>().Schema
                )
        );
        services.AddSingleton<ISchemaMigration, SchemaMigration<TDbContext>>();

        services.AddSingleton<KafkaClients>();
        services.AddSingleton<KafkaCluster>();
        services.AddOptions<TopicChecks>();
        services.AddSingleton<TopicCreation>();
        services.TryAddSingleton<HealthBoard>();
        services.TryAddSingleton<CrashPoints>();

        services.AddSingleton<OutboxSql>();
        services.AddSingleton<OutboxSignal>();
        services.AddSingleton<IOutbox, OutboxWriter>();
        services.AddSingleton<OutgoingDeadLetters>();
        services.AddSingleton<DeliveryMetrics>();
        services.AddSingleton<DeliveryParts>();
        services.AddSingleton<DatabaseWatch>();
        services.AddSingleton<IBackPressure>(p => p.GetRequiredService<DatabaseWatch>());

        // They start in this order and stop in reverse: timers before the deliverer, the deliverer before the watches.
        services.AddHostedService<StartChecks>();
        services.AddHostedService(p => p.GetRequiredService<DatabaseWatch>());
        services.AddHostedService<KafkaWatch>();
        services.AddHostedService<OutboxDeliverer>();
        services.AddHostedService<ScheduleMover>();
        services.AddHostedService<UnknownTypesReplay>();
        services.AddHostedService<Retention>();
        services.AddConsuming<TDbContext>();
        return services;
    }

    static NpgsqlDataSource DataSource(IServiceProvider services)
    {
        var identity = services.GetRequiredService<ProcessIdentity>();
        var replica = services.GetRequiredService<IOptions<ReplicaOptions>>().Value.Replica;
        var database = services.GetRequiredService<IOptions<DatabaseOptions>>().Value;
        var builder = new NpgsqlDataSourceBuilder(
            database.Connection($"sync/{identity.Name}/{replica}").ConnectionString
        );
        builder.UseLoggerFactory(services.GetRequiredService<ILoggerFactory>());
        builder.EnableParameterLogging(false);
        // Loops look at PostgreSQL several times a second: only what belongs to a trace becomes a span.
        builder.ConfigureTracing(tracing =>
            tracing
                .ConfigureCommandFilter(_ => System.Diagnostics.Activity.Current is not null)
                .EnableFirstResponseEvent(false)
                .EnablePhysicalOpenTracing(false)
        );
        return builder.Build();
    }
}

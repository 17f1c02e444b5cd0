using MassTransit;
using Microsoft.Extensions.Options;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Sagas;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator;

/// <summary>The orchestrator's parts, as one: hosts and tests add the same.</summary>
static class OrchestratorServices
{
    public static IServiceCollection AddOrchestrator(this IServiceCollection services)
    {
        services.AddSettings<ProductOptions>(ProductOptions.Section);
        services.AddSettings<MappingOptions>(MappingOptions.Section);
        services.AddSingleton(p => p.GetRequiredService<IOptions<MappingOptions>>().Value.Load());
        services.AddSingleton<IDeletionBrake, OpenDeletionBrake>();
        services.AddSingleton(p => new Rules(
            p.GetRequiredService<SyncConfig>(),
            p.GetRequiredService<IOptions<ProductOptions>>().Value.Mode == ProductOptions.OneWay,
            p.GetRequiredService<IDeletionBrake>().Holds
        ));
        services.AddSingleton<Telemetry>();
        services.AddSingleton<Orchestration>();
        services.AddHostedService<Announcement>();
        services.AddSingleton<PartitionResume>();

        services
            .AddOptions<TopicChecks>()
            .Configure<SyncConfig>(
                (topics, config) =>
                {
                    topics.Foreign.Add(Topics.Customers);
                    topics.Ours.UnionWith(Consumed(config).Where(topic => topic != Topics.Customers));
                    topics.Ours.UnionWith(config.Systems.Keys.Select(Topics.Commands));
                    topics.Ours.Add(Topics.DeadLetters);
                }
            );
        services.AddMessaging<OrchestratorDb>(catalog =>
        {
            foreach (var m in Wire.All)
                catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        });
        services.AddBatchRows<TimelineEntry, TimelineWriter>();
        services.AddMassTransit(x =>
        {
            x.DisableUsageTelemetry();
            x.UsingInMemory();
            x.AddRider(rider =>
            {
                rider
                    .AddSagaStateMachine<CustomerSyncStateMachine, CustomerSync>()
                    .EntityFrameworkRepository<CustomerSync, OrchestratorDb>();
                rider
                    .AddSagaStateMachine<FoundObjectStateMachine, FoundObject>()
                    .EntityFrameworkRepository<FoundObject, OrchestratorDb>();
                rider.UsingKafka(
                    (context, kafka) =>
                        kafka.TopicEndpoint(
                            Groups.Orchestrator,
                            Consumed(context.GetRequiredService<SyncConfig>()),
                            endpoint =>
                            {
                                endpoint.ConfigureSaga<CustomerSync>(context);
                                endpoint.ConfigureSaga<FoundObject>(context);
                            }
                        )
                );
            });
        });
        return services;
    }

    /// <summary>What the product and every vendor of the mapping say, and what customers, objects, timers and operators ask.</summary>
    static string[] Consumed(SyncConfig config) => [.. config.Systems.Keys.Select(Topics.Reports), Topics.Requests];
}

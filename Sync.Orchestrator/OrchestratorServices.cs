using MassTransit;
using Microsoft.Extensions.Options;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Sagas;
using Sync.Messaging.Wire;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Comparing;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Dashboard;
using Sync.Orchestrator.FoundObjects;
using Sync.Orchestrator.PlainEvents;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator;

/// <summary>The orchestrator's parts, as one: hosts and tests add the same.</summary>
static class OrchestratorServices
{
    public static IServiceCollection AddOrchestrator(this IServiceCollection services)
    {
        services.AddSettings<ProductOptions>(ProductOptions.Section);
        services.AddSingleton<IValidateOptions<ProductOptions>, PlainEventCheck>();
        services.AddSettings<MappingOptions>(MappingOptions.Section);
        services.AddSingleton(p => p.GetRequiredService<IOptions<MappingOptions>>().Value.Load());
        services.AddSingleton<IEnumerable<IRecordReader>>(p =>
            p.GetRequiredService<IOptions<ProductOptions>>().Value.Format == ProductOptions.Plain
                ?
                [
                    new PlainEventReader(
                        PlainEventMap.Load(
                            p.GetRequiredService<IOptions<MappingOptions>>().Value.Config,
                            p.GetRequiredService<SyncConfig>()
                        )
                    ),
                ]
                : []
        );
        services.AddSettings<CustomersOptions>(CustomersOptions.Section);
        services.AddSingleton(p =>
        {
            var customers = p.GetRequiredService<IOptions<CustomersOptions>>().Value;
            return new Rules(
                p.GetRequiredService<SyncConfig>(),
                p.GetRequiredService<IOptions<ProductOptions>>().Value.Mode == ProductOptions.OneWay,
                // Deletions are counted in the database: see VanishedObjects.
                DeletionBrake: (_, _) => false
            )
            {
                Loop = customers.LoopBrake > 0 ? new LoopBudget(customers.LoopBrake, customers.LoopWindow) : null,
                AllowRecreate = customers.AllowRecreate,
            };
        });
        services.AddBatchPrefetch<ObjectFound, string[], CandidatesByEmail>();
        services.AddBatchPrefetch<CustomerReported, Vanished, VanishedObjects>();
        services.AddBatchPrefetch<Erase, ObjectName[], ObjectsOfCustomer>();
        services.AddBatchPrefetch<ObjectsListed, Listed, ListedSurroundings>();
        services.AddBatchPrefetch<ApplyFindings, Piece, NextPiece>();
        services.AddSingleton<Telemetry>();
        services.AddSingleton(p => new Orchestration(
            p.GetRequiredService<Rules>(),
            p.GetRequiredService<TimeProvider>(),
            p.GetRequiredService<Telemetry>(),
            p.GetRequiredService<ILogger<Orchestration>>()
        )
        {
            Surroundings = new Surroundings(),
        });
        services.AddHostedService<Announcement>();
        services.AddSingleton<PartitionResume>();

        services
            .AddOptions<TopicChecks>()
            .Configure<SyncConfig, IEnumerable<IRecordReader>>(
                (topics, config, readers) =>
                {
                    var product = OfProduct(readers);
                    topics.Foreign.Add(product);
                    topics.Ours.UnionWith(Consumed(config, product).Where(topic => topic != product));
                    topics.Ours.UnionWith(config.Systems.Keys.Select(Topics.Commands));
                    topics.Ours.Add(Topics.DeadLetters);
                }
            );
        services.AddMessaging<OrchestratorDb>(catalog =>
        {
            foreach (var m in Wire.All)
                catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        });
        // After the checks of the start, which wait for the database and its tables.
        services.AddHostedService<RollUp>();
        foreach (var kind in Lifetimes.All)
            services.AddSingleton(kind);
        services.AddBatchRows<TimelineEntry, TimelineWriter>();
        services.AddBatchRows<Erasure, ErasureWriter>();
        services.AddBatchRows<FeedGapReported, FeedGapWriter>();
        services.AddSingleton<ComparisonSignal>();
        services.AddBatchRows<ComparisonWrite, ComparisonStore>();
        services.AddHostedService<ComparisonCloser>();
        services.AddHostedService<ReconcileTimer>();
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
                rider.AddConsumer<FeedGapConsumer>();
                rider.AddConsumer<CompareConsumer>();
                rider.AddConsumer<ObjectsListedConsumer>();
                rider.AddConsumer<ApplyFindingsConsumer>();
                rider.UsingKafka(
                    (context, kafka) =>
                        kafka.TopicEndpoint(
                            Groups.Orchestrator,
                            Consumed(
                                context.GetRequiredService<SyncConfig>(),
                                OfProduct(context.GetRequiredService<IEnumerable<IRecordReader>>())
                            ),
                            endpoint =>
                            {
                                endpoint.ConfigureSaga<CustomerSync>(context);
                                endpoint.ConfigureSaga<FoundObject>(context);
                                endpoint.ConfigureConsumer<FeedGapConsumer>(context);
                                endpoint.ConfigureConsumer<CompareConsumer>(context);
                                endpoint.ConfigureConsumer<ObjectsListedConsumer>(context);
                                endpoint.ConfigureConsumer<ApplyFindingsConsumer>(context);
                            }
                        )
                );
            });
        });
        return services;
    }

    /// <summary>What the product and every vendor of the mapping say, and what customers, objects, timers and operators ask.</summary>
    static string[] Consumed(SyncConfig config, string product) =>
        [.. config.Systems.Keys.Select(s => s == SystemNames.Product ? product : Topics.Reports(s)), Topics.Requests];

    /// <summary>A product with JSON of its own may have a topic of its own.</summary>
    internal static string OfProduct(IEnumerable<IRecordReader> readers) =>
        readers.SingleOrDefault()?.Topic ?? Topics.Customers;
}

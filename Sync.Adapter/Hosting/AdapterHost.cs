using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Adapter.Budget;
using Sync.Adapter.Following;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Adapter.Working;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;

namespace Sync.Adapter.Hosting;

/// <summary>
/// The process of an adapter. A vendor's <c>Program.cs</c> names its system, its context and its services:
/// <code>
/// return await AdapterHost.Run&lt;StripeDb&gt;(args, SystemNames.Stripe, services => services.AddStripe());
/// </code>
/// The services must hold one <see cref="IVendor"/>. Schema, group and topics are named after the system.
/// </summary>
public static class AdapterHost
{
    public static Task<int> Run<TDb>(string[] args, string system, Action<IServiceCollection> vendor)
        where TDb : AdapterDb => SyncProcess.Run(CreateBuilder<TDb>(args, system, vendor), args);

    /// <summary>The process before it is built, for a vendor that adds services of its own and for tests.</summary>
    public static HostApplicationBuilder CreateBuilder<TDb>(
        string[] args,
        string system,
        Action<IServiceCollection> vendor
    )
        where TDb : AdapterDb
    {
        var builder = SyncProcess.CreateBuilder(
            args,
            new ProcessIdentity($"{system}-adapter", Schema: system, Group: Groups.Adapter(system))
        );
        var services = builder.Services;
        services.AddMessaging<TDb>(catalog =>
        {
            foreach (var m in Wire.All)
                catalog.Add(new MessageKind(m.Type, m.Json, m.Topic, m.Key, m.Sequence, m.Problem));
        });
        services.AddTopics([Topics.Commands(system), Topics.Reports(system)]);
        services.AddAdapter(system);
        vendor(services);

        // Last, so that it stops first: no work comes in while the workers end.
        services.AddMassTransit(x =>
        {
            x.DisableUsageTelemetry();
            x.UsingInMemory();
            x.AddRider(rider =>
            {
                rider.AddConsumer<PushCustomerConsumer>();
                rider.AddConsumer<ReadObjectConsumer>();
                rider.AddConsumer<RequestScanConsumer>();
                rider.UsingKafka(
                    (context, kafka) =>
                        kafka.TopicEndpoint(
                            Groups.Adapter(system),
                            [Topics.Commands(system)],
                            endpoint =>
                            {
                                endpoint.ConfigureConsumer<PushCustomerConsumer>(context);
                                endpoint.ConfigureConsumer<ReadObjectConsumer>(context);
                                endpoint.ConfigureConsumer<RequestScanConsumer>(context);
                            }
                        )
                );
            });
        });
        return builder;
    }

    /// <summary>The frame without Kafka: intake, workers, housekeeping.</summary>
    internal static void AddAdapter(this IServiceCollection services, string system)
    {
        services.AddSettings<AdapterOptions>(AdapterOptions.Section);
        services.AddSettings<MappingOptions>(MappingOptions.Section);
        services.AddSingleton<IValidateOptions<MappingOptions>, MappingCheck>();
        services.AddSingleton(p => p.GetRequiredService<IOptions<AdapterOptions>>().Value);
        services.AddSingleton(p => SyncConfig.Load(p.GetRequiredService<IOptions<MappingOptions>>().Value.Config));
        services.AddSingleton(p => p.GetRequiredService<SyncConfig>().System(system));

        services.AddSingleton(new AdapterSystem(system));
        services.AddSingleton(new AdapterSchema(system));
        services.AddSingleton<WorkSignal>();
        services.AddSingleton<WorkWriter>();
        services.AddSingleton<HintIntake>();
        services.AddSingleton<IHintIntake>(p => p.GetRequiredService<HintIntake>());
        services.AddBatchRows<WorkRow, WorkWriter>();
        services.AddBatchRows<ScanAsked, ScanRequests>();
        services.AddSingleton<IBacklog, WorkBacklog>();

        services.AddSingleton(p => new LinkStore(
            p.GetRequiredService<NpgsqlDataSource>(),
            system,
            p.GetRequiredService<IOutbox>(),
            // A vendor that cannot list tells of nothing that was there before.
            p.GetRequiredService<AdapterOptions>().ListFirst && p.GetService<IListing>() is not null
        ));
        services.AddSingleton<ILinkStore>(p => p.GetRequiredService<LinkStore>());
        services.AddSingleton<IRestoreHook, RaiseVersions>();
        services.AddSingleton(_ => new AdapterTelemetry(system));
        services.AddSingleton<IAdapterHealth, AdapterHealth>();
        services.AddSingleton<IMayWork, ClaimedOnce>();
        services.AddSingleton(p => new ApiUsage(
            p.GetRequiredService<AdapterSchema>(),
            p.GetRequiredService<IOptions<ReplicaOptions>>().Value.Replica,
            p.GetRequiredService<TimeProvider>()
        ));
        services.AddSingleton(p => new Rules(
            p.GetRequiredService<SystemMap>(),
            p.GetRequiredService<IVendor>().Traits,
            p.GetRequiredService<IOptions<MappingOptions>>().Value.Environment,
            p.GetRequiredService<SyncConfig>().Hash
        ));
        services.AddSingleton(p => new Backoff(p.GetRequiredService<AdapterOptions>(), new Random()));
        services.AddSingleton(p => new VendorGate(
            system,
            p.GetRequiredService<AdapterOptions>(),
            p.GetRequiredService<TimeProvider>(),
            p.GetRequiredService<ILogger<VendorGate>>(),
            p.GetRequiredService<IAdapterHealth>()
        ));
        services.AddSingleton<VendorCalls>();
        services.AddSingleton<LaneCommits>();
        services.AddSingleton<FeedStore>();
        services.AddSingleton<ScanStore>();
        services.AddHostedService<Housekeeping>();
        services.AddHostedService(p =>
            ActivatorUtilities.CreateInstance<Workers>(
                p,
                p.GetRequiredService<IOptions<ReplicaOptions>>().Value.Replica
            )
        );
        services.AddHostedService(p => FeedsOf(p, system));
    }

    static Feeds FeedsOf(IServiceProvider p, string system)
    {
        var log = p.GetRequiredService<ILogger<Feeds>>();
        var followers = p.GetServices<IFeed>()
            .Select(feed => ActivatorUtilities.CreateInstance<Follower>(p, feed, system, log));
        var scanner = p.GetService<IListing>() is { } listing
            ? ActivatorUtilities.CreateInstance<Scanner>(p, listing, system, log)
            : null;
        return new(
            [.. followers],
            scanner,
            p.GetRequiredService<FeedStore>(),
            p.GetRequiredService<ScanStore>(),
            p.GetRequiredService<Backoff>(),
            p.GetRequiredService<IMayWork>(),
            p.GetRequiredService<TimeProvider>(),
            system,
            p.GetRequiredService<IOptions<ReplicaOptions>>().Value.Replica,
            log
        );
    }
}

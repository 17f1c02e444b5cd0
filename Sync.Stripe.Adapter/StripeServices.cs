using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Adapter.Following;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;
using Sync.Stripe.Adapter.Client;
using Sync.Stripe.Adapter.Events;
using Sync.Stripe.Adapter.Storage;
using Sync.Stripe.Adapter.Webhooks;

namespace Sync.Stripe.Adapter;

static class StripeServices
{
    /// <summary>Stripe as the one vendor of this process; wants a <see cref="Mapping.SyncConfig"/>.</summary>
    public static IServiceCollection AddStripe(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSettings<StripeOptions>(StripeOptions.Section);
        services.AddMappingCheck<StripeOptions>(StripeMapping.Faults);
        services.AddSingleton(p => p.GetRequiredService<IOptions<StripeOptions>>().Value);
        services.AddSingleton<StripeMapping>();
        services.AddSingleton(p =>
        {
            var partitions = p.GetService<IPartitionShare>();
            return new StripeLimits(
                p.GetRequiredService<StripeOptions>(),
                p.GetRequiredService<TimeProvider>(),
                partitions is null ? null : () => partitions.Of(Topics.Commands(StripeMapping.System))
            );
        });
        services.AddSingleton<StripeApi>(p =>
            new(
                p.GetRequiredService<StripeOptions>(),
                p.GetRequiredService<StripeLimits>(),
                p.GetRequiredService<StripeMapping>(),
                p.GetRequiredService<ILogger<StripeApi>>()
            )
        );
        services.AddSingleton<IVendor, StripeVendor>();
        services.AddSingleton(p => new EventReader(
            p.GetRequiredService<StripeMapping>(),
            p.GetRequiredService<IOptions<MappingOptions>>().Value.Environment
        ));
        services.AddSingleton<IFeed, EventsFeed>();
        services.AddSingleton<IListing, CustomerListing>();
        services.AddSingleton<WebhookMetrics>();
        services.AddSingleton<WebhookSignal>();
        services.AddSingleton(p => new WebhookStore(
            p.GetRequiredService<NpgsqlDataSource>(),
            StripeDb.Schema,
            p.GetRequiredService<EventReader>(),
            p.GetRequiredService<IHintIntake>()
        ));
        services.AddSingleton<WebhookDoor>();
        services.AddHostedService<WebhookWorker>();
        services.AddHostedService(p => p.GetRequiredService<WebhookDoor>());
        return services;
    }
}

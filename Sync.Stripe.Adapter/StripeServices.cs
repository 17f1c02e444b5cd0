using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Sync.Adapter.Vendors;
using Sync.Messaging.Hosting;
using Sync.Stripe.Adapter.Client;

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
        services.AddSingleton<StripeLimits>();
        services.AddSingleton<StripeApi>(p =>
            new(
                p.GetRequiredService<StripeOptions>(),
                p.GetRequiredService<StripeLimits>(),
                p.GetRequiredService<StripeMapping>(),
                p.GetRequiredService<ILogger<StripeApi>>()
            )
        );
        services.AddSingleton<IVendor, StripeVendor>();
        return services;
    }
}

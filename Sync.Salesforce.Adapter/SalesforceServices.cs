using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Sync.Adapter.Budget;
using Sync.Adapter.Following;
using Sync.Adapter.Vendors;
using Sync.Messaging.Hosting;
using Sync.Salesforce.Adapter.Client;
using Sync.Salesforce.Adapter.Following;

namespace Sync.Salesforce.Adapter;

static class SalesforceServices
{
    /// <summary>Salesforce as the one vendor of this process; wants a <see cref="Mapping.SyncConfig"/>.</summary>
    public static IServiceCollection AddSalesforce(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSettings<SalesforceOptions>(SalesforceOptions.Section);
        services.AddMappingCheck<SalesforceOptions>(SalesforceMapping.Faults);
        services.AddSingleton(p => p.GetRequiredService<IOptions<SalesforceOptions>>().Value);
        services.AddSingleton<SalesforceMapping>();
        services.AddSingleton<ApiBudget>();
        services.AddSingleton<IApiBudget>(p => p.GetRequiredService<ApiBudget>());
        services.AddSingleton<SalesforceClient>(p =>
            new(
                p.GetRequiredService<SalesforceOptions>(),
                p.GetRequiredService<ApiBudget>(),
                p.GetRequiredService<TimeProvider>(),
                p.GetRequiredService<ILogger<AccessTokens>>()
            )
        );
        services.AddSingleton<IVendor, SalesforceVendor>();
        services.AddHostedService<OrgCheck>();

        services.AddSingleton<PubSubClient>();
        services.AddSingleton<Queries>();
        services.AddSingleton<IListing, Listing>();
        services.AddSingleton<Sweep>();
        services.AddSingleton<ChangeEvents>();
        // Which feeds there are is a setting, and settings are read when the first service is made.
        services.AddSingleton<IEnumerable<IFeed>>(p =>
            p.GetRequiredService<SalesforceOptions>().UsesEvents
                ? [p.GetRequiredService<ChangeEvents>(), p.GetRequiredService<Sweep>()]
                : [p.GetRequiredService<Sweep>()]
        );
        return services;
    }
}

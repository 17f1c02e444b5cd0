using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

static class SalesforceServices
{
    /// <summary>Salesforce as the one vendor of this process; wants a <see cref="Mapping.SyncConfig"/>.</summary>
    public static IServiceCollection AddSalesforce(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<IValidateOptions<SalesforceOptions>, SalesforceOptionsValidator>();
        services.AddOptions<SalesforceOptions>().BindConfiguration(SalesforceOptions.Section).ValidateOnStart();
        services.AddSingleton(p => p.GetRequiredService<IOptions<SalesforceOptions>>().Value);
        services.AddSingleton<SalesforceMapping>();
        services.AddSingleton<ApiUsage>();
        services.AddSingleton<SalesforceClient>(p =>
            new(
                p.GetRequiredService<SalesforceOptions>(),
                p.GetRequiredService<ApiUsage>(),
                p.GetRequiredService<TimeProvider>(),
                p.GetRequiredService<ILogger<AccessTokens>>()
            )
        );
        services.AddSingleton<IVendor, SalesforceVendor>();
        return services;
    }
}

using Microsoft.Extensions.Options;
using Sync.Mapping;

namespace Sync.Orchestrator.PlainEvents;

/// <summary>Every fault of <c>product.json</c> is a fault of the settings, named at start with all others.</summary>
sealed class PlainEventCheck(IServiceProvider services) : IValidateOptions<ProductOptions>
{
    public ValidateOptionsResult Validate(string? name, ProductOptions options)
    {
        if (options.Format != ProductOptions.Plain)
            return ValidateOptionsResult.Skip;
        SyncConfig config;
        string folder;
        try
        {
            folder = services.GetRequiredService<IOptions<MappingOptions>>().Value.Config;
            config = services.GetRequiredService<SyncConfig>();
        }
        catch (Exception e) when (e is SyncConfigException or OptionsValidationException)
        {
            // The files beside it cannot be read, and the setting that names them says so.
            return ValidateOptionsResult.Skip;
        }

        try
        {
            PlainEventMap.Load(folder, config);
            return ValidateOptionsResult.Success;
        }
        catch (SyncConfigException e)
        {
            return ValidateOptionsResult.Fail(e.Faults);
        }
    }
}

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sync.Mapping;

namespace Sync.Adapter.Vendors;

public static class MappingCheckExtensions
{
    /// <summary>Checks at start, together with the vendor's settings, that the vendor can do what the mapping asks.</summary>
    /// <param name="faults">All of them, each with the place in the file.</param>
    public static IServiceCollection AddMappingCheck<TOptions>(
        this IServiceCollection services,
        Func<SyncConfig, IEnumerable<string>> faults
    )
        where TOptions : class =>
        services.AddSingleton<IValidateOptions<TOptions>>(p => new Check<TOptions>(p, faults));

    sealed class Check<TOptions>(IServiceProvider services, Func<SyncConfig, IEnumerable<string>> faults)
        : IValidateOptions<TOptions>
        where TOptions : class
    {
        public ValidateOptionsResult Validate(string? name, TOptions options)
        {
            try
            {
                var found = faults(services.GetRequiredService<SyncConfig>()).ToList();
                return found.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(found);
            }
            catch (Exception e) when (e is SyncConfigException or OptionsValidationException)
            {
                // The files themselves cannot be read, and the setting that names them says so.
                return ValidateOptionsResult.Skip;
            }
        }
    }
}

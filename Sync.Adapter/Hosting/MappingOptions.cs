using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Sync.Adapter.Intake;
using Sync.Mapping;

namespace Sync.Adapter.Hosting;

/// <summary>Where the mapping files are, and the name of this installation.</summary>
public sealed class MappingOptions
{
    public const string Section = "Sync";

    /// <summary>The folder of <c>systems.json</c> and <c>fields.json</c>, the same for all processes.</summary>
    [Required(ErrorMessage = "is missing; give the folder of systems.json and fields.json")]
    public string Config { get; init; } = "";

    /// <summary>Part of every idempotency key, so that two installations on one vendor account stay apart.</summary>
    [RegularExpression("[a-z0-9][a-z0-9-]{0,19}", ErrorMessage = "must be 1 to 20 lower-case letters, digits and -")]
    public string Environment { get; init; } = "dev";
}

/// <summary>Every fault of the mapping files is a fault of the settings, named at start with all others.</summary>
sealed class MappingCheck(AdapterSystem system) : IValidateOptions<MappingOptions>
{
    public ValidateOptionsResult Validate(string? name, MappingOptions options)
    {
        if (options.Config.Length == 0)
            return ValidateOptionsResult.Skip;
        try
        {
            return SyncConfig.Load(options.Config).Systems.ContainsKey(system.Name)
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail(
                    $"SYNC__CONFIG: systems.json has no system \"{system.Name}\"; map its fields there"
                );
        }
        catch (SyncConfigException e)
        {
            return ValidateOptionsResult.Fail(e.Faults);
        }
    }
}

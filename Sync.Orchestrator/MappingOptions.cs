using System.ComponentModel.DataAnnotations;
using Sync.Mapping;

namespace Sync.Orchestrator;

/// <summary>Where the mapping files are.</summary>
sealed class MappingOptions : IValidatableObject
{
    public const string Section = "Sync";

    /// <summary>The folder of <c>systems.json</c> and <c>fields.json</c>, the same files for all processes.</summary>
    [Required(ErrorMessage = "is missing; name the folder of systems.json and fields.json")]
    public string Config { get; init; } = "";

    public SyncConfig Load() => SyncConfig.Load(Config);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Config.Length == 0)
            return [];
        try
        {
            Load();
            return [];
        }
        catch (SyncConfigException e)
        {
            return e.Faults.Select(fault => new ValidationResult(fault, [nameof(Config)]));
        }
    }
}

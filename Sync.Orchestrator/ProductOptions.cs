using System.ComponentModel.DataAnnotations;

namespace Sync.Orchestrator;

/// <summary>What the product can do.</summary>
sealed class ProductOptions
{
    public const string Section = "Product";
    public const string TwoWay = "two-way";
    public const string OneWay = "one-way";

    /// <summary>
    /// <c>two-way</c>: the product applies commands, names the newest one in every snapshot and answers "exists".
    /// <c>one-way</c>: it is only read.
    /// </summary>
    [AllowedValues(TwoWay, OneWay, ErrorMessage = "must be two-way or one-way")]
    public string Mode { get; init; } = TwoWay;
}

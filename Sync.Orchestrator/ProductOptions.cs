using System.ComponentModel.DataAnnotations;

namespace Sync.Orchestrator;

/// <summary>What the product can do, and how it speaks.</summary>
sealed class ProductOptions : IValidatableObject
{
    public const string Section = "Product";
    public const string TwoWay = "two-way";
    public const string OneWay = "one-way";
    public const string CloudEvents = "cloudevents";
    public const string Plain = "plain";

    /// <summary>
    /// <c>two-way</c>: the product applies commands, names the newest one in every snapshot and answers "exists".
    /// <c>one-way</c>: it is only read.
    /// </summary>
    [AllowedValues(TwoWay, OneWay, ErrorMessage = "must be two-way or one-way")]
    public string Mode { get; init; } = TwoWay;

    /// <summary>
    /// <c>cloudevents</c>: the product sends the events of the contract. <c>plain</c>: it sends JSON of its own, which
    /// <c>product.json</c> in the folder of the mapping files explains.
    /// </summary>
    [AllowedValues(CloudEvents, Plain, ErrorMessage = "must be cloudevents or plain")]
    public string Format { get; init; } = CloudEvents;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Format == Plain && Mode != OneWay)
            yield return new(
                "must be one-way with PRODUCT__FORMAT=plain: such events cannot say that a command was applied, nor that a customer exists",
                [nameof(Mode)]
            );
    }
}

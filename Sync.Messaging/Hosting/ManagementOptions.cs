using System.ComponentModel.DataAnnotations;
using System.Net;

namespace Sync.Messaging.Hosting;

/// <summary>The port that serves <c>/health/live</c>, <c>/health/ready</c> and <c>/metrics</c>.</summary>
public sealed class ManagementOptions : IValidatableObject
{
    public const string Section = "Management";

    /// <summary>0 takes any free port; the start log names it.</summary>
    [Range(0, 65535, ErrorMessage = "must be a port, 0 to 65535")]
    public int Port { get; init; }

    /// <summary>Loopback unless set: the port has no authentication.</summary>
    public string Address { get; init; } = "127.0.0.1";

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IPAddress.TryParse(Address, out _))
            yield return new("must be an IP address, such as 127.0.0.1 or 0.0.0.0", [nameof(Address)]);
    }
}

namespace Sync.Contracts.Customers;

/// <summary>A request to the product. A field is written only where it still holds the value of <see cref="Expect"/>.</summary>
public abstract record CustomerCommand
{
    public required Guid CommandId { get; init; }
    public required string CustomerId { get; init; }
    public required long Revision { get; init; }
    public Dictionary<string, string?> Write { get; init; } = [];
    public Dictionary<string, string?> Expect { get; init; } = [];
}

public sealed record CreateCustomer : CustomerCommand;

public sealed record UpdateCustomer : CustomerCommand;

public sealed record DeleteCustomer : CustomerCommand;

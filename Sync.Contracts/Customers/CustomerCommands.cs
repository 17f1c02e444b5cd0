namespace Sync.Contracts.Customers;

/// <summary>A request to the product. A field is written only where it still holds the value of <see cref="Expect"/>.</summary>
public abstract record CustomerCommand
{
    public required Guid CommandId { get; init; }
    public required string CustomerId { get; init; }
    public required long Revision { get; init; }

    // Source-generated JSON sets an absent init-only member to null: empty is meant.
    public Dictionary<string, string?> Write
    {
        get;
        init => field = value ?? [];
    } = [];
    public Dictionary<string, string?> Expect
    {
        get;
        init => field = value ?? [];
    } = [];
}

public sealed record CreateCustomer : CustomerCommand;

public sealed record UpdateCustomer : CustomerCommand;

public sealed record DeleteCustomer : CustomerCommand;

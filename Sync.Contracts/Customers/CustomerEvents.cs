namespace Sync.Contracts.Customers;

/// <summary>
/// How a customer stands in the product, whole. <see cref="Revision"/> rises with every change, also with one made by a
/// command, and an older snapshot is ignored.
/// </summary>
public abstract record CustomerSnapshot
{
    public required string CustomerId { get; init; }
    public required long Revision { get; init; }
    public required CustomerFields Customer { get; init; }

    /// <summary>The newest command that the product applied to this customer; repeated in every snapshot.</summary>
    public AppliedCommand? Applied { get; init; }
}

public sealed record CustomerCreated : CustomerSnapshot;

public sealed record CustomerUpdated : CustomerSnapshot;

public sealed record CustomerDeleted
{
    public required string CustomerId { get; init; }
    public required long Revision { get; init; }
    public AppliedCommand? Applied { get; init; }
}

/// <summary>The product's answer to a create: it has this person already, as <see cref="Existing"/>.</summary>
public sealed record CustomerExists
{
    public required string CustomerId { get; init; }
    public required Guid CommandId { get; init; }
    public required string Existing { get; init; }
}

/// <param name="Written">What was really written: fields that had moved on meanwhile are left out.</param>
public sealed record AppliedCommand(
    Guid CommandId,
    Systems.Outcome Outcome,
    Dictionary<string, string?>? Written = null
);

namespace Sync.Contracts.Requests;

/// <summary>Timer of a found object that waits for a customer's answer: ask again.</summary>
public sealed record ObjectDue
{
    public required string System { get; init; }
    public required string ExternalId { get; init; }
}

using System.Text.Json.Serialization;

namespace Sync.Contracts.Systems;

/// <summary>
/// List every object and tell what each is (<see cref="ObjectsListed"/>). Nothing is concluded and nothing is written. Asking
/// twice with one id is asking once; the key is the id.
/// </summary>
public sealed record RequestScan
{
    public required string System { get; init; }
    public required Guid RequestId { get; init; }
}

/// <summary>
/// A part of what a vendor holds, because somebody asked. Parts come in order, by the key, which is the request's id; what is
/// changed meanwhile may be told twice, and the later one counts.
/// </summary>
public sealed record ObjectsListed
{
    public required string System { get; init; }
    public required Guid RequestId { get; init; }
    public required List<ListedObject> Objects { get; init; }

    /// <summary>Every object was told.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Done { get; init; }
}

/// <summary>An object as the vendor's list shows it.</summary>
public sealed record ListedObject
{
    public required string ExternalId { get; init; }

    /// <summary>Our customer id on it.</summary>
    public string? CustomerId { get; init; }

    /// <summary>The whole mapped record, in the vendor's form.</summary>
    public required Dictionary<string, string?> Fields { get; init; }
}

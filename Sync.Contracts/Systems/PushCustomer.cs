using System.Text.Json.Serialization;
using Sync.Contracts.Json;

namespace Sync.Contracts.Systems;

/// <summary>
/// One command to one vendor for one customer: golden values to write, and what the vendor is believed to hold. At most
/// one is in flight for a customer and system; its repeat is the same bytes under the same id.
/// </summary>
public sealed record PushCustomer
{
    public required Guid CommandId { get; init; }
    public required string System { get; init; }
    public required string CustomerId { get; init; }
    public required int Generation { get; init; }
    public required Operation Operation { get; init; }
    public string? ExternalId { get; init; }
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

[JsonConverter(typeof(WireEnumConverter<Operation>))]
public enum Operation
{
    Unknown,
    Create,
    Update,
    Delete,

    /// <summary>Delete this very object, whichever the customer's own is now.</summary>
    DeleteObject,

    /// <summary>Read the object and report it, also when it equals what was last reported. Nothing is written.</summary>
    Read,

    /// <summary>Forget everything that the adapter keeps of the customer but ids. The vendor is not called.</summary>
    Erase,
}

/// <summary>Read an object that is no customer's yet, and report it as found. The key is its external id.</summary>
public sealed record ReadObject
{
    public required string System { get; init; }
    public required string ExternalId { get; init; }

    /// <summary>Who asked, such as for the import that it is part of; handed on for the timeline.</summary>
    public string? RequestedBy { get; init; }
}

[JsonConverter(typeof(WireEnumConverter<Outcome>))]
public enum Outcome
{
    Unknown,
    Done,
    Gone,
    Refused,
}

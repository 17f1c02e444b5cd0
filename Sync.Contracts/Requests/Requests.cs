using System.Text.Json.Serialization;

namespace Sync.Contracts.Requests;

// What travels on sync.requests.v1. Messages between customer and object are levels: repeating them changes nothing.

/// <summary>Object to customer: take this object as yours, if your slot is free.</summary>
public sealed record LinkObject
{
    public required string CustomerId { get; init; }
    public required string System { get; init; }
    public required string ExternalId { get; init; }
    public required Dictionary<string, string?> Fields { get; init; }
    public required bool Minted { get; init; }

    /// <summary>A person said so: it takes the place of an object whose deletion is held.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Decided { get; init; }
}

/// <summary>Customer to object: you are mine.</summary>
public sealed record ObjectLinked
{
    public required string CustomerId { get; init; }
    public required string System { get; init; }
    public required string ExternalId { get; init; }
}

/// <summary>Customer to object: you are not mine, because.</summary>
public sealed record ObjectParked
{
    public required string CustomerId { get; init; }
    public required string System { get; init; }
    public required string ExternalId { get; init; }
    public required string Reason { get; init; }
}

/// <summary>Customer to object: I became another customer; ask that one.</summary>
public sealed record RelinkObject
{
    public required string CustomerId { get; init; }
    public required string System { get; init; }
    public required string ExternalId { get; init; }
    public required string To { get; init; }

    /// <summary>
    /// The vendor merged the sender's own object into this one. It goes there if it is nobody's and asks nobody else; the
    /// sender names itself.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Claims { get; init; }
}

/// <summary>Customer to object: the person was erased. Forget the record; keep the id.</summary>
public sealed record ForgetObject
{
    public required string CustomerId { get; init; }
    public required string System { get; init; }
    public required string ExternalId { get; init; }
}

/// <summary>Timer: repeat every command in flight whose time has come.</summary>
public sealed record Due
{
    public required string CustomerId { get; init; }
}

/// <summary>An operator's request. Each becomes a row of the timeline with who asked.</summary>
public abstract record OperatorRequest
{
    public required string CustomerId { get; init; }
    public required string RequestedBy { get; init; }
    public required DateTimeOffset RequestedAt { get; init; }
}

/// <summary>Ask again for what was refused, in one system or in all.</summary>
public sealed record Retry : OperatorRequest
{
    public string? System { get; init; }
}

/// <summary>Resolve a held conflict: <see cref="Side"/> is <c>golden</c> or a system.</summary>
public sealed record TakeSide : OperatorRequest
{
    public required string Field { get; init; }
    public required string Side { get; init; }
}

/// <summary>Resolve a held deletion: spread it, or restore the object.</summary>
public sealed record Release : OperatorRequest
{
    public required string System { get; init; }
    public required bool Spread { get; init; }
}

/// <summary>Hide what is parked until its reason changes; a parked deletion counts as kept.</summary>
public sealed record Ignore : OperatorRequest;

/// <summary>Read again what the vendors hold, and report it.</summary>
public sealed record Resync : OperatorRequest
{
    public string? System { get; init; }
}

/// <summary>
/// Erase the person: delete in every system by its policy, forget everything but ids, and let nothing bring the customer
/// back.
/// </summary>
public sealed record Erase : OperatorRequest;

/// <summary>Opens the loop brake: the customer is followed and written again.</summary>
public sealed record ReleaseLoop : OperatorRequest;

/// <summary>Follows a removed id that the product created again, as a new life. Never one that was erased.</summary>
public sealed record AllowRecreate : OperatorRequest;

/// <summary>An operator's request about an object found in a vendor. Each becomes a row of the timeline with who asked.</summary>
public abstract record ObjectRequest
{
    public required string System { get; init; }
    public required string ExternalId { get; init; }
    public required string RequestedBy { get; init; }
    public required DateTimeOffset RequestedAt { get; init; }
}

/// <summary>This object is that customer's, if its slot is free.</summary>
public sealed record LinkTo : ObjectRequest
{
    public required string CustomerId { get; init; }
}

/// <summary>Read a parked object again, and decide anew whose it is.</summary>
public sealed record RetryObject : ObjectRequest;

/// <summary>Hide a parked object until its reason changes.</summary>
public sealed record IgnoreObject : ObjectRequest;

using System.Text.Json.Serialization;

namespace Sync.Contracts.Systems;

/// <summary>
/// What an adapter saw of a customer's object, and, with <see cref="Ack"/>, which command that settles. Answers and
/// observations are one sequence, <see cref="Obs"/>: an older one is ignored.
/// </summary>
public sealed record CustomerReported
{
    public required string System { get; init; }
    public required string CustomerId { get; init; }
    public required int Generation { get; init; }

    /// <summary>The version of the adapter's link row after the commit that stored this report.</summary>
    public required long Obs { get; init; }
    public string? ExternalId { get; init; }

    /// <summary>Whether the object carries our customer id.</summary>
    public bool IdOnObject { get; init; }

    /// <summary>The command that this settles.</summary>
    public Guid? Ack { get; init; }
    public Outcome? Outcome { get; init; }

    /// <summary>Golden values really written by the command.</summary>
    public Dictionary<string, string?>? Written { get; init; }

    /// <summary>The vendor's own form of <see cref="Written"/>.</summary>
    public Dictionary<string, string?>? Stored { get; init; }

    /// <summary>Golden values that the vendor refused.</summary>
    public Dictionary<string, string?>? Refused { get; init; }

    /// <summary>Why, in words without personal data: field and limit, or the reason that a deletion was refused.</summary>
    public string? Reason { get; init; }

    /// <summary>The whole mapped record as read, in the vendor's form.</summary>
    public Dictionary<string, string?>? Fields { get; init; }

    /// <summary>The object is not there any more.</summary>
    public bool Gone { get; init; }

    /// <summary>
    /// With <see cref="Gone"/>: the vendor shows neither the object nor its deletion. It may only be hidden from the
    /// integration user, so nobody concludes a deletion from it.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool OutOfSight { get; init; }

    /// <summary>Fields whose value was put there by a write of ours that is open or came late, with the golden value it wrote.</summary>
    public Dictionary<string, string?>? Own { get; init; }

    /// <summary>Values that a write of ours replaced without our having expected them.</summary>
    public Dictionary<string, Overwritten>? Over { get; init; }

    /// <summary>
    /// The adapter's database was restored, and a write of ours that it does not know any more landed since it last reported:
    /// what changed may be that write's, so golden wins over it.
    /// </summary>
    public bool InDoubt { get; init; }

    /// <summary>A person took the object out of the recycle bin.</summary>
    public bool Undelete { get; init; }

    /// <summary>With <see cref="Gone"/>: the object into which the vendor merged this one.</summary>
    public string? ReplacedBy { get; init; }

    /// <summary>The customer whose id stands on the object of <see cref="ReplacedBy"/>.</summary>
    public string? ReplacedByCustomer { get; init; }

    /// <summary>Hash of the mapping that the adapter runs with.</summary>
    public string? ConfigHash { get; init; }

    /// <summary>Of an erasure: how many rows that spoke of the customer the adapter forgot, by what they were.</summary>
    public Dictionary<string, long>? Forgotten { get; init; }

    /// <summary>The vendor's id of the last request, for a support case.</summary>
    public string? VendorRequestId { get; init; }

    /// <summary>Vendor calls that this round cost, its share where one call served many.</summary>
    public double? Calls { get; init; }

    /// <summary>From taking the lane to the report, in milliseconds.</summary>
    public long? DurationMs { get; init; }
}

/// <param name="Value">What stood there; an absent one was empty.</param>
/// <param name="Written">The golden value that replaced it; an absent one emptied the field.</param>
public sealed record Overwritten(string? Value = null, string? Written = null);

/// <summary>An object without our id. The key is its external id.</summary>
public sealed record ObjectFound
{
    public required string System { get; init; }
    public required string ExternalId { get; init; }
    public required Dictionary<string, string?> Fields { get; init; }

    /// <summary>It was reported before and is not there any more.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Gone { get; init; }

    /// <summary>Who asked for it to be read; null where a change in the vendor is the reason.</summary>
    public string? RequestedBy { get; init; }
}

/// <summary>A second object that carries a customer's id.</summary>
public sealed record ObjectDuplicated
{
    public required string System { get; init; }
    public required string CustomerId { get; init; }
    public required string ExternalId { get; init; }

    /// <summary>Whether a create of ours made it.</summary>
    public required bool Ours { get; init; }
}

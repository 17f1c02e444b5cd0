namespace Sync.Adapter.Vendors;

/// <summary>
/// The few, small things that a vendor supplies; everything else is the frame's. An implementation translates, calls and
/// reports: it decides nothing, keeps no state of a customer, and never retries a write by itself. Every list is answered
/// in its own order, one result each; a call that failed as a whole is that failure for each of its items. Only
/// cancellation is thrown.
/// </summary>
public interface IVendor
{
    /// <summary>The system's name in the mapping, which is also the name of topics and schema.</summary>
    string Name { get; }

    VendorTraits Traits { get; }

    /// <summary>Reads objects as they are now. Gone objects answer <see cref="VendorResult.Gone"/>.</summary>
    Task<IReadOnlyList<VendorResult>> Read(IReadOnlyList<string> externalIds, CancellationToken cancellationToken);

    /// <summary>
    /// Finds the objects that carry a customer id, deleted ones too where the vendor still knows them: the look-up before a
    /// create is repeated.
    /// </summary>
    Task<IReadOnlyList<FindResult>> Find(IReadOnlyList<FindRequest> requests, CancellationToken cancellationToken);

    /// <summary>Inserts, never upserts.</summary>
    Task<IReadOnlyList<VendorResult>> Create(
        IReadOnlyList<CreateRequest> requests,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Patches the named fields by record id, plus stamp and customer id; all others stay untouched. A record that is gone
    /// answers <see cref="VendorResult.Gone"/>, which the frame believes only after a read.
    /// </summary>
    Task<IReadOnlyList<VendorResult>> Update(
        IReadOnlyList<UpdateRequest> requests,
        CancellationToken cancellationToken
    );

    /// <summary>
    /// Deletes; what is not there any more answers <see cref="VendorResult.Gone"/>, which the frame believes only after a
    /// read.
    /// </summary>
    Task<IReadOnlyList<VendorResult>> Delete(
        IReadOnlyList<DeleteRequest> requests,
        CancellationToken cancellationToken
    );
}

/// <summary>What a vendor can do.</summary>
/// <param name="MaxBatch">Items that one list may have; the frame never passes more.</param>
/// <param name="CreateKeyLifetime">How long the vendor repeats the answer of a create with the same key instead of creating again; null when it has no such key.</param>
/// <param name="SuspectWindow">How long a request without a definite answer may still take effect.</param>
/// <param name="AnswersWithRecord">Whether the answer of a write carries the record as it was right after it.</param>
public sealed record VendorTraits(
    int MaxBatch,
    TimeSpan? CreateKeyLifetime,
    TimeSpan SuspectWindow,
    bool AnswersWithRecord
)
{
    /// <summary>Ids that one list of a read may have.</summary>
    public int MaxReadBatch { get; init; } = MaxBatch;
}

/// <summary>A record as the vendor holds it.</summary>
public sealed record VendorObject
{
    public required string ExternalId { get; init; }

    /// <summary>Every mapped path, in the vendor's own form; an empty field is null.</summary>
    public required Dictionary<string, string?> Fields { get; init; }

    /// <summary>Our customer id on the object.</summary>
    public string? CustomerId { get; init; }

    /// <summary>The id of the command of ours that landed last.</summary>
    public Guid? Stamp { get; init; }

    /// <summary>Whether our own user made the last change, as far as the vendor tells.</summary>
    public bool LastModifiedByUs { get; init; }

    /// <summary>Whether our own user made the record; null where the vendor does not tell, and the ledger must know.</summary>
    public bool? CreatedByUs { get; init; }

    /// <summary>The vendor's version of the record, for a conditional write.</summary>
    public string? Guard { get; init; }

    /// <summary>In the recycle bin.</summary>
    public bool Deleted { get; init; }
}

/// <param name="CommandId">The stamp.</param>
/// <param name="Key">What makes a repeat harmless where the vendor has idempotency keys.</param>
/// <param name="Write">Golden values by path; null is empty.</param>
public sealed record CreateRequest(
    string CustomerId,
    Guid CommandId,
    string Key,
    IReadOnlyDictionary<string, string?> Write
);

/// <param name="Guard">The version that the record must still have; null for none.</param>
public sealed record UpdateRequest(
    string ExternalId,
    string CustomerId,
    Guid CommandId,
    string Key,
    IReadOnlyDictionary<string, string?> Write,
    string? Guard
);

/// <param name="UnlessSubscribed">Refuse when the deletion would end a live subscription.</param>
public sealed record DeleteRequest(string ExternalId, bool UnlessSubscribed);

/// <param name="CreatedAfter">When the first attempt was made, less a margin: nothing older can be ours.</param>
public sealed record FindRequest(string CustomerId, DateTimeOffset CreatedAfter, string? Email);

/// <summary>Objects found, or the failure of the look-up: an empty list is trusted only when the look-up succeeded.</summary>
public sealed record FindResult(IReadOnlyList<VendorObject> Objects, VendorResult.Failed? Failure);

/// <summary>What became of one item.</summary>
public abstract record VendorResult
{
    /// <summary>The vendor's id of the request, for a support case.</summary>
    public string? RequestId { get; init; }

    /// <summary>Calls that this item cost, its share where one call served many.</summary>
    public double Calls { get; init; }

    /// <summary>Done; <paramref name="Object"/> is the record where the answer carries it.</summary>
    /// <param name="Replayed">The vendor repeated the answer of an earlier execution.</param>
    public sealed record Ok(VendorObject? Object, bool Replayed = false) : VendorResult
    {
        /// <summary>The record's id, where a create answers with no more than that.</summary>
        public string? ExternalId { get; init; } = Object?.ExternalId;
    }

    /// <summary>There is no such record, or it is deleted.</summary>
    public sealed record Gone : VendorResult
    {
        /// <summary>The record that the vendor merged this one into, as far as it tells.</summary>
        public string? MergedInto { get; init; }

        /// <summary>
        /// Of a write: what the same answer means where a read finds the record all the same, since it may speak of another
        /// record that this one refers to. Null where it can only have been a matter of the moment.
        /// </summary>
        public Refused? IfThere { get; init; }

        /// <summary>
        /// The vendor shows neither the record nor its deletion: it may be hidden from our user as well. A vendor that tells
        /// the two apart says so here, so that what is only hidden is not taken for deleted.
        /// </summary>
        public bool OutOfSight { get; init; }
    }

    /// <summary>The record no longer has the guard's version; nothing was written.</summary>
    public sealed record Moved : VendorResult;

    /// <summary>A create met a record that carries the id already.</summary>
    public sealed record Taken(string? ExternalId) : VendorResult;

    /// <summary>The vendor will never take this: paths with the reason, in words without values.</summary>
    /// <param name="Fields">Empty when the vendor names none.</param>
    /// <param name="Code">The vendor's own code.</param>
    public sealed record Refused(IReadOnlyDictionary<string, string> Fields, string Code, string Reason) : VendorResult;

    /// <param name="Definite">False when the request may have taken effect, or still may.</param>
    public sealed record Failed(FailureClass Class, string Code, string Reason, bool Definite) : VendorResult
    {
        /// <summary>
        /// The idempotency key of this request answers nothing but this failure from now on: look what is there, and
        /// write what is missing under a new key.
        /// </summary>
        public bool KeySpent { get; init; }
    }
}

/// <summary>What to do about a failure that says nothing about the customer.</summary>
public enum FailureClass
{
    /// <summary>Again, with backoff, this lane.</summary>
    Retry,

    /// <summary>The vendor limits us: all lanes slow down.</summary>
    SlowDown,

    /// <summary>Credentials, permissions, missing fields, an exhausted budget: nothing can work until somebody acts.</summary>
    PauseAll,
}

using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Mapping;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// What a system says of a customer, whichever message it came in: the product's snapshots are one system's reports, and
/// its revision is their observation number.
/// </summary>
sealed record Report
{
    static readonly Dictionary<string, string?> None = [];

    public required string System { get; init; }
    public required long Obs { get; init; }

    /// <summary>Null from the product, which has no generations.</summary>
    public int? Gen { get; init; }
    public string? Ext { get; init; }
    public bool IdOnObject { get; init; }
    public Guid? Ack { get; init; }
    public Outcome? Outcome { get; init; }

    /// <summary>Golden values really written. Without the member nothing counts as written: the record itself says more.</summary>
    public IReadOnlyDictionary<string, string?> Written { get; init; } = None;

    /// <summary>The system's own form of what was written.</summary>
    public IReadOnlyDictionary<string, string?> Stored { get; init; } = None;
    public IReadOnlyDictionary<string, string?> Refused { get; init; } = None;
    public string? Reason { get; init; }

    /// <summary>The whole mapped record as read, in the system's own form.</summary>
    public IReadOnlyDictionary<string, string?>? Fields { get; init; }
    public bool Gone { get; init; }

    /// <summary>Gone from sight: nothing tells whether it was deleted.</summary>
    public bool OutOfSight { get; init; }

    /// <summary>Fields whose value was put there by a write of ours that is open or came late, with the golden value written.</summary>
    public IReadOnlyDictionary<string, string?> Own { get; init; } = None;
    public IReadOnlyDictionary<string, Overwritten> Over { get; init; } = new Dictionary<string, Overwritten>();
    public bool Undelete { get; init; }

    /// <summary>The object that the vendor merged this one into.</summary>
    public string? ReplacedBy { get; init; }

    /// <summary>The customer whose id stands on that object.</summary>
    public string? ReplacedByCustomer { get; init; }

    /// <summary>What changed may be a write of ours that a restored adapter has forgotten.</summary>
    public bool InDoubt { get; init; }

    /// <summary>Of an erasure: rows that the adapter forgot, by what they were.</summary>
    public IReadOnlyDictionary<string, long> Forgotten { get; init; } = new Dictionary<string, long>();

    public bool FromProduct => System == SystemNames.Product;

    public static Report Of(CustomerReported report) =>
        new()
        {
            System = report.System,
            Obs = report.Obs,
            Gen = report.Generation,
            Ext = report.ExternalId,
            IdOnObject = report.IdOnObject,
            Ack = report.Ack,
            Outcome = report.Outcome,
            Written = report.Written ?? None,
            Stored = report.Stored ?? None,
            Refused = report.Refused ?? None,
            Reason = report.Reason,
            Fields = report.Gone ? null : report.Fields,
            Gone = report.Gone,
            OutOfSight = report is { Gone: true, OutOfSight: true },
            Own = report.Own ?? None,
            Over = report.Over ?? [],
            Undelete = report.Undelete,
            ReplacedBy = report.ReplacedBy,
            ReplacedByCustomer = report.ReplacedByCustomer,
            InDoubt = report.InDoubt,
            Forgotten = report.Forgotten ?? [],
        };

    public static Report Of(CustomerSnapshot snapshot, SystemMap product)
    {
        Values fields = [];
        foreach (var path in product.Fields.Keys)
        {
            if (snapshot.Customer.TryGetValue(path, out var value))
                fields[path] = value;
            else if (
                snapshot.Customer.HasAttributes && path.StartsWith(Paths.AttributesPrefix, StringComparison.Ordinal)
            )
                fields[path] = null;
        }

        return Product(snapshot.Revision, snapshot.Applied) with
        {
            Fields = fields,
        };
    }

    public static Report Of(CustomerDeleted deleted) => Product(deleted.Revision, deleted.Applied) with { Gone = true };

    static Report Product(long revision, AppliedCommand? applied) =>
        new()
        {
            System = SystemNames.Product,
            Obs = revision,
            IdOnObject = true,
            Ack = applied?.CommandId,
            Outcome = applied?.Outcome,
            Written = applied?.Written ?? None,
        };
}

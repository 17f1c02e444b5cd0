using Sync.Adapter.Links;
using Sync.Adapter.Vendors;

namespace Sync.Adapter.Working;

/// <summary>What a round needs done before it goes on.</summary>
abstract record Need
{
    internal sealed record Read(string ExternalId) : Need;

    internal sealed record Find(FindRequest Request) : Need;

    internal sealed record Create(CreateRequest Request) : Need;

    internal sealed record Update(UpdateRequest Request) : Need;

    internal sealed record Delete(DeleteRequest Request) : Need;

    /// <summary>The ledger entry, committed behind the fence, before the vendor is called.</summary>
    internal sealed record Open(LedgerEntry Entry) : Need;
}

/// <summary>How a round ended.</summary>
abstract record RoundEnd
{
    /// <summary>What was learnt, what is said, what is done with; one transaction.</summary>
    internal sealed record Over : RoundEnd
    {
        public IReadOnlyList<LedgerEntry> Ledger { get; init; } = [];

        /// <summary>At most one message.</summary>
        public object? Message { get; init; }

        public required IReadOnlyList<WorkItem> Done { get; init; }
    }

    /// <summary>The work belongs to another lane and begins again there; what was read is not used.</summary>
    internal sealed record Move(IReadOnlyList<WorkItem> Work, string To) : RoundEnd;

    /// <summary>The vendor did not answer, or not now. The work stays.</summary>
    internal sealed record Wait(VendorResult.Failed Failure) : RoundEnd;
}

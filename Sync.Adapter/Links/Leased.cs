namespace Sync.Adapter.Links;

/// <summary>A lane taken by a worker, with all that its round needs to know.</summary>
/// <param name="TakenBy">The lease's own name: a lane that was taken again has another.</param>
/// <param name="Now">The database's clock at the take.</param>
sealed record Leased(Link Link, string TakenBy, DateTimeOffset Now)
{
    /// <summary>In the order in which they came.</summary>
    public List<WorkItem> Work { get; } = [];

    public Dictionary<Guid, LedgerEntry> Ledger { get; } = [];

    /// <summary>An object is to be created in an account that was not listed yet: what is there already is unknown.</summary>
    public bool AwaitsListing { get; set; }

    /// <summary>Of an object that is to be created: those of the account that are nobody's and had its e-mail when they were listed.</summary>
    public List<string> Strangers { get; } = [];

    /// <summary>Of a customer that is to be erased: what is kept of it, by what it is. Empty for everybody else.</summary>
    public Dictionary<string, long> Kept { get; } = [];

    /// <summary>The lanes of objects that hints of this lane speak of, as far as an object has one.</summary>
    public Dictionary<string, string> LaneOf { get; } = [];
}

/// <summary>What one lane writes in a commit. All of it stands behind the fence: <see cref="Before"/> must be the row's version still.</summary>
abstract record LaneWrite(string TakenBy, Link Before)
{
    /// <summary>The ledger entry is open before the vendor is called. The lease goes on.</summary>
    internal sealed record Open(string TakenBy, Link Before, Link After, LedgerEntry Entry)
        : LaneWrite(TakenBy, Before);

    /// <summary>The round is over: what was learnt, what is said, what is done.</summary>
    internal sealed record Finish(string TakenBy, Link Before, Link After) : LaneWrite(TakenBy, Before)
    {
        public IReadOnlyList<LedgerEntry> Ledger { get; init; } = [];
        public IReadOnlyList<Sync.Messaging.Wire.OutgoingMessage> Messages { get; init; } = [];
        public IReadOnlyList<Guid> Done { get; init; } = [];

        /// <summary>Work that belongs to another lane.</summary>
        public IReadOnlyList<Guid> Moved { get; init; } = [];
        public string? MovedTo { get; init; }
    }

    /// <summary>The lane is given back with its work; nothing but lease and due time is written.</summary>
    /// <param name="Counts">Whether the failure is the lane's own; a lane that was not even tried is not further backed off.</param>
    internal sealed record GiveBack(string TakenBy, Link Before, TimeSpan After, string Reason, bool Counts)
        : LaneWrite(TakenBy, Before);
}

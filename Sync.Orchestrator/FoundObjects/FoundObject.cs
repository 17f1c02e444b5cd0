using MassTransit;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.FoundObjects;

/// <summary>
/// An object of a vendor that is nobody's yet: found without our id, or a second one with it. Who is linked is said by the
/// slot in a customer's row alone; this row says what the object waits for.
/// </summary>
sealed class FoundObject : SagaStateMachineInstance
{
    /// <summary>UUIDv5 of system and external id.</summary>
    public Guid CorrelationId { get; set; }
    public string CurrentState { get; set; } = "";

    /// <summary>The store's own; means nothing here.</summary>
    public long Version { get; set; }
    public string System { get; set; } = "";
    public string Ext { get; set; } = "";

    /// <summary>The record as found; empty where only its id is known.</summary>
    public Values Fields { get; set; } = [];

    /// <summary>The customer that was asked, has it, or turned it away.</summary>
    public string? CustomerId { get; set; }

    /// <summary>Whether that customer was made for this object.</summary>
    public bool Minted { get; set; }

    /// <summary>The customer that sent it on; a late "linked" of that one is none.</summary>
    public string? Former { get; set; }

    /// <summary>Whether an operator named the customer.</summary>
    public bool Decided { get; set; }

    /// <summary>Why it is parked.</summary>
    public string? Reason { get; set; }

    /// <summary>Customers with its e-mail, where there are several: a person says which.</summary>
    public string[] Candidates { get; set; } = [];

    /// <summary>The reason that an operator chose not to see; another one is seen again.</summary>
    public string? Ignored { get; set; }

    /// <summary>An operator had it read again; what comes is decided anew.</summary>
    public bool Rereading { get; set; }

    /// <summary>How often the customer was asked.</summary>
    public int Attempt { get; set; }

    /// <summary>Since when it is in this state.</summary>
    public DateTimeOffset Since { get; set; }
    public Guid? DueToken { get; set; }
}

/// <summary>Why an object is parked, where no customer says it. Pinned: the dashboard explains them.</summary>
static class ParkedReasons
{
    /// <summary>The product is only read, so nobody could be made of the object.</summary>
    public const string OneWay = "one-way";

    /// <summary>Several customers have its e-mail; the candidates are named.</summary>
    public const string Ambiguous = "ambiguous";

    /// <summary>The customer that it was to be linked to has not answered for hours: there is none with that id.</summary>
    public const string Unanswered = "unanswered";
}

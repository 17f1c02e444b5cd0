using System.ComponentModel;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>What a decision found out. The machine, and nobody else, turns facts into states.</summary>
[Flags]
enum Facts
{
    None = 0,

    /// <summary>Late, doubled or of an earlier life: nothing else happened.</summary>
    Dropped = 1,
    SomebodyDeleted = 2,
    ProductAgreed = 4,
    OursIsBack = 8,
    AllGone = 16,

    /// <summary>An operator spreads a held deletion.</summary>
    Spread = 32,

    /// <summary>The product has this person already.</summary>
    Joined = 64,

    /// <summary>A removed id begins a new life.</summary>
    Reborn = 128,

    /// <summary>Our own tables forget the person.</summary>
    Forget = 256,
}

enum Direction
{
    In,
    Out,
}

/// <summary>A row of the timeline in the making: paths, never values.</summary>
sealed record Note(string Code, string? System, Direction Direction = Direction.In)
{
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Why, in words without personal data.</summary>
    public string? Reason { get; init; }
    public string? ExternalId { get; init; }
}

/// <summary>Facts and effects of one decision: messages to produce and rows for the timeline, in order.</summary>
sealed class Decision
{
    public Facts Facts { get; set; }

    /// <summary>Commands, and what is told to found objects.</summary>
    public List<object> Messages { get; } = [];
    public List<Note> Notes { get; } = [];

    /// <summary>Paths whose golden value changed.</summary>
    public SortedSet<string> Changed { get; } = new(StringComparer.Ordinal);

    /// <summary>Paths of which a system brought news, whoever won.</summary>
    public SortedSet<string> News { get; } = new(StringComparer.Ordinal);

    /// <summary>A command that was answered "done" just now, with its system.</summary>
    public List<(string System, SentCommand Command)> Reached { get; } = [];

    public bool Has(Facts fact) => Facts.HasFlag(fact);

    public Decision With(Decision next)
    {
        Facts |= next.Facts;
        Messages.AddRange(next.Messages);
        Notes.AddRange(next.Notes);
        Changed.UnionWith(next.Changed);
        News.UnionWith(next.News);
        Reached.AddRange(next.Reached);
        return this;
    }
}

/// <summary>
/// Event codes, one a cause and operation; with direction and system they say what happened. The same in the timeline, in the
/// log (event 1060), on the span and in the metric <c>sync.orchestrator.events</c>. Pinned: dashboards and operators' queries
/// read them.
/// </summary>
static class Codes
{
    [Description("The product told how a customer stands.")]
    public const string Snapshot = "product.snapshot";

    [Description("The product deleted the customer.")]
    public const string ProductDeleted = "product.deleted";

    [Description("The product has this person already, under another id.")]
    public const string ProductExists = "product.exists";

    [Description("A snapshot had a lower revision than one before; ignored.")]
    public const string RevisionBackwards = "product.revision-backwards";

    [Description("Two snapshots had the same revision and different content; the second is ignored.")]
    public const string RevisionNotRaised = "product.revision-not-raised";

    [Description("The product created a removed id again; waits for a person.")]
    public const string Recreated = "product.recreated";

    [Description("A vendor told how an object stands, without being asked.")]
    public const string Reported = "reported";

    [Description("A vendor told that the object is gone.")]
    public const string Gone = "reported.gone";

    [Description("A person took the object out of the recycle bin after the customer was removed.")]
    public const string Undeleted = "reported.undeleted";

    [Description("An object that counted as gone is there.")]
    public const string Back = "reported.back";

    [Description("The customer has another object there already; this one is parked.")]
    public const string SecondObject = "reported.second-object";

    [Description("A report of a generation that this database never began: it was restored.")]
    public const string NewerGeneration = "reported.newer-generation";

    [Description("A system did what was asked; the paths are what it wrote.")]
    public const string Answered = "answered";

    [Description("A system has no such object (any more).")]
    public const string AnsweredGone = "answered.gone";

    [Description("A system refused; the reason is its own.")]
    public const string AnsweredRefused = "answered.refused";

    [Description("A change lost against a newer or higher one, which is written back.")]
    public const string Overruled = "conflict.overruled";

    [Description("Two systems changed a field at once, and a person has to take a side.")]
    public const string Held = "conflict.held";

    [Description("A held conflict ended.")]
    public const string Released = "conflict.released";

    [Description("Our write met a value that had changed unseen; it is put to the vote after all.")]
    public const string Overwritten = "conflict.overwritten";

    [Description("A deletion waits for a person, for the reason that is named.")]
    public const string DeletionHeld = "deletion.held";

    [Description("An object was deleted in a system, by whomever; the deletion brake counts these.")]
    public const string DeletionSeen = "deletion.seen";

    [Description("The object stays, by the policy of the system.")]
    public const string DeletionKept = "deletion.kept";

    [Description("An object became the customer of that system.")]
    public const string Linked = "object.linked";

    [Description("The object was merged into another one of the same customer.")]
    public const string Replaced = "object.replaced";

    [Description("A found object asks the product, or a customer, whose it is.")]
    public const string Asked = "object.asked";

    [Description("A found object is gone.")]
    public const string ObjectGone = "object.gone";

    [Description("A found object waits for a person.")]
    public const string Parked = "object.parked";

    [Description("A second object carries the id of the customer.")]
    public const string Duplicate = "object.duplicate";

    [Description("Asked a system to create the object.")]
    public const string CommandCreate = "command.create";

    [Description("Asked a system to write the paths.")]
    public const string CommandUpdate = "command.update";

    [Description("Asked a system to delete the object.")]
    public const string CommandDelete = "command.delete";

    [Description("Asked a system to delete a second object that a create of ours made.")]
    public const string CommandDeleteObject = "command.delete-object";

    [Description("Asked again, unchanged, since no answer came.")]
    public const string CommandRepeated = "command.repeated";

    [Description("Asked a system to read the object and report it.")]
    public const string CommandRead = "command.read";

    [Description("Asked an adapter to forget the person.")]
    public const string CommandErase = "command.erase";

    [Description("Vendors brought news faster than the loop brake allows; nothing is written any more.")]
    public const string Looping = "loop.held";

    [Description("A removed id began a new life.")]
    public const string Reborn = "reborn";

    [Description("An adapter forgot the person.")]
    public const string Erased = "erased";

    [Description("An operator asked to try refused values again.")]
    public const string Retry = "operator.retry";

    [Description("An operator took a side in a conflict.")]
    public const string TakeSide = "operator.take-side";

    [Description("An operator decided a held deletion.")]
    public const string Release = "operator.release";

    [Description("An operator chose not to see an attention.")]
    public const string Ignore = "operator.ignore";

    [Description("An operator asked to read and compare anew.")]
    public const string Resync = "operator.resync";

    [Description("An operator asked to erase the person.")]
    public const string Erase = "operator.erase";

    [Description("An operator let a looping customer go on.")]
    public const string ReleaseLoop = "operator.release-loop";

    [Description("An operator let a removed id begin a new life.")]
    public const string AllowRecreate = "operator.allow-recreate";

    [Description("An operator linked an object to a customer.")]
    public const string LinkTo = "operator.link-to";

    [Description("An operator asked to try a parked object again.")]
    public const string RetryObject = "operator.retry-object";

    [Description("An operator chose not to see a parked object.")]
    public const string IgnoreObject = "operator.ignore-object";
}

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

/// <summary>Event codes of the timeline. Pinned: dashboards and operators' queries read them.</summary>
static class Codes
{
    public const string Snapshot = "product.snapshot";
    public const string ProductDeleted = "product.deleted";
    public const string ProductExists = "product.exists";
    public const string RevisionBackwards = "product.revision-backwards";
    public const string RevisionNotRaised = "product.revision-not-raised";
    public const string Recreated = "product.recreated";
    public const string Reported = "reported";
    public const string Gone = "reported.gone";
    public const string Undeleted = "reported.undeleted";
    public const string Back = "reported.back";
    public const string SecondObject = "reported.second-object";
    public const string NewerGeneration = "reported.newer-generation";
    public const string Answered = "answered";
    public const string AnsweredGone = "answered.gone";
    public const string AnsweredRefused = "answered.refused";
    public const string Overruled = "conflict.overruled";
    public const string Held = "conflict.held";
    public const string Released = "conflict.released";
    public const string Overwritten = "conflict.overwritten";
    public const string DeletionHeld = "deletion.held";
    public const string DeletionSeen = "deletion.seen";
    public const string DeletionKept = "deletion.kept";
    public const string Linked = "object.linked";
    public const string Replaced = "object.replaced";
    public const string Asked = "object.asked";
    public const string ObjectGone = "object.gone";
    public const string Parked = "object.parked";
    public const string Duplicate = "object.duplicate";
    public const string CommandCreate = "command.create";
    public const string CommandUpdate = "command.update";
    public const string CommandDelete = "command.delete";
    public const string CommandDeleteObject = "command.delete-object";
    public const string CommandRepeated = "command.repeated";
    public const string CommandRead = "command.read";
    public const string CommandErase = "command.erase";
    public const string Looping = "loop.held";
    public const string Reborn = "reborn";
    public const string Erased = "erased";
    public const string Retry = "operator.retry";
    public const string TakeSide = "operator.take-side";
    public const string Release = "operator.release";
    public const string Ignore = "operator.ignore";
    public const string Resync = "operator.resync";
    public const string Erase = "operator.erase";
    public const string ReleaseLoop = "operator.release-loop";
    public const string AllowRecreate = "operator.allow-recreate";
    public const string LinkTo = "operator.link-to";
    public const string RetryObject = "operator.retry-object";
    public const string IgnoreObject = "operator.ignore-object";
}

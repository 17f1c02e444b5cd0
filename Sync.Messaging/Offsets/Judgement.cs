namespace Sync.Messaging.Offsets;

/// <summary>What the stored offset, the log and Kafka's own committed offset say together.</summary>
enum Relation
{
    /// <summary>The stored offset lies in the log.</summary>
    Normal,

    /// <summary>No row yet: a first start, or another cluster.</summary>
    New,

    /// <summary>PostgreSQL stands behind Kafka's committed offset, which is only ever written after it.</summary>
    WentBack,

    /// <summary>Retention removed records that were not consumed.</summary>
    Overtaken,

    /// <summary>The log ends before the stored offset: recreated, truncated, or the wrong cluster.</summary>
    Beyond,
}

/// <summary>The decision for one partition, pure.</summary>
/// <param name="Start">Where consuming starts; null halts the partition.</param>
/// <param name="Gap">What has to be written down.</param>
/// <param name="NeedsHook">The restore hook runs first.</param>
readonly record struct Judgement(Relation Relation, long? Start, FeedGap? Gap, bool NeedsHook)
{
    public static Judgement Of(Claim claim, PartitionView view)
    {
        var stored = claim.NextOffset;
        if (claim.IsNew)
            return new(Relation.New, stored, null, NeedsHook: false);
        if (stored > view.High)
            return new(
                Relation.Beyond,
                null,
                new(claim.Partition, stored, stored, "the log ends before the stored offset"),
                NeedsHook: false
            );

        // Whom an operator sent back stands behind what Kafka was told before, and nothing was restored.
        var wentBack = view.Committed > stored && !claim.IsResumed;
        if (stored < view.Low)
            return new(
                Relation.Overtaken,
                view.Low,
                new(claim.Partition, stored, view.Low, "retention overtook the stored offset", MoveTo: view.Low),
                wentBack
            );
        return wentBack
            ? new(
                Relation.WentBack,
                stored,
                new(claim.Partition, stored, view.Committed!.Value, "the database went back"),
                NeedsHook: true
            )
            : new(Relation.Normal, stored, null, NeedsHook: false);
    }
}

namespace Sync.Tests.Simulation;

/// <summary>
/// Mistakes of those around the shipped code: of the product, of the feed, of the SQL below the lanes, of the mapping. Each is
/// a switch of the model and must be seen; those of the shipped code are patches in <c>Planted/</c>.
/// </summary>
public sealed class PlantedTests
{
    /// <summary>The first that is caught ends the run.</summary>
    const int Seeds = 3_000;

    [Fact]
    public void A_product_that_acknowledges_nothing_is_seen() => Seen(Profile.Plain with { NoAck = true });

    [Fact]
    public void An_acknowledgement_said_only_once_is_seen() =>
        Seen(Profile.Plain with { NoStickyAck = true, ProductCoalesces = true });

    [Fact]
    public void Lanes_without_lease_and_fence_are_seen() =>
        Seen(Profile.Plain with { Unfenced = true, Unleased = true });

    [Fact]
    public void An_acknowledgement_said_only_once_by_a_product_that_reorders_is_seen() =>
        Seen(Profile.Plain with { NoStickyAck = true, ProductReorders = true });

    [Fact]
    public void A_two_way_product_that_cannot_answer_exists_is_seen() =>
        Seen(Profile.Named("identity-heavy") with { Exists = false });

    [Fact]
    public void An_update_that_makes_the_record_again_is_seen() =>
        Seen(Profile.Named("deletion-heavy") with { UpdatesByUpsert = true });

    [Fact]
    public void A_create_that_writes_over_the_record_is_seen() =>
        Seen(Profile.Named("late writes") with { CreatesByUpsert = true });

    [Fact]
    public void Versions_not_raised_after_a_restore_are_seen() =>
        Seen(Profile.Named("restored") with { VersionsNotRaised = true });

    /// <summary>Some in a thousand.</summary>
    [Fact(Explicit = true)]
    public void Lanes_with_a_lease_and_no_fence_are_seen() =>
        Seen(Profile.Named("late writes") with { Unfenced = true });

    /// <summary>Some in a thousand.</summary>
    [Fact(Explicit = true)]
    public void Lanes_without_a_lease_whose_fence_is_at_the_report_only_are_seen() =>
        Seen(Profile.Named("late writes") with { FencedAtTheReportOnly = true, Unleased = true });

    [Fact]
    public void A_feed_that_is_never_caught_up_is_seen() => Seen(Profile.Plain with { NoSweep = true });

    [Fact]
    public void A_fence_without_a_lease_is_no_mistake() => NotSeen(Profile.Plain with { Unleased = true });

    /// <summary>The answer is dropped as an old one, and the repeat of the command is answered with a higher number.</summary>
    [Fact]
    public void A_product_whose_revision_rises_by_people_only_is_no_mistake() =>
        NotSeen(Profile.Plain with { RevisionsOfPeopleOnly = true });

    /// <summary>In the model this was one; the shipped comparison takes equal values for the same, whatever is declared.</summary>
    [Fact]
    public void Forms_that_are_declared_and_that_the_vendor_does_not_have_are_no_mistake() =>
        NotSeen(Profile.Plain with { Forms = false });

    [Fact]
    public void Forms_that_are_not_declared_are_no_mistake() => NotSeen(Profile.Plain with { UndeclaredForms = true });

    static void Seen(Profile planted) => Assert.NotEmpty(Simulator.RunMany([planted], 1, Seeds, stopAfter: 1).Failures);

    static void NotSeen(Profile variant) => Assert.Empty(Simulator.RunMany([variant], 1, 100).Failures);
}

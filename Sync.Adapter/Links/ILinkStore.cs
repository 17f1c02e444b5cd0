namespace Sync.Adapter.Links;

/// <param name="Fenced">Lanes whose row did not match.</param>
/// <param name="MoreWork">Some lane has work again, or still.</param>
sealed record CommitResult(IReadOnlySet<string> Fenced, bool MoreWork);

/// <summary>
/// What workers ask of the tables of lanes. <see cref="LinkStore"/> is its SQL; the simulation has one in memory, and one
/// suite holds both to the same rules.
/// </summary>
interface ILinkStore
{
    /// <summary>
    /// Ends the leases that this replica took in an earlier life, so that a crash costs no minute of waiting. Should that
    /// life not be over, it fails at the fence, as behind any lease that ran out.
    /// </summary>
    /// <returns>How many there were.</returns>
    Task<int> EndLeases(string replica, CancellationToken cancellationToken);

    /// <summary>Leases up to <paramref name="limit"/> lanes that are due, and loads what their rounds need.</summary>
    Task<IReadOnlyList<Leased>> Take(string takenBy, int limit, CancellationToken cancellationToken);

    /// <summary>
    /// One transaction for many lanes. Answers the lanes whose row did not match: what they had to say is thrown away and
    /// their work stays.
    /// </summary>
    Task<CommitResult> Commit(IReadOnlyList<LaneWrite> writes, CancellationToken cancellationToken);
}

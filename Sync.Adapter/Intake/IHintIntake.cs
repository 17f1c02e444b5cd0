using Npgsql;
using Sync.Adapter.Links;

namespace Sync.Adapter.Intake;

/// <summary>The way in for hints of a vendor's own sources, such as webhooks; feeds have theirs from the frame.</summary>
public interface IHintIntake
{
    /// <summary>
    /// In the transaction that the connection has open, so that what the hints were made of is done with in the same moment.
    /// An id that was taken in before is not taken in again for 35 days.
    /// </summary>
    Task Take(
        NpgsqlConnection connection,
        IReadOnlyList<(Guid Id, Hint Hint)> hints,
        CancellationToken cancellationToken
    );

    /// <summary>After the commit of that transaction: wakes the workers, who would look by themselves only later.</summary>
    void Committed();
}

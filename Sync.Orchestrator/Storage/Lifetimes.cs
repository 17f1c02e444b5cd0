using Sync.Messaging.Hosting;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.Storage;

/// <summary>How long the orchestrator's own rows are kept.</summary>
static class Lifetimes
{
    const string S = OrchestratorDb.Schema;
    const string Tombstone = $"current_state in ('{nameof(Stage.Removed)}', '{nameof(Stage.Merged)}')";

    /// <summary>
    /// Finds tombstones among customers. Not by <c>since</c>, which changes with nearly every message of a customer: an index
    /// on it would make each of those updates write to every index of the table.
    /// </summary>
    public const string CreateIndexes =
        $"create index customer_tombstone on {S}.customer (correlation_id) where {Tombstone};";

    public const string DropIndexes = $"drop index if exists {S}.customer_tombstone;";

    public static IEnumerable<Expiring> All { get; } =
    [
        // Ids rise with time as good as in order: the oldest rows are found at the beginning, however long the history.
        new(
            "rows of the timeline",
            400,
            $"""
            delete from {S}.timeline where id in (
              select id from (select id, at from {S}.timeline order by id limit $2) oldest where at < now() - $1)
            """
        ),
        // Late copies of what such a customer was sent are long gone. One that waits for an answer, or for a person, stays.
        new(
            "tombstones",
            400,
            $"""
            delete from {S}.customer where correlation_id in (
              select correlation_id from {S}.customer
               where {Tombstone} and since < now() - $1 and behind = array[]::text[] and attention is null
                 and not jsonb_path_exists(systems, '$.systems.*.sent ? (@ != null)')
               order by correlation_id limit $2 for update skip locked)
            """
        ),
    ];
}

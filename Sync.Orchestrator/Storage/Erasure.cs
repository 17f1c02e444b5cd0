using System.Text;
using Npgsql;
using NpgsqlTypes;
using Sync.Contracts;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Storage;

/// <summary>A person to forget in the orchestrator's own tables. The customer's row is the saga's, and empty already.</summary>
/// <param name="Objects">The customer's objects: dead letters may be keyed by their ids, and findings tell of them.</param>
sealed record Erasure(
    Guid CorrelationId,
    string CustomerId,
    (string System, string Ext)[] Objects,
    DateTimeOffset At,
    Guid? MessageId
);

/// <summary>
/// Forgets whole messages that wait or failed, of the timeline all words, and of comparisons the hash of the e-mail, by which
/// anybody who guesses it could find the ids beside: codes, systems, ids and times stay. One row of the timeline says what was
/// forgotten: the receipt.
/// </summary>
/// <remarks>
/// Every command of a removed customer was answered, so an outbox row of it can only be a copy of one that arrived. Rows that
/// the deliverer holds are being sent and deleted; they are not waited for.
/// </remarks>
sealed class ErasureWriter : IBatchRowWriter<Erasure>
{
    const string S = OrchestratorDb.Schema;

    internal const string Sql = $"""
        with waiting as (
               delete from {S}.outbox where id in (
                 select id from {S}.outbox where key = $1 order by id for update skip locked)
               returning 1),
             timers as (
               delete from {S}.schedule where token in (
                 select token from {S}.schedule where key = $1 order by token for update skip locked)
               returning 1),
             letters as (
               delete from {S}.dead_letter where id in (
                 select id from {S}.dead_letter where key = any($2) order by id for update skip locked)
               returning 1),
             history as (
               update {S}.timeline set paths = array[]::text[], reason = null
                where (correlation_id = $3
                       or correlation_id = any(array(
                            select correlation_id from {S}.found_object where customer_id = $5)))
                  and code <> '{Codes.Erased}' and (paths <> '{"{}"}' or reason is not null)
               returning 1),
             hashes as (
               select distinct email_key from {S}.comparison_finding
                where email_key is not null
                  and (customer_id = $5 or correlation_id = any($7) or correlation_id = any(array(
                         select correlation_id from {S}.found_object where customer_id = $5)))),
             findings as (
               -- Also where it stands beside nobody's id; a comparison that is being ended drops all of its own.
               update {S}.comparison_finding f set email_key = null
                 from (select comparison_id, subject from {S}.comparison_finding
                        where email_key is not null and email_key in (select email_key from hashes)
                        order by comparison_id, subject for update skip locked) found
                where f.comparison_id = found.comparison_id and f.subject = found.subject
               returning 1)
        insert into {S}.timeline (at, correlation_id, customer_id, revision, code, direction, paths, reason, message_id)
        select $4, $3, $5, 0, '{Codes.Erased}', 'in', array[]::text[],
               format('timeline %s, dead letters %s, outbox %s, timers %s, findings %s',
                      (select count(*) from history), (select count(*) from letters),
                      (select count(*) from waiting), (select count(*) from timers),
                      (select count(*) from findings)), $6
        """;

    public async Task Write(
        IReadOnlyList<Erasure> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var batch = new NpgsqlBatch(connection);
        foreach (var row in rows.OrderBy(r => r.CorrelationId))
        {
            var command = new NpgsqlBatchCommand(Sql);
            var key = Encoding.UTF8.GetBytes(row.CustomerId);
            command.Parameters.Add(new() { Value = key });
            command.Parameters.Add(
                new()
                {
                    Value = row.Objects.Select(o => Encoding.UTF8.GetBytes(o.Ext)).Append(key).ToArray(),
                    NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea,
                }
            );
            command.Parameters.Add(new() { Value = row.CorrelationId });
            command.Parameters.Add(new() { Value = row.At.ToUniversalTime() });
            command.Parameters.Add(new() { Value = row.CustomerId });
            command.Parameters.Add(
                new() { Value = (object?)row.MessageId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid }
            );
            command.Parameters.Add(
                new() { Value = row.Objects.Select(o => CustomerIds.ObjectId(o.System, o.Ext)).ToArray() }
            );
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }
}

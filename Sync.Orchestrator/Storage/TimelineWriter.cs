using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Storage;

/// <summary>Writes a batch's timeline in one statement.</summary>
sealed class TimelineWriter : IBatchRowWriter<TimelineEntry>
{
    const string Sql = $"""
        insert into {OrchestratorDb.Schema}.timeline
          (at, correlation_id, customer_id, revision, code, system, direction, paths, external_id, reason, requested_by,
           message_id, causation_id, trace_id, vendor_request_id, calls, duration_ms, latency_ms)
        select t.at, t.correlation_id, t.customer_id, t.revision, t.code, t.system, t.direction,
               array(select jsonb_array_elements_text(t.paths::jsonb)), t.external_id, t.reason, t.requested_by,
               t.message_id, t.causation_id, t.trace_id, t.vendor_request_id, t.calls, t.duration_ms, t.latency_ms
          from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                      $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::uuid[], $14::text[],
                      $15::text[], $16::double precision[], $17::bigint[], $18::bigint[])
               with ordinality t(at, correlation_id, customer_id, revision, code, system, direction, paths, external_id,
                                 reason, requested_by, message_id, causation_id, trace_id, vendor_request_id, calls,
                                 duration_ms, latency_ms, n)
         order by t.n
        """;

    public async Task Write(
        IReadOnlyList<TimelineEntry> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(Sql, connection);
        void Add<T>(NpgsqlDbType type, Func<TimelineEntry, T> value) =>
            command.Parameters.Add(
                new NpgsqlParameter { Value = rows.Select(value).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | type }
            );

        Add(NpgsqlDbType.TimestampTz, r => r.At.ToUniversalTime());
        Add(NpgsqlDbType.Uuid, r => r.CorrelationId);
        Add(NpgsqlDbType.Text, r => r.CustomerId);
        Add(NpgsqlDbType.Bigint, r => r.Revision);
        Add(NpgsqlDbType.Text, r => r.Code);
        Add(NpgsqlDbType.Text, r => r.System);
        Add(NpgsqlDbType.Text, r => r.Direction == Direction.In ? "in" : "out");
        // An array of arrays would be one flat array to unnest.
        Add(NpgsqlDbType.Text, r => JsonSerializer.Serialize(r.Paths));
        Add(NpgsqlDbType.Text, r => r.ExternalId);
        Add(NpgsqlDbType.Text, r => r.Reason);
        Add(NpgsqlDbType.Text, r => r.RequestedBy);
        Add(NpgsqlDbType.Uuid, r => r.MessageId);
        Add(NpgsqlDbType.Uuid, r => r.CausationId);
        Add(NpgsqlDbType.Text, r => r.TraceId);
        Add(NpgsqlDbType.Text, r => r.VendorRequestId);
        Add(NpgsqlDbType.Double, r => r.Calls);
        Add(NpgsqlDbType.Bigint, r => r.DurationMs);
        Add(NpgsqlDbType.Bigint, r => r.LatencyMs);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

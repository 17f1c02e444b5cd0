using System.Diagnostics;
using System.Security.Cryptography;
using Npgsql;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Contracts;
using Sync.Stripe.Adapter.Events;

namespace Sync.Stripe.Adapter.Webhooks;

/// <param name="Taken">Webhooks that are done with.</param>
/// <param name="Unreadable">Of these, the dead letters.</param>
sealed record WebhookBatch(int Taken, int Hints, int Ignored, int Unreadable);

/// <summary>The SQL of webhooks: in as they came, out as hints in the transaction that deletes them.</summary>
sealed class WebhookStore(NpgsqlDataSource source, string schema, EventReader reader, IHintIntake intake)
{
    /// <summary>Some 50 MB at the very worst.</summary>
    public const int BatchSize = 200;

    /// <summary>Who reads them, in <c>dead_letter</c>.</summary>
    const string Group = "stripe-webhooks";

    static readonly Guid DeadLetters = new("c7e5a1f4-3b0d-4d2b-8f39-8e1f0b7c9a20");

    /// <summary>When this returns, the webhook will be read, whatever happens to this process.</summary>
    public async Task Keep(ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"insert into {schema}.webhook (body, traceparent, tracestate) values ($1, $2, $3)"
        );
        command.Parameters.Add(new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = body });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = Activity.Current?.Id });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = Activity.Current?.TraceStateString });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// Reads the oldest that no other replica reads at the moment. A batch that PostgreSQL will not take is read one by one,
    /// and the one at fault becomes a dead letter, so that nothing stands behind it for ever.
    /// </summary>
    public async Task<WebhookBatch> Read(CancellationToken cancellationToken)
    {
        try
        {
            return await Read(BatchSize, storable: true, cancellationToken);
        }
        catch (PostgresException e) when (IsOfData(e))
        {
            WebhookBatch all = new(0, 0, 0, 0);
            for (var i = 0; i < BatchSize; i++)
            {
                var one = await ReadOne(cancellationToken);
                if (one.Taken == 0)
                    break;
                all = new(
                    all.Taken + 1,
                    all.Hints + one.Hints,
                    all.Ignored + one.Ignored,
                    all.Unreadable + one.Unreadable
                );
            }

            return all;
        }
    }

    async Task<WebhookBatch> ReadOne(CancellationToken cancellationToken)
    {
        try
        {
            return await Read(1, storable: true, cancellationToken);
        }
        catch (PostgresException e) when (IsOfData(e))
        {
            return await Read(1, storable: false, cancellationToken);
        }
    }

    /// <summary>SQLSTATE classes 22 and 23: the fault is in what is to be stored.</summary>
    static bool IsOfData(PostgresException e) =>
        e.SqlState.StartsWith("22", StringComparison.Ordinal) || e.SqlState.StartsWith("23", StringComparison.Ordinal);

    async Task<WebhookBatch> Read(int limit, bool storable, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var webhooks = await Oldest(connection, limit, cancellationToken);
        if (webhooks.Count == 0)
            return new(0, 0, 0, 0);

        List<(Guid Id, Hint Hint)> hints = [];
        List<(byte[] Body, string Code, string Reason)> unreadable = [];
        var ignored = 0;
        foreach (var (_, body, cause) in webhooks)
        {
            switch (reader.Read(body))
            {
                case StripeEvent.Told when !storable:
                    unreadable.Add((body, "commit", "PostgreSQL will not store what it says"));
                    break;
                case StripeEvent.Told told:
                    hints.Add((told.HintId, told.Hint with { Cause = cause }));
                    break;
                case StripeEvent.Unreadable { Reason: var reason }:
                    unreadable.Add((body, "schema", reason));
                    break;
                default:
                    ignored++;
                    break;
            }
        }

        await intake.Take(connection, hints, cancellationToken);
        await Bury(connection, unreadable, cancellationToken);
        await using var delete = new NpgsqlCommand($"delete from {schema}.webhook where id = any($1)", connection);
        delete.Parameters.Add(new() { Value = webhooks.ConvertAll(w => w.Id) });
        await delete.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        intake.Committed();
        return new(webhooks.Count, hints.Count, ignored, unreadable.Count);
    }

    async Task<List<(long Id, byte[] Body, ActivityContext Cause)>> Oldest(
        NpgsqlConnection connection,
        int limit,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(
            $"select id, body, traceparent, tracestate from {schema}.webhook order by id limit $1 for update skip locked",
            connection
        );
        command.Parameters.Add(new() { Value = limit });
        List<(long, byte[], ActivityContext)> webhooks = [];
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            _ = ActivityContext.TryParse(Text(2), Text(3), isRemote: true, out var cause);
            webhooks.Add((rows.GetInt64(0), rows.GetFieldValue<byte[]>(1), cause));
        }

        return webhooks;

        string? Text(int column) => rows.IsDBNull(column) ? null : rows.GetString(column);
    }

    /// <summary>
    /// Kept whole, with the reason and the customer it speaks of, so that an erasure finds it. The same body is the same dead
    /// letter.
    /// </summary>
    async Task Bury(
        NpgsqlConnection connection,
        List<(byte[] Body, string Code, string Reason)> unreadable,
        CancellationToken cancellationToken
    )
    {
        foreach (var (body, code, reason) in unreadable)
        {
            await using var command = new NpgsqlCommand(
                $"""
                insert into {schema}.dead_letter (id, direction, consumer_group, value, reason_code, reason, key)
                values ($1, 'webhook', $2, $3, $4, $5, convert_to($6, 'UTF8')) on conflict (id) do nothing
                """,
                connection
            );
            command.Parameters.Add(
                new() { Value = CustomerIds.Version5(DeadLetters, Convert.ToHexString(SHA256.HashData(body))) }
            );
            command.Parameters.Add(new() { Value = Group });
            command.Parameters.Add(new() { Value = body });
            command.Parameters.Add(new() { Value = code });
            command.Parameters.Add(new() { Value = reason });
            command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = EventReader.CustomerOf(body) });
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }
}

using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Contracts;
using Sync.Contracts.Requests;
using Sync.Messaging.Outbox;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers.Merging;
using Sync.Orchestrator.Storage;

namespace Sync.Orchestrator.Comparing;

/// <summary>
/// Asks for a reconciliation of every vendor when it has been long enough, one vendor after the other. In several replicas
/// one asks: the request's id is made of the vendor and of the comparison before.
/// </summary>
sealed class ReconcileTimer(
    NpgsqlDataSource database,
    IOutbox outbox,
    Rules rules,
    IOptions<CustomersOptions> options,
    TimeProvider time,
    ILogger<ReconcileTimer> log
) : BackgroundService
{
    const string S = OrchestratorDb.Schema;

    /// <summary>Who asks, as comparisons and timelines say it.</summary>
    public const string RequestedBy = "timer";

    static readonly Guid Namespace = new("0a3f2c55-7c1e-4a53-8f0e-7d1b0f9a6b10");
    static readonly TimeSpan Look = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.ReconcileHours == 0)
            return;
        using var timer = new PeriodicTimer(Look, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            await Once(stoppingToken);
    }

    /// <summary>Asks for what is due; answers how many.</summary>
    internal async Task<int> Once(CancellationToken cancellationToken)
    {
        var asked = 0;
        try
        {
            foreach (var system in Pumping.Vendors(rules))
                asked += await Ask(system, cancellationToken) ? 1 : 0;
        }
        catch (NpgsqlException e)
        {
            // The next look is a minute away, and the health page says that the database is.
            log.TimerFailed(e);
        }

        return asked;
    }

    async Task<bool> Ask(string system, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        Guid? last;
        // Nothing is due in the first hours of an installation: then everything is compared by being created.
        await using (
            var due = new NpgsqlCommand(
                $"""
                select (select id from {S}.comparison where system = $1 and kind = 'reconcile' order by asked_at desc limit 1)
                 where not exists (select from {S}.comparison
                                    where system = $1 and ({ComparisonStore.UnderWay} or (kind = 'reconcile' and asked_at > now() - $2)))
                   and (select at from {S}.timeline order by id limit 1) < now() - $2
                """,
                connection
            )
        )
        {
            due.Parameters.Add(new() { Value = system });
            due.Parameters.Add(new() { Value = TimeSpan.FromHours(options.Value.ReconcileHours) });
            await using var row = await due.ExecuteReaderAsync(cancellationToken);
            if (!await row.ReadAsync(cancellationToken))
                return false;
            last = row.IsDBNull(0) ? null : row.GetGuid(0);
        }

        var request = new Compare
        {
            ComparisonId = CustomerIds.Version5(Namespace, $"{system}\n{last}"),
            System = system,
            Kind = ComparisonKind.Reconcile,
            Apply = options.Value.ReconcileRepair,
            RequestedBy = RequestedBy,
            RequestedAt = time.GetUtcNow(),
        };
        await outbox.Write(connection, [outbox.Encode(request)], cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        outbox.Signal();
        log.ReconcileAsked(system, request.ComparisonId);
        return true;
    }
}

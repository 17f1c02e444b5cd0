using MassTransit;
using Microsoft.Extensions.Options;
using Npgsql;
using Sync.Contracts.Customers;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Messaging.Batching;
using Sync.Orchestrator.Brakes;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Storage;

/// <summary>One statement a batch and kind of question, from committed rows.</summary>
sealed class Surroundings : ISurroundings
{
    public async Task<IReadOnlyList<string>> Candidates(ConsumeContext<ObjectFound> context) =>
        await context.Prefetched<ObjectFound, string[]>() ?? [];

    public Task<Vanished?> Vanished(ConsumeContext<CustomerReported> context) =>
        context.Prefetched<CustomerReported, Vanished>();

    public async Task<IReadOnlyList<ObjectName>> ObjectsOf(ConsumeContext<Erase> context) =>
        await context.Prefetched<Erase, ObjectName[]>() ?? [];
}

sealed class CandidatesByEmail : IBatchPrefetch<ObjectFound, string[]>
{
    // A bound for each key: a shared mailbox may have thousands of customers.
    static readonly string Sql = $"""
        select k.n, c.customer_id
          from unnest($1::bytea[]) with ordinality k(key, n)
         cross join lateral (
               select customer_id from {OrchestratorDb.Schema}.customer
                where email_key = k.key and current_state in ('{nameof(Stage.Proposed)}', '{nameof(Stage.Live)}')
                order by customer_id collate "C" limit {ISurroundings.MaxCandidates}) c
         order by k.n, c.customer_id collate "C"
        """;

    public async Task<IReadOnlyList<string[]?>> Read(
        IReadOnlyList<ObjectFound> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        var found = new List<string>[messages.Count];
        for (var i = 0; i < found.Length; i++)
            found[i] = [];
        await using var command = new NpgsqlCommand(Sql, connection);
        command.Parameters.Add(
            new()
            {
                Value = messages.Select(m => Standing.EmailKey(m.Fields?.GetValueOrDefault(Paths.Email))).ToArray(),
            }
        );
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            found[rows.GetInt64(0) - 1].Add(rows.GetString(1));
        return [.. found.Select(f => f.ToArray())];
    }
}

sealed class VanishedObjects(IOptions<CustomersOptions> options) : IBatchPrefetch<CustomerReported, Vanished>
{
    // By the database's clock alone: `at` is that of the replica that wrote the row, and would hide a slow one's deletions
    // from the others. It only keeps the index's part short, generously.
    const string Counts = $"""
        select system, count(*) from {OrchestratorDb.Schema}.timeline
         where code = '{Codes.DeletionSeen}' and system = any($2) and at > now() - $1 - interval '1 hour'
           and coalesce(counted_at, at) > now() - $1
         group by system
        """;

    const string Duplicates = $"""
        select distinct customer_id, system from {OrchestratorDb.Schema}.found_object
         where customer_id = any($1) and current_state = 'Parked'
        """;

    public async Task<IReadOnlyList<Vanished?>> Read(
        IReadOnlyList<CustomerReported> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        var gone = messages.Where(m => m.Gone).ToList();
        if (gone.Count == 0)
            return new Vanished?[messages.Count];

        Dictionary<string, long> seen = [];
        await using (var command = new NpgsqlCommand(Counts, connection))
        {
            command.Parameters.Add(new() { Value = options.Value.DeletionWindow });
            command.Parameters.Add(new() { Value = gone.Select(m => m.System).Distinct().ToArray() });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                seen[rows.GetString(0)] = rows.GetInt64(1);
        }

        HashSet<(string, string)> duplicates = [];
        await using (var command = new NpgsqlCommand(Duplicates, connection))
        {
            command.Parameters.Add(new() { Value = gone.Select(m => m.CustomerId).Distinct().ToArray() });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                duplicates.Add((rows.GetString(0), rows.GetString(1)));
        }

        var counts = gone.Select(m => m.System)
            .Distinct()
            .ToDictionary(s => s, s => new DeletionCount(seen.GetValueOrDefault(s), options.Value.DeletionBrake));
        return
        [
            .. messages.Select(m =>
                m.Gone ? new Vanished(counts[m.System], duplicates.Contains((m.CustomerId, m.System))) : null
            ),
        ];
    }
}

sealed class ObjectsOfCustomer : IBatchPrefetch<Erase, ObjectName[]>
{
    const string Sql =
        $"select customer_id, system, ext from {OrchestratorDb.Schema}.found_object where customer_id = any($1)";

    public async Task<IReadOnlyList<ObjectName[]?>> Read(
        IReadOnlyList<Erase> messages,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var command = new NpgsqlCommand(Sql, connection);
        command.Parameters.Add(new() { Value = messages.Select(m => m.CustomerId).Distinct().ToArray() });
        List<(string Customer, ObjectName Name)> found = [];
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            found.Add((rows.GetString(0), new(rows.GetString(1), rows.GetString(2))));
        var of = found.ToLookup(f => f.Customer, f => f.Name, StringComparer.Ordinal);
        return [.. messages.Select(m => of[m.CustomerId].ToArray())];
    }
}

using Npgsql;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Contracts.Systems;
using Sync.Messaging.Outbox;

namespace Sync.Adapter.Following;

/// <summary>The right to follow a feed, or to scan: its name, the take's number, and how far the feed was read at the take.</summary>
sealed record FeedLease(string Feed, long Epoch, string? Cursor);

/// <summary>Another replica follows the feed by now: what was read is thrown away.</summary>
#pragma warning disable CA1032, CA1064 // Thrown and caught by the frame alone.
sealed class LeaseLostException(string feed) : Exception($"another replica has taken {feed}");
#pragma warning restore CA1032, CA1064

/// <summary>How a feed is, as its row tells.</summary>
sealed record FeedState(string Feed, double? SilentSeconds, double? NewestSeconds);

/// <summary>The SQL of feeds.</summary>
sealed class FeedStore(
    NpgsqlDataSource source,
    AdapterSchema schema,
    AdapterSystem system,
    HintIntake intake,
    IOutbox outbox
)
{
    /// <summary>A replica that does not renew for so long is taken for dead; one that still lives fails at the fence.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    readonly string _s = schema.Quoted;

    /// <summary>Takes the feed unless another holds it; null when another does.</summary>
    /// <param name="owner">Replica and life.</param>
    /// <param name="ownLives">The replica, when a lease of an earlier life of it may be ended: at a process's first take.</param>
    public async Task<FeedLease?> Take(string feed, string owner, string? ownLives, CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"""
            insert into {_s}.cursor as c (feed, taken_by, taken_until, epoch) values ($1, $2, now() + $3, 1)
            on conflict (feed) do update
              set taken_by = excluded.taken_by, taken_until = excluded.taken_until, epoch = c.epoch + 1
              where c.taken_until is null or c.taken_until < now() or starts_with(c.taken_by, $4 || '/')
            returning epoch, value
            """
        );
        command.Parameters.Add(new() { Value = feed });
        command.Parameters.Add(new() { Value = owner });
        command.Parameters.Add(new() { Value = Lease });
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = ownLives });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken)
            ? new(feed, row.GetInt64(0), row.IsDBNull(1) ? null : row.GetString(1))
            : null;
    }

    /// <returns>False when another has it.</returns>
    public async Task<bool> Renew(FeedLease lease, CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"update {_s}.cursor set taken_until = now() + $3 where feed = $1 and epoch = $2"
        );
        command.Parameters.Add(new() { Value = lease.Feed });
        command.Parameters.Add(new() { Value = lease.Epoch });
        command.Parameters.Add(new() { Value = Lease });
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>At a stop: the next one need not wait for the end of the lease.</summary>
    public async Task GiveBack(FeedLease lease, CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"update {_s}.cursor set taken_by = null, taken_until = null where feed = $1 and epoch = $2"
        );
        command.Parameters.Add(new() { Value = lease.Feed });
        command.Parameters.Add(new() { Value = lease.Epoch });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Stores a page: hints, cursor, gap and the scan that closes it, in one transaction behind the fence.</summary>
    /// <returns>Whether a scan was asked for.</returns>
    /// <exception cref="LeaseLostException">Another has taken the feed.</exception>
    public async Task<bool> Store(FeedLease lease, FeedPage page, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var first = await Hold(connection, lease, page, cancellationToken);
        await intake.Take(connection, page.Hints, cancellationToken);

        if (first)
            await ScanStore.Ask(connection, _s, ScanKind.First, cancellationToken);
        var gap =
            page.Gap is not null && await IsNew(connection, page.Gap, cancellationToken)
                ? await Open(connection, lease.Feed, page.Gap, cancellationToken)
                : null;
        await transaction.CommitAsync(cancellationToken);
        intake.Committed();
        if (gap is not null)
            outbox.Signal();
        return first || gap is not null;
    }

    /// <summary>The fence, and the cursor behind it. Answers whether the feed has a cursor for the first time.</summary>
    async Task<bool> Hold(
        NpgsqlConnection connection,
        FeedLease lease,
        FeedPage page,
        CancellationToken cancellationToken
    )
    {
        await using var command = LinkStore.Command(
            connection,
            $"""
            with held as (select feed, value from {_s}.cursor where feed = $1 and epoch = $2 for no key update)
            update {_s}.cursor c
               set value = coalesce($3, c.value), page_at = now(), newest_at = greatest(c.newest_at, $4),
                   moved_at = case when $3 is distinct from c.value and $3 is not null then now() else c.moved_at end
              from held where c.feed = held.feed
            returning held.value is null and c.value is not null
            """,
            [lease.Feed, lease.Epoch]
        );
        command.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = page.Cursor });
        command.Parameters.Add(
            new NpgsqlParameter
            {
                Value = page.NewestAt is { } newest ? newest.ToUniversalTime() : DBNull.Value,
                NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz,
            }
        );
        return (bool?)await command.ExecuteScalarAsync(cancellationToken) ?? throw new LeaseLostException(lease.Feed);
    }

    /// <summary>What was lost is remembered among the changes that were taken in: the scan of its gap has taken it in.</summary>
    async Task<bool> IsNew(NpgsqlConnection connection, FeedGap gap, CancellationToken cancellationToken)
    {
        if (gap.Lost.Count == 0)
            return true;
        await using var command = LinkStore.Command(
            connection,
            $"""
            insert into {_s}.hint_seen (id) select id from unnest($1) u(id) order by id on conflict (id) do nothing
            """,
            [gap.Lost.Distinct().ToArray()]
        );
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    async Task<FeedGapReported> Open(
        NpgsqlConnection connection,
        string feed,
        FeedGap gap,
        CancellationToken cancellationToken
    )
    {
        var scan = await ScanStore.Ask(connection, _s, ScanKind.Gap, cancellationToken);
        var id = Guid.NewGuid();
        await using var command = LinkStore.Command(
            connection,
            $"""
            insert into {_s}.feed_gap (gap_id, feed, reason, scan_id, from_time, to_time) values ($1, $2, $3, $4, $5[1], $5[2])
            returning found_at
            """,
            [id, feed, gap.Reason, scan, new[] { gap.From?.ToUniversalTime(), gap.To?.ToUniversalTime() }]
        );
        var opened = (DateTime)(await command.ExecuteScalarAsync(cancellationToken))!;
        var report = new FeedGapReported
        {
            GapId = id,
            System = system.Name,
            Feed = feed,
            Reason = gap.Reason,
            From = gap.From,
            To = gap.To,
            OpenedAt = new DateTimeOffset(opened, TimeSpan.Zero),
        };
        await outbox.Write(connection, [outbox.Encode(report)], cancellationToken);
        return report;
    }

    /// <summary>How long ago each feed last had a page, and how old the newest change that it told of is.</summary>
    public async Task<IReadOnlyList<FeedState>> States(CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"""
            select feed, extract(epoch from now() - page_at)::float8, extract(epoch from now() - newest_at)::float8
              from {_s}.cursor where page_at is not null
            """
        );
        List<FeedState> states = [];
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            states.Add(
                new(
                    rows.GetString(0),
                    rows.IsDBNull(1) ? null : rows.GetDouble(1),
                    rows.IsDBNull(2) ? null : rows.GetDouble(2)
                )
            );
        return states;
    }

    /// <summary>Ids of changes that no vendor tells of any more, and scans of half a year ago; a bounded piece.</summary>
    public async Task CleanUp(int limit, CancellationToken cancellationToken)
    {
        await using var hints = source.CreateCommand(
            $"""
            delete from {_s}.hint_seen where id in
              (select id from {_s}.hint_seen where seen_at < now() - interval '35 days' limit $1 for update skip locked)
            """
        );
        hints.Parameters.Add(new() { Value = limit });
        await hints.ExecuteNonQueryAsync(cancellationToken);
        await using var scans = source.CreateCommand(
            $"""
            with old as (delete from {_s}.scan where finished_at < now() - interval '180 days' returning id)
            delete from {_s}.feed_gap g using old where g.scan_id = old.id and g.state <> 'open'
            """
        );
        await scans.ExecuteNonQueryAsync(cancellationToken);
    }
}

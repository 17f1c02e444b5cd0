using System.Data;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Sync.Contracts.Customers;
using Sync.Contracts.Json;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Outbox;

namespace Sync.Adapter.Links;

/// <summary>
/// The SQL of lanes. Every statement that may wait for several lanes locks them in the order of <c>lane</c>; the take skips
/// locked ones, so it may choose by <c>due_at</c>.
/// </summary>
/// <param name="listsFirst">Whether what the account held before is known before anything is created there.</param>
sealed class LinkStore(NpgsqlDataSource source, string schema, IOutbox outbox, bool listsFirst = false) : ILinkStore
{
    /// <summary>A worker that is not done by then is taken for dead; one that still lives fails at the fence.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);

    /// <summary>Work rows of one lane that a round looks at; a burst of more takes more rounds.</summary>
    public const int MaxWorkPerLane = 200;

    readonly string _s = AdapterTables.Quoted(schema);

    /// <inheritdoc/>
    public async Task<int> EndLeases(string replica, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var end = Command(
            connection,
            $"""
            with mine as (select lane from {_s}.link where starts_with(taken_by, $1 || '/')
                           order by lane collate "C" for update)
            update {_s}.link l set taken_by = null, taken_until = null from mine where l.lane = mine.lane
            """,
            [replica]
        );
        return await end.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<Leased>> Take(string takenBy, int limit, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        List<Leased> lanes = [];
        await using (
            var take = Command(
                connection,
                $"""
                update {_s}.link l
                   set taken_by = $1, taken_until = now() + $2,
                       version = case when l.version < s.version then s.version + l.version % 1000000000 else l.version end,
                       last = case when l.version < s.version then null else l.last end,
                       restored_at = case when l.version < s.version then s.restored_at else l.restored_at end
                  from {_s}.link_start s
                 where s.one
                   and l.lane in (select lane from {_s}.link
                                   where due_at <= now() and (taken_until is null or taken_until < now())
                                   order by due_at limit $3 for update skip locked)
                returning l.lane, l.ext, l.gen, l.dead_exts, l.version, l.last, l.found, l.attempts, now(), l.stamp,
                          l.restored_at
                """,
                [takenBy, Lease, limit]
            )
        )
        {
            await using var rows = await take.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                lanes.Add(new Leased(ReadLink(rows), takenBy, rows.GetFieldValue<DateTimeOffset>(8)));
        }

        if (lanes.Count > 0)
            await Load(connection, lanes, cancellationToken);
        return lanes;
    }

    async Task Load(NpgsqlConnection connection, List<Leased> lanes, CancellationToken cancellationToken)
    {
        var byLane = lanes.ToDictionary(l => l.Link.Lane);
        await using (
            var work = Command(
                connection,
                $"""
                select w.id, w.lane, w.kind, w.body, w.traceparent, w.tracestate
                  from unnest($1) t(lane)
                 cross join lateral (select * from {_s}.work where lane = t.lane order by seq limit $2) w
                 order by w.seq
                """,
                [byLane.Keys.ToArray(), MaxWorkPerLane]
            )
        )
        {
            await using var rows = await work.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
            {
                var item = ReadWork(rows);
                byLane[item.Lane].Work.Add(item);
            }
        }

        var hints = lanes.SelectMany(l => l.Work).Where(w => w.Hint is not null).ToList();
        await using (
            // Entries that still keep values, those that the work names, and those that a hint's earlier values may come from.
            var ledger = Command(
                connection,
                $"""
                select command_id, lane, gen, write, expect, hashes, guard, state, suspect_until, keys_spent, opened_at
                  from {_s}.ledger where lane = any($1) and (state = 'open' or suspect_until > now())
                union
                select command_id, lane, gen, write, expect, hashes, guard, state, suspect_until, keys_spent, opened_at
                  from {_s}.ledger where command_id = any($2)
                union
                select l.command_id, l.lane, l.gen, l.write, l.expect, l.hashes, l.guard, l.state, l.suspect_until, l.keys_spent, l.opened_at
                  from unnest($3) t(lane)
                 cross join lateral (select * from {_s}.ledger where lane = t.lane order by opened_at desc limit 50) l
                """,
                [
                    byLane.Keys.ToArray(),
                    lanes
                        .SelectMany(l => l.Work)
                        .Select(w => w.Hint is { } hint ? hint.CommandId ?? Guid.Empty : w.Id)
                        .Where(id => id != Guid.Empty)
                        .ToArray(),
                    hints
                        .Where(w => w.Hint is { CommandId: not null, Previous: not null })
                        .Select(w => w.Lane)
                        .Distinct()
                        .ToArray(),
                ]
            )
        )
        {
            await using var rows = await ledger.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
            {
                var entry = ReadEntry(rows);
                if (byLane.TryGetValue(entry.Lane, out var lane))
                    lane.Ledger[entry.CommandId] = entry;
            }
        }

        await LoadKept(connection, byLane, cancellationToken);
        if (listsFirst)
            await LoadStrangers(connection, byLane, cancellationToken);
        if (hints.Count == 0)
            return;
        await using var owners = Command(
            connection,
            $"select ext, lane from {_s}.link where ext = any($1)",
            [hints.Select(w => w.Hint!.ExternalId).Distinct().ToArray()]
        );
        await using var reader = await owners.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            foreach (var lane in lanes)
                lane.LaneOf[reader.GetString(0)] = reader.GetString(1);
        }
    }

    /// <summary>Strangers with one e-mail that are looked at; the first that is still one is taken.</summary>
    const int MaxStrangers = 5;

    async Task LoadStrangers(
        NpgsqlConnection connection,
        Dictionary<string, Leased> byLane,
        CancellationToken cancellationToken
    )
    {
        var created = byLane
            .Values.Where(l => l.Link.ExternalId is null)
            .Select(l => (Lane: l, Create: l.Work.Find(w => w.Command?.Operation == Operation.Create)?.Command))
            .Where(l => l.Create is not null)
            .ToList();
        if (created.Count == 0)
            return;

        await using var command = Command(
            connection,
            $"""
            select t.lane,
                   array(select s.ext from {_s}.stranger s
                          where s.email_key = t.key and not exists (select from {_s}.link l where l.ext = s.ext)
                          order by s.ext limit $3),
                   exists (select from {_s}.first_listing where listed_at is null)
              from unnest($1, $2) t(lane, key)
            """,
            [
                created.ConvertAll(c => c.Lane.Link.Lane).ToArray(),
                created
                    .ConvertAll(c => Normaliser.EmailKey(c.Create!.Write.GetValueOrDefault(Paths.Email)) ?? [])
                    .ToArray(),
                MaxStrangers,
            ]
        );
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var lane = byLane[rows.GetString(0)];
            lane.Strangers.AddRange(rows.GetFieldValue<string[]>(1));
            lane.AwaitsListing = rows.GetBoolean(2);
        }
    }

    /// <summary>
    /// What an erasure is about to forget, for its receipt. Whoever adds to the ledger of a lane raises its version, so what
    /// is counted here is what the commit behind the fence forgets.
    /// </summary>
    async Task LoadKept(
        NpgsqlConnection connection,
        Dictionary<string, Leased> byLane,
        CancellationToken cancellationToken
    )
    {
        var erased = byLane
            .Values.Where(l => l.Work.Exists(w => w.Command?.Operation == Operation.Erase))
            .Select(l => l.Link)
            .ToList();
        if (erased.Count == 0)
            return;

        await using var command = Command(
            connection,
            $$"""
            select t.lane,
                   (select count(*) from {{_s}}.ledger l
                     where l.lane = t.lane and (l.write is not null or l.expect is not null or l.hashes <> '{}')),
                   (select count(*) from {{_s}}.work w where w.lane = t.lane and w.kind <> 'command'),
                   (select count(*) from {{_s}}.dead_letter d where d.key in (t.key, t.ext))
              from unnest($1, $2, $3) t(lane, key, ext)
            """,
            [
                erased.ConvertAll(l => l.Lane).ToArray(),
                erased.ConvertAll(l => Bytes(l.CustomerId)).ToArray(),
                erased.ConvertAll(l => Bytes(l.ExternalId)).ToArray(),
            ]
        );
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            var kept = byLane[rows.GetString(0)].Kept;
            kept["ledger"] = rows.GetInt64(1);
            kept["work"] = rows.GetInt64(2);
            kept["deadLetters"] = rows.GetInt64(3);
        }
    }

    static byte[] Bytes(string? key) => System.Text.Encoding.UTF8.GetBytes(key ?? "");

    /// <inheritdoc/>
    public async Task<CommitResult> Commit(IReadOnlyList<LaneWrite> writes, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(
            IsolationLevel.ReadCommitted,
            cancellationToken
        );

        var targets = writes.OfType<LaneWrite.Finish>().Select(f => f.MovedTo).OfType<string>().Distinct().ToArray();
        if (targets.Length > 0)
            await Ensure(connection, _s, targets, wake: false, cancellationToken);

        var fenced = await Fenced(connection, writes, targets, cancellationToken);
        var held = writes.Where(w => !fenced.Contains(w.Before.Lane)).ToList();
        var finished = held.OfType<LaneWrite.Finish>().ToList();
        var messages = finished.SelectMany(f => f.Messages).ToList();

        // One round trip: the lanes are locked by now, and intake of the same lanes waits for the end of this transaction.
        await using var batch = new NpgsqlBatch(connection, transaction);
        WriteLinks(batch, held);
        WriteLedger(batch, held);
        Forget(batch, held);
        if (messages.Count > 0)
            batch.BatchCommands.Add(outbox.Insert(messages));
        var again = EndWork(batch, finished, targets);
        GiveBack(batch, writes, fenced);
        if (batch.BatchCommands.Count > 0)
            await batch.ExecuteNonQueryAsync(cancellationToken);

        await transaction.CommitAsync(cancellationToken);
        if (messages.Count > 0)
            outbox.Signal();
        return new CommitResult(fenced, MoreWork: again?.Rows > 0);
    }

    /// <summary>
    /// Locks the lanes and compares their versions with those that the take, or the last commit, returned. A lane below the
    /// start of a restore was taken before that, and knows nothing of it.
    /// </summary>
    async Task<HashSet<string>> Fenced(
        NpgsqlConnection connection,
        IReadOnlyList<LaneWrite> writes,
        string[] alsoLock,
        CancellationToken cancellationToken
    )
    {
        Dictionary<string, long> versions = [];
        await using var command = Command(
            connection,
            $"""
            select lane, version, version < (select version from {_s}.link_start)
              from {_s}.link where lane = any($1) order by lane for no key update
            """,
            [writes.Select(w => w.Before.Lane).Concat(alsoLock).Distinct().ToArray()]
        );
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
        {
            if (!rows.GetBoolean(2))
                versions.Add(rows.GetString(0), rows.GetInt64(1));
        }

        return writes
            .Where(w => !versions.TryGetValue(w.Before.Lane, out var version) || version != w.Before.Version)
            .Select(w => w.Before.Lane)
            .ToHashSet();
    }

    void WriteLinks(NpgsqlBatch batch, List<LaneWrite> held)
    {
        var open = held.OfType<LaneWrite.Open>().Select(o => o.After).ToList();
        var over = held.OfType<LaneWrite.Finish>().Select(f => f.After).ToList();
        if (open.Count > 0)
        {
            Add(
                batch,
                Update(
                    """
                    version = l.version + 1, gen = u.gen, dead_exts = u.dead, last = u.last, ext = u.ext,
                    stamp = u.stamp, restored_at = u.restored_at
                    """
                ),
                Arrays(open)
            );
        }

        if (over.Count > 0)
        {
            Add(
                batch,
                Update(
                    """
                    version = l.version + 1, gen = u.gen, dead_exts = u.dead, last = u.last, ext = u.ext, found = u.found,
                    stamp = u.stamp, restored_at = u.restored_at,
                    taken_by = null, taken_until = null, due_at = null, attempts = 0, reason = null
                    """
                ),
                Arrays(over)
            );
        }
    }

    string Update(string set) =>
        $"""
            update {_s}.link l set {set}
              from (select lane, ext, gen, found, last::jsonb as last, stamp, restored_at,
                           array(select jsonb_array_elements_text(dead::jsonb)) as dead
                      from unnest($1, $2, $3, $4, $5, $6, $7, $8) x(lane, ext, gen, found, last, dead, stamp, restored_at)) u
             where l.lane = u.lane
            """;

    static List<object> Arrays(List<Link> links) =>
        [
            links.ConvertAll(l => l.Lane).ToArray(),
            links.ConvertAll(l => l.ExternalId).ToArray(),
            links.ConvertAll(l => l.Generation).ToArray(),
            links.ConvertAll(l => l.Found).ToArray(),
            links.ConvertAll(l => RowJson.Write(l.Last, RowJson.Default.DictionaryStringString)).ToArray(),
            links
                .ConvertAll(l => JsonSerializer.Serialize([.. l.DeadExternalIds], RowJson.Default.ListString))
                .ToArray(),
            links.ConvertAll(l => l.Stamp).ToArray(),
            links.ConvertAll(l => l.RestoredAt?.ToUniversalTime()).ToArray(),
        ];

    void WriteLedger(NpgsqlBatch batch, List<LaneWrite> held)
    {
        var entries = held.SelectMany(w =>
                w switch
                {
                    LaneWrite.Open open => [open.Entry],
                    LaneWrite.Finish finish => finish.Ledger,
                    _ => (IReadOnlyList<LedgerEntry>)[],
                }
            )
            .OrderBy(e => e.CommandId)
            .ToList();
        if (entries.Count == 0)
            return;

        Add(
            batch,
            $"""
            insert into {_s}.ledger (command_id, lane, gen, write, expect, hashes, guard, state, suspect_until, keys_spent, closed_at)
            select id, lane, gen, write::jsonb, expect::jsonb, hashes::jsonb, guard, state, suspect_until, spent,
                   case when state <> 'open' then now() end
              from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                   u(id, lane, gen, write, expect, hashes, guard, state, suspect_until, spent)
            on conflict (command_id) do update set
              write = excluded.write, expect = excluded.expect, state = excluded.state, closed_at = excluded.closed_at,
              suspect_until = excluded.suspect_until, keys_spent = excluded.keys_spent
            """,
            [
                entries.ConvertAll(e => e.CommandId).ToArray(),
                entries.ConvertAll(e => e.Lane).ToArray(),
                entries.ConvertAll(e => e.Generation).ToArray(),
                entries.ConvertAll(e => Values(e, e.Write)).ToArray(),
                entries.ConvertAll(e => Values(e, e.Expect)).ToArray(),
                entries
                    .ConvertAll(e => RowJson.Write(e.Hashes, RowJson.Default.DictionaryStringValueHashes)!)
                    .ToArray(),
                entries.ConvertAll(e => e.Guard).ToArray(),
                entries.ConvertAll(e => StateName(e.State)).ToArray(),
                entries.ConvertAll(e => e.SuspectUntil?.ToUniversalTime()).ToArray(),
                entries.ConvertAll(e => e.KeysSpent).ToArray(),
            ]
        );
    }

    // Ids of commands stay: a late copy of one must not be carried out anew.
    void Forget(NpgsqlBatch batch, List<LaneWrite> held)
    {
        var erased = held.OfType<LaneWrite.Finish>().Where(f => f.After.Forget).Select(f => f.After).ToList();
        if (erased.Count == 0)
            return;
        var lanes = erased.ConvertAll(l => l.Lane).ToArray();

        Add(
            batch,
            $$"""
            update {{_s}}.ledger
               set write = null, expect = null, hashes = '{}', suspect_until = null,
                   state = case state when 'open' then 'abandoned' else state end, closed_at = coalesce(closed_at, now())
             where lane = any($1)
            """,
            [lanes]
        );

        // A hint without its payload still says "look at this object", which is all that it ever meant.
        Add(
            batch,
            $"update {_s}.work set body = body - 'fields' - 'previous' where lane = any($1) and kind <> 'command'",
            [lanes]
        );
        Add(
            batch,
            $"delete from {_s}.dead_letter where key = any($1)",
            [erased.SelectMany(l => (string?[])[l.CustomerId, l.ExternalId]).OfType<string>().Select(Bytes).ToArray()]
        );
    }

    // A closed entry of which nothing can land any more keeps hashes only.
    static string? Values(LedgerEntry entry, IReadOnlyDictionary<string, string?>? values) =>
        entry.IsOpen || entry.SuspectUntil is not null
            ? RowJson.Write(values, RowJson.Default.DictionaryStringString)
            : null;

    NpgsqlBatchCommand? EndWork(NpgsqlBatch batch, List<LaneWrite.Finish> finished, string[] targets)
    {
        if (finished.Count == 0)
            return null;

        var done = finished.SelectMany(f => f.Done).ToArray();
        if (done.Length > 0)
        {
            Add(batch, $"delete from {_s}.work where id = any($1)", [done]);
        }

        var moved = finished.SelectMany(f => f.Moved.Select(id => (Id: id, To: f.MovedTo!))).ToList();
        if (moved.Count > 0)
        {
            Add(
                batch,
                $"update {_s}.work w set lane = u.lane from unnest($1, $2) u(id, lane) where w.id = u.id",
                [moved.ConvertAll(m => m.Id).ToArray(), moved.ConvertAll(m => m.To).ToArray()]
            );
        }

        // A statement of its own, after the locks: it sees what intake committed meanwhile.
        return Add(
            batch,
            $"""
            update {_s}.link l set due_at = now()
             where lane = any($1) and due_at is null and exists (select from {_s}.work w where w.lane = l.lane)
            """,
            [finished.Select(f => f.Before.Lane).Concat(targets).Distinct().ToArray()]
        );
    }

    /// <summary>Lanes that wait for the vendor, and lanes that were fenced although the lease is still ours. A lease of another's is left alone.</summary>
    void GiveBack(NpgsqlBatch batch, IReadOnlyList<LaneWrite> writes, HashSet<string> fenced)
    {
        var back = writes.OfType<LaneWrite.GiveBack>().Where(g => !fenced.Contains(g.Before.Lane)).ToList();
        if (back.Count > 0)
        {
            Add(
                batch,
                $"""
                update {_s}.link l set taken_by = null, taken_until = null, due_at = now() + u.after,
                       attempts = l.attempts + u.counts, reason = u.reason
                  from unnest($1, $2, $3, $4, $5) u(lane, taken_by, after, counts, reason)
                 where l.lane = u.lane and l.taken_by = u.taken_by
                """,
                [
                    back.ConvertAll(b => b.Before.Lane).ToArray(),
                    back.ConvertAll(b => b.TakenBy).ToArray(),
                    back.ConvertAll(b => b.After).ToArray(),
                    back.ConvertAll(b => b.Counts ? 1 : 0).ToArray(),
                    back.ConvertAll(b => b.Reason).ToArray(),
                ]
            );
        }

        var thrown = writes.Where(w => fenced.Contains(w.Before.Lane)).ToList();
        if (thrown.Count > 0)
        {
            Add(
                batch,
                $"""
                update {_s}.link l set taken_by = null, taken_until = null
                  from unnest($1, $2) u(lane, taken_by) where l.lane = u.lane and l.taken_by = u.taken_by
                """,
                [thrown.ConvertAll(t => t.Before.Lane).ToArray(), thrown.ConvertAll(t => t.TakenBy).ToArray()]
            );
        }
    }

    /// <summary>
    /// Creates the lanes that are missing and wakes the idle ones, in the order of <c>lane</c>. A lane that waits for the
    /// vendor keeps its time; it is locked all the same, so that a worker that finishes it sees the new work.
    /// </summary>
    public static async Task Ensure(
        NpgsqlConnection connection,
        string quotedSchema,
        IEnumerable<string> lanes,
        bool wake,
        CancellationToken cancellationToken
    )
    {
        await using var command = Command(
            connection,
            $"""
            insert into {quotedSchema}.link as l (lane, version, restored_at, due_at)
            select u.lane, s.version, s.restored_at, case when $2 then now() end
              from unnest($1) u(lane), {quotedSchema}.link_start s order by u.lane collate "C"
            on conflict (lane) do {(wake ? "update set due_at = coalesce(l.due_at, excluded.due_at)" : "nothing")}
            """,
            [lanes.Distinct().ToArray(), wake]
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// After a restore of this database: every version, and the one that new rows start with, is raised, so that no report is
    /// numbered below one that the saga has seen. What was last reported is forgotten, since the saga may have heard more;
    /// until a lane has reported again, its writes since the backup are known to nobody (<c>Round.IsInDoubt</c>).
    /// <para>
    /// Only the start is written here, one row whatever the number of lanes. A version below the start is one that was not
    /// raised yet: <see cref="Take"/> raises it with the lease that it writes anyway, <see cref="Fenced"/> throws out who took
    /// the lane before, and whoever reads <c>last</c> without a lease passes over one of such a lane. With enough lanes,
    /// to raise all of them at once takes longer than a statement may, and then nothing of it stays. Raised twice for one
    /// restore, by two replicas, costs a second look at what was in hand, and nothing else.
    /// </para>
    /// </summary>
    public async Task RaiseVersions(CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"""
            update {_s}.link_start set version = version + 1000000000, restored_at = now()
            """
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Values of entries of which nothing can land any more, and hashes after their time; a bounded piece at a time. Answers how many rows it touched.</summary>
    public async Task<int> CleanUp(TimeSpan keepHashes, int limit, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var values = Command(
            connection,
            $"""
            update {_s}.ledger set write = null, expect = null, suspect_until = null
             where command_id in (select command_id from {_s}.ledger
                                   where suspect_until < now() and state <> 'open' limit $1 for update skip locked)
            """,
            [limit]
        );
        var touched = await values.ExecuteNonQueryAsync(cancellationToken);
        await using var hashes = Command(
            connection,
            $"""
            delete from {_s}.ledger
             where command_id in (select command_id from {_s}.ledger
                                   where closed_at < now() - $2 and suspect_until is null limit $1 for update skip locked)
            """,
            [limit, keepHashes]
        );
        return touched + await hashes.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Lanes that could be taken, lanes that wait after a failure, and the age of the oldest work in seconds.</summary>
    public async Task<(long Due, long Failing, double OldestSeconds)> Waiting(CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"""
            select count(*) filter (where due_at <= now() and (taken_until is null or taken_until < now())),
                   count(*) filter (where attempts > 0),
                   coalesce(extract(epoch from now() - (select created_at from {_s}.work order by seq limit 1)), 0)::float8
              from {_s}.link where due_at is not null
            """
        );
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        return (row.GetInt64(0), row.GetInt64(1), row.GetDouble(2));
    }

    static Link ReadLink(NpgsqlDataReader row) =>
        new()
        {
            Lane = row.GetString(0),
            ExternalId = Text(row, 1),
            Generation = row.GetInt32(2),
            DeadExternalIds = [.. row.GetFieldValue<string[]>(3)],
            Version = row.GetInt64(4),
            Last = RowJson.Read(Text(row, 5), RowJson.Default.DictionaryStringString),
            Found = row.GetBoolean(6),
            Attempts = row.GetInt32(7),
            Stamp = row.IsDBNull(9) ? null : row.GetGuid(9),
            RestoredAt = row.IsDBNull(10) ? null : row.GetFieldValue<DateTimeOffset>(10),
        };

    static WorkItem ReadWork(NpgsqlDataReader row)
    {
        var body = row.GetString(3);
        return new WorkItem(
            row.GetGuid(0),
            row.GetString(1),
            row.GetString(2) == "command" ? JsonSerializer.Deserialize(body, ContractsJson.Default.PushCustomer) : null,
            row.GetString(2) == "command" ? null : JsonSerializer.Deserialize(body, RowJson.Default.Hint)
        )
        {
            TraceParent = Text(row, 4),
            TraceState = Text(row, 5),
        };
    }

    static LedgerEntry ReadEntry(NpgsqlDataReader row) =>
        new()
        {
            CommandId = row.GetGuid(0),
            Lane = row.GetString(1),
            Generation = row.GetInt32(2),
            Write = RowJson.Read(Text(row, 3), RowJson.Default.DictionaryStringString),
            Expect = RowJson.Read(Text(row, 4), RowJson.Default.DictionaryStringString),
            Hashes = RowJson.Read(row.GetString(5), RowJson.Default.DictionaryStringValueHashes)!,
            Guard = Text(row, 6),
            State = row.GetString(7) switch
            {
                "open" => LedgerState.Open,
                "done" => LedgerState.Done,
                _ => LedgerState.Abandoned,
            },
            SuspectUntil = row.IsDBNull(8) ? null : row.GetFieldValue<DateTimeOffset>(8),
            KeysSpent = row.GetInt32(9),
            OpenedAt = row.GetFieldValue<DateTimeOffset>(10),
        };

    static string StateName(LedgerState state) =>
        state switch
        {
            LedgerState.Open => "open",
            LedgerState.Done => "done",
            LedgerState.Abandoned => "abandoned",
            _ => throw new ArgumentOutOfRangeException(nameof(state), state, "not a state of a ledger entry"),
        };

    static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    // A list, so that one array is one parameter and not many.
    internal static NpgsqlCommand Command(NpgsqlConnection connection, string sql, List<object> parameters)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
            command.Parameters.Add(Parameter(parameter));
        return command;
    }

    static NpgsqlBatchCommand Add(NpgsqlBatch batch, string sql, List<object> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.Add(Parameter(parameter));
        batch.BatchCommands.Add(command);
        return command;
    }

    static NpgsqlParameter Parameter(object value) =>
        value switch
        {
            string?[] => new NpgsqlParameter { Value = value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
            Guid?[] => new NpgsqlParameter { Value = value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid },
            DateTimeOffset?[] => new NpgsqlParameter
            {
                Value = value,
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz,
            },
            _ => new NpgsqlParameter { Value = value },
        };
}

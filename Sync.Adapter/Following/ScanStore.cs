using System.Text.Json;
using Npgsql;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts;
using Sync.Contracts.Customers;
using Sync.Contracts.Systems;
using Sync.Mapping;
using Sync.Messaging.Batching;
using Sync.Messaging.Outbox;
using Sync.Messaging.Wire;

namespace Sync.Adapter.Following;

/// <summary>Why all objects are looked at.</summary>
enum ScanKind
{
    /// <summary>A feed may have lost changes.</summary>
    Gap,

    /// <summary>A feed was followed for the first time: all that is older is not in it.</summary>
    First,

    /// <summary>It has been long enough.</summary>
    Timer,

    /// <summary>Fields are mapped that were not, or otherwise.</summary>
    Mapping,

    /// <summary>Somebody asked.</summary>
    Request,
}

/// <summary>A scan that has begun.</summary>
/// <param name="RequestId">Of whoever asked, where somebody did.</param>
/// <param name="DryRun">Counts, tells who asked what is there, and writes no hints.</param>
/// <param name="After">The listing's page that was stored last.</param>
/// <param name="Ending">Every page is stored; what was not listed remains.</param>
sealed record Scan(Guid Id, ScanKind Kind, Guid? RequestId, bool DryRun, string? After, bool Ending);

/// <summary>A request for a scan that only tells, as it is taken in.</summary>
sealed record ScanAsked(Guid RequestId);

/// <summary>Writes requests for scans, once each.</summary>
sealed class ScanRequests(AdapterSchema schema) : IBatchRowWriter<ScanAsked>
{
    public async Task Write(
        IReadOnlyList<ScanAsked> rows,
        NpgsqlConnection connection,
        CancellationToken cancellationToken
    )
    {
        await using var command = LinkStore.Command(
            connection,
            $"""
            insert into {schema.Quoted}.scan (id, kind, request_id, dry_run)
            select gen_random_uuid(), 'request', id, true from unnest($1) u(id) order by id
            on conflict (request_id) do nothing
            """,
            [rows.Select(r => r.RequestId).Distinct().ToArray()]
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

/// <summary>The SQL of scans. All of it but asking stands behind the fence of the lease named <see cref="Lease"/>.</summary>
sealed class ScanStore(
    NpgsqlDataSource source,
    AdapterSchema schema,
    AdapterSystem system,
    SystemMap map,
    HintIntake intake,
    IOutbox outbox,
    AdapterOptions options
)
{
    /// <summary>One scan at a time, in one replica.</summary>
    public const string Lease = "scan";

    /// <summary>Rows that one transaction of the end touches.</summary>
    const int Piece = 1_000;

    /// <summary>Of hints: the scan and the object.</summary>
    static readonly Guid HintNamespace = new("5b1f3a52-0a0e-4b5e-9c0e-0d2f8a7f6c31");

    readonly string _s = schema.Quoted;

    /// <summary>A hash of what the mapping says of this system: which fields, where, in which form.</summary>
    public static string HashOf(SystemMap map)
    {
        var text = string.Join(
            '\n',
            map.Fields.OrderBy(f => f.Key, StringComparer.Ordinal)
                .Select(f => $"{f.Key}\t{f.Value.To}\t{f.Value.Max}\t{string.Join(',', f.Value.Form)}")
        );
        return Convert.ToHexStringLower(
            System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)).AsSpan(0, 12)
        );
    }

    /// <summary>
    /// In the caller's transaction: a scan that begins after this, with everybody else who asked and still waits. One that
    /// is under way would not do, since it may have passed what changed meanwhile.
    /// </summary>
    public static async Task<Guid> Ask(
        NpgsqlConnection connection,
        string quotedSchema,
        ScanKind kind,
        CancellationToken cancellationToken
    )
    {
        await using var command = LinkStore.Command(
            connection,
            $"""
            insert into {quotedSchema}.scan as s (id, kind) values ($1, $2)
            on conflict ((true)) where state = 'waiting' and request_id is null do update set kind = s.kind
            returning id
            """,
            [Guid.NewGuid(), NameOf(kind)]
        );
        return (Guid)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>A scan of one's own, once per request.</summary>
    public async Task Request(Guid requestId, bool dryRun, CancellationToken cancellationToken)
    {
        await using var command = source.CreateCommand(
            $"""
            insert into {_s}.scan (id, kind, request_id, dry_run) values ($1, 'request', $2, $3)
            on conflict (request_id) do nothing
            """
        );
        command.Parameters.Add(new() { Value = Guid.NewGuid() });
        command.Parameters.Add(new() { Value = requestId });
        command.Parameters.Add(new() { Value = dryRun });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// Where the mapping is not the one that the stored values were read with: forgets what the values were, not that there
    /// was something, and asks for a scan. Raising the version throws a round away that still knows the old values.
    /// </summary>
    /// <returns>Whether it had changed.</returns>
    public async Task<bool> ForgetOtherMapping(CancellationToken cancellationToken)
    {
        var hash = HashOf(map);
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using (
            var known = LinkStore.Command(
                connection,
                $"""
                with first as (insert into {_s}.mapping (hash) values ($1) on conflict do nothing returning hash)
                select hash from {_s}.mapping union all select hash from first
                """,
                [hash]
            )
        )
        {
            if ((string)(await known.ExecuteScalarAsync(cancellationToken))! == hash)
                return false;
        }

        var lane = "";
        while (lane is not null)
        {
            await using var forget = LinkStore.Command(
                connection,
                $$"""
                with piece as (select lane from {{_s}}.link where lane > $1 and last is not null
                                order by lane limit $2 for no key update),
                     forgotten as (update {{_s}}.link l set last = '{}', version = l.version + 1
                                     from piece where l.lane = piece.lane)
                select max(lane) from piece
                """,
                [lane, Piece]
            );
            lane = await forget.ExecuteScalarAsync(cancellationToken) as string;
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var remember = LinkStore.Command(connection, $"update {_s}.mapping set hash = $1", [hash]);
        await remember.ExecuteNonQueryAsync(cancellationToken);
        await Ask(connection, _s, ScanKind.Mapping, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>The scan to go on with: the one that is under way, else the oldest that waits, else one whose time has come; null when there is none.</summary>
    /// <param name="every">From the beginning of a scan to that of the next; null for never.</param>
    /// <param name="feedsMayBegin">Whether the first listing may wait for the one that a feed's begin asks for.</param>
    public async Task<Scan?> Next(
        FeedLease lease,
        TimeSpan? every,
        bool feedsMayBegin,
        CancellationToken cancellationToken
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await Hold(connection, lease, cancellationToken);
        if (every is { } period)
        {
            await using var due = LinkStore.Command(
                connection,
                $"""
                insert into {_s}.scan (id, kind)
                select $1, 'timer'
                 where exists (select from {_s}.cursor where value is not null)
                   and not exists (select from {_s}.scan where not dry_run and (state <> 'done' or started_at > now() - $2))
                on conflict do nothing
                """,
                [Guid.NewGuid(), period]
            );
            await due.ExecuteNonQueryAsync(cancellationToken);
        }

        if (options.ListFirst)
        {
            // Not only after the first page of a feed: a key that may not follow one may still list.
            await using var first = LinkStore.Command(
                connection,
                $"""
                insert into {_s}.scan (id, kind)
                select $1, 'first'
                 where exists (select from {_s}.first_listing where listed_at is null)
                   and not exists (select from {_s}.scan where state <> 'done')
                   and not ($2 and not exists (select from {_s}.cursor where value is not null))
                on conflict do nothing
                """,
                [Guid.NewGuid(), feedsMayBegin]
            );
            await first.ExecuteNonQueryAsync(cancellationToken);
        }

        Scan scan;
        var begins = false;
        await using (
            var next = LinkStore.Command(
                connection,
                $"""
                select id, kind, dry_run, after, state, request_id from {_s}.scan where state <> 'done'
                 order by state = 'waiting', asked_at limit 1 for update
                """,
                []
            )
        )
        {
            await using var row = await next.ExecuteReaderAsync(cancellationToken);
            if (!await row.ReadAsync(cancellationToken))
                return null;
            begins = row.GetString(4) == "waiting";
            scan = new(
                row.GetGuid(0),
                Enum.Parse<ScanKind>(row.GetString(1), ignoreCase: true),
                row.IsDBNull(5) ? null : row.GetGuid(5),
                row.GetBoolean(2),
                row.IsDBNull(3) ? null : row.GetString(3),
                row.GetString(4) == "ending"
            );
        }

        if (begins)
        {
            await using var begin = LinkStore.Command(
                connection,
                $"""
                with linked as (insert into {_s}.scan_unseen (scan_id, ext)
                                select $1, ext from {_s}.link where ext is not null and last is not null)
                update {_s}.scan set state = 'listing', started_at = now() where id = $1
                """,
                [scan.Id]
            );
            await begin.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return scan;
    }

    /// <summary>Stores a page: its hints, and where the scan is.</summary>
    public async Task Store(FeedLease lease, Scan scan, ListingPage page, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await Hold(connection, lease, cancellationToken);
        var isFirst = options.ListFirst && await IsFirst(connection, cancellationToken);
        var (hints, differing, unknown) = await Compare(connection, scan, isFirst, page.Objects, cancellationToken);
        if (options.ListFirst)
            await Remember(connection, scan, isFirst, page.Objects, cancellationToken);
        if (!scan.DryRun)
            await intake.Take(connection, hints, cancellationToken);
        else if (scan.RequestId is { } request)
            await Tell(connection, request, page.Objects, cancellationToken);

        await using var store = LinkStore.Command(
            connection,
            $"""
            with listed as (delete from {_s}.scan_unseen where scan_id = $1 and ext = any($2))
            update {_s}.scan set seen = seen + $3, differing = differing + $4, unknown = unknown + $5,
                   after = coalesce($6, after) where id = $1
            """,
            [
                scan.Id,
                page.Objects.Where(o => !o.Deleted).Select(o => o.ExternalId).ToArray(),
                (long)page.Objects.Count,
                differing,
                unknown,
            ]
        );
        store.Parameters.Add(new NpgsqlParameter<string?> { TypedValue = page.After });
        await store.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        intake.Committed();
        if (scan is { DryRun: true, RequestId: not null })
            outbox.Signal();
    }

    /// <summary>Whether the account was never listed to its end.</summary>
    async Task<bool> IsFirst(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = LinkStore.Command(
            connection,
            $"select exists (select from {_s}.first_listing where listed_at is null)",
            []
        );
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>
    /// Who carries nobody's id, by a hash of the e-mail; who carries one is no stranger. A stranger that was not there at the
    /// first listing is new, and is found instead.
    /// </summary>
    async Task Remember(
        NpgsqlConnection connection,
        Scan scan,
        bool isFirst,
        IReadOnlyList<VendorObject> objects,
        CancellationToken cancellationToken
    )
    {
        var strangers = objects
            .Where(o => !o.Deleted && string.IsNullOrEmpty(o.CustomerId))
            .DistinctBy(o => o.ExternalId)
            .OrderBy(o => o.ExternalId, StringComparer.Ordinal)
            .ToList();
        await using var command = LinkStore.Command(
            connection,
            $"""
            with known as (delete from {_s}.stranger where ext = any($4))
            insert into {_s}.stranger (ext, email_key, scan_id)
            select ext, nullif(key, ''::bytea), $3 from unnest($1, $2) u(ext, key)
             where $5 or exists (select from {_s}.stranger s where s.ext = u.ext)
            on conflict (ext) do update set email_key = excluded.email_key, scan_id = excluded.scan_id
            """,
            [
                strangers.ConvertAll(o => o.ExternalId).ToArray(),
                strangers.ConvertAll(o => Normaliser.EmailKey(o.Fields.GetValueOrDefault(Paths.Email)) ?? []).ToArray(),
                scan.Id,
                objects
                    .Where(o => o.Deleted || !string.IsNullOrEmpty(o.CustomerId))
                    .Select(o => o.ExternalId)
                    .Except(strangers.Select(o => o.ExternalId))
                    .ToArray(),
                isFirst,
            ]
        );
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Objects of one message at most, and about how many characters: Kafka takes a megabyte.</summary>
    const int MaxTold = 100;
    const int MaxToldLength = 100_000;

    /// <summary>Tells whoever asked, in the transaction that stores how far the scan is: each page is told once.</summary>
    async Task Tell(
        NpgsqlConnection connection,
        Guid request,
        IReadOnlyList<VendorObject> objects,
        CancellationToken cancellationToken
    )
    {
        List<OutgoingMessage> messages = [];
        List<ListedObject> part = [];
        var length = 0;
        void Close()
        {
            if (part.Count > 0)
                messages.Add(
                    outbox.Encode(
                        new ObjectsListed
                        {
                            System = system.Name,
                            RequestId = request,
                            Objects = part,
                        }
                    )
                );
            part = [];
            length = 0;
        }

        // One in the recycle bin is none.
        foreach (var o in objects.Where(o => !o.Deleted))
        {
            part.Add(
                new ListedObject
                {
                    ExternalId = o.ExternalId,
                    CustomerId = string.IsNullOrEmpty(o.CustomerId) ? null : o.CustomerId,
                    Fields = map.Fields.Keys.Where(o.Fields.ContainsKey).ToDictionary(f => f, f => o.Fields[f]),
                }
            );
            length += o.Fields.Values.Sum(v => v?.Length ?? 0);
            if (part.Count == MaxTold || length > MaxToldLength)
                Close();
        }

        Close();
        if (messages.Count > 0)
            await outbox.Write(connection, messages, cancellationToken);
    }

    /// <summary>
    /// What a page tells. A lane that is idle and equal needs no hint: whoever takes it next reads later than this listing
    /// did. Any other lane may be about to store what it read before, so its hint must come after. What a lane reported before
    /// a restore, of which it does not know yet, says nothing: the saga may have heard more since.
    /// </summary>
    async Task<(List<(Guid, Hint)> Hints, long Differing, long Unknown)> Compare(
        NpgsqlConnection connection,
        Scan scan,
        bool isFirst,
        IReadOnlyList<VendorObject> objects,
        CancellationToken cancellationToken
    )
    {
        Dictionary<string, (Dictionary<string, string?>? Last, string? CustomerId, bool Idle, bool Found)> known = [];
        await using (
            var command = LinkStore.Command(
                connection,
                $"""
                select ext, case when version >= (select version from {_s}.link_start) then last end, lane,
                       taken_by is null and due_at is null, false
                  from {_s}.link where ext = any($1)
                union all
                select substr(lane, $3), null, null, taken_by is null and due_at is null, found
                  from {_s}.link where lane = any($2) and ext is null
                """,
                [
                    objects.Select(o => o.ExternalId).ToArray(),
                    objects.Select(o => Lanes.Object(o.ExternalId)).ToArray(),
                    Lanes.Object("").Length + 1,
                ]
            )
        )
        {
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                known.TryAdd(
                    rows.GetString(0),
                    (
                        rows.IsDBNull(1)
                            ? null
                            : JsonSerializer.Deserialize(rows.GetString(1), RowJson.Default.DictionaryStringString),
                        rows.IsDBNull(2) ? null : Lanes.CustomerId(rows.GetString(2)),
                        rows.GetBoolean(3),
                        rows.GetBoolean(4)
                    )
                );
        }

        var strangers = options.ListFirst ? await Strangers(connection, objects, cancellationToken) : [];
        List<(Guid, Hint)> hints = [];
        long differing = 0;
        long unknown = 0;
        foreach (var o in objects)
        {
            var isKnown = known.TryGetValue(o.ExternalId, out var link);
            var hasOurId = link.CustomerId is null || o.CustomerId == link.CustomerId;
            var equal = !o.Deleted && link.Last is { } last && Says(o, last) && hasOurId;
            var nobodys = !isKnown || link.Found;
            if (nobodys)
                unknown++;
            else if (!equal)
                differing++;

            // Nobody's object is found once; what makes it somebody's is our id.
            var isStranger = string.IsNullOrEmpty(o.CustomerId) && !o.Deleted;
            var saidBefore = link.Found && isStranger;
            // What was there before Sync came waits for an import, or for a change of its own.
            var wasHere = isStranger && !isKnown && (isFirst || strangers.Contains(o.ExternalId));
            if (!wasHere && !(isKnown && link.Idle && (equal || saidBefore)))
                hints.Add((HintId(scan, o.ExternalId), HintOf(o, hasOurId)));
        }

        return (hints, differing, unknown);
    }

    /// <summary>Those that were strangers already when the account was listed before.</summary>
    async Task<HashSet<string>> Strangers(
        NpgsqlConnection connection,
        IReadOnlyList<VendorObject> objects,
        CancellationToken cancellationToken
    )
    {
        HashSet<string> strangers = new(StringComparer.Ordinal);
        await using var command = LinkStore.Command(
            connection,
            $"select ext from {_s}.stranger where ext = any($1)",
            [objects.Select(o => o.ExternalId).ToArray()]
        );
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            strangers.Add(rows.GetString(0));
        return strangers;
    }

    bool Says(VendorObject o, Dictionary<string, string?> last) =>
        map.Fields.Keys.All(path =>
            o.Fields.TryGetValue(path, out var value) && last.TryGetValue(path, out var known) && value == known
        );

    static Hint HintOf(VendorObject o, bool hasOurId) =>
        o.Deleted
            ? new() { ExternalId = o.ExternalId, Kind = HintKind.Deleted }
            : new()
            {
                ExternalId = o.ExternalId,
                // Fields that are as reported would end it before anybody looked.
                Kind = hasOurId ? HintKind.Updated : HintKind.Look,
                CustomerId = o.CustomerId,
                Fields = o.Fields,
            };

    static Guid HintId(Scan scan, string externalId) => CustomerIds.Version5(HintNamespace, $"{scan.Id}\n{externalId}");

    /// <summary>Every page is stored.</summary>
    public async Task Listed(FeedLease lease, Scan scan, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await Hold(connection, lease, cancellationToken);
        await using var end = LinkStore.Command(
            connection,
            $"update {_s}.scan set state = 'ending' where id = $1",
            [scan.Id]
        );
        await end.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>
    /// A piece of what was linked and not listed. Its absence says nothing: each is looked at, and the look decides. When
    /// none is left, the scan is done and closes the gaps that it was asked for.
    /// </summary>
    /// <returns>Whether the scan is done.</returns>
    public async Task<bool> End(FeedLease lease, Scan scan, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await Hold(connection, lease, cancellationToken);
        List<string> absent = [];
        await using (
            var command = LinkStore.Command(
                connection,
                $"""
                with piece as (select ext from {_s}.scan_unseen where scan_id = $1 limit $2),
                     taken as (delete from {_s}.scan_unseen u using piece where u.scan_id = $1 and u.ext = piece.ext)
                select piece.ext from piece join {_s}.link l on l.ext = piece.ext
                """,
                [scan.Id, Piece]
            )
        )
        {
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                absent.Add(rows.GetString(0));
        }

        await using (
            var count = LinkStore.Command(
                connection,
                $"""
                update {_s}.scan set absent = absent + $2 where id = $1
                returning exists (select from {_s}.scan_unseen where scan_id = $1)
                """,
                [scan.Id, (long)absent.Count]
            )
        )
        {
            var more = (bool)(await count.ExecuteScalarAsync(cancellationToken))!;
            if (absent.Count > 0 && !scan.DryRun)
                await intake.Take(
                    connection,
                    absent.ConvertAll(ext => (HintId(scan, ext), new Hint { ExternalId = ext, Kind = HintKind.Look })),
                    cancellationToken
                );
            if (more)
            {
                await transaction.CommitAsync(cancellationToken);
                intake.Committed();
                return false;
            }
        }

        await Close(connection, scan, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        intake.Committed();
        outbox.Signal();
        return true;
    }

    async Task Close(NpgsqlConnection connection, Scan scan, CancellationToken cancellationToken)
    {
        await using (
            var done = LinkStore.Command(
                connection,
                $"update {_s}.scan set state = 'done', finished_at = now() where id = $1",
                [scan.Id]
            )
        )
            await done.ExecuteNonQueryAsync(cancellationToken);

        if (options.ListFirst)
        {
            // The whole account was listed: nobody has to wait for that any more, and who was not listed is not there.
            await using var listed = LinkStore.Command(
                connection,
                $"""
                with gone as (delete from {_s}.stranger where scan_id <> $1),
                     first as (update {_s}.first_listing set listed_at = now() where listed_at is null returning one)
                update {_s}.link set due_at = now()
                 where exists (select from first) and reason = $2 and due_at > now() and taken_by is null
                """,
                [scan.Id, Working.Round.FirstListing]
            );
            await listed.ExecuteNonQueryAsync(cancellationToken);
        }

        if (scan is { DryRun: true, RequestId: { } request })
            await outbox.Write(
                connection,
                [
                    outbox.Encode(
                        new ObjectsListed
                        {
                            System = system.Name,
                            RequestId = request,
                            Objects = [],
                            Done = true,
                        }
                    ),
                ],
                cancellationToken
            );
        List<FeedGapReported> closed = [];
        await using (
            var gaps = LinkStore.Command(
                connection,
                $"""
                update {_s}.feed_gap set state = 'closed', closed_by = 'scan', closed_at = now()
                 where scan_id = $1 and state = 'open'
                returning gap_id, feed, reason, from_time, to_time, found_at, closed_at
                """,
                [scan.Id]
            )
        )
        {
            await using var rows = await gaps.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
                closed.Add(
                    new()
                    {
                        GapId = rows.GetGuid(0),
                        System = system.Name,
                        Feed = rows.GetString(1),
                        Reason = rows.GetString(2),
                        From = rows.IsDBNull(3) ? null : rows.GetFieldValue<DateTimeOffset>(3),
                        To = rows.IsDBNull(4) ? null : rows.GetFieldValue<DateTimeOffset>(4),
                        OpenedAt = rows.GetFieldValue<DateTimeOffset>(5),
                        ClosedAt = rows.GetFieldValue<DateTimeOffset>(6),
                    }
                );
        }

        if (closed.Count > 0)
            await outbox.Write(connection, closed.ConvertAll(g => outbox.Encode(g)), cancellationToken);
    }

    /// <summary>The fence: locks the lease's row, so that no other take is committed before this is.</summary>
    async Task Hold(NpgsqlConnection connection, FeedLease lease, CancellationToken cancellationToken)
    {
        await using var command = LinkStore.Command(
            connection,
            $"select feed from {_s}.cursor where feed = $1 and epoch = $2 for no key update",
            [lease.Feed, lease.Epoch]
        );
        if (await command.ExecuteScalarAsync(cancellationToken) is null)
            throw new LeaseLostException(lease.Feed);
    }

    static string NameOf(ScanKind kind) =>
        kind switch
        {
            ScanKind.Gap => "gap",
            ScanKind.First => "first",
            ScanKind.Timer => "timer",
            ScanKind.Mapping => "mapping",
            ScanKind.Request => "request",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "not a kind of scan"),
        };
}

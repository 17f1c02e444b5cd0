using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Contracts;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// Asks for what changed since the last time, the recycle bin included. It finds what the events did not tell, and is all
/// there is where an org has none. A transaction that was open meanwhile commits with an older time, so each sweep begins
/// some minutes back; what it sees again unchanged is not told again. Times have whole seconds, so pages go on behind time
/// and id together.
/// </summary>
sealed class Sweep(
    Queries queries,
    SalesforceMapping mapping,
    SalesforceOptions options,
    TimeProvider time,
    ILogger<Sweep> log
) : IFeed
{
    const string Stamp = "SystemModstamp";
    const string Merged = "MasterRecordId";

    /// <summary>Rows and deleted ids that are remembered; more are told again, which costs looks and loses nothing.</summary>
    const int MaxRemembered = 100_000;

    /// <summary>Less than the 15 days of the recycle bin: what left it is in no query, and only its absence tells of it.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromDays(14);

    static readonly Guid Namespace = new("5d8b7a0e-2f16-4c8e-9a38-7d3a8a3a6f02");

    readonly Dictionary<string, Row> _told = new(StringComparer.Ordinal);
    HashSet<string>? _deleted;

    public string Name => "sweep";

    public TimeSpan Every => TimeSpan.FromSeconds(options.SweepEverySeconds);

    TimeSpan Overlap => TimeSpan.FromSeconds(options.SweepOverlapSeconds);

    public async IAsyncEnumerable<FeedPage> Follow(
        string? cursor,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var started = time.GetUtcNow();
        _deleted ??= await RecycleBin(cancellationToken);
        if (cursor is null)
        {
            var newest = await Now(cancellationToken);
            yield return new() { Cursor = new SweepCursor(newest, Begin(newest), started).Write() };
            yield break;
        }

        if (SweepCursor.Read(cursor) is not { } reached)
        {
            var now = await Now(cancellationToken);
            yield return new()
            {
                Cursor = new SweepCursor(now, Checked: started).Write(),
                Gap = new("cursor: it cannot be read", null, now),
            };
            yield break;
        }

        if (reached.Checked < started - Kept)
        {
            // What was in the recycle bin then is not what is in it now.
            _deleted = await RecycleBin(cancellationToken);
            _told.Clear();
            yield return new()
            {
                Cursor = (reached with { At = await Now(cancellationToken), Checked = started }).Write(),
                Gap = new("expired: older than the 15 days of the recycle bin", reached.Checked, started),
            };
            yield break;
        }

        var since = reached.At - Overlap;
        if (reached.Begun is { } begun && since < begun)
            since = begun;
        Forget(since);
        (DateTimeOffset At, string Id)? last = null;
        var furthest = reached.At;
        while (true)
        {
            var rows = await queries.Run(Query(since, last), deletedToo: true, cancellationToken);
            List<(Guid, Hint)> hints = [];
            List<Row> told = [];
            foreach (var record in rows)
            {
                var row = new Row(RecordIds.To18(record.Id), At(record), Hash(record));
                last = (row.At, row.Id);
                furthest = row.At > furthest ? row.At : furthest;
                if (_told.TryGetValue(row.Id, out var before) && before == row)
                    continue;
                hints.AddRange(Hints(record, row));
                told.Add(row);
            }

            if (rows.Count > 0)
            {
                yield return new()
                {
                    Hints = hints,
                    Cursor = (reached with { At = furthest }).Write(),
                    NewestAt = hints.Count > 0 ? last!.Value.At : null,
                };
            }

            // The page is stored by now: only then nothing is lost by not telling it again.
            Remember(told, rows);
            if (rows.Count < Queries.Page)
                break;
        }

        log.Swept(since, furthest);
        yield return new() { Cursor = (reached with { At = furthest, Checked = started }).Write() };
    }

    /// <summary>
    /// Where the very first follow begins. A record of the newest time itself may be edited again within that second; once
    /// the time is far enough in the past nobody can, and what has it was there before like all that is older.
    /// </summary>
    DateTimeOffset Begin(DateTimeOffset newest) =>
        newest < time.GetUtcNow() - Overlap ? newest + TimeSpan.FromSeconds(1) : newest;

    string Query(DateTimeOffset since, (DateTimeOffset At, string Id)? last)
    {
        var where = last is var (at, id)
            ? $"{Stamp} > {Literal(at)} OR ({Stamp} = {Literal(at)} AND Id > {Soql.Literal(id)})"
            : $"{Stamp} >= {Literal(since)}";
        return $"SELECT {string.Join(", ", mapping.Fields.Concat([Stamp, Merged]))} FROM {SalesforceMapping.Object} "
            + $"WHERE {where} ORDER BY {Stamp}, Id LIMIT {Queries.Page}";
    }

    IEnumerable<(Guid, Hint)> Hints(SObject record, Row row)
    {
        var o = queries.ToObject(record);
        if (o.Deleted)
        {
            yield return (HintId(row, row.Id), new() { ExternalId = row.Id, Kind = HintKind.Deleted });

            // It was merged: what the other record holds now is worth a look, too.
            if (record.Text(Merged) is { Length: > 0 } winner && RecordIds.To18(winner) is var other)
                yield return (HintId(row, other), new() { ExternalId = other, Kind = HintKind.Look });
            yield break;
        }

        yield return (
            HintId(row, row.Id),
            new()
            {
                ExternalId = row.Id,
                // An id never comes again by itself: what was in the recycle bin was taken out of it.
                Kind = _deleted!.Contains(row.Id) ? HintKind.Undeleted : HintKind.Updated,
                CustomerId = o.CustomerId,
                Fields = o.Fields,
            }
        );
    }

    /// <summary>The newest time that Salesforce has given; its clock counts, not ours.</summary>
    async Task<DateTimeOffset> Now(CancellationToken cancellationToken)
    {
        var newest = await queries.Run(
            $"SELECT Id, {Stamp} FROM {SalesforceMapping.Object} ORDER BY {Stamp} DESC LIMIT 1",
            deletedToo: true,
            cancellationToken
        );
        // Where nothing is yet, everything will be new.
        return newest.Count > 0 ? At(newest[0]) : DateTimeOffset.UnixEpoch;
    }

    async Task<HashSet<string>> RecycleBin(CancellationToken cancellationToken)
    {
        HashSet<string> deleted = new(StringComparer.Ordinal);
        string? last = null;
        while (deleted.Count < MaxRemembered)
        {
            var behind = last is null ? "" : $" AND Id > {Soql.Literal(last)}";
            var rows = await queries.Run(
                $"SELECT Id FROM {SalesforceMapping.Object} WHERE IsDeleted = true{behind} ORDER BY Id LIMIT {Queries.Page}",
                deletedToo: true,
                cancellationToken
            );
            deleted.UnionWith(rows.Select(row => RecordIds.To18(row.Id)));
            if (rows.Count < Queries.Page)
                break;
            last = rows[^1].Id;
        }

        return deleted;
    }

    void Remember(List<Row> told, IReadOnlyList<SObject> rows)
    {
        if (_told.Count + told.Count > MaxRemembered)
            _told.Clear();
        foreach (var row in told)
            _told[row.Id] = row;
        foreach (var record in rows)
        {
            var id = RecordIds.To18(record.Id);
            if (record.Text("IsDeleted") != "true")
                _deleted!.Remove(id);
            else if (_deleted!.Count < MaxRemembered)
                _deleted.Add(id);
        }
    }

    void Forget(DateTimeOffset before)
    {
        foreach (var row in _told.Values.Where(row => row.At < before).ToList())
            _told.Remove(row.Id);
    }

    static DateTimeOffset At(SObject record) =>
        DateTimeOffset.TryParse(
            record.Text(Stamp),
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal,
            out var at
        )
            ? at.ToUniversalTime()
            : throw new FeedException(
                SalesforceErrors.QueryRefused(
                    new Sync.Adapter.Vendors.VendorResult.Refused(
                        new Dictionary<string, string>(),
                        "unreadable",
                        "a record without SystemModstamp"
                    )
                )
            );

    static string Literal(DateTimeOffset at) =>
        at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Two edits of one second have the same time: what tells them apart is what they left.</summary>
    static string Hash(SObject record)
    {
        var text = JsonSerializer.Serialize(
            record
                .Fields.OrderBy(field => field.Key, StringComparer.OrdinalIgnoreCase)
                .Select(field => field.Value)
                .ToList(),
            SweepJson.Default.ListString
        );
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));
    }

    static Guid HintId(Row row, string id) =>
        CustomerIds.Version5(Namespace, $"{row.Id}\n{row.At.UtcTicks}\n{row.Hash}\n{id}");

    readonly record struct Row(string Id, DateTimeOffset At, string Hash);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(List<string?>))]
sealed partial class SweepJson : System.Text.Json.Serialization.JsonSerializerContext;

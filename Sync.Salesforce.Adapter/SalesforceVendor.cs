using Sync.Adapter.Vendors;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

/// <summary>
/// Salesforce as the frame sees it. One item goes alone, where a conditional write is possible; more go as collections.
/// The answer of a write carries no record. It knows no subscriptions: a deletion needs no look at them.
/// </summary>
sealed class SalesforceVendor(SalesforceClient client, SalesforceMapping mapping, ILogger<SalesforceVendor> log)
    : IVendor
{
    /// <summary>Characters of a query in its address, escaped; Salesforce takes 16,384 bytes with all headers.</summary>
    const int MaxQuery = 10_000;

    const string Object = SalesforceMapping.Object;

    /// <summary>Of a loser in the recycle bin: the record that it was merged into.</summary>
    const string MasterField = "MasterRecordId";

    static readonly string[] LookFields = ["Id", "IsDeleted", MasterField];

    public string Name => SalesforceMapping.System;

    public VendorTraits Traits { get; } =
        new(
            client.WriteBatch,
            CreateKeyLifetime: null,
            SuspectWindow: TimeSpan.FromMinutes(15),
            AnswersWithRecord: false
        )
        {
            MaxReadBatch = SalesforceClient.MaxReads,
        };

    /// <summary>
    /// What a read does not find may be deleted, merged into another record or only hidden from our user, and the read
    /// answers all of them alike; so the recycle bin is asked about it, once for all of a list.
    /// </summary>
    public async Task<IReadOnlyList<VendorResult>> Read(
        IReadOnlyList<string> externalIds,
        CancellationToken cancellationToken
    )
    {
        IReadOnlyList<VendorResult> results = externalIds is [var id]
            ?
            [
                await Alone(
                    SalesforceCall.GetRecord,
                    async () =>
                        (await client.GetObjectByIdAsync(Object, id, mapping.Fields, cancellationToken)).Select(
                            record => Existing(id, record)
                        ),
                    cancellationToken
                ),
            ]
            : await Lists(
                SalesforceCall.GetRecords,
                externalIds,
                SalesforceClient.MaxReads,
                chunk => Existing(chunk, cancellationToken),
                cancellationToken
            );

        if (!results.Any(r => r is VendorResult.Gone))
            return results;

        // What is no id of Salesforce's names no record, and one such would have the query refused for all.
        var missing = externalIds
            .Where((id, i) => results[i] is VendorResult.Gone && RecordIds.IsWhole(id))
            .Select(RecordIds.To18)
            .Distinct(StringComparer.Ordinal)
            .ToList();
        var looks = await Task.WhenAll(
            Groups(missing, LookFields).Select(group => InRecycleBin(group, cancellationToken))
        );
        var told = looks.SelectMany(look => look).ToDictionary(look => look.Id, look => look.Result);
        return
        [
            .. results.Select(
                (result, i) =>
                    result is not VendorResult.Gone gone ? result
                    : told.TryGetValue(RecordIds.To18(externalIds[i]), out var look)
                        ? look with
                        {
                            Calls = result.Calls + look.Calls,
                            RequestId = look.RequestId ?? result.RequestId,
                        }
                    : gone with { OutOfSight = true }
            ),
        ];
    }

    /// <summary>
    /// What became of records that a read did not find. Only a row that says so proves a deletion. A record without a row is
    /// out of sight: hidden from our user, purged from the recycle bin, or never there.
    /// </summary>
    async Task<IEnumerable<(string Id, VendorResult Result)>> InRecycleBin(
        List<string> ids,
        CancellationToken cancellationToken
    )
    {
        var soql =
            $"SELECT {string.Join(", ", LookFields)} FROM {Object} WHERE Id IN "
            + $"({string.Join(", ", ids.Select(Soql.Literal))})";
        Dictionary<string, VendorResult> rows = new(StringComparer.Ordinal);
        var whole = await Alone(
            SalesforceCall.Query,
            async () =>
            {
                var reply = await client.QueryAsync(soql, queryAll: true, cancellationToken);
                foreach (var row in reply.Value)
                    rows[RecordIds.To18(row.Id)] = OfRow(row);
                return reply.Select(_ => Done(true));
            },
            cancellationToken
        );
        // What a query is refused for is no customer's fault.
        var failure =
            whole is VendorResult.Ok ? null : whole as VendorResult.Failed ?? SalesforceErrors.QueryRefused(whole);
        var share = whole.Calls / ids.Count;
        return ids.Select(id =>
            (
                id,
                (failure ?? rows.GetValueOrDefault(id) ?? new VendorResult.Gone { OutOfSight = true }) with
                {
                    RequestId = whole.RequestId,
                    Calls = share,
                }
            )
        );

        static VendorResult OfRow(SObject row) =>
            row.Text("IsDeleted") != "true" ? SalesforceErrors.NotFoundButThere()
            : row.Text(MasterField) is { Length: > 0 } winner
                ? new VendorResult.Gone { MergedInto = RecordIds.To18(winner) }
            : new VendorResult.Gone();
    }

    public Task<IReadOnlyList<VendorResult>> Create(
        IReadOnlyList<CreateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Checked(
            requests,
            r => mapping.Problem(r.Write, creates: true),
            async good =>
            {
                if (good.Count == 1)
                {
                    return
                    [
                        await Alone(
                            SalesforceCall.CreateRecord,
                            async () =>
                                (await client.CreateRecordAsync(Object, Record(good[0]), cancellationToken)).Select(
                                    Done
                                ),
                            cancellationToken
                        ),
                    ];
                }

                return await Lists(
                    SalesforceCall.CreateRecords,
                    good,
                    client.WriteBatch,
                    async chunk =>
                    {
                        var records = chunk.Select(Record).ToList();
                        var reply = await client.CreateRecordsAsync(Object, records, cancellationToken);
                        return reply.Select(results => results.Select(r => Saved(r, Aim.Create)));
                    },
                    cancellationToken
                );
            }
        );

    public Task<IReadOnlyList<VendorResult>> Update(
        IReadOnlyList<UpdateRequest> requests,
        CancellationToken cancellationToken
    ) =>
        Checked(
            requests,
            r => mapping.Problem(r.Write, creates: false),
            async good =>
            {
                if (good.Count == 1)
                {
                    var (id, record, guard) = (good[0].ExternalId, Record(good[0]), good[0].Guard);
                    return
                    [
                        await OfRecord(
                            SalesforceCall.UpdateRecord,
                            id,
                            async () =>
                                (await client.UpdateRecordAsync(Object, id, record, guard, cancellationToken)).Select(
                                    Done
                                ),
                            cancellationToken
                        ),
                    ];
                }

                return await Lists(
                    SalesforceCall.UpdateRecords,
                    good,
                    client.WriteBatch,
                    async chunk =>
                    {
                        var records = chunk
                            .Select(r => (r.ExternalId, (IReadOnlyDictionary<string, string?>)Record(r)))
                            .ToList();
                        var reply = await client.UpdateRecordsAsync(Object, records, cancellationToken);
                        return reply.Select(results => results.Select(r => Saved(r, Aim.Record)));
                    },
                    cancellationToken
                );
            }
        );

    public async Task<IReadOnlyList<VendorResult>> Delete(
        IReadOnlyList<DeleteRequest> requests,
        CancellationToken cancellationToken
    )
    {
        if (requests.Count == 1)
        {
            var id = requests[0].ExternalId;
            return
            [
                await OfRecord(
                    SalesforceCall.DeleteRecord,
                    id,
                    async () => (await client.DeleteRecordAsync(Object, id, cancellationToken)).Select(Done),
                    cancellationToken
                ),
            ];
        }

        return await Lists(
            SalesforceCall.DeleteRecords,
            requests,
            client.WriteBatch,
            async chunk =>
            {
                var ids = chunk.Select(r => r.ExternalId).ToList();
                var reply = await client.DeleteRecordsAsync(ids, cancellationToken);
                return reply.Select(results => results.Select(r => Saved(r, Aim.Record)));
            },
            cancellationToken
        );
    }

    /// <summary>
    /// Also what is in the recycle bin, and whenever it was made: the customer id is unique, so whatever carries it is in a
    /// create's way. SOQL may compare without case, customer ids are compared with it.
    /// </summary>
    public async Task<IReadOnlyList<FindResult>> Find(
        IReadOnlyList<FindRequest> requests,
        CancellationToken cancellationToken
    )
    {
        var ids = requests.Select(r => r.CustomerId).Distinct(StringComparer.Ordinal);
        var found = new Dictionary<string, FindResult>(StringComparer.Ordinal);
        foreach (
            var results in await Task.WhenAll(
                Groups(ids, mapping.Fields).Select(group => Find(group, cancellationToken))
            )
        )
        {
            foreach (var (id, result) in results)
                found[id] = result;
        }

        return [.. requests.Select(r => found[r.CustomerId])];
    }

    async Task<IEnumerable<(string Id, FindResult Result)>> Find(List<string> ids, CancellationToken cancellationToken)
    {
        var soql =
            $"SELECT {string.Join(", ", mapping.Fields)} FROM {Object} WHERE {SalesforceMapping.CustomerIdField} IN "
            + $"({string.Join(", ", ids.Select(Soql.Literal))})";
        IReadOnlyList<SObject> records = [];
        var result = await Alone(
            SalesforceCall.Query,
            async () =>
            {
                var reply = await client.QueryAsync(soql, queryAll: true, cancellationToken);
                records = reply.Value;
                return reply.Select(_ => Done(true));
            },
            cancellationToken
        );
        if (result is not VendorResult.Ok)
        {
            // What a query is refused for is no customer's fault.
            var failure = result as VendorResult.Failed ?? SalesforceErrors.QueryRefused(result);
            return ids.Select(id => (id, new FindResult([], failure)));
        }

        var objects = records.Select(r => mapping.ToObject(r, client.UserId)).ToLookup(o => o.CustomerId);
        return ids.Select(id => (id, new FindResult([.. objects[id]], null)));
    }

    /// <summary>
    /// A call about one record by its id. "Not found" is what Salesforce also answers where the version of the API or the
    /// address is wrong, and then every customer would look deleted: unless the answer proves it, it is believed only when
    /// a retrieve has no such record either.
    /// </summary>
    async Task<VendorResult> OfRecord(
        SalesforceCall call,
        string id,
        Func<Task<Reply<VendorResult>>> send,
        CancellationToken cancellationToken
    )
    {
        var doubtful = false;
        var result = await Alone(
            call,
            async () =>
            {
                try
                {
                    return await send();
                }
                catch (SalesforceException e)
                {
                    doubtful = !SalesforceErrors.ProvesGone(e.Errors);
                    throw;
                }
            },
            cancellationToken
        );
        if (!doubtful || result is not VendorResult.Gone)
            return result;

        var again = await Alone(
            SalesforceCall.GetRecords,
            async () => (await Existing([id], cancellationToken)).Select(records => records.First()),
            cancellationToken
        );
        if (again is VendorResult.Ok && call.Writes())
            again = SalesforceErrors.NotFoundButThere();
        return again with { Calls = result.Calls + again.Calls };
    }

    async Task<Reply<IEnumerable<VendorResult>>> Existing(
        IReadOnlyList<string> externalIds,
        CancellationToken cancellationToken
    )
    {
        var ids = externalIds.Select(RecordIds.To18).Distinct(StringComparer.Ordinal).ToList();
        var reply = await client.GetObjectsByIdAsync(Object, ids, mapping.Fields, cancellationToken);
        var found = reply.Value.OfType<SObject>().ToDictionary(r => RecordIds.To18(r.Id), StringComparer.Ordinal);
        return reply.Select(_ =>
            externalIds.Select(id =>
                found.TryGetValue(RecordIds.To18(id), out var record) ? Existing(id, record) : new VendorResult.Gone()
            )
        );
    }

    /// <summary>The id stays as it was asked for: with 15 characters or 18 it is the same record.</summary>
    VendorResult Existing(string id, SObject record)
    {
        var item = mapping.ToObject(record, client.UserId);
        if (item.ExternalId == RecordIds.To18(id))
            item = item with { ExternalId = id };
        return item.Deleted ? new VendorResult.Gone() : new VendorResult.Ok(item);
    }

    VendorResult Saved(SaveResult saved, Aim aim) =>
        saved.Success
            ? saved.Id is { } id
                ? Done(id)
                : Done(true)
            : SalesforceErrors.Classify(saved.Errors, status: 200, mapping, aim, writes: true);

    Dictionary<string, string?> Record(CreateRequest request) =>
        mapping.ToRecord(request.CustomerId, request.CommandId, request.Write, creates: true);

    Dictionary<string, string?> Record(UpdateRequest request) =>
        mapping.ToRecord(request.CustomerId, request.CommandId, request.Write, creates: false);

    /// <summary>Lists side by side, each a call; the bound on calls at once is the client's.</summary>
    async Task<IReadOnlyList<VendorResult>> Lists<T>(
        SalesforceCall call,
        IReadOnlyList<T> items,
        int size,
        Func<T[], Task<Reply<IEnumerable<VendorResult>>>> send,
        CancellationToken cancellationToken
    )
    {
        var lists = await Task.WhenAll(items.Chunk(size).Select(chunk => List(call, chunk, send, cancellationToken)));
        return [.. lists.SelectMany(l => l)];
    }

    /// <summary>
    /// One list. Where a write is refused as a whole, Salesforce means one of its records and says not which; where code of the
    /// org met a limit, a smaller list may pass. Neither did anything, so it goes again in halves until the record is
    /// alone: some 16 calls for one among 200. At worst all are wrong, which costs two calls for each.
    /// </summary>
    async Task<IReadOnlyList<VendorResult>> List<T>(
        SalesforceCall call,
        T[] chunk,
        Func<T[], Task<Reply<IEnumerable<VendorResult>>>> send,
        CancellationToken cancellationToken
    )
    {
        List<VendorResult>? answered = null;
        var whole = await Alone(
            call,
            async () =>
            {
                var reply = await send(chunk);
                answered = [.. reply.Value];
                return reply.Select(_ => Done(true));
            },
            cancellationToken
        );
        if (answered is not null && SalesforceErrors.RefusedToAll(answered) is { } all)
        {
            log.CallFailed(call, all.Class, all.Code, all.Definite, whole.RequestId);
            answered = [.. chunk.Select(_ => all)];
        }

        var share = whole.Calls / chunk.Length;
        List<VendorResult> results =
        [
            .. (answered ?? chunk.Select(_ => whole)).Select(r =>
                r with
                {
                    RequestId = whole.RequestId,
                    Calls = share,
                }
            ),
        ];
        if (chunk.Length == 1 || !call.Writes())
            return results;

        int[] again =
        [
            .. Enumerable
                .Range(0, chunk.Length)
                .Where(i => whole is VendorResult.Refused || SalesforceErrors.IsTooMuchAtOnce(results[i])),
        ];
        if (again.Length == 0)
            return results;
        var smaller = again
            .Chunk((again.Length + 1) / 2)
            .Select(async half =>
                half.Zip(await List(call, [.. half.Select(i => chunk[i])], send, cancellationToken)).ToList()
            );
        foreach (var (i, result) in (await Task.WhenAll(smaller)).SelectMany(half => half))
            results[i] = result with { Calls = share + result.Calls };
        return results;
    }

    async Task<VendorResult> Alone(
        SalesforceCall call,
        Func<Task<Reply<VendorResult>>> send,
        CancellationToken cancellationToken
    )
    {
        var writes = call.Writes();
        VendorResult result;
        try
        {
            var reply = await send();
            return reply.Value with { RequestId = reply.RequestId, Calls = reply.Calls };
        }
        catch (SalesforceException e)
        {
            result = SalesforceErrors.Classify(e, mapping, call.Aim(), writes);
        }
        catch (SalesforceSignInException e)
        {
            result = SalesforceErrors.Classify(e);
        }
        catch (SalesforceBudgetException)
        {
            result = SalesforceErrors.OnlyReserveLeft();
        }
        catch (SalesforceBusyException e)
        {
            result = new VendorResult.Failed(FailureClass.SlowDown, "own_limit", e.Message, Definite: true);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            result = Transport.Failed(e, writes) with { Calls = 1 };
        }

        if (result is VendorResult.Failed failed)
            log.CallFailed(call, failed.Class, failed.Code, failed.Definite, failed.RequestId);
        return result;
    }

    /// <summary>What cannot be taken is answered without a call, and keeps its place.</summary>
    static async Task<IReadOnlyList<VendorResult>> Checked<T>(
        IReadOnlyList<T> requests,
        Func<T, VendorResult.Refused?> problem,
        Func<IReadOnlyList<T>, Task<IReadOnlyList<VendorResult>>> send
    )
    {
        var problems = requests.Select(problem).ToList();
        List<T> good = [.. requests.Where((_, i) => problems[i] is null)];
        var sent = good.Count == 0 ? [] : await send(good);

        var next = 0;
        return [.. problems.Select(p => (VendorResult?)p ?? sent[next++])];
    }

    /// <summary>As many ids as fit into one query.</summary>
    static List<List<string>> Groups(IEnumerable<string> ids, IReadOnlyList<string> fields)
    {
        List<List<string>> groups = [];
        var room = 0;
        foreach (var id in ids)
        {
            var length = Uri.EscapeDataString(Soql.Literal(id)).Length + Uri.EscapeDataString(", ").Length;
            if (length > room)
            {
                groups.Add([]);
                room = MaxQuery - Uri.EscapeDataString(string.Join(", ", fields)).Length;
            }

            groups[^1].Add(id);
            room -= length;
        }

        return groups;
    }

    /// <param name="id">Of the record: all that an answer says.</param>
    static VendorResult Done(string id) => new VendorResult.Ok(null) { ExternalId = RecordIds.To18(id) };

    static VendorResult Done(bool done) => new VendorResult.Ok(null);
}

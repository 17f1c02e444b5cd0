using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts.Systems;
using Sync.Mapping;

namespace Sync.Adapter.Working;

/// <summary>A command: freeze, then send; look before a repeat; answer with what is there now.</summary>
sealed partial class Round
{
    IEnumerable<Need> Carry(PushCustomer command)
    {
        if (command.Operation == Operation.DeleteObject)
            return DeleteObject(command);

        if (command.Generation < Link.Generation)
        {
            // Of an earlier life of the customer: nobody waits for it.
            Finish(null);
            return [];
        }

        if (command.Generation > Link.Generation)
            Link = Link with
            {
                Generation = command.Generation,
                DeadExternalIds = Link.ExternalId is { } dead ? [.. Link.DeadExternalIds, dead] : Link.DeadExternalIds,
                ExternalId = null,
                Last = null,
            };
        // A restored lane may have adopted another object than the one that it had; the saga knows which.
        if (
            command.ExternalId is { } named
            && (Link.ExternalId is null || (Link.RestoredAt is not null && Link.ExternalId != named))
            && !Link.DeadExternalIds.Contains(named)
        )
            Link = Link with { ExternalId = named };

        if (command.Operation == Operation.Read)
            return Reread();
        if (command.Operation == Operation.Erase)
            return Erase(command);
        if (Entry(command.CommandId) is { IsOpen: false })
            return AnswerAgain(command);
        // Of a request that is under way, fields whose mapping was removed meanwhile are nobody's business any more.
        if (Entry(command.CommandId) is not null && !IsMapped(command.Write))
            command = command with { Write = Where(command.Write, (path, _) => _rules.Map.Maps(path)) };

        return command.Operation switch
        {
            Operation.Create => Create(command),
            Operation.Update => Update(command),
            Operation.Delete => Delete(command),
            _ => throw new ArgumentOutOfRangeException(
                nameof(command),
                command.Operation,
                "intake refuses operations that it does not know"
            ),
        };
    }

    // ---- a command that was answered before: say how things stand, call nothing that writes ----

    IEnumerable<Need> AnswerAgain(PushCustomer command)
    {
        if (Link.ExternalId is not { } ext)
        {
            Finish(Report(null, ack: command, outcome: Outcome.Done, written: []));
            yield break;
        }

        yield return new Need.Read(ext);
        if (!Saw(out var o))
            yield break;
        foreach (var need in FollowMerge())
            yield return need;
        if (End is not null)
            yield break;
        if (o is null)
            Finish(
                Report(
                    null,
                    gone: true,
                    ack: command,
                    outcome: command.Operation == Operation.Delete ? Outcome.Done : Outcome.Gone
                )
            );
        else
            Finish(Report(o, ack: command, outcome: Outcome.Done, written: [], stored: []));
    }

    /// <summary>Somebody asked how things stand: an observation, also when nothing differs. It settles no command.</summary>
    IEnumerable<Need> Reread()
    {
        if (Link.ExternalId is not { } ext)
        {
            Finish(null);
            yield break;
        }

        yield return new Need.Read(ext);
        if (!Saw(out var o))
            yield break;
        foreach (var need in FollowMerge())
            yield return need;
        if (End is null)
            Finish(Report(o, gone: o is null));
    }

    /// <summary>
    /// The customer was erased: nothing that was ever read or written is kept, and the vendor is not called. Ids stay, so
    /// that nothing is carried out or created anew.
    /// </summary>
    IEnumerable<Need> Erase(PushCustomer command)
    {
        var forgotten = new Dictionary<string, long>(_lane.Kept) { ["record"] = Link.Last is null ? 0 : 1 };
        Link = Link with { Last = null, Forget = true };
        Close(command, LedgerState.Done);
        Finish(Report(null, ack: command, outcome: Outcome.Done) with { Forgotten = forgotten });
        return [];
    }

    // ---- delete ----

    IEnumerable<Need> Delete(PushCustomer command)
    {
        if (_rules.Map.OnDelete == DeletionRule.Keep)
        {
            Close(command, LedgerState.Abandoned);
            Finish(Report(null, ack: command, outcome: Outcome.Refused, reason: Kept));
            yield break;
        }

        if (Link.ExternalId is not { } ext)
        {
            Close(command, LedgerState.Done);
            Finish(Report(null, gone: true, ack: command, outcome: Outcome.Done));
            yield break;
        }

        yield return new Need.Delete(Deletion(ext));
        foreach (var need in LookWhetherGone(ext))
            yield return need;
        if (End is not null)
            yield break;
        switch (_answer)
        {
            case VendorResult.Ok or VendorResult.Gone:
                Close(command, LedgerState.Done);
                Finish(Report(null, gone: true, ack: command, outcome: Outcome.Done));
                break;
            case VendorResult.Refused refused:
                Close(command, LedgerState.Abandoned);
                Finish(Report(null, ack: command, outcome: Outcome.Refused, reason: Reason(refused)));
                break;
            default:
                NoAnswer("a delete");
                break;
        }
    }

    /// <summary>Deletes this very object; the customer's own, another one, is left alone.</summary>
    IEnumerable<Need> DeleteObject(PushCustomer command)
    {
        if (Entry(command.CommandId) is { IsOpen: false } || command.ExternalId is not { } ext)
        {
            Finish(null);
            yield break;
        }

        if (_rules.Map.OnDelete == DeletionRule.Keep)
        {
            Close(command, LedgerState.Abandoned);
            Finish(Report(null, externalId: ext, ack: command, outcome: Outcome.Refused, reason: Kept));
            yield break;
        }

        yield return new Need.Delete(Deletion(ext));
        foreach (var need in LookWhetherGone(ext))
            yield return need;
        if (End is not null)
            yield break;
        switch (_answer)
        {
            case VendorResult.Ok or VendorResult.Gone:
                Close(command, LedgerState.Done);
                var last = Link.ExternalId == ext ? null : Link.Last;
                var report = Report(null, gone: true, externalId: ext, ack: command, outcome: Outcome.Done);
                Link = Link with { Last = last };
                Finish(report);
                break;
            case VendorResult.Refused refused:
                Close(command, LedgerState.Abandoned);
                Finish(Report(null, externalId: ext, ack: command, outcome: Outcome.Refused, reason: Reason(refused)));
                break;
            default:
                NoAnswer("a delete");
                break;
        }
    }

    /// <summary>
    /// A write that was answered "gone" may have been refused for another record, one that a flow of the vendor refers to;
    /// believed, it would delete the customer everywhere. So the record itself is looked at: a read that finds none leaves
    /// the answer as it was, and one that finds it makes a refusal of it, or a reason to try again.
    /// </summary>
    IEnumerable<Need> LookWhetherGone(string ext)
    {
        if (_answer is not VendorResult.Gone gone)
            yield break;

        yield return new Need.Read(ext);
        if (!Saw(out var o))
            yield break;
        if (o is null)
            _answer = gone;
        else if (gone.IfThere is { } refused)
            _answer = refused;
        else
            Nonsense("that a record is gone, and then it was there");
    }

    const string Kept = "onDelete is keep: records of this system are never deleted";

    DeleteRequest Deletion(string ext) =>
        new(ext, UnlessSubscribed: _rules.Map.OnDelete == DeletionRule.DeleteUnlessSubscribed);

    // ---- create ----

    IEnumerable<Need> Create(PushCustomer command)
    {
        var entry = Entry(command.CommandId);
        var again = entry is not null;
        if (Link.ExternalId is null && !again && _rules.Unwritable(command.Write) is { Count: > 0 } unwritable)
        {
            Refuse(command, unwritable);
            yield break;
        }

        if (Link.ExternalId is null && !again)
        {
            if (_lane.AwaitsListing)
            {
                Wait(AccountNotListed);
                yield break;
            }

            foreach (var need in TakeStranger(command))
                yield return need;
            if (End is not null)
                yield break;
        }

        var isTaken = false;
        // A request, and where its key is spent a second one under the next key.
        for (var tries = 0; Link.ExternalId is null; tries++)
        {
            // A restored ledger may have lost the first request.
            var forgotten = !again && Link.RestoredAt is not null;
            if (
                forgotten
                || (again && (_rules.LooksBeforeRepeatedCreate(entry!, _lane.Now) || !IsMapped(entry!.Write!)))
            )
            {
                yield return new Need.Find(LookUp(command, entry));
                if (!Found(command, out var ext))
                    yield break;
                Link = Link with { ExternalId = ext };
                if (ext is not null)
                    break;
            }

            entry = again ? Suspect(entry!) : NewEntry(command, expect: null, guard: null);
            // Another request than the one that the key stands for: a key of its own, and a look before each repeat.
            if (!IsMapped(entry.Write!))
                entry = entry with { Write = command.Write, KeysSpent = entry.KeysSpent + 1 };
            yield return new Need.Open(entry);
            yield return new Need.Create(
                new CreateRequest(
                    command.CustomerId,
                    command.CommandId,
                    _rules.CreateKey(command.CustomerId, command.Generation, entry.KeysSpent),
                    entry.Write!
                )
            );
            switch (_answer)
            {
                case VendorResult.Failed { KeySpent: true } when tries == 0:
                    entry = entry with { KeysSpent = entry.KeysSpent + 1 };
                    again = true;
                    continue;
                case VendorResult.Refused refused:
                    Refuse(command, refused, again);
                    yield break;
                case VendorResult.Taken { ExternalId: null }:
                    yield return new Need.Find(LookUp(command, entry));
                    if (!Found(command, out var taken))
                        yield break;
                    if (taken is null)
                    {
                        Nonsense("that a record has our id already, and found none");
                        yield break;
                    }

                    Link = Link with { ExternalId = taken };
                    break;
                case VendorResult.Taken { ExternalId: { } holder }:
                    isTaken = true;
                    Link = Link with { ExternalId = holder };
                    break;
                case VendorResult.Ok { ExternalId: { } made } ok:
                    Link = Link with { ExternalId = made };
                    if (again || ok.Replayed || !_rules.Traits.AnswersWithRecord || ok.Object is not { } body)
                        break;
                    if (Whole(body))
                        Created(command, Ours(body, command), again);
                    yield break;
                default:
                    NoAnswer("a create");
                    yield break;
            }
        }

        yield return new Need.Read(Link.ExternalId!);
        if (!Saw(out var o))
            yield break;
        if (isTaken && o?.CustomerId != command.CustomerId)
        {
            NotTheHolder(command, o, again);
            yield break;
        }

        foreach (var need in FollowMerge())
            yield return need;
        if (End is not null)
            yield break;
        if (o is null)
            AnswerGone(command, again);
        else
            Created(command, o, again);
    }

    /// <summary>
    /// The object that is said to have our id has another: it is a stranger's, met in some other unique field, and is not
    /// adopted. One that is not there proves nothing of ours; the look-up of the next try tells.
    /// </summary>
    void NotTheHolder(PushCustomer command, VendorObject? o, bool again)
    {
        Link = Link with { ExternalId = null };
        if (o is null)
            Nonsense("that a record has our id already, which is not there");
        else
            Refuse(
                command,
                new VendorResult.Refused(
                    new Dictionary<string, string>(),
                    "taken",
                    "the record that is said to carry the customer's id does not"
                ),
                again
            );
    }

    /// <summary>The reason of lanes that wait for the first listing; its end wakes them.</summary>
    internal const string FirstListing = "first-listing";

    static readonly VendorResult.Failed AccountNotListed = new(
        FailureClass.Retry,
        FirstListing,
        "what the account holds already is not known yet, and nothing is created twice",
        Definite: true
    );

    /// <summary>
    /// The account holds an object with this e-mail that is nobody's: it is this customer's from now on, and nothing is
    /// created. Nothing is written either. The saga meets the record for the first time, so golden wins where they differ
    /// and what golden lacks is taken, and then it asks for the rest, our id with it.
    /// </summary>
    IEnumerable<Need> TakeStranger(PushCustomer command)
    {
        var email = command.Write.GetValueOrDefault(Sync.Contracts.Customers.Paths.Email);
        foreach (var stranger in _lane.Strangers.Where(s => !Link.DeadExternalIds.Contains(s)))
        {
            yield return new Need.Read(stranger);
            if (!Saw(out var o))
                yield break;
            // A record that was merged away meanwhile is none any more; the one that is left is in the list, too.
            _mergedInto = null;
            var isNobodys = o is not null && string.IsNullOrEmpty(o.CustomerId);
            if (
                !isNobodys
                || !Normaliser.Equal(
                    Sync.Contracts.Customers.Paths.Email,
                    o!.Fields.GetValueOrDefault(Sync.Contracts.Customers.Paths.Email),
                    email
                )
            )
                continue;
            Link = Link with { ExternalId = stranger, Last = null };
            Close(command, LedgerState.Abandoned);
            Finish(Report(o, ack: command, outcome: Outcome.Done, written: [], stored: []));
            yield break;
        }
    }

    void Created(PushCustomer command, VendorObject o, bool again)
    {
        var ours = o.Stamp == command.CommandId && o.LastModifiedByUs;
        var written = Where(command.Write, (path, golden) => ours || _rules.Same(path, golden, o.Fields[path]));
        Close(command, LedgerState.Done, again);
        Finish(Report(o, ack: command, outcome: Outcome.Done, written: written, stored: StoredNow(written, o)));
    }

    FindRequest LookUp(PushCustomer command, LedgerEntry? entry) =>
        new(
            command.CustomerId,
            (entry?.OpenedAt ?? Link.RestoredAt!.Value - Rules.OldestBackup) - Rules.Margin,
            command.Write.GetValueOrDefault(Sync.Contracts.Customers.Paths.Email)
        );

    /// <summary>The object that carries our id, live ones first, those of earlier generations never. False when the look-up failed.</summary>
    bool Found(PushCustomer command, out string? externalId)
    {
        externalId = null;
        if (_found is not { } found)
        {
            Nonsense("nothing to a look-up");
            return false;
        }

        if (found.Failure is { } failure)
        {
            Wait(failure);
            return false;
        }

        externalId = found
            .Objects.Where(o => o.CustomerId == command.CustomerId && !Link.DeadExternalIds.Contains(o.ExternalId))
            .OrderBy(o => o.Deleted)
            .ThenBy(o => o.Stamp != command.CommandId)
            .ThenBy(o => o.ExternalId, StringComparer.Ordinal)
            .FirstOrDefault()
            ?.ExternalId;
        return true;
    }

    // ---- update ----

    IEnumerable<Need> Update(PushCustomer command)
    {
        var entry = Entry(command.CommandId);
        var again = entry is not null;
        if (!again && _rules.Unwritable(command.Write) is { Count: > 0 } unwritable)
        {
            Refuse(command, unwritable);
            yield break;
        }

        if (Link.ExternalId is not { } ext)
        {
            Close(command, LedgerState.Abandoned, again);
            Finish(
                Report(
                    null,
                    ack: command,
                    outcome: Outcome.Refused,
                    refused: command.Write,
                    reason: "the update names no record and none is known"
                )
            );
            yield break;
        }

        for (var tries = 0; ; tries++)
        {
            VendorObject? before = null;
            if (again || _rules.Map.Guard == Guard.Read)
            {
                yield return new Need.Read(ext);
                if (!Saw(out before))
                    yield break;
                foreach (var need in FollowMerge())
                    yield return need;
                if (End is not null)
                    yield break;
                if (before is null)
                {
                    AnswerGone(command, again);
                    yield break;
                }

                var there = Where(command.Write, (path, golden) => _rules.Same(path, golden, before.Fields[path]));
                var moved = command.Write.Keys.Any(path =>
                    !there.ContainsKey(path) && before.Fields[path] != command.Expect.GetValueOrDefault(path)
                );
                var landed = there.Count == command.Write.Count && before.CustomerId == command.CustomerId;
                var elsewhere =
                    (entry?.Guard is { } guard && before.Guard != guard)
                    || (entry?.Write is { } frozen && !IsMapped(frozen));
                if (again && (landed || moved || elsewhere))
                {
                    // It took effect, or somebody wrote after it; a repeat would write over that.
                    Close(command, landed ? LedgerState.Done : LedgerState.Abandoned, suspect: true);
                    Finish(
                        Report(
                            before,
                            ack: command,
                            outcome: Outcome.Done,
                            written: there,
                            stored: StoredNow(there, before)
                        )
                    );
                    yield break;
                }

                if (!again && moved)
                {
                    Close(command, LedgerState.Abandoned);
                    Finish(Report(before, ack: command, outcome: Outcome.Done, written: [], stored: []));
                    yield break;
                }
            }

            entry = again ? Suspect(entry!) : NewEntry(command, command.Expect, before?.Guard);
            yield return new Need.Open(entry);
            yield return new Need.Update(
                new UpdateRequest(
                    ext,
                    command.CustomerId,
                    command.CommandId,
                    _rules.UpdateKey(command.CommandId, entry.KeysSpent),
                    entry.Write!,
                    entry.Guard
                )
            );
            if (_answer is VendorResult.Failed { KeySpent: true } && tries == 0)
            {
                entry = entry with { KeysSpent = entry.KeysSpent + 1 };
                again = true;
                continue;
            }

            break;
        }

        VendorObject? o;
        bool refusedByGuard;
        while (true)
        {
            foreach (var need in LookWhetherGone(ext))
                yield return need;
            if (End is not null)
                yield break;

            refusedByGuard = false;
            switch (_answer)
            {
                case VendorResult.Ok ok:
                    if (!again && !ok.Replayed && _rules.Traits.AnswersWithRecord && ok.Object is { } body)
                    {
                        if (Whole(body))
                            Updated(command, Ours(body, command), wrote: true, again);
                        yield break;
                    }

                    break;
                case VendorResult.Moved:
                    refusedByGuard = true;
                    break;
                case VendorResult.Gone:
                    foreach (var need in FollowMerge())
                        yield return need;
                    if (End is null)
                        AnswerGone(command, again);
                    yield break;
                case VendorResult.Refused refused:
                    Refuse(command, refused, again);
                    yield break;
                default:
                    NoAnswer("an update");
                    yield break;
            }

            yield return new Need.Read(ext);
            if (!Saw(out o))
                yield break;
            foreach (var need in FollowMerge())
                yield return need;
            if (End is not null)
                yield break;
            if (!refusedByGuard || o?.Guard is not { } version || version != entry.Guard)
                break;

            // The very version that the write named, so nothing was changed: what a read answers is not what this vendor
            // compares. With it no write would ever land, and the saga would ask for ever.
            GuardWasOfNoUse = true;
            entry = entry with { Guard = null };
            yield return new Need.Open(entry);
            yield return new Need.Update(
                new UpdateRequest(
                    ext,
                    command.CustomerId,
                    command.CommandId,
                    _rules.UpdateKey(command.CommandId, entry.KeysSpent),
                    entry.Write!,
                    Guard: null
                )
            );
        }

        if (o is null)
            AnswerGone(command, again);
        else
            Updated(command, o, wrote: !refusedByGuard, again);
    }

    void Updated(PushCustomer command, VendorObject o, bool wrote, bool again)
    {
        var ours = wrote && o.Stamp == command.CommandId && o.LastModifiedByUs;
        var written = Where(command.Write, (path, golden) => ours || _rules.Same(path, golden, o.Fields[path]));
        var stored = StoredNow(written, o);
        if (wrote)
        {
            // The write happened, and somebody edited after it: the field shows the edit, as news.
            foreach (var (path, golden) in command.Write)
            {
                if (written.TryAdd(path, golden))
                    stored[path] = Normaliser.Stored(_rules.Map.Fields[path], golden);
            }
        }

        Close(command, wrote ? LedgerState.Done : LedgerState.Abandoned, again);
        Finish(
            Report(o, ack: command, outcome: Outcome.Done, written: written, stored: stored, current: command.CommandId)
        );
    }

    // ---- what commands have in common ----

    bool IsMapped(IReadOnlyDictionary<string, string?> write) => write.Keys.All(_rules.Map.Maps);

    /// <summary>The body of our own first execution is the record right after our write, whatever the vendor says of its author.</summary>
    static VendorObject Ours(VendorObject body, PushCustomer command) =>
        body with
        {
            Stamp = command.CommandId,
            LastModifiedByUs = true,
            CustomerId = command.CustomerId,
        };

    void AnswerGone(PushCustomer command, bool again)
    {
        Close(command, LedgerState.Done, again);
        Finish(Report(null, gone: true, ack: command, outcome: Outcome.Gone));
    }

    void Refuse(PushCustomer command, SortedDictionary<string, string> unwritable)
    {
        Close(command, LedgerState.Abandoned);
        Finish(
            Report(
                null,
                ack: command,
                outcome: Outcome.Refused,
                refused: Where(command.Write, (path, _) => unwritable.ContainsKey(path)),
                reason: string.Join("; ", unwritable.Select(u => $"{u.Key} {u.Value}"))
            )
        );
    }

    void Refuse(PushCustomer command, VendorResult.Refused refused, bool again)
    {
        var named = Where(command.Write, (path, _) => refused.Fields.ContainsKey(path));
        Close(command, LedgerState.Abandoned, again);
        Finish(
            Report(
                null,
                ack: command,
                outcome: Outcome.Refused,
                // Where the vendor names no field, all of them wait for a change: the same request would be refused again.
                refused: named.Count > 0 ? named : command.Write,
                reason: Reason(refused)
            )
        );
    }

    static string Reason(VendorResult.Refused refused) =>
        refused.Fields.Count == 0
            ? $"{refused.Code}: {refused.Reason}"
            : $"{refused.Code}: {string.Join("; ", refused.Fields.OrderBy(f => f.Key, StringComparer.Ordinal).Select(f => $"{f.Key} {f.Value}"))}";

    void NoAnswer(string toWhat)
    {
        if (_answer is VendorResult.Failed failure)
            Wait(failure);
        else
            Nonsense($"{_answer.GetType().Name} to {toWhat}");
    }

    LedgerEntry NewEntry(PushCustomer command, IReadOnlyDictionary<string, string?>? expect, string? guard) =>
        new()
        {
            CommandId = command.CommandId,
            Lane = Link.Lane,
            Generation = command.Generation,
            Write = command.Write,
            Expect = expect,
            Hashes = LedgerEntry.HashesOf(command.CommandId, _rules.Map, command.Write, expect),
            Guard = guard,
            State = LedgerState.Open,
            OpenedAt = _lane.Now,
        };

    /// <summary>An earlier attempt may still land.</summary>
    LedgerEntry Suspect(LedgerEntry entry) => entry with { SuspectUntil = _lane.Now + _rules.Suspicion };

    /// <summary>Every answer leaves a closed entry, also one that asked for nothing.</summary>
    void Close(PushCustomer command, LedgerState state, bool suspect = false)
    {
        var entry =
            Entry(command.CommandId)
            ?? new LedgerEntry
            {
                CommandId = command.CommandId,
                Lane = Link.Lane,
                Generation = command.Generation,
                State = state,
                OpenedAt = _lane.Now,
            };
        _closed.Add((suspect ? Suspect(entry) : entry with { SuspectUntil = null }) with { State = state });
    }

    static Dictionary<string, string?> Where(
        IReadOnlyDictionary<string, string?> write,
        Func<string, string?, bool> condition
    ) => write.Where(w => condition(w.Key, w.Value)).ToDictionary(w => w.Key, w => w.Value);

    static Dictionary<string, string?> StoredNow(Dictionary<string, string?> written, VendorObject o) =>
        written.Keys.ToDictionary(path => path, path => o.Fields[path]);
}

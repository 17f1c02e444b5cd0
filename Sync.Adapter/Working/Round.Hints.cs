using Sync.Adapter.Links;
using Sync.Contracts.Systems;

namespace Sync.Adapter.Working;

/// <summary>
/// Hints: "look at this object". Their order, number and payload mean nothing; the hint of the newest change either says
/// what was reported last, or causes a read after that change.
/// </summary>
sealed partial class Round
{
    IEnumerable<Need> Look(string ext)
    {
        var hints = _work.Select(w => w.Hint!).ToList();
        if (_lane.LaneOf.TryGetValue(ext, out var lane) && lane != Link.Lane)
        {
            End = new RoundEnd.Move(_work, lane);
            return [];
        }

        return Link.ExternalId == ext && Link.CustomerId is not null
            ? LookAtOwn(ext, hints)
            : LookAtStranger(ext, hints);
    }

    /// <summary>The object of this lane's customer.</summary>
    IEnumerable<Need> LookAtOwn(string ext, List<Hint> hints)
    {
        var over = Over(hints);
        var undeleted = hints.Exists(h => h.Kind == HintKind.Undeleted);
        var deleted = hints.Exists(h => h.Kind == HintKind.Deleted);
        var always = hints.Exists(h => h.Always);
        if (over.Count == 0 && !always && hints.TrueForAll(SaysNothingNew))
        {
            Finish(null);
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
            Finish(Link.Last is not null || deleted || always ? Report(null, gone: true) : null);
        else
            Finish(
                DiffersFromLast(o) || over.Count > 0 || undeleted || always
                    ? Report(o, over: over, undelete: undeleted)
                    : null
            );
    }

    /// <summary>Of several who asked at once, the first.</summary>
    static string? AskedBy(List<Hint> hints) => hints.Find(h => h.RequestedBy is not null)?.RequestedBy;

    /// <summary>An object that no lane has: it may be a customer's, a second one, or nobody's.</summary>
    IEnumerable<Need> LookAtStranger(string ext, List<Hint> hints)
    {
        yield return new Need.Read(ext);
        if (!Saw(out var o))
            yield break;
        var always = hints.Exists(h => h.Always);
        if (o is null)
        {
            // A restored lane does not know which object it had. The saga does: it takes this for its own, or for nobody's.
            if (
                Link is { RestoredAt: not null, CustomerId: not null, ExternalId: null }
                && !Link.DeadExternalIds.Contains(ext)
                && hints.Exists(h => h.Kind == HintKind.Deleted)
            )
            {
                Finish(Report(null, gone: true, externalId: ext));
                yield break;
            }

            var heardOf = Link.Found || always || hints.Exists(h => h.Kind == HintKind.Deleted);
            if (Link.CustomerId is null)
                Link = Link with { Found = false };
            Finish(
                heardOf && !Link.DeadExternalIds.Contains(ext)
                    ? new ObjectFound
                    {
                        System = _rules.System,
                        ExternalId = ext,
                        Fields = [],
                        Gone = true,
                        RequestedBy = AskedBy(hints),
                    }
                    : null
            );
            yield break;
        }

        var lane = string.IsNullOrEmpty(o.CustomerId) ? Lanes.Object(ext) : Lanes.Customer(o.CustomerId);
        if (lane != Link.Lane)
        {
            // Begin again there, so that one object is never read in two lanes; this read is not used.
            End = new RoundEnd.Move(_work, lane);
        }
        else if (Link.CustomerId is null)
        {
            if (Link.Found && !always)
            {
                Finish(null);
                yield break;
            }

            Link = Link with { Found = true };
            Finish(
                new ObjectFound
                {
                    System = _rules.System,
                    ExternalId = ext,
                    Fields = Mapped(o),
                    RequestedBy = AskedBy(hints),
                }
            );
        }
        else if (Link.DeadExternalIds.Contains(ext))
        {
            Finish(null);
        }
        else if (Link.ExternalId is not null)
        {
            // Only the saga changes a link.
            Finish(
                new ObjectDuplicated
                {
                    System = _rules.System,
                    CustomerId = Link.CustomerId,
                    ExternalId = ext,
                    Ours = o.CreatedByUs ?? (o.Stamp is { } stamp && Entry(stamp) is { IsCreate: true }),
                }
            );
        }
        else
        {
            Link = Link with { ExternalId = ext, Last = null };
            Finish(Report(o, undelete: hints.Exists(h => h.Kind == HintKind.Undeleted)));
        }
    }

    /// <summary>An ordinary change whose payload equals what was last reported: the echo of our own write ends here, without a call.</summary>
    bool SaysNothingNew(Hint hint) =>
        hint is { Kind: HintKind.Created or HintKind.Updated, Fields: { } fields }
        && Link.Last is { } last
        && fields.All(f => !_rules.Map.Maps(f.Key) || (last.TryGetValue(f.Key, out var value) && value == f.Value));

    /// <summary>What writes of ours replaced without our having expected it.</summary>
    Dictionary<string, Overwritten> Over(List<Hint> hints)
    {
        Dictionary<string, Overwritten> over = [];
        foreach (var hint in hints)
        {
            if (hint is not { CommandId: { } id, Previous: { } previous } || Entry(id) is not { } entry)
                continue;
            foreach (var (path, value) in previous)
            {
                if (
                    !_rules.Map.Fields.TryGetValue(path, out var field)
                    || !entry.Hashes.TryGetValue(path, out var hashes)
                    || hashes.Expected is null
                    || entry.Expected(field, value)
                    || _ledger.Values.Any(e => e.Wrote(field, value))
                )
                    continue;

                // A closed entry has no values: the event of the write carries what it wrote.
                var now = hint.Fields?.GetValueOrDefault(path);
                var written =
                    entry.Write is { } write && write.TryGetValue(path, out var golden) ? golden
                    : entry.Wrote(field, now) ? now
                    : null;
                over[path] = new Overwritten(value, written);
            }
        }

        return over;
    }
}

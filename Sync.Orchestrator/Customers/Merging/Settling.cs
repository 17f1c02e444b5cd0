using System.Globalization;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;
using Sync.Orchestrator.Brakes;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// Numbers, links, answers, deletions: everything that a report means before anybody looks at its fields. Done in every
/// state, also in a tombstone.
/// </summary>
static class Settling
{
    public static Decision Settle(
        CustomerSync sync,
        Report report,
        Rules rules,
        Moment moment,
        Vanished? vanished = null
    )
    {
        var decision = new Decision();
        var system = sync.System(report.System);
        if (IsOld(sync, system, report, decision))
        {
            decision.Facts = Facts.Dropped;
            return decision;
        }

        system.Obs = report.Obs;
        if (report.Gen > system.Gen)
            TakeGeneration(system, report, decision);
        // Said before the report may bring another object: the one that went away.
        var lost = system.Gone ? system.Ext : null;
        if (report.Ext is not null && !Links(sync, system, report, decision))
        {
            decision.Facts = Facts.Dropped;
            return decision;
        }

        if (report.FromProduct && !report.Gone)
        {
            system.Linked = true;
            // It cannot be asked, so what it shows is all the agreement there is.
            if (rules.OneWay)
                decision.Facts |= Facts.ProductAgreed;
        }

        // A refusal, for one, shows no object, and says nothing of what stands on it.
        if (report.Fields is not null || report.Gone)
            system.IdOnObject = report.IdOnObject;

        if (report.Ack is { } ack && system.Sent is { } sent && sent.Id == ack)
            Answered(sync, system, sent, report, rules, moment, decision);
        else
            decision.Notes.Add(
                new Note(
                    report switch
                    {
                        { FromProduct: true, Gone: true } => Codes.ProductDeleted,
                        { FromProduct: true } => Codes.Snapshot,
                        { Gone: true } => Codes.Gone,
                        _ => Codes.Reported,
                    },
                    report.System
                )
            );

        if (report.Gone)
            decision.With(OnGone(sync, report, rules, moment, vanished));
        else if (report.Fields is not null)
            IsThere(sync, system, report, lost, rules, decision);
        return decision;
    }

    /// <summary>
    /// A deletion seen in a system. A vendor's is held where too many come at once, where another object may have taken the
    /// place, or where the object may only be hidden from us; a product that is only read cannot follow one, so there it
    /// always waits for a person. An object that the vendor merged into another was not deleted by anybody: the customer
    /// goes with the one that is left, if nobody else has that. While it carries no id it may be about to become another
    /// customer's, and two with one object would never end; so it is the object that is asked, and the deletion waits for
    /// its answer.
    /// </summary>
    static Decision OnGone(CustomerSync sync, Report report, Rules rules, Moment moment, Vanished? vanished)
    {
        var name = report.System;
        var decision = new Decision();
        var system = sync.System(name);
        var known = system.Gone;
        if (sync.Stage() is Stage.Removing or Stage.Removed or Stage.Merged)
        {
            system.Gone = true;
            return decision;
        }

        if (known && system.Brake == BrakeReasons.Held)
            return decision;

        if (report.ReplacedBy is { } winner && report.ReplacedByCustomer == sync.CustomerId && !report.FromProduct)
        {
            system.BeginLife(winner);
            decision.Messages.Add(Linking.Linked(sync, name, winner));
            decision.Notes.Add(new Note(Codes.Replaced, name) { ExternalId = winner });
            return decision;
        }

        system.Gone = true;
        if (report.ReplacedBy is { } nobodys && report.ReplacedByCustomer is null && !report.FromProduct)
        {
            system.Brake = BrakeReasons.Held;
            decision.Messages.Add(Linking.Claim(sync, name, nobodys));
            decision.Notes.Add(
                new Note(Codes.DeletionHeld, name)
                {
                    ExternalId = nobodys,
                    Reason = "merged into another object, which is asked to take the place",
                }
            );
            return decision;
        }

        if (report.FromProduct)
        {
            decision.Facts = Facts.SomebodyDeleted;
            return decision;
        }

        decision.Notes.Add(new Note(Codes.DeletionSeen, name));
        // Counted in any case: a brake that is on stays on until deletions become few again.
        var tooMany = vanished?.IsTooMany() == true;
        var why =
            report.OutOfSight ? "the object is out of sight there, and nothing tells that it was deleted"
            : report.ReplacedBy is not null ? $"merged into an object of customer {report.ReplacedByCustomer}"
            : rules.OneWay ? "the product is only read and cannot follow"
            : vanished?.HasDuplicate == true ? "another object of this customer is parked and may have taken the place"
            : tooMany || rules.DeletionBrake(name, moment.Now) ? "many objects vanished there at once"
            : null;
        if (why is null)
        {
            decision.Facts = Facts.SomebodyDeleted;
            return decision;
        }

        system.Brake = BrakeReasons.Held;
        decision.Notes.Add(new Note(Codes.DeletionHeld, name) { Reason = why });
        return decision;
    }

    /// <summary>
    /// Late and doubled copies are dropped by their number. A redelivered copy is normal and leaves no trace but a counter;
    /// from the product, whose revisions are made elsewhere, a lower one, or the same one with another content, is told.
    /// </summary>
    static bool IsOld(CustomerSync sync, SystemState system, Report report, Decision decision)
    {
        if (report.Gen < system.Gen)
            return true;
        if (report.Obs > system.Obs)
            return false;

        if (report.FromProduct)
        {
            if (report.Obs < system.Obs)
                decision.Notes.Add(
                    new Note(Codes.RevisionBackwards, report.System)
                    {
                        Reason = string.Create(
                            CultureInfo.InvariantCulture,
                            $"revision {report.Obs} came after {system.Obs} and was ignored"
                        ),
                    }
                );
            else if (Differing(sync, system, report) is { Count: > 0 } paths)
                decision.Notes.Add(
                    new Note(Codes.RevisionNotRaised, report.System)
                    {
                        Paths = paths,
                        Reason = string.Create(
                            CultureInfo.InvariantCulture,
                            $"revision {report.Obs} came twice with different content; the second was ignored"
                        ),
                    }
                );
        }

        return true;
    }

    /// <summary>What the same revision showed before is the base; a customer on its way out has none.</summary>
    static List<string> Differing(CustomerSync sync, SystemState system, Report report) =>
        report.Fields is null || sync.Stage() is not (Stage.Live or Stage.Proposed)
            ? []
            : [.. report.Fields.Where(f => system.Base.At(f.Key) != f.Value).Select(f => f.Key)];

    /// <summary>A report of a generation that this saga never started: it is the older of the two, and takes it.</summary>
    static void TakeGeneration(SystemState system, Report report, Decision decision)
    {
        system.BeginLife(ext: null);
        system.Gen = report.Gen!.Value;
        decision.Notes.Add(new Note(Codes.NewerGeneration, report.System));
    }

    /// <summary>Only the saga changes a link. False when the report speaks of an object that is not this customer's.</summary>
    static bool Links(CustomerSync sync, SystemState system, Report report, Decision decision)
    {
        if (system.Ext == report.Ext)
            return true;

        if (system.Ext is null)
        {
            system.Ext = report.Ext;
            system.Linked = true;
            decision.Messages.Add(Linking.Linked(sync, report.System, report.Ext!));
            decision.Notes.Add(new Note(Codes.Linked, report.System) { ExternalId = report.Ext });
            if (sync.Stage() is Stage.Removed && !report.Gone)
                decision.Facts |= Facts.OursIsBack;
            return true;
        }

        if (system.Gone && sync.Stage() is Stage.Removing or Stage.Removed)
        {
            // A create of ours that landed after the deletion.
            system.Ext = report.Ext;
            return true;
        }

        // One that is gone waits for nobody.
        if (!report.Gone)
            decision.Messages.Add(
                Linking.Parked(sync, report.System, report.Ext!, $"second object of customer {sync.CustomerId}")
            );
        decision.Notes.Add(new Note(Codes.SecondObject, report.System) { ExternalId = report.Ext });
        return false;
    }

    static void Answered(
        CustomerSync sync,
        SystemState system,
        SentCommand sent,
        Report report,
        Rules rules,
        Moment moment,
        Decision decision
    )
    {
        system.Sent = null;
        if (sent.Op == Operation.Erase)
        {
            Forgot(sync, system, report, rules, moment, decision);
            return;
        }

        switch (report.Outcome)
        {
            case Outcome.Done or Outcome.Gone when sent.Op == Operation.Delete:
                system.Gone = true;
                break;
            case Outcome.Done when sent.Writes:
                var map = rules.Config.System(report.System);
                foreach (var (path, written) in report.Written)
                {
                    if (!map.Maps(path))
                        continue;
                    system.Base[path] = report.Stored.TryGetValue(path, out var stored) ? stored : written;
                    system.At[path] = written;
                }

                system.Reached = Math.Max(system.Reached, sent.Rev);
                decision.Reached.Add((report.System, sent));
                if (report.FromProduct)
                    decision.Facts |= Facts.ProductAgreed;
                break;
            case Outcome.Refused when sent.Op == Operation.Delete:
                system.Brake = BrakeReasons.RefusedPrefix + (report.Reason ?? "the deletion was refused");
                break;
            case Outcome.Refused:
                foreach (var (path, value) in report.Refused)
                    system.Refused[path] = value;
                if (!report.Refused.Keys.Any(sent.Write.ContainsKey))
                    system.Refused[SystemState.WholeCommand] = Text(sync.Revision);
                break;
        }

        decision.Notes.Add(
            new Note(
                report.Outcome switch
                {
                    Outcome.Refused => Codes.AnsweredRefused,
                    Outcome.Gone => Codes.AnsweredGone,
                    _ => Codes.Answered,
                },
                report.System
            )
            {
                Paths = [.. (report.Outcome == Outcome.Refused ? report.Refused : report.Written).Keys],
                Reason = report.Outcome == Outcome.Refused ? report.Reason : null,
            }
        );
    }

    /// <summary>The adapter forgot the customer; when all did, that is the end.</summary>
    static void Forgot(
        CustomerSync sync,
        SystemState system,
        Report report,
        Rules rules,
        Moment moment,
        Decision decision
    )
    {
        if (report.Outcome != Outcome.Done)
        {
            decision.Notes.Add(new Note(Codes.AnsweredRefused, report.System) { Reason = report.Reason });
            return;
        }

        system.ErasedAt = moment.Now;
        // In the words of our own tables' row; an adapter of before says no numbers.
        decision.Notes.Add(
            new Note(Codes.Erased, report.System)
            {
                Reason =
                    report.Forgotten.Count == 0
                        ? null
                        : string.Join(
                            ", ",
                            report
                                .Forgotten.OrderBy(f => f.Key, StringComparer.Ordinal)
                                .Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Key} {f.Value}"))
                        ),
            }
        );
        if (!Pumping.Vendors(rules).All(name => sync.System(name).ErasedAt is not null))
            return;
        sync.ErasedAt = moment.Now;
        // Once more: what came between the removal and now.
        decision.Facts |= Facts.Forget;
    }

    /// <summary>
    /// The object stands there. Where it counted as gone, somebody, or a late write of ours, brought it back. A late create
    /// of ours is always another object: the very one that went away was brought back by a person, also when no feed says
    /// so, which only one that saw the deletion itself can.
    /// </summary>
    static void IsThere(
        CustomerSync sync,
        SystemState system,
        Report report,
        string? lost,
        Rules rules,
        Decision decision
    )
    {
        if (!system.Gone)
            return;

        if (sync.Stage() is not (Stage.Removing or Stage.Removed))
        {
            system.Gone = false;
            system.Brake = null;
            decision.Notes.Add(new Note(Codes.Back, report.System));
        }
        else if (
            report.FromProduct
            && rules.AllowRecreate
            && sync.EraseAskedAt is null
            && sync.Stage() == Stage.Removed
        )
        {
            Removing.Revive(sync, rules);
            decision.Facts |= Facts.Reborn;
            decision.Notes.Add(new Note(Codes.Reborn, report.System));
        }
        else if (report.FromProduct)
        {
            system.Brake = BrakeReasons.Recreated;
            decision.Notes.Add(new Note(Codes.Recreated, report.System));
        }
        else if (report.Undelete || (lost is not null && report.Ext == lost))
        {
            system.Brake = BrakeReasons.Undeleted;
            decision.Notes.Add(new Note(Codes.Undeleted, report.System));
        }
        else if (system.Brake != BrakeReasons.Undeleted)
        {
            system.Gone = false;
            system.ErasedAt = null;
            // The deletion that was held is decided by now, and nobody can release it any more.
            if (system.Brake == BrakeReasons.Held)
                system.Brake = null;
            decision.Facts |= Facts.OursIsBack;
            decision.Notes.Add(new Note(Codes.Back, report.System));
        }
    }

    static string Text(long revision) => revision.ToString(CultureInfo.InvariantCulture);
}

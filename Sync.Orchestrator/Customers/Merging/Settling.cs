using System.Globalization;
using Sync.Contracts.Requests;
using Sync.Contracts.Systems;

namespace Sync.Orchestrator.Customers.Merging;

/// <summary>
/// Numbers, links, answers, deletions: everything that a report means before anybody looks at its fields. Done in every
/// state, also in a tombstone.
/// </summary>
static class Settling
{
    public static Decision Settle(CustomerSync sync, Report report, Rules rules, Moment moment)
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
        if (report.Ext is not null && !Links(sync, system, report, decision))
        {
            decision.Facts = Facts.Dropped;
            return decision;
        }

        if (report.FromProduct && !report.Gone)
            system.Linked = true;
        system.IdOnObject = report.IdOnObject;

        if (report.Ack is { } ack && system.Sent is { } sent && sent.Id == ack)
            Answered(sync, system, sent, report, rules, decision);
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
            decision.With(OnGone(sync, report.System, rules, moment));
        else if (report.Fields is not null)
            IsThere(sync, system, report, decision);
        return decision;
    }

    /// <summary>
    /// A deletion seen in a system. The deletion brake holds a vendor's; a product that is only read cannot follow one, so
    /// there it always waits for a person.
    /// </summary>
    public static Decision OnGone(CustomerSync sync, string name, Rules rules, Moment moment)
    {
        var decision = new Decision();
        var system = sync.System(name);
        var known = system.Gone;
        system.Gone = true;
        if (sync.Stage() is Stage.Removing or Stage.Removed or Stage.Merged)
            return decision;
        if (known && system.Brake == BrakeReasons.Held)
            return decision;

        if (name != Contracts.SystemNames.Product && (rules.OneWay || rules.DeletionBrake(name, moment.Now)))
        {
            system.Brake = BrakeReasons.Held;
            decision.Notes.Add(new Note(Codes.DeletionHeld, name));
            return decision;
        }

        decision.Facts = Facts.SomebodyDeleted;
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
        system.Gen = report.Gen!.Value;
        system.Ext = null;
        system.Linked = false;
        system.Gone = false;
        system.Brake = null;
        system.Sent = null;
        system.Base.Clear();
        system.At.Clear();
        system.Refused.Clear();
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
            decision.Messages.Add(
                new ObjectLinked
                {
                    CustomerId = sync.CustomerId,
                    System = report.System,
                    ExternalId = report.Ext!,
                }
            );
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
        Decision decision
    )
    {
        system.Sent = null;
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

    /// <summary>The object stands there. Where it counted as gone, somebody, or a late write of ours, brought it back.</summary>
    static void IsThere(CustomerSync sync, SystemState system, Report report, Decision decision)
    {
        if (!system.Gone)
            return;

        if (sync.Stage() is not (Stage.Removing or Stage.Removed))
        {
            system.Gone = false;
            system.Brake = null;
            decision.Notes.Add(new Note(Codes.Back, report.System));
        }
        else if (report.FromProduct)
        {
            system.Brake = BrakeReasons.Recreated;
            decision.Notes.Add(new Note(Codes.Recreated, report.System));
        }
        else if (report.Undelete)
        {
            system.Brake = BrakeReasons.Undeleted;
            decision.Notes.Add(new Note(Codes.Undeleted, report.System));
        }
        else if (system.Brake != BrakeReasons.Undeleted)
        {
            system.Gone = false;
            // The deletion that was held is decided by now, and nobody can release it any more.
            if (system.Brake == BrakeReasons.Held)
                system.Brake = null;
            decision.Facts |= Facts.OursIsBack;
            decision.Notes.Add(new Note(Codes.Back, report.System));
        }
    }

    static string Text(long revision) => revision.ToString(CultureInfo.InvariantCulture);
}

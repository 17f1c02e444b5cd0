using Microsoft.Extensions.Logging;
using Sync.Adapter.Hosting;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Messaging.Outbox;

namespace Sync.Adapter.Working;

/// <summary>What a lane writes when its round is over, whichever way it ended.</summary>
sealed class Endings(VendorGate gate, Backoff backoff, IOutbox outbox, AdapterTelemetry telemetry, ILogger log)
{
    public LaneWrite Of(Leased lane, Round round) =>
        round.End switch
        {
            RoundEnd.Over over => new LaneWrite.Finish(lane.TakenBy, Before(lane, round), round.Link)
            {
                Ledger = over.Ledger,
                Messages = over.Message is { } message
                    ? [outbox.Encode(message, over.Done is [{ Command: not null } command, ..] ? command.Id : null)]
                    : [],
                Done = [.. over.Done.Select(w => w.Id)],
            },
            RoundEnd.Move move => new LaneWrite.Finish(lane.TakenBy, Before(lane, round), lane.Link)
            {
                Moved = [.. move.Work.Select(w => w.Id)],
                MovedTo = move.To,
            },
            RoundEnd.Wait wait => GiveBack(lane, round, wait.Failure),
            _ => throw new InvalidOperationException("a round ended without saying how"),
        };

    /// <summary>The row as it stands now: the version of the take, or of the round's last commit.</summary>
    public static Link Before(Leased lane, Round round) => lane.Link with { Version = round.Link.Version };

    /// <summary>The ledger entry that is committed before the vendor is called.</summary>
    public static LaneWrite.Open Open(Leased lane, Round round, LedgerEntry entry) =>
        new(lane.TakenBy, Before(lane, round), round.Link, entry);

    LaneWrite.GiveBack GiveBack(Leased lane, Round round, VendorResult.Failed failure)
    {
        var skipped = NotCalled.Is(failure);
        var remaining = gate.Remaining;
        var delay = skipped
            ? remaining + backoff.Jittered(TimeSpan.FromMilliseconds(500))
            : backoff.Delay(lane.Link.Attempts);
        if (delay < remaining)
            delay = remaining + backoff.Jittered(delay);
        var reason = NotCalled.Reason(failure);
        telemetry.Waits(reason);
        if (!skipped)
            log.Waits(lane.Link.Lane, delay, reason, lane.Link.Attempts + 1);
        return new LaneWrite.GiveBack(lane.TakenBy, Before(lane, round), delay, reason, Counts: !skipped);
    }
}

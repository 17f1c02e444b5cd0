using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;
using Sync.Adapter.Vendors;
using Sync.Contracts.Systems;
using Sync.Messaging.Outbox;

namespace Sync.Adapter.Working;

/// <summary>
/// Takes lanes by lease and runs their rounds. A round is one lane's; its needs meet those of the others in
/// <see cref="VendorCalls"/> and <see cref="LaneCommits"/>, so that many lanes cost few calls and few transactions. A crash
/// is a lease that runs out; a worker that outlives its lease fails at the fence.
/// </summary>
sealed class Workers(
    ILinkStore store,
    VendorCalls calls,
    LaneCommits commits,
    VendorGate gate,
    Rules rules,
    Backoff backoff,
    AdapterOptions options,
    WorkSignal signal,
    IOutbox outbox,
    IMayWork mayWork,
    AdapterTelemetry telemetry,
    TimeProvider time,
    string replica,
    ILogger<Workers> log
) : BackgroundService
{
    static readonly TimeSpan Busy = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan Idle = TimeSpan.FromMilliseconds(500);

    // Another life of this replica has another one, so that no lease of this one is mistaken for a lease of that.
    readonly string _life = Guid.NewGuid().ToString("n")[..12];
    readonly ConcurrentDictionary<long, Task> _inHand = new();
    readonly Endings _endings = new(gate, backoff, outbox, telemetry, log);
    long _takes;
    long _rounds;

    /// <summary>Lanes that are taken and not yet given back.</summary>
    public int InHand => _inHand.Count;

    /// <summary>A slow vendor must not hold lanes beyond their lease, so a vendor of single calls gets few at a time.</summary>
    int MaxInHand => Math.Min(options.Batch, options.Workers * rules.Traits.MaxBatch * 4);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        log.Started(rules.System, rules.ConfigHash, options.Workers, MaxInHand);
        using var abandon = new CancellationTokenSource();
        using var commitsEnd = new CancellationTokenSource();
        var calling = calls.Run(abandon.Token);
        var committing = commits.Run(commitsEnd.Token);
        try
        {
            await TakeAndRun(abandon.Token, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is the ordinary end.
        }

        abandon.CancelAfter(TimeSpan.FromSeconds(options.StopSeconds));
        var left = InHand;
        await Task.WhenAll(_inHand.Values);
        await abandon.CancelAsync();
        await commitsEnd.CancelAsync();
        await Task.WhenAll(Ended(calling), committing);
        log.WorkersEnded(rules.System, left);

        static async Task Ended(Task task)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
                // Its token was cancelled above.
            }
        }
    }

    async Task TakeAndRun(CancellationToken abandon, CancellationToken stop)
    {
        while (!mayWork.Now)
            await signal.Wait(Busy, stop);
        log.WorkersBegin(rules.System, await EndOwnLeases(stop));

        for (var looks = 0; ; looks++)
        {
            stop.ThrowIfCancellationRequested();
            // Asked each time: a rebalance may bring a partition that shows a restore which its owner before did not put right.
            var room = mayWork.Now ? gate.Lanes(MaxInHand - InHand, InHand) : 0;
            var taken = room > 0 ? await Take(room, stop) : [];
            foreach (var lane in taken)
                Begin(lane, abandon);
            if (taken.Count > 0)
                looks = 0;
            if (taken.Count == room && room > 0 && InHand < MaxInHand)
                continue;

            if (await signal.Wait(Pause(looks), stop))
                looks = 0;
        }
    }

    static TimeSpan Pause(int looks) => looks < 20 ? Busy : Idle;

    async Task<int> EndOwnLeases(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return await store.EndLeases(replica, stop);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                await TakeFailed(e, stop);
            }
        }
    }

    async Task<IReadOnlyList<Leased>> Take(int room, CancellationToken stop)
    {
        try
        {
            return await store.Take($"{replica}/{_life}/{++_takes}", room, stop);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            await TakeFailed(e, stop);
            return [];
        }
    }

    async Task TakeFailed(Exception exception, CancellationToken stop)
    {
        var delay = backoff.Delay(2);
        log.TakeFailed(delay, exception);
        await Task.Delay(delay, time, stop);
    }

    void Begin(Leased lane, CancellationToken abandon)
    {
        var id = ++_rounds;
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _inHand[id] = running.Task;
        _ = Task.Run(
            async () =>
            {
                try
                {
                    await Run(lane, abandon);
                }
                finally
                {
                    _inHand.TryRemove(id, out _);
                    if (InHand >= MaxInHand - 1)
                        signal.Set();
                    running.SetResult();
                }
            },
            CancellationToken.None
        );
    }

    /// <summary>One round of one lane. It never throws.</summary>
    internal async Task Run(Leased lane, CancellationToken abandon)
    {
        var started = time.GetTimestamp();
        var round = new Round(lane, rules, () => (long)time.GetElapsedTime(started).TotalMilliseconds);
        var kind = "nothing";
        var outcome = "failed";
        try
        {
            var needs = round.Run();
            kind =
                round.Work is [{ Command: { } c }, ..] ? c.Operation.ToString().ToLowerInvariant()
                : round.Work.Count > 0 ? "hint"
                : "nothing";
            using var activity = Start(kind, round.Work);
            outcome = await Carry(lane, round, needs, abandon);
            activity?.SetTag("sync.outcome", outcome);
        }
        catch (OperationCanceledException)
        {
            // The process stops: another takes the lane at once instead of after the lease.
            outcome = "stopped";
            await commits.Commit(
                new LaneWrite.GiveBack(
                    lane.TakenBy,
                    Endings.Before(lane, round),
                    TimeSpan.Zero,
                    "stopped",
                    Counts: false
                )
            );
        }
        catch (Exception e)
        {
            var delay = backoff.Delay(lane.Link.Attempts);
            log.RoundFailed(lane.Link.Lane, delay, e);
            await commits.Commit(
                new LaneWrite.GiveBack(lane.TakenBy, Endings.Before(lane, round), delay, "internal-error", Counts: true)
            );
        }
        finally
        {
            telemetry.Round(kind, outcome, time.GetElapsedTime(started));
        }
    }

    async Task<string> Carry(Leased lane, Round round, IEnumerable<Need> needs, CancellationToken abandon)
    {
        foreach (var need in needs)
        {
            if (need is Need.Open { Entry: var entry })
            {
                abandon.ThrowIfCancellationRequested();
                if (!await commits.Commit(Endings.Open(lane, round, entry)))
                    return "fenced";
                round.Opened(entry);
            }
            else
            {
                await calls.Do(round, need, abandon);
            }
        }

        if (round.GuardWasOfNoUse)
            log.GuardOfNoUse(rules.System, lane.Link.Lane);
        var ending = _endings.Of(lane, round);
        if (!await commits.Commit(ending))
            return "fenced";
        switch (round.End)
        {
            case RoundEnd.Over over:
                Said(round, over);
                return over.Message is null ? "silent" : "reported";
            case RoundEnd.Move:
                return "moved";
            default:
                return "waits";
        }
    }

    void Said(Round round, RoundEnd.Over over)
    {
        switch (over.Message)
        {
            case CustomerReported { Ack: { } ack, Outcome: Outcome.Refused } refused:
                telemetry.Refused();
                log.Refused(ack, round.Link.Lane, refused.Reason);
                break;
            case CustomerReported { Ack: { } ack } answer:
                log.Answered(ack, round.Link.Lane, answer.Outcome.ToString()!, answer.Obs);
                break;
            case ObjectDuplicated second:
                log.Duplicate(second.System, second.ExternalId, second.CustomerId);
                break;
            case ObjectFound found:
                log.Found(found.System, found.ExternalId);
                break;
        }
    }

    /// <summary>The round continues the trace of the work that it is about; of several hints the first one's, linked to the next hundred.</summary>
    static Activity? Start(string kind, IReadOnlyList<WorkItem> work) =>
        AdapterTelemetry.Source.StartActivity(
            $"adapter {kind}",
            ActivityKind.Consumer,
            work.Count == 0 ? default : Cause(work[0]),
            links: work.Skip(1)
                .Select(Cause)
                .Where(cause => cause != default)
                .Take(100)
                .Select(cause => new ActivityLink(cause))
        );

    static ActivityContext Cause(WorkItem work) =>
        work.TraceParent is { } traceParent
        && ActivityContext.TryParse(traceParent, work.TraceState, isRemote: true, out var parsed)
            ? parsed
            : default;
}

/// <summary>
/// Whether lanes may be taken at all: only once the process's consumer has claimed its partitions, since the claim is what
/// notices a restored database, and never between that and the end of the restore hook.
/// </summary>
interface IMayWork
{
    bool Now { get; }
}

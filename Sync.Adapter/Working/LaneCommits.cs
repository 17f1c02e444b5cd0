using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sync.Adapter.Hosting;
using Sync.Adapter.Intake;
using Sync.Adapter.Links;

namespace Sync.Adapter.Working;

/// <summary>
/// Commits what lanes have to write, many of them in one transaction: while one commits, the next gathers. What the
/// database refuses for one lane must not hold the others, so a batch that fails is tried lane by lane.
/// </summary>
sealed class LaneCommits(
    ILinkStore store,
    Backoff backoff,
    WorkSignal signal,
    AdapterTelemetry telemetry,
    TimeProvider time,
    ILogger<LaneCommits> log
)
{
    /// <summary>Lanes of one transaction.</summary>
    const int MaxBatch = 500;

    /// <summary>By then the lease has run out, and another worker begins again.</summary>
    const int Tries = 8;

    readonly Channel<Pending> _pending = Channel.CreateUnbounded<Pending>(new() { SingleReader = true });

    sealed record Pending(LaneWrite Write, TaskCompletionSource<bool> Committed);

    /// <summary>True when it is committed; false when the fence, or the database, threw it away.</summary>
    public async Task<bool> Commit(LaneWrite write)
    {
        // As many as lanes are in hand, so the channel needs no bound of its own.
        var pending = new Pending(write, new(TaskCreationOptions.RunContinuationsAsynchronously));
        await _pending.Writer.WriteAsync(pending);
        return await pending.Committed.Task;
    }

    public async Task Run(CancellationToken stop)
    {
        try
        {
            while (await _pending.Reader.WaitToReadAsync(stop))
            {
                // A worker that outlived its lease may meet its successor here: one after the other, so that the fence decides.
                List<Pending> all = [];
                while (all.Count < MaxBatch && _pending.Reader.TryRead(out var next))
                    all.Add(next);
                while (all.Count > 0)
                {
                    var batch = all.DistinctBy(p => p.Write.Before.Lane).ToList();
                    all.RemoveAll(batch.Contains);
                    await Write(batch, stop);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            while (_pending.Reader.TryRead(out var left))
                left.Committed.TrySetResult(false);
        }
    }

    async Task Write(List<Pending> batch, CancellationToken stop)
    {
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    // A repeat after a lost answer meets its own version and is thrown away, never written twice.
                    var committed = await store.Commit(batch.ConvertAll(p => p.Write), stop);
                    Told(batch, committed);
                    return;
                }
                catch (Exception e) when (IsTransient(e) && attempt < Tries && !stop.IsCancellationRequested)
                {
                    var delay = backoff.Delay(attempt - 2);
                    log.CommitRetried(batch.Count, SqlState(e), delay);
                    await Task.Delay(delay, time, stop);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            batch.ForEach(p => p.Committed.TrySetResult(false));
        }
        catch (Exception) when (batch.Count > 1)
        {
            foreach (var one in batch)
                await Write([one], stop);
        }
        catch (Exception e)
        {
            await SetAside(batch[0], e, stop);
        }
    }

    void Told(List<Pending> batch, CommitResult committed)
    {
        foreach (var pending in batch)
        {
            var fenced = committed.Fenced.Contains(pending.Write.Before.Lane);
            if (fenced)
            {
                telemetry.Fenced();
                log.Fenced(pending.Write.Before.Lane);
            }

            pending.Committed.TrySetResult(!fenced);
        }

        if (committed.MoreWork)
            signal.Set();
    }

    /// <summary>The database will not have it: the lane waits with a named reason, and its work stays.</summary>
    async Task SetAside(Pending pending, Exception e, CancellationToken stop)
    {
        var delay = backoff.Delay(pending.Write.Before.Attempts);
        log.CommitFailed(pending.Write.Before.Lane, SqlState(e), delay, e);
        if (pending.Write is not LaneWrite.GiveBack)
        {
            try
            {
                var back = new LaneWrite.GiveBack(
                    pending.Write.TakenBy,
                    pending.Write.Before,
                    delay,
                    $"commit-{SqlState(e)}",
                    Counts: true
                );
                await store.Commit([back], stop);
            }
            catch (Exception again)
            {
                // The lease runs out, and that gives it back.
                log.CommitFailed(pending.Write.Before.Lane, SqlState(again), LinkStore.Lease, again);
            }
        }

        pending.Committed.TrySetResult(false);
    }

    static bool IsTransient(Exception e) =>
        e is NpgsqlException { IsTransient: true } or IOException or TimeoutException
        || e
            is PostgresException
            {
                SqlState: PostgresErrorCodes.SerializationFailure
                    or PostgresErrorCodes.DeadlockDetected
                    or PostgresErrorCodes.LockNotAvailable
                    or PostgresErrorCodes.QueryCanceled
                    or PostgresErrorCodes.AdminShutdown
                    or PostgresErrorCodes.CrashShutdown
                    or PostgresErrorCodes.CannotConnectNow
            };

    static string SqlState(Exception e) => (e as PostgresException)?.SqlState ?? e.GetType().Name;
}

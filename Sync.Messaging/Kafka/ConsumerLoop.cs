using System.Collections.Immutable;
using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using Sync.Messaging.Batching;
using Sync.Messaging.DeadLetters;
using Sync.Messaging.Hosting;
using Sync.Messaging.Offsets;
using Sync.Messaging.Outbox;

namespace Sync.Messaging.Kafka;

/// <summary>
/// Another size of batches than <see cref="ConsumerLoop.MaxRecords"/>, where the container has one. It is no setting: the
/// benchmark shows with it what batches are worth.
/// </summary>
sealed record BatchSize(int Records);

/// <summary>
/// One consumer of one group on a thread of its own: collects what is there, runs it as a batch, commits, and decides what
/// to do when that fails. Rebalances arrive while it is inside <c>Consume</c>, so no batch is ever in flight then.
/// <para>
/// Offsets have holes, so an advance begins at the stored offset and not at its first record: it would pass over a record
/// that was consumed and then forgotten, without a sound. Hence one rule. Of a partition that is claimed, every record
/// between the stored offset and the position of the consumer is in the batch in hand; whoever lets go of one moves the
/// position back to it.
/// </para>
/// </summary>
sealed class ConsumerLoop : IAssignmentListener, IDisposable
{
    public const int MaxRecords = 500;
    public const int MaxBytes = 4 * 1024 * 1024;

    /// <summary>Waits before a batch whose failure is likely to pass is tried again; then its records go one by one.</summary>
    static readonly TimeSpan[] RetryDelays =
    [
        TimeSpan.Zero,
        TimeSpan.FromMilliseconds(50),
        TimeSpan.FromMilliseconds(200),
    ];

    static readonly TimeSpan PollTimeout = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan AssignmentTimeout = TimeSpan.FromSeconds(10);
    static readonly TimeSpan HaltedEvery = TimeSpan.FromSeconds(5);
    static readonly TimeSpan ChecksEvery = TimeSpan.FromSeconds(1);

    /// <summary>Far below <c>max.poll.interval.ms</c>, after which the group takes the partitions away.</summary>
    static readonly TimeSpan PollAtLeastEvery = TimeSpan.FromSeconds(10);

    /// <summary>How long a fenced process listens to its group before it claims again: the group may know better.</summary>
    static readonly TimeSpan FencedPause = TimeSpan.FromSeconds(3);

    /// <summary>More waits of the barrier than this, in one batch, are worth a line once a minute.</summary>
    const int MaxBarrierWaits = 8;
    static readonly TimeSpan BarrierLogEvery = TimeSpan.FromMinutes(1);

    readonly string _group;
    readonly string[] _topics;
    readonly IRecordSourceFactory _sources;
    readonly PartitionTable _table;
    readonly BatchRunner _runner;
    readonly CrashPoints _crash;
    readonly ConsumerBoard _board;
    readonly ConsumingMetrics _metrics;
    readonly PartitionerCheck _partitioner;
    readonly IBackPressure? _backPressure;
    readonly IReadOnlyList<IRestoreHook> _restoreHooks;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly CancellationTokenSource _stop = new();
    readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly HashSet<string> _soloTypes = new(StringComparer.Ordinal);
    readonly HashSet<TopicPartition> _paused = [];
    IRecordSource _source = null!;
    bool _rebuild;
    bool _pauseAll;
    bool _pausesChanged;
    bool _braked;
    int _failures;
    int _hookFailures;
    long _polledAt;
    long _checkedAt;
    long _haltedCheckedAt;
    long _hookAt;
    long _barrierLoggedAt;

    public ConsumerLoop(
        string group,
        string[] topics,
        IRecordSourceFactory sources,
        OffsetStore offsets,
        BatchRunner runner,
        CrashPoints crash,
        ConsumerBoard board,
        ConsumingMetrics metrics,
        IBackPressure? backPressure,
        IReadOnlyList<IRestoreHook> restoreHooks,
        int partitionCount,
        TimeProvider time,
        ILogger logger
    )
    {
        _group = group;
        _topics = topics;
        _sources = sources;
        _table = new(
            offsets,
            group,
            partitionCount,
            gap => metrics.Gap(group, gap.Partition.Topic, gap.Reason),
            logger
        );
        _runner = runner;
        _crash = crash;
        _board = board;
        _metrics = metrics;
        _partitioner = new(partitionCount, logger);
        _backPressure = backPressure;
        _restoreHooks = restoreHooks;
        _time = time;
        _logger = logger;
        board.Partitions(partitionCount);
        board.Report(group, s => s);
    }

    /// <summary>Begins; the task ends when the loop has stopped.</summary>
    public Task Start()
    {
        var thread = new Thread(Run) { IsBackground = true, Name = $"kafka {_group}" };
        // Not under the caller's activity: a batch belongs to no trace.
        thread.UnsafeStart();
        return _ended.Task;
    }

    /// <summary>The batch in hand ends within its own budget, and commits or rolls back; then the group is left.</summary>
    public void RequestStop()
    {
        if (!_ended.Task.IsCompleted)
            _stop.Cancel();
    }

    /// <summary>Only after the loop has ended.</summary>
    public void Dispose() => _stop.Dispose();

    /// <summary>Records of a batch at most.</summary>
    public int BatchRecords { get; init; } = MaxRecords;

    bool IsStopping => _stop.IsCancellationRequested;

    void Run()
    {
        try
        {
            while (!IsStopping)
            {
                try
                {
                    RunConsumer();
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    var code = e is KafkaException kafka ? kafka.Error.Code.ToString() : e.GetType().Name;
                    if (e is KafkaException { Error.IsFatal: true })
                        _board.Report(_group, s => s with { FatalCode = code });
                    var delay = Backoff(_failures++);
                    _logger.ConsumerFailed(_group, code, (int)delay.TotalMilliseconds);
                    _stop.Token.WaitHandle.WaitOne(delay);
                }
            }
        }
        finally
        {
            _ended.TrySetResult();
        }
    }

    void RunConsumer()
    {
        _rebuild = false;
        _paused.Clear();
        _table.Clear();
        using var source = _sources.Create(_group, _topics, this);
        _source = source;
        try
        {
            while (!IsStopping && !_rebuild)
            {
                Housekeep();
                if (_braked)
                {
                    // Still a member, so that nobody else's release meets the same records; but nothing moves.
                    PollFor(PollTimeout);
                    continue;
                }

                var records = Collect();
                if (records.Count == 0)
                    continue;
                Crash("after-collect");
                Process(records);
            }
        }
        finally
        {
            source.Close();
            _table.Clear();
            Publish();
        }

        if (!_rebuild || IsStopping)
            return;

        _stop.Token.WaitHandle.WaitOne(Backoff(_failures++));
    }

    void Crash(string point) => _crash.Pass(point).AsTask().GetAwaiter().GetResult();

    // ---- collecting ----

    /// <summary>What is there, without lingering: while a batch commits, the next one grows by itself.</summary>
    List<ConsumedRecord> Collect()
    {
        var records = new List<ConsumedRecord>();
        var bytes = 0L;
        var wait = PollTimeout;
        var began = 0L;
        while (records.Count < BatchRecords && bytes < MaxBytes)
        {
            if (Poll(wait) is not { } record)
                break;
            if (began == 0)
                began = _metrics.Now;
            records.Add(record);
            bytes += record.Bytes;
            wait = TimeSpan.Zero;
        }

        if (began != 0)
            _metrics.Phase(_group, "collect", began);

        return records;
    }

    /// <summary>One look at Kafka. A rebalance may happen inside; the record is tagged with the claim in force.</summary>
    ConsumedRecord? Poll(TimeSpan timeout)
    {
        SourceRecord? record;
        try
        {
            var began = _metrics.Now;
            record = _source.Consume(timeout);
            if (record is not null && timeout > TimeSpan.Zero)
                _metrics.Polled(_group, began);
        }
        catch (ConsumeException e)
        {
            OnConsumeFault(e);
            record = null;
        }

        _polledAt = _time.GetTimestamp();
        if (timeout > TimeSpan.Zero)
            _board.Polled(_group);
        if (_pausesChanged)
            ApplyPauses();
        if (record is null)
            return null;

        var epoch = _table.Find(record.Partition) is { Phase: PartitionPhase.Claimed, Epoch: var claimed }
            ? claimed
            : 0;
        var consumed = new ConsumedRecord(
            record.Partition,
            record.Offset,
            record.Key,
            record.Value,
            record.Headers,
            record.Timestamp,
            epoch
        );
        if (_partitioner.Look(consumed))
            _board.Report(_group, s => s with { Mismatched = [.. _partitioner.Mismatched] });
        return consumed;
    }

    /// <summary>Polls for a while without taking anything in: the group must not think that this member is gone.</summary>
    void PollFor(TimeSpan duration)
    {
        var began = _time.GetTimestamp();
        PollWhile(() => duration - _time.GetElapsedTime(began));
    }

    /// <summary>
    /// All partitions are paused meanwhile. What comes all the same, of a partition that was assigned a moment ago, goes
    /// back: it belongs to no batch, and nobody would count how many there are.
    /// </summary>
    /// <param name="left">How much longer; not positive ends it.</param>
    void PollWhile(Func<TimeSpan> left)
    {
        if (left() <= TimeSpan.Zero)
            return;

        var paused = _pauseAll;
        _pauseAll = true;
        ApplyPauses();
        try
        {
            while (!IsStopping && !_rebuild && left() is var rest && rest > TimeSpan.Zero)
            {
                if (
                    Poll(rest < PollTimeout ? rest : PollTimeout) is { } record
                    && _table.Find(record.Partition) is { Phase: PartitionPhase.Claimed }
                )
                    _source.Seek(new(record.Partition, record.Offset));
            }
        }
        finally
        {
            _pauseAll = paused;
            ApplyPauses();
        }
    }

    void OnConsumeFault(ConsumeException fault)
    {
        var partition = fault.ConsumerRecord?.TopicPartition;
        switch (fault.Error)
        {
            case { IsFatal: true }:
                throw fault;
            // Retention while running: the same table as at an assignment, then a seek, which is legal here.
            case { Code: ErrorCode.Local_AutoOffsetReset } when partition is not null:
                ClaimAndSeek([partition]);
                break;
            // Never skip what cannot be read: an operator decides.
            case { Code: ErrorCode.Local_BadMsg or ErrorCode.InvalidMsg or ErrorCode.Local_BadCompression }
                when partition is not null && _table.Find(partition) is { } state:
                _logger.PartitionCorrupt(
                    partition.Topic,
                    partition.Partition.Value,
                    fault.ConsumerRecord!.Offset.Value,
                    fault.Error.Code.ToString()
                );
                _table.Halt(partition, state.Epoch, "the broker's data is corrupt");
                Publish();
                break;
            default:
                _logger.ConsumerReports(_group, fault.Error.Code.ToString());
                break;
        }
    }

    // ---- running ----

    /// <summary>
    /// Runs the records until all of them are committed, dead-lettered, or no longer ours. Whichever way it ends, the one
    /// place below gives back what is left.
    /// </summary>
    void Process(List<ConsumedRecord> records)
    {
        var pending = Owned(records);
        try
        {
            Run(ref pending);
        }
        finally
        {
            // A consumer that is thrown away takes its position along; the next one starts at the stored offsets.
            if (!_rebuild && !IsStopping)
                GiveBack(pending);
        }
    }

    /// <summary>Whatever of these is still claimed is consumed again, from the stored offset on.</summary>
    void GiveBack(List<ConsumedRecord> records)
    {
        foreach (var partition in records.Select(r => r.Partition).Distinct())
        {
            if (_table.Find(partition) is { Phase: PartitionPhase.Claimed, Next: var next })
                _source.Seek(new(partition, next));
        }
    }

    /// <param name="pending">The records in hand: what has neither been committed nor lost its claim.</param>
    void Run(ref List<ConsumedRecord> pending)
    {
        var tries = 0;
        var waits = 0;
        var timeouts = 0;
        // Records that have to go one by one: all that are pending, until the culprit is found, or to the end.
        var solo = Solo.None;
        // Alone and failing again: the next transaction writes this instead of handling the record.
        DeadLetter? verdict = null;
        while (pending.Count > 0 && !_rebuild)
        {
            // One by one, slow records can take longer than the group waits for a member that does not poll.
            if (verdict is null && !IsStopping && _time.GetElapsedTime(_polledAt) > PollAtLeastEvery)
            {
                PollFor(PollTimeout);
                pending = Owned(pending);
                continue;
            }

            var chunk = solo is Solo.None ? pending : [pending[0]];
            var advances = Advances(chunk);
            var judged = verdict is not null;
            var result = _runner
                .Run(_table.ClusterId, chunk, advances, solo is not Solo.None, verdict)
                .GetAwaiter()
                .GetResult();
            verdict = null;
            if (result.IsCommitted)
            {
                if (!judged)
                    _metrics.Committed(_group, chunk, solo is not Solo.None);
                Applied(advances, result);
                pending = pending[chunk.Count..];
                tries = waits = timeouts = _failures = 0;
                if (judged && solo is Solo.UntilCulprit)
                    solo = Solo.None;
                continue;
            }

            var cause = Cause(result);
            _metrics.Failed(_group, result.Class!.Value);
            if (IsStopping && result.Class is not FailureClass.Unknown)
                return;

            switch (result.Class)
            {
                case FailureClass.Fenced:
                    _logger.Fenced(_group, pending.Count);
                    RejoinAfterFence(advances);
                    return;
                case FailureClass.Unknown:
                    pending = AskOutcome(pending, advances, cause);
                    continue;
                case FailureClass.Brake:
                    Brake((BrakeException)result.Failure!);
                    return;
                // The verdict could not be written. The record stays pending: it is run again, and judged again.
                case not null when judged:
                    Wait(cause, 1, waits++);
                    break;
                case FailureClass.Transient when tries < RetryDelays.Length:
                    _logger.BatchRetried(_group, chunk.Count, cause, tries + 1);
                    PollFor(RetryDelays[tries++]);
                    break;
                case FailureClass.Transient
                or FailureClass.HandlerTimeout
                or FailureClass.Deterministic when solo is Solo.None:
                    solo = result.Class is FailureClass.Transient ? Solo.All : Solo.UntilCulprit;
                    tries = 0;
                    _logger.Solo(_group, pending.Count, cause);
                    break;
                // A process that was stopped for a while finds its budget spent as well: only a second time is a verdict.
                case FailureClass.HandlerTimeout when ++timeouts < 2:
                    _logger.BatchRetried(_group, chunk.Count, cause, timeouts);
                    break;
                case FailureClass.Transient or FailureClass.Unavailable:
                    Wait(cause, pending.Count, waits++);
                    break;
                case FailureClass.NeedsSolo:
                    solo = Solo.All;
                    WarnSolo(result.Failure!);
                    break;
                default:
                    verdict = Verdict(chunk[0], result);
                    continue;
            }

            pending = Owned(pending);
        }
    }

    static DeadLetter Verdict(ConsumedRecord record, BatchResult failed)
    {
        var type = record.Headers.Text(Wire.CloudEventNames.Type);
        return failed.Class is FailureClass.HandlerTimeout
            ? DeadLetter.Timeout(record, type, BatchRunner.Budget)
            : DeadLetter.Commit(record, type, failed.Failure!);
    }

    List<ConsumedRecord> Owned(List<ConsumedRecord> records)
    {
        var owned = new List<ConsumedRecord>(records.Count);
        foreach (var record in records)
        {
            if (
                _table.Find(record.Partition) is not { Phase: PartitionPhase.Claimed } state
                || state.Epoch != record.Epoch
            )
                _metrics.Dropped(_group, "epoch");
            else if (record.Offset < state.Next)
                _metrics.Dropped(_group, "below-offset");
            else
                owned.Add(record);
        }

        return owned;
    }

    List<OffsetAdvance> Advances(List<ConsumedRecord> records)
    {
        var last = new Dictionary<TopicPartition, long>();
        foreach (var record in records)
            last[record.Partition] = record.Offset + 1;
        return
        [
            .. last.OrderBy(p => p.Key.Topic, StringComparer.Ordinal)
                .ThenBy(p => p.Key.Partition.Value)
                .Select(p =>
                {
                    var state = _table.Find(p.Key)!.Value;
                    return new OffsetAdvance(p.Key, state.Epoch, state.Next, p.Value);
                }),
        ];
    }

    void Applied(IReadOnlyList<OffsetAdvance> advances, BatchResult result)
    {
        foreach (var advance in advances)
        {
            _table.Advance(advance);
            _source.Store(new(advance.Partition, advance.To));
        }

        Crash("after-store-offset");

        foreach (var letter in result.DeadLetters)
        {
            // In the trace that the record came with; the log line gets its id from it.
            using var span = BatchTrace.DeadLettered(letter.Record.Headers, letter.Code);
            ConsumingMetrics.DeadLettered(_group, letter);
            _logger.DeadLettered(
                letter.Code,
                letter.Record.Topic,
                letter.Record.Partition.Partition.Value,
                letter.Record.Offset,
                letter.TypeName,
                letter.Reason
            );
        }

        if (result.PatienceEnded > MaxBarrierWaits && _time.GetElapsedTime(_barrierLoggedAt) > BarrierLogEvery)
        {
            _barrierLoggedAt = _time.GetTimestamp();
            _logger.BarrierWaits(_group, result.PatienceEnded);
        }
    }

    /// <summary>PostgreSQL does not answer: paused and polling, so that the group keeps this member and its batch.</summary>
    void Wait(string cause, int records, int waits)
    {
        var delay = Backoff(waits);
        _logger.BatchWaits(_group, cause, records, (int)delay.TotalMilliseconds);
        PollFor(delay);
    }

    /// <summary>The row tells whether the commit happened. Running again first would report one's own success as fencing.</summary>
    List<ConsumedRecord> AskOutcome(List<ConsumedRecord> pending, IReadOnlyList<OffsetAdvance> advances, string cause)
    {
        for (var waits = 0; ; waits++)
        {
            var held = advances
                .Select(a => a.Partition)
                .Where(p => _table.Find(p) is { Phase: PartitionPhase.Claimed })
                .ToList();
            if (held.Count == 0)
                return Owned(pending);
            try
            {
                var claims = _table.ClaimAgain(held, AssignmentTimeout).ToDictionary(c => c.Partition);
                // Neither committed nor as it was: somebody else moved the row, or the database went back. What is in hand
                // says nothing of what comes next; the row is judged as at an assignment.
                var moved = claims
                    .Values.Where(c =>
                        advances.First(a => a.Partition == c.Partition) is var a
                        && c.NextOffset != a.From
                        && c.NextOffset != a.To
                    )
                    .Select(c => c.Partition)
                    .ToList();
                foreach (var partition in moved)
                    claims.Remove(partition);
                ClaimAndSeek(moved);
                foreach (var claim in claims.Values)
                    _source.Store(new(claim.Partition, claim.NextOffset));
                // The records were consumed under the claim before; it is still this process that holds the partition.
                var tagged = pending
                    .Select(r =>
                        claims.TryGetValue(r.Partition, out var claim)
                        && advances.Any(a => a.Partition == r.Partition && a.Epoch == r.Epoch)
                            ? r with
                            {
                                Epoch = claim.Epoch,
                            }
                            : r
                    )
                    .ToList();
                return Owned(tagged);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                if (IsStopping)
                    return [];
                Wait(cause, pending.Count, waits);
            }
        }
    }

    /// <summary>
    /// Another process claimed. Perhaps the group has already given it the partitions and this member has not heard, so it
    /// listens first; two owners that claim at once would take turns.
    /// </summary>
    void RejoinAfterFence(IReadOnlyList<OffsetAdvance> advances)
    {
        foreach (var advance in advances)
            _table.Unclaim(advance.Partition);
        Publish();
        ApplyPauses();
        PollFor(FencedPause);
        ClaimAndSeek([.. _table.Unclaimed]);
    }

    void ClaimAndSeek(IReadOnlyList<TopicPartition> partitions)
    {
        if (partitions.Count == 0)
            return;

        try
        {
            var told = new List<TopicPartitionOffset>();
            foreach (var start in _table.Claim(partitions, _source.Cluster, AssignmentTimeout))
            {
                if (_table.Find(start.TopicPartition) is not { Phase: PartitionPhase.Claimed, IsRestoring: var waits })
                    continue;
                _source.Seek(start);
                if (!waits)
                    told.Add(start);
            }

            // An operator may have sent the partition back. Once the next batch has moved the row, Kafka's older and higher
            // offset would look as if the database had been restored.
            _source.Commit(told);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            _logger.ClaimFailed(e, _group, (int)Backoff(_failures).TotalMilliseconds);
            _rebuild = true;
        }

        Publish();
        ApplyPauses();
    }

    void Brake(BrakeException brake)
    {
        _braked = true;
        _logger.Braked(_group, brake.Count, brake.ReasonCode);
        _board.Report(_group, s => s with { Brake = $"dead letters for one reason: {brake.ReasonCode}" });
        ApplyPauses();
    }

    void WarnSolo(Exception failure)
    {
        for (var current = failure; current is not null; current = current.InnerException!)
        {
            if (current is not NeedsSoloException needs)
                continue;
            if (_soloTypes.Add(needs.MessageType))
                _logger.NeedsSolo(needs.MessageType, needs.Message);
            return;
        }
    }

    static string Cause(BatchResult result) =>
        result.Failure switch
        {
            Npgsql.PostgresException postgres => postgres.SqlState,
            StaleSagaException => Failures.Stale,
            { } other => other.GetType().Name,
            null => "",
        };

    /// <summary>0.1 to 5 s.</summary>
    static TimeSpan Backoff(int failures) =>
        TimeSpan.FromMilliseconds(Math.Min(5_000, 100 * Math.Pow(2, Math.Min(failures, 10))));

    // ---- keeping house ----

    void Housekeep()
    {
        if (_time.GetElapsedTime(_checkedAt) < ChecksEvery)
            return;

        _checkedAt = _time.GetTimestamp();
        var paused = _pauseAll;
        _pauseAll = _backPressure?.IsOn ?? false;
        if (paused != _pauseAll)
            ApplyPauses();
        // What the client holds and what is claimed must be the same; a handler that failed leaves them different.
        if (!_source.Assignment.ToHashSet().SetEquals(_table.States.Keys))
        {
            _rebuild = true;
            return;
        }

        RunRestoreHook();
        ResumeHalted();
    }

    void RunRestoreHook()
    {
        var restoring = _table.Restoring;
        if (restoring.Count == 0 || (_hookFailures > 0 && _time.GetElapsedTime(_hookAt) < Backoff(_hookFailures)))
            return;

        if (_hookFailures == 0)
            _logger.RestoreHookBegins(_group, restoring.Count);
        try
        {
            var hooks = Task.Run(async () =>
            {
                foreach (var hook in _restoreHooks)
                    await hook.Restored(_stop.Token);
            });
            PollWhile(() => hooks.IsCompleted ? TimeSpan.Zero : PollTimeout);
            hooks.GetAwaiter().GetResult();
            _hookFailures = 0;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            if (IsStopping)
                return;
            _hookAt = _time.GetTimestamp();
            _hookFailures++;
            _logger.RestoreHookFailed(e, (int)Backoff(_hookFailures).TotalMilliseconds);
            return;
        }

        // Kafka is told where the group really stands, so that the same restore is found once.
        var held = restoring
            .Where(p => _table.Find(p) is { IsRestoring: true })
            .Select(p => new TopicPartitionOffset(p, _table.Find(p)!.Value.Next))
            .ToList();
        _source.Commit(held);
        foreach (var position in held)
            _table.Restored(position.TopicPartition);
        _logger.RestoreHookDone(_group, held.Count);
        Publish();
        ApplyPauses();
    }

    void ResumeHalted()
    {
        if (_time.GetElapsedTime(_haltedCheckedAt) < HaltedEvery)
            return;

        _haltedCheckedAt = _time.GetTimestamp();
        IReadOnlyList<TopicPartition> resumed;
        try
        {
            resumed = _table.Resumed(AssignmentTimeout);
        }
        catch (Exception e) when (e is Npgsql.NpgsqlException or OperationCanceledException)
        {
            return;
        }

        if (resumed.Count == 0)
            return;

        foreach (var partition in resumed)
            _logger.PartitionResumed(partition.Topic, partition.Partition.Value);
        ClaimAndSeek(resumed);
    }

    /// <summary>Pausing is forgotten at a reassignment: what should be paused is compared with what was, and repeated.</summary>
    void ApplyPauses()
    {
        _pausesChanged = false;
        var wanted = _table
            .States.Where(s =>
                _pauseAll || _braked || s.Value.Phase is not PartitionPhase.Claimed || s.Value.IsRestoring
            )
            .Select(s => s.Key)
            .ToHashSet();
        if (wanted.SetEquals(_paused))
            return;

        try
        {
            var resume = _paused.Where(p => !wanted.Contains(p) && _table.States.ContainsKey(p)).ToList();
            var pause = wanted.Where(p => !_paused.Contains(p)).ToList();
            if (pause.Count > 0)
                _source.Pause(pause);
            if (resume.Count > 0)
                _source.Resume(resume);
            _paused.Clear();
            _paused.UnionWith(wanted);
        }
        catch (KafkaException e)
        {
            _logger.ConsumerReports(_group, e.Error.Code.ToString());
            _rebuild = true;
        }
    }

    void Publish()
    {
        _pausesChanged = true;
        var states = _table.States;
        var halted = states
            .Where(s => s.Value.Phase is PartitionPhase.Halted)
            .Select(s => $"{s.Key.Topic}[{s.Key.Partition.Value}]: {s.Value.Reason}")
            .ToImmutableArray();
        var claimed = states.Where(s => s.Value.Phase is PartitionPhase.Claimed).Select(s => s.Key).ToImmutableArray();
        _board.Report(_group, s => s with { Halted = halted, Claimed = claimed });
        if (states.Count > 0)
            _board.Entered(
                _group,
                states.Any(s => s.Value.Phase is PartitionPhase.Unclaimed) ? ConsumerPhase.Assigned
                    // Whoever waits for the claim waits for the restored database that it found, too.
                    : states.Any(s => s.Value.IsRestoring) ? ConsumerPhase.Restoring
                    : ConsumerPhase.Claimed
            );
    }

    // ---- rebalances, on this very thread ----

    public IReadOnlyList<TopicPartitionOffset> Assigned(IReadOnlyList<TopicPartition> partitions, IClusterView cluster)
    {
        try
        {
            _logger.Assigned(_group, partitions.Count);
            Crash("in-assigned");
            _paused.ExceptWith(partitions);
            if (partitions.Count == 0)
            {
                _board.Entered(_group, ConsumerPhase.Idle);
                return [];
            }

            _board.Entered(_group, ConsumerPhase.Assigned);
            var starts = _table.Claim(partitions, cluster, AssignmentTimeout);
            _failures = 0;
            _logger.ClaimedAll(
                _group,
                starts.Count,
                _table.ClusterId,
                partitions.Count(p => _table.Find(p) is { Phase: PartitionPhase.Claimed, Epoch: 1 })
            );
            return starts;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // An exception that leaves the handler comes out of Consume, and then the consumer owns nothing, silently.
            _logger.ClaimFailed(e, _group, (int)Backoff(_failures).TotalMilliseconds);
            _rebuild = true;
            return [.. partitions.Select(p => new TopicPartitionOffset(p, Offset.End))];
        }
        finally
        {
            Publish();
        }
    }

    public void Revoked(IReadOnlyList<TopicPartition> partitions)
    {
        _logger.Revoked(_group, partitions.Count);
        Crash("in-revoked");
        Forget(partitions);
    }

    public void Lost(IReadOnlyList<TopicPartition> partitions)
    {
        _logger.Lost(_group, partitions.Count);
        Forget(partitions);
    }

    public void Statistics(string json)
    {
        var now = _time.GetUtcNow();
        var before = _board.Loops.FirstOrDefault(l => l.Group == _group).State?.Lags ?? [];
        var lags = new List<PartitionLag>();
        foreach (var (partition, end) in ConsumingMetrics.LogEnds(json))
        {
            if (_table.Find(partition) is not { Phase: PartitionPhase.Claimed } state)
                continue;
            var records = Math.Max(0, end - state.Next);
            var known = before.FirstOrDefault(l => l.Partition == partition)?.BehindSince;
            lags.Add(new(partition, records, records == 0 ? null : known ?? now));
        }

        _board.Report(_group, s => s with { Lags = [.. lags] });
    }

    public void Failed(Error error)
    {
        _logger.ConsumerReports(_group, error.Code.ToString());
        if (error.IsFatal)
        {
            _board.Report(_group, s => s with { FatalCode = error.Code.ToString() });
            _rebuild = true;
        }
    }

    void Forget(IReadOnlyList<TopicPartition> partitions)
    {
        _paused.ExceptWith(partitions);
        _table.Remove(partitions);
        Publish();
    }

    enum Solo
    {
        None,

        /// <summary>Once the culprit is dead-lettered, the rest goes back to batch mode.</summary>
        UntilCulprit,
        All,
    }
}

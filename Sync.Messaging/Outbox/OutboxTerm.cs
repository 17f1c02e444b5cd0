using Confluent.Kafka;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using Sync.Messaging.Batching;
using Sync.Messaging.Hosting;
using Sync.Messaging.Kafka;

namespace Sync.Messaging.Outbox;

/// <summary>What delivering needs.</summary>
sealed record DeliveryParts(
    NpgsqlDataSource Database,
    OutboxSql Sql,
    OutboxSignal Signal,
    KafkaClients Clients,
    KafkaCluster Cluster,
    OutgoingDeadLetters DeadLetters,
    ProcessIdentity Identity,
    DeliveryMetrics Metrics,
    HealthBoard Board,
    CrashPoints Crash,
    TimeProvider Time,
    ILogger<OutboxDeliverer> Logger
);

/// <summary>One holding of the lease. All that is known about sent rows is forgotten with it.</summary>
sealed class OutboxTerm(DeliveryParts parts, OutboxLease lease) : IAsyncDisposable
{
    static readonly TimeSpan SettleBudget = TimeSpan.FromSeconds(10);
    static readonly TimeSpan Busy = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan Idle = TimeSpan.FromMilliseconds(500);
    static readonly TimeSpan TopicRetry = TimeSpan.FromSeconds(5);
    readonly OutboxCursor _cursor = new(parts.Time);
    readonly HashSet<string> _known = new(StringComparer.Ordinal);
    readonly Dictionary<string, StoppedTopic> _stopped = new(StringComparer.Ordinal);

    // Acknowledged, and perhaps not deleted: whatever a failed delete left behind must not be sent again.
    readonly List<OutboxRow> _acknowledged = [];
    readonly List<(OutboxRow Row, string Code)> _refused = [];
    OutboxProducer _producer = new(parts.Clients, parts.Identity.Source);

    public async Task Run(CancellationToken stop, CancellationToken hands)
    {
        var pause = Busy;
        var backoff = new DeliveryBackoff(parts);
        while (!stop.IsCancellationRequested && !hands.IsCancellationRequested)
        {
            try
            {
                if (lease.Left < OutboxLease.SafeToSend)
                {
                    await Task.Delay(Busy, parts.Time, hands);
                    continue;
                }

                var worked = await Round(stop, hands);
                backoff.Reset();
                if (worked)
                    pause = Busy;
                else if (await parts.Signal.Wait(pause, stop))
                    pause = Busy;
                else
                    pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, Idle.Ticks));
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested || hands.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                await backoff.Wait(e, hands);
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _producer.Dispose();
        foreach (var topic in _stopped.Keys)
            parts.Board.Set($"topic-stopped:{topic}", null);
        return ValueTask.CompletedTask;
    }

    /// <summary>One look, one sending, one delete. False when there was nothing to send.</summary>
    async Task<bool> Round(CancellationToken stop, CancellationToken hands)
    {
        await Settle();
        RetryTopics();
        var rows = await Read(stop);
        ResumeEmptyTopics(rows);
        await parts.Crash.Pass("outbox-after-read");
        rows = await WithoutUnknownTopics(rows, stop);
        if (rows.Count == 0)
            return false;

        var began = parts.Time.GetTimestamp();
        var results = await _producer.Send(rows, hands);
        await parts.Crash.Pass("outbox-after-produce");
        Judge(rows, results, parts.Time.GetElapsedTime(began));
        if (_producer.Fatal.IsCompleted)
        {
            parts.Logger.ProducerRebuilt(await _producer.Fatal);
            _producer.Dispose();
            _producer = new(parts.Clients, parts.Identity.Source);
        }

        await Settle();
        return true;
    }

    async Task<List<OutboxRow>> Read(CancellationToken cancellationToken)
    {
        await using var command = parts.Database.CreateCommand(parts.Sql.Select);
        command.Parameters.Add(new() { Value = _cursor.Next() });
        command.Parameters.Add(
            new()
            {
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
                Value = _stopped.Values.Where(t => !t.Trying).Select(t => t.Topic).ToArray(),
            }
        );
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<OutboxRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var row = new OutboxRow(
                reader.GetInt64(0),
                reader.GetString(1),
                reader.GetFieldValue<byte[]>(2),
                reader.GetFieldValue<byte[]>(3),
                reader.GetFieldValue<byte[]>(4),
                reader.GetDouble(5)
            );
            _cursor.Saw(row.Id);
            rows.Add(row);
        }

        return rows;
    }

    /// <summary>
    /// A topic that does not exist would hold a whole round until the client gives up on it, and a broker may create it
    /// with whatever partitions it likes: the first row of a topic looks before it sends.
    /// </summary>
    async Task<List<OutboxRow>> WithoutUnknownTopics(List<OutboxRow> rows, CancellationToken cancellationToken)
    {
        if (rows.TrueForAll(r => _known.Contains(r.Topic)))
            return rows;
        var metadata = await parts.Cluster.Metadata(cancellationToken);
        foreach (var topic in metadata.Topics.Where(t => t.Error.Code == ErrorCode.NoError))
            _known.Add(topic.Topic);
        foreach (var topic in rows.Select(r => r.Topic).Distinct().Where(t => !_known.Contains(t)))
            Stop(topic, nameof(ErrorCode.UnknownTopicOrPart));
        return rows.FindAll(r => _known.Contains(r.Topic));
    }

    void Judge(List<OutboxRow> rows, RowResult[] results, TimeSpan took)
    {
        var unknown = 0;
        for (var i = 0; i < rows.Count; i++)
        {
            switch (results[i].Outcome)
            {
                case RowOutcome.Acknowledged:
                    _acknowledged.Add(rows[i]);
                    parts.Metrics.Delivered(rows[i].AgeSeconds + took.TotalSeconds);
                    break;
                case RowOutcome.Refused:
                    _refused.Add((rows[i], results[i].Code));
                    break;
                case RowOutcome.TopicStopped:
                    Stop(rows[i].Topic, results[i].Code);
                    break;
                default:
                    // What never left the queue, or was never given to it, has no first copy.
                    if (results[i].Code is not (null or nameof(ErrorCode.Local_PurgeQueue)))
                        unknown++;
                    _cursor.ScanAll();
                    break;
            }
        }

        parts.Metrics.Round(took);
        parts.Metrics.SentAgain(unknown);
        foreach (var sent in rows.Zip(results).GroupBy(r => (r.First.Topic, r.Second.Code)))
            parts.Metrics.Sent(
                sent.Key.Topic,
                sent.Count(),
                sent.Key.Code is "" ? null : sent.Key.Code ?? OutboxProducer.NotSent
            );
        foreach (var topic in _stopped.Values.Where(t => t.Trying).ToList())
        {
            if (_acknowledged.Exists(r => r.Topic == topic.Topic))
                Resume(topic.Topic);
        }
    }

    /// <summary>Deletes what has left, and keeps what never can, in one transaction.</summary>
    /// <remarks>Neither a stop nor a lost lease ends it: these rows have left, whoever sends now.</remarks>
    async Task Settle()
    {
        if (_acknowledged.Count + _refused.Count == 0)
            return;
        await parts.Crash.Pass("outbox-before-delete");
        using var budget = new CancellationTokenSource(SettleBudget, parts.Time);
        var cancellationToken = budget.Token;
        var clusterId = _refused.Count == 0 ? "" : await parts.Cluster.Id(cancellationToken);
        await using var connection = await parts.Database.OpenConnectionAsync(cancellationToken);
        await using var transaction =
            _refused.Count == 0 ? null : await connection.BeginTransactionAsync(cancellationToken);
        foreach (var (row, code) in _refused)
            await parts.DeadLetters.Write(connection, clusterId, row, code, cancellationToken);
        await using var delete = new NpgsqlCommand(parts.Sql.Delete, connection);
        delete.Parameters.Add(
            new()
            {
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint,
                Value = _acknowledged.Concat(_refused.Select(r => r.Row)).Select(r => r.Id).ToArray(),
            }
        );
        await delete.ExecuteNonQueryAsync(cancellationToken);
        if (transaction is not null)
            await transaction.CommitAsync(cancellationToken);
        await parts.Crash.Pass("outbox-after-delete");

        foreach (var (row, code) in _refused)
        {
            var reason = OutgoingDeadLetters.ReasonCode(code);
            using var span = BatchTrace.DeadLettered(OutgoingDeadLetters.Headers(row), reason);
            parts.Logger.RowRefused(row.Id, row.Topic, code, parts.DeadLetters.Id(clusterId, row));
            DeliveryMetrics.DeadLetter(reason);
        }

        _acknowledged.Clear();
        _refused.Clear();
    }

    void Stop(string topic, string code)
    {
        if (!_stopped.ContainsKey(topic))
        {
            parts.Logger.TopicStopped(topic, code);
            parts.Board.Set($"topic-stopped:{topic}", $"Kafka takes nothing for {topic} ({code}); its rows wait");
        }

        _known.Remove(topic);
        _stopped[topic] = new(topic, parts.Time.GetTimestamp(), Trying: false);
    }

    void RetryTopics()
    {
        foreach (var topic in _stopped.Values.Where(t => !t.Trying).ToList())
        {
            if (parts.Time.GetElapsedTime(topic.Since) < TopicRetry)
                continue;
            _stopped[topic.Topic] = topic with { Trying = true };
            _cursor.ScanAll();
        }
    }

    /// <summary>Somebody else removed what waited.</summary>
    void ResumeEmptyTopics(List<OutboxRow> rows)
    {
        if (rows.Count >= OutboxSql.MaxRows)
            return;
        foreach (var topic in _stopped.Values.Where(t => t.Trying && !rows.Exists(r => r.Topic == t.Topic)).ToList())
            Resume(topic.Topic);
    }

    void Resume(string topic)
    {
        _stopped.Remove(topic);
        parts.Board.Set($"topic-stopped:{topic}", null);
        parts.Logger.TopicResumed(topic);
    }
}

/// <summary>From 100 ms to 5 s; a long outage is logged at its beginning and once a minute.</summary>
sealed class DeliveryBackoff(DeliveryParts parts)
{
    static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan Last = TimeSpan.FromSeconds(5);
    static readonly TimeSpan LogAgain = TimeSpan.FromMinutes(1);
    TimeSpan _delay = First;
    long? _logged;

    public void Reset()
    {
        _delay = First;
        _logged = null;
    }

    public async Task Wait(Exception failure, CancellationToken cancellationToken)
    {
        if (_logged is not { } logged || parts.Time.GetElapsedTime(logged) > LogAgain)
        {
            parts.Logger.DeliveryFailed(failure, (int)_delay.TotalMilliseconds);
            _logged = parts.Time.GetTimestamp();
        }

        await Task.Delay(_delay, parts.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _delay = TimeSpan.FromTicks(Math.Min(_delay.Ticks * 2, Last.Ticks));
    }
}

sealed record StoppedTopic(string Topic, long Since, bool Trying);

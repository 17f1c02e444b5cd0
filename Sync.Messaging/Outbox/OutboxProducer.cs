using Confluent.Kafka;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>Gives rows to Kafka, in order, and says what became of each.</summary>
sealed class OutboxProducer : IDisposable
{
    // How long purged messages may take to report, and a stop to flush.
    static readonly TimeSpan PurgeTimeout = TimeSpan.FromSeconds(5);
    readonly IProducer<byte[], byte[]> _producer;
    readonly TaskCompletionSource<string> _fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public OutboxProducer(KafkaClients clients)
    {
        _producer = new ProducerBuilder<byte[], byte[]>(clients.Producer())
            .SetLogHandler(clients.Log)
            .SetErrorHandler(
                (_, error) =>
                {
                    if (error.IsFatal)
                        _fatal.TrySetResult(error.Code.ToString());
                }
            )
            .Build();
    }

    /// <summary>Ends with the code of the error after which this producer can do nothing any more.</summary>
    public Task<string> Fatal => _fatal.Task;

    /// <summary>
    /// Produces all rows and waits for all reports. When the token ends or the producer fails for good, what has no report
    /// yet stays <see cref="RowOutcome.Unknown"/>.
    /// </summary>
    public async Task<RowResult[]> Send(IReadOnlyList<OutboxRow> rows, CancellationToken cancellationToken)
    {
        var round = new Round(rows.Count);
        using var ended = new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ended.Token, cancellationToken);
        var stop = Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, either.Token);
        try
        {
            for (var i = 0; i < rows.Count; i++)
            {
                if (!await Produce(rows[i], i, round, stop))
                {
                    round.Abandon(i);
                    break;
                }
            }

            await Task.WhenAny(round.Done, _fatal.Task, stop);
            if (!round.Done.IsCompleted)
                await Purge(round);
            return round.Results();
        }
        finally
        {
            await ended.CancelAsync();
        }
    }

    /// <summary>Nothing of what was given to it leaves any more.</summary>
    public void Dispose() => _producer.Dispose();

    /// <summary>False when the round must end before this row.</summary>
    async Task<bool> Produce(OutboxRow row, int index, Round round, Task stop)
    {
        while (!stop.IsCompleted && !_fatal.Task.IsCompleted)
        {
            var progress = round.Progress;
            try
            {
                _producer.Produce(row.Topic, Message(row), report => round.Report(index, report.Error));
                return true;
            }
            catch (KafkaException e) when (e.Error.Code == ErrorCode.Local_QueueFull)
            {
                // The queue is another round's or was made small by a setting; a report makes room.
                await Task.WhenAny(progress, _fatal.Task, stop);
            }
            catch (KafkaException e) when (e.Error.IsFatal || e.Error.Code == ErrorCode.Local_Fatal)
            {
                _fatal.TrySetResult(e.Error.Code.ToString());
            }
            catch (KafkaException e)
            {
                round.Report(index, e.Error);
                return true;
            }
            catch (Exception e) when (e is ArgumentException or IOException or FormatException)
            {
                // A header without a name, or bytes that are no headers: this row can never leave.
                round.Refuse(index, "Local_InvalidArg");
                return true;
            }
        }

        return false;
    }

    async Task Purge(Round round)
    {
        LibRdKafka.Purge(_producer.Handle);
        using var timeout = new CancellationTokenSource(PurgeTimeout);
        await Task.WhenAny(round.Done, Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, timeout.Token));
    }

    static Message<byte[], byte[]> Message(OutboxRow row)
    {
        var headers = new Headers();
        foreach (var (name, value) in MessageHeaders.FromBytes(row.Headers))
            headers.Add(new Header(name, value));
        return new()
        {
            Key = row.Key,
            Value = row.Body,
            Headers = headers,
        };
    }

    /// <summary>The reports of one call; they arrive on the client's poll thread.</summary>
    sealed class Round(int count)
    {
        readonly Lock _lock = new();
        readonly RowResult[] _results = new RowResult[count];
        readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int _expected = count;
        int _reported;

        public Task Done => _done.Task;

        /// <summary>Ends with the next report.</summary>
        public Task Progress
        {
            get
            {
                lock (_lock)
                    return _progress.Task;
            }
        }

        public void Report(int index, Error error) => Set(index, Judge(error));

        public void Refuse(int index, string code) => Set(index, new(RowOutcome.Refused, code));

        /// <summary>Only rows before this one were given to Kafka.</summary>
        public void Abandon(int given)
        {
            lock (_lock)
            {
                _expected = given;
                if (_reported == _expected)
                    _done.TrySetResult();
            }
        }

        public RowResult[] Results()
        {
            lock (_lock)
                return [.. _results];
        }

        void Set(int index, RowResult result)
        {
            lock (_lock)
            {
                _results[index] = result;
                _progress.TrySetResult();
                _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);
                if (++_reported == _expected)
                    _done.TrySetResult();
            }
        }

        static RowResult Judge(Error error) =>
            error.Code switch
            {
                ErrorCode.NoError => new(RowOutcome.Acknowledged, ""),
                ErrorCode.MsgSizeTooLarge
                or ErrorCode.RecordListTooLarge
                or ErrorCode.InvalidMsg
                or ErrorCode.InvalidRecord
                or ErrorCode.InvalidTimestamp
                or ErrorCode.Local_InvalidArg
                or ErrorCode.Local_BadMsg => new(RowOutcome.Refused, error.Code.ToString()),
                ErrorCode.UnknownTopicOrPart
                or ErrorCode.Local_UnknownTopic
                or ErrorCode.Local_UnknownPartition
                or ErrorCode.TopicAuthorizationFailed
                or ErrorCode.TopicException
                or ErrorCode.PolicyViolation => new(RowOutcome.TopicStopped, error.Code.ToString()),
                _ => new(RowOutcome.Unknown, error.Code.ToString()),
            };
    }
}

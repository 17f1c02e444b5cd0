using System.Diagnostics;
using Confluent.Kafka;
using Sync.Messaging.Kafka;
using Sync.Messaging.Wire;

namespace Sync.Messaging.Outbox;

/// <summary>Gives rows to Kafka, in order, and says what became of each.</summary>
sealed class OutboxProducer : IDisposable
{
    /// <summary>What stands for the code where nobody reported one.</summary>
    public const string NotSent = "not-sent";

    // How long purged messages may take to report, and a stop to flush.
    static readonly TimeSpan PurgeTimeout = TimeSpan.FromSeconds(5);
    readonly IProducer<byte[], byte[]> _producer;
    readonly string _source;
    readonly TaskCompletionSource<string> _fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="source">The CloudEvents source of this process: what it wrote itself carries its span on.</param>
    public OutboxProducer(KafkaClients clients, string source)
    {
        _source = source;
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
            round.EndSpans();
            await ended.CancelAsync();
        }
    }

    /// <summary>Nothing of what was given to it leaves any more.</summary>
    public void Dispose() => _producer.Dispose();

    /// <summary>False when the round must end before this row.</summary>
    async Task<bool> Produce(OutboxRow row, int index, Round round, Task stop)
    {
        Message<byte[], byte[]>? message = null;
        while (!stop.IsCompleted && !_fatal.Task.IsCompleted)
        {
            var progress = round.Progress;
            try
            {
                message ??= Message(row, index, round);
                _producer.Produce(
                    row.Topic,
                    message,
                    report => round.Report(index, report.Error, report.TopicPartitionOffset)
                );
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

    Message<byte[], byte[]> Message(OutboxRow row, int index, Round round)
    {
        var stored = MessageHeaders.FromBytes(row.Headers);
        round.Sends(index, SendTrace.Start(row, stored, _source));
        var headers = new Headers();
        foreach (var (name, value) in stored)
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
        readonly Activity?[] _spans = new Activity?[count];
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

        public void Sends(int index, Activity? span) => _spans[index] = span;

        public void Report(int index, Error error, TopicPartitionOffset? placed = null) =>
            Set(index, Judge(error), placed);

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

        /// <summary>Of messages whose fate nobody reported.</summary>
        public void EndSpans()
        {
            for (var i = 0; i < _spans.Length; i++)
                EndSpan(i, NotSent);
        }

        void Set(int index, RowResult result, TopicPartitionOffset? placed = null)
        {
            EndSpan(index, result.Code, placed);
            lock (_lock)
            {
                _results[index] = result;
                _progress.TrySetResult();
                _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);
                if (++_reported == _expected)
                    _done.TrySetResult();
            }
        }

        // A late report and the end of the round may meet.
        void EndSpan(int index, string error, TopicPartitionOffset? placed = null) =>
            SendTrace.End(Interlocked.Exchange(ref _spans[index], null), error, placed);

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

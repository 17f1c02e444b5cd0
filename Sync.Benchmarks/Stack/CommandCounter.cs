using System.Diagnostics;
using System.Text;
using Confluent.Kafka;
using Sync.Contracts;

namespace Sync.Benchmarks.Stack;

/// <summary>Reads back what the orchestrator tells both vendors, and counts each customer once for each.</summary>
sealed class CommandCounter : IDisposable
{
    const double WarmShare = 0.2;

    static readonly string[] Topics =
    [
        Contracts.Topics.Commands(SystemNames.Stripe),
        Contracts.Topics.Commands(SystemNames.Salesforce),
    ];

    readonly IConsumer<byte[], byte[]> _consumer;
    readonly int _expected;
    readonly HashSet<(string Topic, string Key)> _seen = [];

    public CommandCounter(string bootstrap, int customers)
    {
        _expected = customers * Topics.Length;
        _consumer = new ConsumerBuilder<byte[], byte[]>(
            new ConsumerConfig
            {
                BootstrapServers = bootstrap,
                GroupId = "counter",
                EnableAutoCommit = false,
                FetchWaitMaxMs = 5,
                AllowAutoCreateTopics = false,
            }
        ).SetLogHandler((_, _) => { }).SetErrorHandler((_, _) => { }).Build();
        _consumer.Assign(
            from topic in Topics
            from partition in Enumerable.Range(0, Contracts.Topics.Partitions)
            select new TopicPartitionOffset(topic, partition, Offset.Beginning)
        );
    }

    /// <summary>Until every customer has a command for each vendor.</summary>
    /// <returns>Customers a second, from the first fifth on.</returns>
    /// <exception cref="TimeoutException">Nothing came for a while.</exception>
    public double Count(Action<double> show, TimeSpan patience, CancellationToken cancellationToken)
    {
        var (warm, warmAt, lastAt) = (0, 0L, Stopwatch.GetTimestamp());
        while (_seen.Count < _expected)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_consumer.Consume(TimeSpan.FromMilliseconds(100)) is not { } record)
            {
                if (Stopwatch.GetElapsedTime(lastAt) > patience)
                    throw new TimeoutException(
                        $"{_seen.Count} of {_expected} commands came, then none for {patience.TotalSeconds} s"
                    );
                continue;
            }

            lastAt = Stopwatch.GetTimestamp();
            // A command that is asked for again because nobody answers counts once.
            if (!_seen.Add((record.Topic, Encoding.UTF8.GetString(record.Message.Key))))
                continue;
            if (warmAt == 0 && _seen.Count >= WarmShare * _expected)
                (warm, warmAt) = (_seen.Count, lastAt);
            if (_seen.Count % 500 == 0)
                show(_seen.Count / (double)_expected);
        }

        return (_expected - warm) / (double)Topics.Length / Stopwatch.GetElapsedTime(warmAt, lastAt).TotalSeconds;
    }

    public void Dispose() => _consumer.Dispose();
}

using Confluent.Kafka;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Offsets;
using Sync.Messaging.Wire;

namespace Sync.Tests.Messaging.Consuming;

/// <summary>
/// A log and a group of one, in memory: what is added before <see cref="Open"/> comes in one batch, and a test says what
/// happens between two calls of <c>Consume</c>.
/// </summary>
sealed class FakeKafka : IRecordSourceFactory, IClusterView
{
    readonly Lock _lock = new();
    readonly List<SourceRecord> _log = [];
    readonly Dictionary<TopicPartition, long> _ends = [];
    readonly Dictionary<TopicPartition, long> _committed = [];
    readonly int _partitions;
    readonly SemaphoreSlim _changed = new(0);
    volatile bool _isOpen;
    int _consumed;
    int _polls;

    public FakeKafka(int partitions = CountingStage.Partitions) => _partitions = partitions;

    public string Id { get; set; } = "fake";

    /// <summary>Runs inside <c>Consume</c>, before the record with this count is handed out.</summary>
    public Action<int, FakeSource> BeforeRecord { get; set; } = (_, _) => { };

    /// <summary>What the claim protocol is told, where it differs from the log.</summary>
    public Dictionary<TopicPartition, PartitionView> Views { get; } = [];

    public int Created { get; private set; }

    /// <summary>How often it was asked for a record, those times included when there was none.</summary>
    public int Polls => Volatile.Read(ref _polls);

    public IReadOnlyDictionary<TopicPartition, long> Committed => _committed;

    public FakeSource? Current { get; private set; }

    public IEnumerable<TopicPartition> Partitions(IEnumerable<string> topics) =>
        from topic in topics
        from partition in Enumerable.Range(0, _partitions)
        select new TopicPartition(topic, partition);

    /// <summary>Everything that was added can be consumed now.</summary>
    public void Open()
    {
        _isOpen = true;
        _changed.Release();
    }

    public void Close() => _isOpen = false;

    public TopicPartition PartitionOf(string topic, string key) =>
        new(topic, Murmur2.Partition(System.Text.Encoding.UTF8.GetBytes(key), _partitions));

    /// <param name="hole">Offsets left out before it, as by compaction or an aborted transaction.</param>
    public (TopicPartition Partition, long Offset) Add(object message, string topic = CountingJson.Steps, int hole = 0)
    {
        var record = CountingStage.Record(message);
        var headers = new MessageHeaders();
        foreach (var header in record.Headers)
            headers.Add(new(header.Key, header.GetValueBytes()));
        return Add(new(topic, Murmur2.Partition(record.Key, _partitions)), record.Key, record.Value, headers, hole);
    }

    public (TopicPartition Partition, long Offset) Add(
        TopicPartition partition,
        byte[]? key,
        byte[]? value,
        MessageHeaders headers,
        int hole = 0
    )
    {
        lock (_lock)
        {
            var offset = _ends.GetValueOrDefault(partition) + hole;
            _ends[partition] = offset + 1;
            _log.Add(new(partition, offset, key, value, headers, TimeProvider.System.GetUtcNow()));
            return (partition, offset);
        }
    }

    public IRecordSource Create(string group, IReadOnlyList<string> topics, IAssignmentListener listener)
    {
        Created++;
        // Its log knows the topics by the names that the tests give them.
        return Current = new FakeSource(
            this,
            [.. Partitions(topics.Select(t => t[(t.LastIndexOf('.') + 1)..]))],
            listener
        );
    }

    public string ClusterId() => Id;

    public IReadOnlyDictionary<TopicPartition, PartitionView> Read(
        IReadOnlyCollection<TopicPartition> partitions,
        TimeSpan timeout
    )
    {
        lock (_lock)
        {
            return partitions.ToDictionary(
                p => p,
                p =>
                    Views.TryGetValue(p, out var view)
                        ? view
                        : new PartitionView(
                            0,
                            _ends.GetValueOrDefault(p),
                            _committed.TryGetValue(p, out var offset) ? offset : null
                        )
            );
        }
    }

    public void Replace(IHostApplicationBuilder builder) =>
        builder.Services.Replace(ServiceDescriptor.Singleton<IRecordSourceFactory>(this));

    SourceRecord? Next(FakeSource source)
    {
        if (!_isOpen)
            return null;
        SourceRecord? next;
        lock (_lock)
            next = _log.Find(r =>
                source.Positions.TryGetValue(r.Partition, out var at)
                && r.Offset >= at
                && !source.Paused.Contains(r.Partition)
            );
        if (next is null)
            return null;

        var wanted = source.Positions[next.Partition];
        BeforeRecord(_consumed++, source);
        if (!source.Positions.TryGetValue(next.Partition, out var position) || position != wanted)
            return Next(source);
        source.Positions[next.Partition] = next.Offset + 1;
        return next;
    }

    public sealed class FakeSource(FakeKafka kafka, TopicPartition[] partitions, IAssignmentListener listener)
        : IRecordSource
    {
        static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10);
        bool _isAssigned;

        public Dictionary<TopicPartition, long> Positions { get; } = [];

        public HashSet<TopicPartition> Paused { get; } = [];

        public IClusterView Cluster => kafka;

        public IReadOnlyList<TopicPartition> Assignment => [.. Positions.Keys];

        public SourceRecord? Consume(TimeSpan timeout)
        {
            Interlocked.Increment(ref kafka._polls);
            if (!_isAssigned)
            {
                _isAssigned = true;
                Assign(partitions);
            }

            if (kafka.Next(this) is { } record)
                return record;
            if (timeout > TimeSpan.Zero)
                kafka._changed.Wait(timeout < Look ? timeout : Look);
            return null;
        }

        public void Assign(IReadOnlyList<TopicPartition> assigned)
        {
            foreach (var start in listener.Assigned(assigned, kafka))
                Positions[start.TopicPartition] = start.Offset == Offset.End ? long.MaxValue : start.Offset.Value;
            Paused.ExceptWith(assigned);
        }

        public void Revoke(IReadOnlyList<TopicPartition> revoked)
        {
            listener.Revoked(revoked);
            foreach (var partition in revoked)
                Positions.Remove(partition);
        }

        public void Pause(IReadOnlyCollection<TopicPartition> paused) => Paused.UnionWith(paused);

        public void Resume(IReadOnlyCollection<TopicPartition> resumed) => Paused.ExceptWith(resumed);

        public void Seek(TopicPartitionOffset position) => Positions[position.TopicPartition] = position.Offset.Value;

        public void Store(TopicPartitionOffset position) =>
            kafka._committed[position.TopicPartition] = position.Offset.Value;

        public void Commit(IReadOnlyList<TopicPartitionOffset> positions)
        {
            foreach (var position in positions)
                Store(position);
        }

        public void Close() { }

        public void Dispose() { }
    }
}

/// <summary>Lets a test interfere at a named place of a batch.</summary>
sealed class Interference(Func<string, int, Task> at) : Sync.Messaging.Hosting.CrashPoints
{
    readonly System.Collections.Concurrent.ConcurrentDictionary<string, int> _passed = new();

    public override async ValueTask Pass(string point) =>
        await at(point, _passed.AddOrUpdate(point, 1, (_, n) => n + 1));

    public void Replace(IHostApplicationBuilder builder) =>
        builder.Services.Replace(ServiceDescriptor.Singleton<Sync.Messaging.Hosting.CrashPoints>(this));
}

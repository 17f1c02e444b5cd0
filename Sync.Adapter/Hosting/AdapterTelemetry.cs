using System.Diagnostics;
using System.Diagnostics.Metrics;
using Sync.Adapter.Following;

namespace Sync.Adapter.Hosting;

/// <summary>What an adapter measures. Attributes name systems, operations and outcomes; never a customer or an object.</summary>
sealed class AdapterTelemetry : IDisposable
{
    public const string Name = "Sync.Adapter";

    public static readonly ActivitySource Source = new(Name);

    readonly Meter _meter = new(Name);
    readonly KeyValuePair<string, object?> _system;
    readonly Counter<long> _items;
    readonly Histogram<double> _calls;
    readonly Histogram<double> _rounds;
    readonly Counter<long> _refusals;
    readonly Counter<long> _fenced;
    readonly Counter<long> _waits;
    readonly Histogram<double> _feedLag;
    readonly Counter<long> _feedHints;
    readonly Counter<long> _feedFailures;
    IReadOnlyList<FeedState> _feeds = [];
    long _due;
    long _failing;
    double _oldest;

    public AdapterTelemetry(string system)
    {
        _system = new("sync.system", system);
        _calls = _meter.CreateHistogram<double>("sync.adapter.call.duration", "s", "Calls to the vendor");
        _items = _meter.CreateCounter<long>("sync.adapter.call.items", "{item}", "What the calls were about");
        _rounds = _meter.CreateHistogram<double>(
            "sync.adapter.round.duration",
            "s",
            "From taking a lane to giving it back"
        );
        _refusals = _meter.CreateCounter<long>("sync.adapter.refusals", "{refusal}", "Values that cannot be written");
        _fenced = _meter.CreateCounter<long>(
            "sync.adapter.fenced",
            "{lane}",
            "Rounds thrown away: another worker was first"
        );
        _waits = _meter.CreateCounter<long>(
            "sync.adapter.waits",
            "{lane}",
            "Lanes given back to wait for the vendor, by reason"
        );
        _feedLag = _meter.CreateHistogram<double>(
            "sync.adapter.feed.lag",
            "s",
            "Age of a page's newest change when the page was stored, by feed"
        );
        _feedHints = _meter.CreateCounter<long>("sync.adapter.feed.hints", "{hint}", "Changes that feeds told of");
        _feedFailures = _meter.CreateCounter<long>("sync.adapter.feed.failures", "{failure}", "Follows that failed");
        _meter.CreateObservableGauge(
            "sync.adapter.feed.silence",
            () => OfFeeds(f => f.SilentSeconds),
            "s",
            "Since the vendor last said anything in a feed, if only that nothing is new"
        );
        _meter.CreateObservableGauge(
            "sync.adapter.feed.last_change",
            () => OfFeeds(f => f.NewestSeconds),
            "s",
            "Since the newest change that a feed told of"
        );
        _meter.CreateObservableGauge(
            "sync.adapter.lanes.due",
            () => new Measurement<long>(Interlocked.Read(ref _due), _system),
            "{lane}",
            "Lanes with work that could be taken now"
        );
        _meter.CreateObservableGauge(
            "sync.adapter.lanes.failing",
            () => new Measurement<long>(Interlocked.Read(ref _failing), _system),
            "{lane}",
            "Lanes that wait for the vendor after a failure"
        );
        _meter.CreateObservableGauge(
            "sync.adapter.lanes.oldest",
            () => new Measurement<double>(Volatile.Read(ref _oldest), _system),
            "s",
            "Age of the oldest work"
        );
    }

    public void Called(string operation, string outcome, int items, TimeSpan duration)
    {
        TagList tags = [_system, new("sync.operation", operation), new("sync.outcome", outcome)];
        _calls.Record(duration.TotalSeconds, tags);
        _items.Add(items, tags);
    }

    public void Round(string kind, string outcome, TimeSpan duration) =>
        _rounds.Record(duration.TotalSeconds, [_system, new("sync.work", kind), new("sync.outcome", outcome)]);

    /// <summary>A page of a feed was stored.</summary>
    public void Page(string feed, int hints, DateTimeOffset? newest, DateTimeOffset now)
    {
        _feedHints.Add(hints, _system, new("sync.feed", feed));
        if (newest is { } at)
            _feedLag.Record(Math.Max(0, (now - at).TotalSeconds), _system, new("sync.feed", feed));
    }

    public void FeedFailed(string feed, string code) =>
        _feedFailures.Add(1, _system, new("sync.feed", feed), new("sync.reason", code));

    public void Feeds(IReadOnlyList<FeedState> feeds) => Volatile.Write(ref _feeds, feeds);

    List<Measurement<double>> OfFeeds(Func<FeedState, double?> value) =>
        [
            .. Volatile
                .Read(ref _feeds)
                .Where(f => value(f) is not null)
                .Select(f => new Measurement<double>(value(f)!.Value, _system, new("sync.feed", f.Feed))),
        ];

    public void Refused() => _refusals.Add(1, _system);

    public void Fenced() => _fenced.Add(1, _system);

    public void Waits(string reason) => _waits.Add(1, _system, new("sync.reason", reason));

    public void Lanes(long due, long failing, double oldestSeconds)
    {
        Interlocked.Exchange(ref _due, due);
        Interlocked.Exchange(ref _failing, failing);
        Volatile.Write(ref _oldest, oldestSeconds);
    }

    public void Dispose() => _meter.Dispose();
}

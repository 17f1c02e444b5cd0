using System.Threading.Channels;
using Sync.Contracts;

namespace Sync.Sandbox.Product;

/// <summary>One event, recorded with the change that it tells of.</summary>
/// <param name="Sequence">The revision, for tools.</param>
sealed record ProductEvent(
    object Body,
    WireMessage Kind,
    string Key,
    long? Sequence,
    Guid Id,
    DateTimeOffset At,
    string TraceParent
);

/// <summary>Events that Kafka does not have yet, in the order of the changes.</summary>
sealed class ProductOutbox(TimeProvider time)
{
    /// <summary>Above this the product takes no changes: it would forget them.</summary>
    public const int Capacity = 100_000;

    static readonly Dictionary<Type, WireMessage> Kinds = Wire.All.ToDictionary(kind => kind.Json.Type);

    readonly Channel<ProductEvent> _waiting = Channel.CreateUnbounded<ProductEvent>(
        new UnboundedChannelOptions { SingleReader = true }
    );
    int _pending;

    public int Pending => Volatile.Read(ref _pending);

    public bool HasRoom => Pending < Capacity;

    public ChannelReader<ProductEvent> Waiting => _waiting.Reader;

    /// <summary>Called under the catalog's lock, so that the order here is the order of the changes.</summary>
    public void Add(object body, string key, long? sequence, string traceParent)
    {
        Interlocked.Increment(ref _pending);
        _waiting.Writer.TryWrite(
            new ProductEvent(
                body,
                Kinds[body.GetType()],
                key,
                sequence,
                Guid.CreateVersion7(time.GetUtcNow()),
                time.GetUtcNow(),
                traceParent
            )
        );
    }

    public void Delivered(int count) => Interlocked.Add(ref _pending, -count);
}

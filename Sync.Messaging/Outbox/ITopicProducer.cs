namespace Sync.Messaging.Outbox;

/// <summary>
/// Produces a message onto its topic, through the outbox: in a batch it becomes a row of the batch's transaction and leaves
/// if and only if that commits. The catalog knows topic and key.
/// </summary>
public interface ITopicProducer
{
    /// <exception cref="Wire.MessageTooLargeException">The body is too large for the broker.</exception>
    Task Produce<T>(T message, CancellationToken cancellationToken = default)
        where T : class;
}

using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sync.Messaging.Hosting;

namespace Sync.Messaging.Kafka;

/// <summary>
/// The cluster that this process talks to. Stored offsets belong to its id: a database that outlives an embedded Kafka
/// would otherwise skip the new log's events silently.
/// </summary>
public sealed class KafkaCluster(
    KafkaClients clients,
    IOptions<KafkaOptions> options,
    TimeProvider time,
    ILogger<KafkaCluster> logger
) : IDisposable
{
    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    readonly SemaphoreSlim _one = new(1, 1);
    readonly Lazy<IAdminClient> _admin = new(() =>
        new AdminClientBuilder(clients.Admin()).SetLogHandler(clients.Log).SetErrorHandler((_, _) => { }).Build()
    );
    volatile string? _id;

    /// <summary>The id where it is known already.</summary>
    public string? KnownId => _id;

    /// <summary>An admin client shared by what looks at the cluster from time to time.</summary>
    public IAdminClient Admin => _admin.Value;

    /// <summary>The id; waits while no broker answers.</summary>
    /// <exception cref="StartRefusedException">The cluster answers, but tells no id, and none is set.</exception>
    public async Task<string> Id(CancellationToken cancellationToken)
    {
        if (_id is { } known)
            return known;
        await _one.WaitAsync(cancellationToken);
        try
        {
            var silent = false;
            while (_id is null)
            {
                try
                {
                    _id = await Ask(cancellationToken);
                    logger.KafkaReachable(_id);
                }
                catch (KafkaException e)
                {
                    if (!silent)
                        logger.KafkaUnreachable(e);
                    silent = true;
                    await Task.Delay(RetryDelay, time, cancellationToken);
                }
            }

            return _id;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>One look at brokers and topics; blocks a pool thread for at most 5 s.</summary>
    /// <exception cref="KafkaException">No broker answered.</exception>
    public Task<Metadata> Metadata(CancellationToken cancellationToken) =>
        Task.Run(() => Admin.GetMetadata(Timeout), cancellationToken);

    public void Dispose()
    {
        if (_admin.IsValueCreated)
            _admin.Value.Dispose();
        _one.Dispose();
    }

    async Task<string> Ask(CancellationToken cancellationToken)
    {
        await Metadata(cancellationToken);
        var id = await Task.Run(() => LibRdKafka.ClusterId(Admin.Handle, Timeout), cancellationToken);
        id ??= await Described();
        return NullIfEmpty(id)
            ?? NullIfEmpty(options.Value.ClusterId)
            ?? throw new StartRefusedException(
                "the Kafka cluster tells no id, and stored offsets belong to one: set KAFKA__CLUSTERID to a name that no other cluster of this database has"
            );
    }

    async Task<string?> Described()
    {
        try
        {
            return (
                await Admin.DescribeClusterAsync(new DescribeClusterOptions { RequestTimeout = Timeout })
            ).ClusterId;
        }
        catch (KafkaException)
        {
            return null;
        }
    }

    static string? NullIfEmpty(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}

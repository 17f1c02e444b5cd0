using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Sync.Sandbox.Kafka;

/// <summary>
/// One stable address for the embedded cluster, which always binds a port of its own choice: bytes are passed on
/// unchanged, and the cluster is told to name this address to its clients.
/// </summary>
sealed class KafkaRelay : IAsyncDisposable
{
    /// <summary>Every client keeps two or three connections.</summary>
    const int MaxConnections = 1_000;

    readonly TcpListener _listener;
    readonly IPEndPoint _target;
    readonly ILogger _log;
    readonly CancellationTokenSource _stop = new();
    readonly ConcurrentDictionary<int, Task> _open = new();
    readonly Task _accepting;
    int _connections;

    public KafkaRelay(int port, IPEndPoint target, ILogger log)
    {
        _target = target;
        _log = log;
        _listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            _listener.Start();
        }
        catch (SocketException taken)
        {
            throw new InvalidOperationException($"Kafka: port {port} of 127.0.0.1 is taken", taken);
        }

        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = Accept();
    }

    public int Port { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_open.Values);
        _stop.Dispose();
    }

    async Task Accept()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync(_stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                // The peer went away while it was being accepted.
                continue;
            }

            if (_open.Count >= MaxConnections)
            {
                _log.RelayFull(_open.Count);
                client.Dispose();
                continue;
            }

            var id = ++_connections;
            var begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _open[id] = Serve(id, client, begin.Task);
            begin.SetResult();
        }
    }

    async Task Serve(int id, Socket client, Task begin)
    {
        await begin;
        using var downstream = client;
        using var upstream = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        try
        {
            downstream.NoDelay = upstream.NoDelay = true;
            await upstream.ConnectAsync(_target, ended.Token);
            await Task.WhenAny(Copy(downstream, upstream, ended.Token), Copy(upstream, downstream, ended.Token));
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException)
        {
            // The cluster is down: the client sees its connection closed and tries again.
        }
        finally
        {
            await ended.CancelAsync();
            _open.TryRemove(id, out _);
        }
    }

    static async Task Copy(Socket from, Socket to, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, cancellationToken) is var count and > 0)
            {
                for (var sent = 0; sent < count; )
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), cancellationToken);
            }
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Either side ends both.
        }
    }
}

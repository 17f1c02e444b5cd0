using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Sync.Sandbox.Hosting;

/// <summary>
/// An HTTP server on 127.0.0.1 that can go down and come back on the same port: while it is down its port is held but
/// nobody listens, so that a caller meets a refused connection, as with a host that is switched off.
/// </summary>
sealed class LoopbackServer(
    string name,
    RequestDelegate handle,
    ILoggerFactory loggers,
    LoopbackLimits limits,
    LoopbackGrpc? grpc = null
) : IAsyncDisposable
{
    readonly SemaphoreSlim _gate = new(1, 1);
    WebApplication? _app;
    Socket? _held;
    int _port;

    public Uri Address => new($"{(grpc is null ? "http" : "https")}://127.0.0.1:{_port}");

    public bool IsUp => _app is not null;

    public async Task Start(int port, CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            await Listen(port, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Cuts all connections; new ones are refused until <see cref="Up"/>.</summary>
    public async Task Down()
    {
        await _gate.WaitAsync();
        try
        {
            if (_app is not { } app)
                return;
            _app = null;
            await Stop(app);
            _held = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _held.Bind(new IPEndPoint(IPAddress.Loopback, _port));
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task Up()
    {
        await _gate.WaitAsync();
        try
        {
            if (_app is not null)
                return;
            _held?.Dispose();
            _held = null;
            await Listen(_port, CancellationToken.None);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is { } app)
            await Stop(app);
        _app = null;
        _held?.Dispose();
        _gate.Dispose();
    }

    async Task Listen(int port, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "Sync.Sandbox" });
        builder.Services.AddSingleton(loggers);
        builder.WebHost.UseKestrelCore();
        if (grpc is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
            grpc.Services(builder.Services);
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(
                IPAddress.Loopback,
                port,
                listen =>
                {
                    listen.Protocols = grpc is null ? HttpProtocols.Http1 : HttpProtocols.Http2;
                    if (grpc is not null)
                        listen.UseHttps(grpc.Tls.Certificate);
                }
            );
            kestrel.Limits.MaxConcurrentConnections = 1_000;
            kestrel.Limits.MaxRequestBodySize = limits.MaxBodyBytes;
            kestrel.Limits.MaxRequestLineSize = limits.MaxLineBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = 32 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 100;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(30);
        });
        var app = builder.Build();
        if (grpc is null)
            app.Run(Serve);
        else
            grpc.Map(app);
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException taken)
        {
            await app.DisposeAsync();
            throw new InvalidOperationException($"{name}: port {port} of 127.0.0.1 is taken", taken);
        }

        _port = new Uri(app.Urls.First()).Port;
        _app = app;
    }

    async Task Serve(HttpContext http)
    {
        try
        {
            await handle(http);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone; there is nobody to answer.
        }
    }

    static async Task Stop(WebApplication app)
    {
        // A cancelled token means: do not wait for requests that are withheld on purpose.
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        try
        {
            await app.StopAsync(now.Token);
        }
        catch (OperationCanceledException) { }

        await app.DisposeAsync();
    }
}

/// <param name="MaxBodyBytes">A larger body is answered 413.</param>
/// <param name="MaxLineBytes">A longer request line is answered 414.</param>
sealed record LoopbackLimits(long MaxBodyBytes, int MaxLineBytes = 32 * 1024);

/// <summary>What makes a server speak gRPC, over TLS and HTTP/2 and nothing else.</summary>
sealed record LoopbackGrpc(LoopbackTls Tls, Action<IServiceCollection> Services, Action<WebApplication> Map);

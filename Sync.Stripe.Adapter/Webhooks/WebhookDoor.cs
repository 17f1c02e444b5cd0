using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>
/// The one door to the outside: <c>POST /webhooks/stripe</c> on a port of its own, and nothing else. What comes is judged by
/// size and signature alone, stored as it is, and answered; it is read later. Without a secret nothing could be judged, and
/// the door stays closed.
/// </summary>
sealed class WebhookDoor(
    StripeOptions options,
    WebhookStore store,
    WebhookSignal signal,
    WebhookMetrics metrics,
    ILoggerFactory loggers,
    TimeProvider time
) : IHostedService, IAsyncDisposable
{
    public const string Path = "/webhooks/stripe";
    public const int MaxBodyBytes = 256 * 1024;

    const int MaxConnections = 256;
    static readonly ActivitySource Source = new(WebhookMetrics.Name);
    static readonly TimeSpan MaxRequest = TimeSpan.FromSeconds(20);

    /// <summary>Between two lines of the log about refused requests: anybody may knock as often as he likes.</summary>
    static readonly TimeSpan Quiet = TimeSpan.FromMinutes(1);

    readonly ILogger _log = loggers.CreateLogger<WebhookDoor>();
    readonly Lock _lock = new();
    DateTimeOffset _quietUntil;
    long _unsaid;
    WebApplication? _app;

    /// <summary>Where it listens; null while it is closed.</summary>
    public Uri? Address { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Secrets.Count == 0)
        {
            _log.DoorClosed();
            return;
        }

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxConcurrentConnections = MaxConnections;
                kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
                kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
                kestrel.Listen(IPAddress.Parse(options.WebhookAddress), options.WebhookPort);
            });
        builder.Services.AddSingleton(loggers);
        // The process's own host listens to signals; this one only lives inside it.
        builder.Services.AddSingleton<IHostLifetime, InnerLifetime>();
        var app = builder.Build();
        app.Run(Serve);
        await app.StartAsync(cancellationToken);
        _app = app;
        Address = new Uri(
            app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()
        );
        _log.DoorOpen(new Uri(Address, Path).ToString(), options.Secrets.Count);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_app is not null)
            await _app.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }

    async Task Serve(HttpContext http)
    {
        if (http.Request.Path != Path)
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (!HttpMethods.IsPost(http.Request.Method))
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            http.Response.Headers.Allow = HttpMethods.Post;
            return;
        }

        using var limit = new CancellationTokenSource(MaxRequest, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, http.RequestAborted);
        var (status, outcome) = await Answer(http, both.Token);
        metrics.Received(outcome);
        if (outcome != Stored)
            Refused(outcome);
        http.Response.StatusCode = status;
    }

    const string Stored = "stored";

    async Task<(int Status, string Outcome)> Answer(HttpContext http, CancellationToken cancellationToken)
    {
        byte[] body;
        try
        {
            using var read = new MemoryStream();
            await http.Request.Body.CopyToAsync(read, cancellationToken);
            body = read.ToArray();
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return (StatusCodes.Status413PayloadTooLarge, "too-large");
        }
        catch (Exception e) when (e is BadHttpRequestException or IOException or OperationCanceledException)
        {
            return (StatusCodes.Status400BadRequest, "cut-off");
        }

        var header = http.Request.Headers[Signature.Header];
        var verdict = Signature.Check(body, header.Count == 1 ? header[0] : null, options.Secrets, time.GetUtcNow());
        if (verdict != SignatureVerdict.Valid)
            return (StatusCodes.Status400BadRequest, NameOf(verdict));
        // The trace of an edit begins here. Who knocks may name one of his own, and would decide whether ours is kept.
        Activity.Current = null;
        using var span = Source.StartActivity("stripe webhook", ActivityKind.Server);
        try
        {
            await store.Keep(body, cancellationToken);
        }
        catch (Exception e)
        {
            // Not stored, not accepted: Stripe sends it again.
            _log.WebhookNotStored(e);
            return (StatusCodes.Status503ServiceUnavailable, "not-stored");
        }

        signal.Set();
        return (StatusCodes.Status200OK, Stored);
    }

    void Refused(string outcome)
    {
        long unsaid;
        lock (_lock)
        {
            _unsaid++;
            var now = time.GetUtcNow();
            if (now < _quietUntil)
                return;
            _quietUntil = now + Quiet;
            unsaid = _unsaid;
            _unsaid = 0;
        }

        _log.WebhooksRefused(unsaid, outcome);
    }

    static string NameOf(SignatureVerdict verdict) =>
        verdict switch
        {
            SignatureVerdict.Missing => "signature-missing",
            SignatureVerdict.Malformed => "signature-malformed",
            SignatureVerdict.OutOfTime => "signature-out-of-time",
            _ => "signature-wrong",
        };

    sealed class InnerLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

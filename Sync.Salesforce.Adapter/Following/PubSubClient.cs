using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Sync.Adapter.Following;
using Sync.Salesforce.Adapter.Client;
using Sync.Salesforce.Adapter.Following.Wire;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>
/// The calls of Salesforce's Pub/Sub API that a subscriber makes, on one connection. The session is that of the REST API;
/// it is looked at when a call begins, so a stream outlives it. Failures are <see cref="StreamException"/> and
/// <see cref="FeedException"/>.
/// </summary>
sealed class PubSubClient : IDisposable
{
    /// <summary>One answer: a few dozen events of up to a megabyte.</summary>
    const int MaxAnswer = 64 * 1024 * 1024;

    readonly SalesforceClient _rest;
    readonly TimeProvider _time;
    readonly TimeSpan _timeout;
    readonly TimeSpan _silence;
    readonly GrpcChannel _channel;
    readonly PubSub.PubSubClient _api;
    Session? _refused;

    public PubSubClient(SalesforceOptions options, SalesforceClient rest, TimeProvider time)
    {
        _rest = rest;
        _time = time;
        _timeout = TimeSpan.FromSeconds(options.TimeoutSeconds);
        _silence = TimeSpan.FromSeconds(options.SilenceSeconds);
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(60),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(30),
            AllowAutoRedirect = false,
            UseCookies = false,
        };
        if (options.PubSubCa.Length > 0)
            handler.SslOptions = Trusting(options.PubSubCa);
        _channel = GrpcChannel.ForAddress(
            options.PubSubUrl,
            new GrpcChannelOptions
            {
                HttpHandler = handler,
                DisposeHttpClient = true,
                MaxReceiveMessageSize = MaxAnswer,
            }
        );
        _api = new(_channel);
    }

    /// <summary>Who is asked, with a session that was not refused before.</summary>
    public async Task<Session> SignIn(CancellationToken cancellationToken)
    {
        try
        {
            var session = await _rest.SignInAsync(_refused, cancellationToken);
            return session.OrganizationId is null ? throw new StreamException(StreamErrors.NoOrganization) : session;
        }
        catch (SalesforceSignInException e)
        {
            throw new FeedException(SalesforceErrors.Classify(e));
        }
    }

    public Task<TopicInfo> GetTopic(string topic, CancellationToken cancellationToken) =>
        Call(options => _api.GetTopicAsync(new() { TopicName = topic }, options), cancellationToken);

    public Task<SchemaInfo> GetSchema(string id, CancellationToken cancellationToken) =>
        Call(options => _api.GetSchemaAsync(new() { SchemaId = id }, options), cancellationToken);

    /// <summary>Opens a stream and asks for the first events.</summary>
    public async Task<EventStream> Subscribe(Session session, FetchRequest first, CancellationToken cancellationToken)
    {
        var call = _api.Subscribe(new CallOptions(HeadersOf(session), cancellationToken: cancellationToken));
        var stream = new EventStream(call, _silence, _time, row => Refusal(row, session));
        await stream.Ask(first);
        return stream;
    }

    public void Dispose() => _channel.Dispose();

    /// <summary>
    /// A session that is not valid any more is replaced at the next sign-in. If the new one is refused as well, sessions
    /// are not what is wrong.
    /// </summary>
    internal StreamErrorRow Refusal(StreamErrorRow row, Session session)
    {
        if (row.Action != StreamAction.SignIn)
            return row;
        var again = _refused is not null;
        _refused = session;
        return again ? StreamErrors.SessionRefused : row;
    }

    /// <summary>The API took the session.</summary>
    internal void Accepted() => _refused = null;

    async Task<T> Call<T>(Func<CallOptions, AsyncUnaryCall<T>> send, CancellationToken cancellationToken)
    {
        for (var again = false; ; again = true)
        {
            var session = await SignIn(cancellationToken);
            using var limit = new CancellationTokenSource(_timeout, _time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                using var call = send(new CallOptions(HeadersOf(session), cancellationToken: both.Token));
                var answer = await call.ResponseAsync;
                Accepted();
                return answer;
            }
            catch (RpcException e)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (limit.IsCancellationRequested)
                    throw new StreamException(StreamErrors.Timeout);
                var row = Refusal(StreamErrors.Classify(e), session);
                // A stream outlives its session, so this call may be the first to meet the end of it.
                if (row.Action != StreamAction.SignIn || again)
                    throw new StreamException(row);
            }
        }
    }

    static Metadata HeadersOf(Session session) =>
        new()
        {
            { "accesstoken", session.Token },
            { "instanceurl", session.Instance.GetLeftPart(UriPartial.Authority) },
            { "tenantid", session.OrganizationId! },
        };

    /// <summary>This authority and no other.</summary>
    static SslClientAuthenticationOptions Trusting(string path)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.ImportFromPemFile(path);
        return new() { CertificateChainPolicy = policy };
    }
}

/// <summary>One open subscription.</summary>
/// <param name="silence">Salesforce says at least every 270 seconds that it lives; after this long without a word it does not.</param>
sealed class EventStream(
    AsyncDuplexStreamingCall<FetchRequest, FetchResponse> call,
    TimeSpan silence,
    TimeProvider time,
    Func<StreamErrorRow, StreamErrorRow> refusal
) : IDisposable
{
    /// <summary>The next answer; null when Salesforce ended the stream in peace.</summary>
    /// <exception cref="StreamException">It ended with an error, or fell silent.</exception>
    public async Task<FetchResponse?> Next(CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(silence, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call.ResponseStream.MoveNext(both.Token) ? call.ResponseStream.Current : null;
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (limit.IsCancellationRequested)
                throw new StreamException(StreamErrors.Silent);
            throw new StreamException(
                refusal(e is RpcException rpc ? StreamErrors.Classify(rpc) : StreamErrors.Closed)
            );
        }
    }

    /// <summary>Asks for events, which adds to what was asked for before.</summary>
    public async Task Ask(FetchRequest request)
    {
        try
        {
            await call.RequestStream.WriteAsync(request);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or OperationCanceledException)
        {
            // The stream is over, and its end says why.
        }
    }

    public void Dispose() => call.Dispose();
}

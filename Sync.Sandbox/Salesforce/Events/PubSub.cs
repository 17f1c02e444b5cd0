using Grpc.Core;
using Sync.Sandbox.Faults;

namespace Sync.Sandbox.Salesforce.Events;

/// <summary>What the Pub/Sub API of the org is like now: its topics, its streams, and what is made to go wrong.</summary>
sealed class PubSub(
    SalesforceOrg org,
    SalesforceTokens tokens,
    TimeSpan keepalive,
    TimeProvider clock,
    FaultBook faults,
    CallBook calls
) : IDisposable
{
    /// <summary>Its host is another one than the org's, so it has faults and counts of its own.</summary>
    public const string Vendor = "salesforce-events";

    public static readonly IReadOnlyList<string> Operations = ["topic", "schema", "subscribe"];

    public static readonly IReadOnlyList<string> Topics = ["/data/AccountChangeEvent", "/data/ChangeEvents"];

    /// <summary>More waiting errors than these are a mistake in a test.</summary>
    const int MaxErrors = 1_000;

    readonly Lock _gate = new();
    readonly List<OrderedError> _errors = [];
    CancellationTokenSource _cut = new();
    int _streams;
    int _begun;
    volatile bool _silent;

    public SalesforceOrg Org => org;

    public TimeProvider Clock => clock;

    /// <summary>With demand and no event, an empty answer comes this often.</summary>
    public TimeSpan Keepalive => keepalive;

    /// <summary>Streams that are open.</summary>
    public int Streams => Volatile.Read(ref _streams);

    /// <summary>Streams that have ever had their place.</summary>
    public int EverBegun => Volatile.Read(ref _begun);

    /// <summary>Streams stay open and say nothing, not even that they live.</summary>
    public bool Silent
    {
        get => _silent;
        set
        {
            _silent = value;
            org.Events.Wake();
        }
    }

    /// <summary>Ends every open stream without a word.</summary>
    public void Cut()
    {
        CancellationTokenSource cut;
        lock (_gate)
            (cut, _cut) = (_cut, new CancellationTokenSource());
        cut.Cancel();
        cut.Dispose();
    }

    /// <summary>The next calls of an operation end with this code.</summary>
    public void Fail(string operation, StatusCode status, string code, int next)
    {
        lock (_gate)
        {
            if (_errors.Count >= MaxErrors)
                throw new InvalidOperationException($"{MaxErrors} errors wait; let some happen first");
            _errors.Add(new OrderedError(operation, status, code, next));
        }
    }

    /// <summary>Counts a call, and lets happen what is ordered for it.</summary>
    public async Task Enter(string operation, ServerCallContext context)
    {
        calls.Arrived(Vendor, operation);
        OrderedError? ordered;
        lock (_gate)
        {
            ordered = _errors.Find(error => error.Operation == operation && error.Left > 0);
            if (ordered is not null && --ordered.Left == 0)
                _errors.Remove(ordered);
        }

        if (ordered is not null)
            throw PubSubProblem.Of(ordered.Status, ordered.Code, "as ordered");
        if (faults.Pick(Vendor, operation) is { } fault)
            await Happen(fault, context);
        Check(context.RequestHeaders);
    }

    public void Left(StatusCode status) => calls.Answered(Vendor, (int)status);

    /// <summary>A stream begins; what is answered is cancelled when it is cut.</summary>
    public CancellationToken Opened()
    {
        Interlocked.Increment(ref _streams);
        lock (_gate)
            return _cut.Token;
    }

    /// <summary>A stream has its place: what happens from now on is in it.</summary>
    public void Begun() => Interlocked.Increment(ref _begun);

    public void Closed() => Interlocked.Decrement(ref _streams);

    public void Dispose()
    {
        lock (_gate)
            _cut.Dispose();
    }

    async Task Happen(Fault fault, ServerCallContext context)
    {
        switch (fault.Kind)
        {
            case FaultKind.Credentials:
                throw PubSubProblem.Auth("the session is not valid");
            case FaultKind.RateLimit:
                throw PubSubProblem.Of(
                    StatusCode.ResourceExhausted,
                    "service.protection.triggered",
                    "too many requests"
                );
            case FaultKind.Unavailable:
            case FaultKind.Html:
                throw PubSubProblem.Of(StatusCode.Unavailable, "service.unavailable", "try again later");
            case FaultKind.Slow:
                await Task.Delay(fault.Delay, clock, context.CancellationToken);
                break;
            case FaultKind.DropAfter:
                context.GetHttpContext().Abort();
                throw new OperationCanceledException();
            case FaultKind.HangAfter:
            case FaultKind.Late:
                await Task.Delay(Timeout.InfiniteTimeSpan, clock, context.CancellationToken);
                break;
            default:
                throw PubSubProblem.Of(StatusCode.Internal, "subscription.internal.error", "an internal error");
        }
    }

    /// <summary>Three headers, on every call; the session is looked at now and not again while a stream lives.</summary>
    void Check(Metadata headers)
    {
        var token = headers.GetValue("accesstoken");
        var tenant = headers.GetValue("tenantid");
        if (
            string.IsNullOrEmpty(token)
            || string.IsNullOrEmpty(tenant)
            || !Uri.TryCreate(headers.GetValue("instanceurl"), UriKind.Absolute, out _)
        )
        {
            throw PubSubProblem.Of(
                StatusCode.InvalidArgument,
                "service.auth.headers.invalid",
                "accesstoken, instanceurl and tenantid are required"
            );
        }

        if (!tokens.Use(token) || SalesforceId.Normalise(tenant) != SalesforceOrg.OrganizationId)
            throw PubSubProblem.Auth("the session is not valid for this tenant");
    }

    sealed class OrderedError(string operation, StatusCode status, string code, int left)
    {
        public string Operation => operation;
        public StatusCode Status => status;
        public string Code => code;
        public int Left { get; set; } = left;
    }
}

/// <summary>An error as the real one ends a call: a status, and its own code in a trailer.</summary>
static class PubSubProblem
{
    const string Prefix = "sfdc.platform.eventbus.grpc.";

    public static RpcException Of(StatusCode status, string code, string message)
    {
        var full = code.StartsWith(Prefix, StringComparison.Ordinal) ? code : Prefix + code;
        return new RpcException(new Status(status, message), new Metadata { { "error-code", full } });
    }

    public static RpcException Auth(string message) => Of(StatusCode.Unauthenticated, "service.auth.error", message);

    public static RpcException Wrong(string code, string message) => Of(StatusCode.InvalidArgument, code, message);
}

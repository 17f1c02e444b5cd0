using System.Threading.RateLimiting;

namespace Sync.Stripe.Adapter.Client;

/// <summary>One named operation of Stripe's API: its limit counts calls whatever their ids.</summary>
enum StripeCall
{
    CreateCustomer,
    UpdateCustomer,
    DeleteCustomer,
    RetrieveCustomer,
    ListCustomers,
    SearchCustomers,
    ListSubscriptions,
    ListEvents,
    WebhookEndpoints,
}

/// <summary>
/// Keeps below Stripe's limits instead of running into them: a bucket per endpoint, one for the account, and a bound on the
/// calls on the way. Who cannot have a turn within <see cref="MaxWait"/>, or finds the queue full, has made no call.
/// </summary>
sealed class StripeLimits : IDisposable
{
    const int MaxQueue = 2_000;

    readonly Dictionary<StripeCall, TokenBucketRateLimiter> _endpoints;
    readonly TokenBucketRateLimiter _account;
    readonly ConcurrencyLimiter _concurrent;
    readonly TimeProvider _time;

    public StripeLimits(StripeOptions options, TimeProvider time)
    {
        _time = time;
        MaxWait = TimeSpan.FromSeconds(options.TimeoutSeconds) / 4;
        _endpoints = Enum.GetValues<StripeCall>()
            .ToDictionary(
                e => e,
                e =>
                    Bucket(
                        e is StripeCall.CreateCustomer or StripeCall.UpdateCustomer or StripeCall.DeleteCustomer
                            ? options.WritesPerSecond
                            : options.ReadsPerSecond
                    )
            );
        _account = Bucket(options.TotalPerSecond);
        _concurrent = new(
            new()
            {
                PermitLimit = options.MaxConcurrent,
                QueueLimit = MaxQueue,
                QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            }
        );
    }

    /// <summary>With the call after it it stays within the time that the frame gives both.</summary>
    public TimeSpan MaxWait { get; }

    /// <summary>A turn, to be disposed when the call is over; null when there is none to be had.</summary>
    public async Task<IDisposable?> Turn(StripeCall endpoint, CancellationToken cancellationToken)
    {
        using var wait = new CancellationTokenSource(MaxWait, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(wait.Token, cancellationToken);
        try
        {
            // A token that is taken is spent; only the last of the three is given back.
            using var one = await _endpoints[endpoint].AcquireAsync(1, both.Token);
            if (!one.IsAcquired)
                return null;
            using var all = await _account.AcquireAsync(1, both.Token);
            if (!all.IsAcquired)
                return null;

            var turn = await _concurrent.AcquireAsync(1, both.Token);
            if (turn.IsAcquired)
                return turn;
            turn.Dispose();
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    public void Dispose()
    {
        foreach (var limiter in _endpoints.Values)
            limiter.Dispose();
        _account.Dispose();
        _concurrent.Dispose();
    }

    /// <summary>Tokens come ten times a second, so that no second ever holds more than its rate and a tenth.</summary>
    static TokenBucketRateLimiter Bucket(int perSecond)
    {
        var tokens = Math.Max(1, perSecond / 10);
        return new(
            new()
            {
                TokenLimit = tokens,
                TokensPerPeriod = tokens,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1) * tokens / perSecond,
                AutoReplenishment = true,
                QueueLimit = MaxQueue,
                QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            }
        );
    }
}

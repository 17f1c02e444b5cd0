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
/// Keeps below Stripe's limits instead of running into them: a pace per endpoint, one for the account, and a bound on the
/// calls on the way. Who cannot have a turn within <see cref="MaxWait"/>, or finds the queue full, has made no call.
/// </summary>
sealed class StripeLimits : IDisposable
{
    const int MaxQueue = 2_000;

    readonly Dictionary<StripeCall, Pace> _endpoints;
    readonly Pace _account;
    readonly ConcurrencyLimiter _concurrent;
    readonly TimeProvider _time;

    /// <param name="share">Of the partitions, that this replica holds; all of them where it is not given.</param>
    public StripeLimits(StripeOptions options, TimeProvider time, Func<double>? share = null)
    {
        share ??= static () => 1;
        _time = time;
        MaxWait = TimeSpan.FromSeconds(options.TimeoutSeconds) / 4;
        _endpoints = Enum.GetValues<StripeCall>()
            .ToDictionary(
                e => e,
                e => new Pace(
                    e is StripeCall.CreateCustomer or StripeCall.UpdateCustomer or StripeCall.DeleteCustomer
                        ? options.WritesPerSecond
                        : options.ReadsPerSecond,
                    share,
                    time
                )
            );
        _account = new(options.TotalPerSecond, share, time);
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
            // A place that was taken in the one row is spent when there is none in the other.
            if (_endpoints[endpoint].Take(MaxWait) is not { } one || _account.Take(MaxWait) is not { } all)
                return null;
            if ((one > all ? one : all) is var place && place > TimeSpan.Zero)
                await Task.Delay(place, _time, both.Token);

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

    public void Dispose() => _concurrent.Dispose();
}

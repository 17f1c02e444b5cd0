namespace Sync.Sandbox.Stripe;

/// <summary>Calls a second: of the account, and of each endpoint. A bucket holds one second's worth.</summary>
sealed class StripeRates(int perSecond, int perEndpointSecond, TimeProvider clock)
{
    readonly Lock _gate = new();
    readonly Bucket _account = new(perSecond, clock);
    readonly Dictionary<string, Bucket> _endpoints = new(StringComparer.Ordinal);

    /// <summary>The reason why a call is over a limit; null when it is not.</summary>
    public string? Take(string endpoint)
    {
        lock (_gate)
        {
            if (!_endpoints.TryGetValue(endpoint, out var own))
                _endpoints[endpoint] = own = new Bucket(perEndpointSecond, clock);
            if (!_account.HasOne())
                return "global-rate";
            if (!own.HasOne())
                return "endpoint-rate";
            _account.Take();
            own.Take();
            return null;
        }
    }

    sealed class Bucket(int perSecond, TimeProvider clock)
    {
        double _left = perSecond;
        long _at = clock.GetTimestamp();

        public bool HasOne()
        {
            var now = clock.GetTimestamp();
            _left = Math.Min(perSecond, _left + (clock.GetElapsedTime(_at, now).TotalSeconds * perSecond));
            _at = now;
            return _left >= 1;
        }

        public void Take() => _left--;
    }
}

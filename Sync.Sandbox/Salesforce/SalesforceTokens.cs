namespace Sync.Sandbox.Salesforce;

/// <summary>Access tokens: one lives until it was not used for the session's time-out.</summary>
sealed class SalesforceTokens(TimeSpan lifetime, int seed, TimeProvider clock)
{
    const int MaxTokens = 1_000;
    const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    readonly Lock _gate = new();
    readonly Random _chance = new(seed);
    readonly Dictionary<string, DateTimeOffset> _lastUse = new(StringComparer.Ordinal);

    public string Issue()
    {
        lock (_gate)
        {
            if (_lastUse.Count >= MaxTokens)
                _lastUse.Remove(_lastUse.MinBy(token => token.Value).Key);
            var token =
                $"{SalesforceId.Short(SalesforceOrg.OrganizationId)}!AQ{new string(_chance.GetItems<char>(Letters, 80))}";
            _lastUse[token] = clock.GetUtcNow();
            return token;
        }
    }

    public string NewRequestId()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_gate)
            _chance.NextBytes(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    public bool Use(string token)
    {
        lock (_gate)
        {
            if (!_lastUse.TryGetValue(token, out var last))
                return false;
            var now = clock.GetUtcNow();
            if (now - last >= lifetime)
            {
                _lastUse.Remove(token);
                return false;
            }

            _lastUse[token] = now;
            return true;
        }
    }

    /// <summary>Every session ends now.</summary>
    public void RevokeAll()
    {
        lock (_gate)
            _lastUse.Clear();
    }
}

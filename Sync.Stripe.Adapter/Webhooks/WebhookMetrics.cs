using System.Diagnostics.Metrics;

namespace Sync.Stripe.Adapter.Webhooks;

/// <summary>What comes through the door, by what became of it; and what it turned out to be.</summary>
sealed class WebhookMetrics : IDisposable
{
    public const string Name = "Sync.Stripe.Adapter";

    readonly Meter _meter = new(Name);
    readonly Counter<long> _received;
    readonly Counter<long> _read;

    public WebhookMetrics()
    {
        _received = _meter.CreateCounter<long>(
            "sync.stripe.webhooks.received",
            "{webhook}",
            "Requests at the door, by outcome: stored, or why not"
        );
        _read = _meter.CreateCounter<long>(
            "sync.stripe.webhooks.read",
            "{webhook}",
            "Stored webhooks by what they were: hint, ignored or unreadable"
        );
    }

    public void Received(string outcome) =>
        _received.Add(1, new KeyValuePair<string, object?>("sync.outcome", outcome));

    public void Read(WebhookBatch batch)
    {
        foreach (
            var (kind, count) in new[]
            {
                ("hint", batch.Hints),
                ("ignored", batch.Ignored),
                ("unreadable", batch.Unreadable),
            }
        )
        {
            if (count > 0)
                _read.Add(count, new KeyValuePair<string, object?>("sync.kind", kind));
        }
    }

    public void Dispose() => _meter.Dispose();
}

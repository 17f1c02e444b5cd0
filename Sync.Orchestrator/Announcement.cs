using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator;

/// <summary>Says at start which systems are served, with which mapping, and what the product can do.</summary>
sealed class Announcement(Rules rules, ILogger<Announcement> log) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        log.Started(
            string.Join(", ", rules.Config.Systems.Keys),
            rules.Config.Hash,
            rules.OneWay ? ProductOptions.OneWay : ProductOptions.TwoWay
        );
        if (rules.OneWay)
            log.OneWay();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

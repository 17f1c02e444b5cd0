using System.Globalization;
using Microsoft.Extensions.Hosting;
using Sync.Messaging.Kafka;
using Sync.Messaging.Outbox;

namespace Sync.Messaging.Hosting;

/// <param name="Code">Stable, for alerts.</param>
/// <param name="Detail">For people; identifiers and counts only.</param>
public sealed record HealthReason(string Code, string Detail);

/// <summary>What a probe answers. Live and ready are answers for machines, degraded is one for people.</summary>
public sealed record HealthAnswer(bool Ok, string Status, IReadOnlyList<HealthReason> Reasons);

/// <summary>
/// Live is false only for what a restart heals: never because PostgreSQL or Kafka is down. Ready is false while this
/// process cannot do its work. Everything else that is wrong is a reason beside a 200.
/// </summary>
sealed class HealthReport(
    HealthBoard board,
    IEnumerable<IConsumerHealth> consumers,
    IEnumerable<IHostedService> services,
    IHostApplicationLifetime lifetime,
    TimeProvider time
)
{
    static readonly TimeSpan DatabaseGrace = TimeSpan.FromSeconds(5);
    static readonly TimeSpan KafkaGrace = TimeSpan.FromSeconds(15);
    static readonly TimeSpan ClaimGrace = TimeSpan.FromSeconds(30);
    static readonly TimeSpan PollGrace = 2 * KafkaClients.MaxPollInterval;

    public HealthAnswer Live()
    {
        var reasons = new List<HealthReason>();
        if (!lifetime.ApplicationStopping.IsCancellationRequested)
        {
            foreach (var service in services.OfType<OutboxDeliverer>())
            {
                if (service.ExecuteTask is { IsCompleted: true })
                    reasons.Add(new("deliverer-dead", "the outbox deliverer has ended"));
            }

            foreach (var state in consumers.Select(c => c.State))
            {
                if (state.FatalCode is { } code)
                    reasons.Add(new("consumer-fatal", $"the Kafka consumer can do nothing any more ({code})"));
                if (state.LastPollAt is { } polled && Since(polled) > PollGrace)
                    reasons.Add(new("poll-silent", $"the consumer has not polled for {Seconds(Since(polled))} s"));
            }
        }

        return new(reasons.Count == 0, reasons.Count == 0 ? "live" : "dead", reasons);
    }

    public HealthAnswer Ready()
    {
        var reasons = new List<HealthReason>();
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            reasons.Add(new("stopping", "the process is stopping"));
        if (!board.Started)
        {
            reasons.Add(new("starting", "the start checks have not passed yet"));
            return new(false, "not-ready", reasons);
        }

        if (Silent(board.DatabaseAnswered, DatabaseGrace) is { } database)
            reasons.Add(new("database-unreachable", $"PostgreSQL {database}"));
        if (Silent(board.KafkaAnswered, KafkaGrace) is { } kafka)
            reasons.Add(new("kafka-unreachable", $"Kafka {kafka}"));
        foreach (var state in consumers.Select(c => c.State))
        {
            if (state.Brake is { } brake)
                reasons.Add(new("brake", $"the dead-letter brake holds the endpoint: {brake}"));
            if (state.Phase == ConsumerPhase.NeverAssigned)
                reasons.Add(new("never-assigned", "the group has assigned nothing since the start"));
            if (state.Phase == ConsumerPhase.Assigned && Since(state.Since) > ClaimGrace)
                reasons.Add(
                    new("not-claimed", $"assigned {Seconds(Since(state.Since))} s ago, not claimed in PostgreSQL yet")
                );
            if (state.Phase == ConsumerPhase.Restoring)
                reasons.Add(
                    new(
                        "restoring",
                        $"the database was restored; for {Seconds(Since(state.Since))} s now, what follows from that is put right before anything is done"
                    )
                );
        }

        if (reasons.Count > 0)
            return new(false, "not-ready", reasons);

        foreach (var (code, detail) in board.Degraded.OrderBy(r => r.Key, StringComparer.Ordinal))
            reasons.Add(new(code, detail));
        foreach (var halted in consumers.SelectMany(c => c.State.Halted))
            reasons.Add(new("partition-halted", halted));
        return new(true, reasons.Count == 0 ? "ready" : "degraded", reasons);
    }

    string? Silent(DateTimeOffset? answered, TimeSpan grace)
    {
        if (answered is not { } at)
            return "has not answered yet";
        return Since(at) > grace ? $"has not answered for {Seconds(Since(at))} s" : null;
    }

    TimeSpan Since(DateTimeOffset at) => time.GetUtcNow() - at;

    static string Seconds(TimeSpan span) => span.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture);
}

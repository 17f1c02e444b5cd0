using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Sync.Contracts.Systems;

namespace Sync.Orchestrator;

/// <summary>The orchestrator's meter. Attributes are systems and operations, never a key or a customer.</summary>
sealed class Telemetry
{
    public const string MeterName = "Sync.Orchestrator";

    readonly Counter<long> _merges;
    readonly Counter<long> _commands;
    readonly Counter<long> _dropped;
    readonly Counter<long> _found;
    readonly Counter<long> _events;
    readonly Histogram<double> _convergence;

    public Telemetry(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _merges = meter.CreateCounter<long>("sync.orchestrator.merges", "{merge}", "Messages that changed golden");
        _commands = meter.CreateCounter<long>("sync.orchestrator.commands", "{command}", "Commands to systems");
        _dropped = meter.CreateCounter<long>(
            "sync.orchestrator.dropped",
            "{message}",
            "Late and doubled messages, dropped by their number"
        );
        _found = meter.CreateCounter<long>("sync.orchestrator.objects.found", "{object}", "Objects without our id");
        _events = meter.CreateCounter<long>(
            "sync.orchestrator.events",
            "{event}",
            "Rows of the timeline, by code, direction and system"
        );
        _convergence = meter.CreateHistogram(
            "sync.orchestrator.convergence.duration",
            "s",
            "From a change in the system it came from to the answer that put another system in step",
            tags: null,
            advice: new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200],
            }
        );
    }

    public void Merged() => _merges.Add(1);

    public void Commanded(string system, Operation operation) =>
        _commands.Add(
            1,
            new("system", system),
            new("operation", JsonNamingPolicy.CamelCase.ConvertName(operation.ToString()))
        );

    public void Dropped(string system) => _dropped.Add(1, new("system", system), new("reason", "stale"));

    /// <summary>A row of the timeline, counted and noted on the span in hand.</summary>
    public void Happened(string code, string direction, string? system)
    {
        _events.Add(1, new("code", code), new("direction", direction), new("system", system ?? ""));
        Activity.Current?.AddEvent(
            new ActivityEvent(
                code,
                tags: new ActivityTagsCollection { { "sync.direction", direction }, { "sync.system", system } }
            )
        );
    }

    public void Found(string system) => _found.Add(1, new KeyValuePair<string, object?>("system", system));

    public void InStep(string system, TimeSpan latency) =>
        _convergence.Record(Math.Max(0, latency.TotalSeconds), new KeyValuePair<string, object?>("system", system));
}

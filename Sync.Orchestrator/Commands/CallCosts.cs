using System.Globalization;
using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Orchestrator.Comparing;

namespace Sync.Orchestrator.Commands;

/// <summary>What systems would be asked for, and the API calls that it takes at most: the same words for every import.</summary>
sealed class CallCosts(SyncConfig config)
{
    readonly SortedDictionary<(string System, string Operation), long> _asked = [];

    /// <summary>So many objects more of which an operation is asked for.</summary>
    public void Add(string system, string operation, long objects)
    {
        if (objects > 0)
            _asked[(system, operation)] = _asked.GetValueOrDefault((system, operation)) + objects;
    }

    IEnumerable<(string System, string Operation, long Objects, long Calls)> Lines =>
        _asked.Select(a =>
            // One that systems.json names no more is asked for nothing.
            (
                a.Key.System,
                a.Key.Operation,
                a.Value,
                config.Systems.TryGetValue(a.Key.System, out var map) ? a.Value * MostCalls.Of(a.Key.Operation, map) : 0
            )
        );

    IEnumerable<(string System, long Calls)> Vendors =>
        Lines
            .Where(r => r.System != SystemNames.Product)
            .GroupBy(r => r.System, StringComparer.Ordinal)
            .Select(g => (g.Key, g.Sum(r => r.Calls)));

    /// <summary>Writes members <c>calls</c>, by system and operation, and <c>mostCalls</c>, by vendor.</summary>
    public void AddTo(JsonObject document)
    {
        document["calls"] = new JsonArray([
            .. Lines.Select(r =>
                (JsonNode?)
                    new JsonObject
                    {
                        ["system"] = r.System,
                        ["operation"] = r.Operation,
                        ["objects"] = r.Objects,
                        ["mostCalls"] = r.Calls,
                    }
            ),
        ]);
        document["mostCalls"] = new JsonObject(
            Vendors.Select(v => KeyValuePair.Create(v.System, (JsonNode?)JsonValue.Create(v.Calls)))
        );
    }

    public void Print(Output output)
    {
        if (_asked.Count == 0)
            return;
        output.Line("What it costs, in API calls at most (the product is asked by messages):");
        output.Table(
            ["system", "operation", "objects", "most calls"],
            Lines.Select(r =>
                (IReadOnlyList<string>)[r.System, r.Operation, Output.Text(r.Objects), Output.Text(r.Calls)]
            )
        );
        if (Vendors.Any())
            output.Line(
                $"Together at most {string.Join(" and ", Vendors.Select(v => string.Create(CultureInfo.InvariantCulture, $"{v.Calls} calls of {v.System}")))}. Each record counts by itself: a vendor whose calls carry many records needs fewer. On top come failures, edits made meanwhile, and values that golden lacks and a record that is linked brings."
            );
    }
}

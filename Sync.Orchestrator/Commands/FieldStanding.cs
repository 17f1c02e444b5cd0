using System.Text.Json.Nodes;
using Sync.Mapping;
using Sync.Orchestrator.Customers;
using Sync.Orchestrator.Customers.Merging;

namespace Sync.Orchestrator.Commands;

/// <summary>
/// How one field of one system stands to the golden record. Without its values it is no personal data: a hash of a telephone
/// number would be guessed in a second, so equality is all that is said.
/// </summary>
/// <param name="Standing">One of <see cref="Standings"/>.</param>
/// <param name="Holds">What the system holds, in its own form.</param>
sealed record FieldStanding(
    string Path,
    string System,
    string Standing,
    string? Golden,
    string? Holds,
    string? StandsFor
)
{
    public bool Differs => Standing is not (Standings.Same or Standings.Unseen);

    public static IReadOnlyList<FieldStanding> Of(CustomerSync sync, SyncConfig config) =>
        [
            .. from map in config.Systems
            from path in map.Value.Fields.Keys
            let state = sync.System(map.Key)
            select new FieldStanding(
                path,
                map.Key,
                Judge(sync, map.Key, state, path),
                sync.Golden.At(path),
                state.Base.At(path),
                state.At.At(path)
            ),
        ];

    public JsonObject ToJson(bool values)
    {
        var field = new JsonObject
        {
            ["path"] = Path,
            ["system"] = System,
            ["standing"] = Standing,
            ["goldenIsEmpty"] = Golden is null,
            ["holdsIsEmpty"] = Holds is null,
        };
        if (values)
        {
            field["golden"] = Golden;
            field["holds"] = Holds;
            field["standsFor"] = StandsFor;
        }

        return field;
    }

    static string Judge(CustomerSync sync, string name, SystemState system, string path)
    {
        if (system.Gone)
            return Standings.Gone;
        if (sync.Held.ContainsKey(path))
            return Standings.Held;
        if (Pumping.IsInStep(sync, system, path))
            return system.Base.ContainsKey(path) || sync.Golden.At(path) is not null
                ? Standings.Same
                : Standings.Unseen;
        if (Pumping.IsRefused(sync, system) || Pumping.IsRefused(sync, system, path))
            return Standings.Refused;
        // A field that no snapshot ever showed is one that this product does not have.
        return name == Contracts.SystemNames.Product && !system.Base.ContainsKey(path)
            ? Standings.Unseen
            : Standings.Waiting;
    }
}

/// <summary>How a field stands. Pinned: programs read them, and <c>dashboard.drift</c> uses the same words.</summary>
static class Standings
{
    /// <summary>The system holds what golden says, in its own form.</summary>
    public const string Same = "same";

    /// <summary>It was asked for the golden value, or will be.</summary>
    public const string Waiting = "waiting";

    /// <summary>It refused the golden value.</summary>
    public const string Refused = "refused";

    /// <summary>A conflict about it waits for a person.</summary>
    public const string Held = "held";

    /// <summary>The object is not there any more.</summary>
    public const string Gone = "gone";

    /// <summary>Neither has it.</summary>
    public const string Unseen = "unseen";
}

using System.Text.Json.Nodes;
using Sync.Contracts;
using Sync.Mapping;
using Sync.Orchestrator.Customers;

namespace Sync.Orchestrator.Commands;

/// <summary>A customer on one page.</summary>
static class CustomerPage
{
    public static JsonObject ToJson(
        CustomerSync sync,
        IReadOnlyList<FieldStanding> fields,
        SyncConfig config,
        bool values
    )
    {
        var systems = new JsonObject();
        foreach (var (name, system) in Known(sync, config))
        {
            systems[name] = new JsonObject
            {
                ["externalId"] = system.Ext,
                ["linked"] = system.Linked,
                ["idOnObject"] = system.IdOnObject,
                ["gone"] = system.Gone,
                ["brake"] = system.Brake,
                ["generation"] = system.Gen,
                ["reached"] = system.Reached,
                ["observed"] = system.Obs,
                ["inFlight"] = system.Sent is not { } sent
                    ? null
                    : new JsonObject
                    {
                        ["commandId"] = sent.Id.ToString(),
                        ["operation"] = Operation(sent),
                        ["revision"] = sent.Rev,
                        ["attempt"] = sent.Attempt,
                        ["repeatedAt"] = Output.Node(sent.DueAt),
                        ["paths"] = Output.Node(sent.Write.Keys),
                    },
            };
        }

        var page = new JsonObject
        {
            ["customerId"] = sync.CustomerId,
            ["state"] = sync.CurrentState,
            ["revision"] = sync.Revision,
            ["behind"] = Output.Node(sync.Behind),
            ["attention"] = sync.Attention,
            ["ignored"] = sync.Ignored,
            ["since"] = Output.Node(sync.Since),
            ["systems"] = systems,
            ["fields"] = new JsonArray([.. fields.Select(f => (JsonNode?)f.ToJson(values))]),
            ["held"] = new JsonArray([
                .. sync.Held.Select(h =>
                    (JsonNode?)new JsonObject { ["path"] = h.Key, ["sides"] = Output.Node(h.Value.Keys) }
                ),
            ]),
        };
        if (values)
            page["golden"] = Fields(sync.Golden);
        return page;
    }

    public static void Print(
        Output output,
        CustomerSync sync,
        IReadOnlyList<FieldStanding> fields,
        SyncConfig config,
        bool values,
        DateTimeOffset now
    )
    {
        output.Heading($"Customer {sync.CustomerId}");
        output.Line($"  state      {State(sync)}");
        output.Line($"  revision   {sync.Revision}");
        output.Line($"  standing   {Standing(sync)}, for {Output.Age(now - sync.Since)}");
        if (sync.Attention is { } attention)
            output.Line($"  attention  {attention}; ./sync attention explain {attention.Split(' ')[0]}");
        if (sync.Ignored is { } ignored)
            output.Line($"  ignored    {ignored}");
        output.Table(
            ["system", "external id", "object", "in flight", "reached", "generation"],
            Known(sync, config)
                .Select(s =>
                    (IReadOnlyList<string>)
                        [
                            s.Name,
                            s.System.Ext ?? "",
                            Object(s.Name, s.System),
                            s.System.Sent is { } sent
                                ? $"{Operation(sent)} of revision {sent.Rev}, attempt {sent.Attempt}"
                                : "",
                            Output.Text(s.System.Reached),
                            Output.Text(s.System.Gen),
                        ]
                )
        );

        if (sync.Golden.Count == 0)
            return;
        if (values)
        {
            PrintFields(output, fields, values);
            return;
        }

        var systems = Known(sync, config).Select(s => s.Name).ToList();
        output.Table(
            ["field", "golden", .. systems],
            fields
                .GroupBy(f => f.Path)
                .Select(path =>
                    (IReadOnlyList<string>)
                        [
                            path.Key,
                            path.First().Golden is null ? "empty" : "set",
                            .. systems.Select(system => path.FirstOrDefault(f => f.System == system)?.Standing ?? "-"),
                        ]
                )
        );
        output.Line(
            "same: as golden, in the system's own form; waiting: asked for; -: not mapped. --values prints values."
        );
    }

    public static void PrintFields(Output output, IReadOnlyList<FieldStanding> fields, bool values)
    {
        if (values)
            output.Table(
                ["field", "system", "standing", "golden", "holds"],
                fields.Select(f =>
                    (IReadOnlyList<string>)[f.Path, f.System, f.Standing, Output.Text(f.Golden), Output.Text(f.Holds)]
                )
            );
        else
            output.Table(
                ["field", "system", "standing"],
                fields.Select(f => (IReadOnlyList<string>)[f.Path, f.System, f.Standing])
            );
    }

    static List<(string Name, SystemState System)> Known(CustomerSync sync, SyncConfig config) =>
        config.Systems.Keys.Concat(sync.Systems.Keys).Distinct().Select(name => (name, sync.System(name))).ToList();

    static string State(CustomerSync sync) =>
        sync.Stage() switch
        {
            Stage.Proposed => "Proposed: found in a vendor, and the product has not agreed yet",
            Stage.Removing => "Removing: every system is asked to delete it",
            Stage.Removed => "Removed: a tombstone without personal data",
            Stage.Merged => $"Merged: it became {sync.System(SystemNames.Product).Ext}",
            _ => sync.CurrentState,
        };

    static string Standing(CustomerSync sync) =>
        (sync.Behind, sync.Attention) switch
        {
            ([], null) => "in step",
            ([], _) => "needs attention",
            (_, null) => $"catching up: {string.Join(", ", sync.Behind)}",
            _ => $"needs attention; catching up: {string.Join(", ", sync.Behind)}",
        };

    static string Object(string name, SystemState system)
    {
        var what =
            system.Gone ? "gone"
            : name == SystemNames.Product ? (system.Linked ? "there" : "none")
            : system.Ext is null ? "none"
            : system.IdOnObject ? "there"
            : "there, without our id";
        return system.Brake is { } brake ? $"{what}; deletion {brake}" : what;
    }

    static string Operation(SentCommand sent) =>
        global::System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(sent.Op.ToString());

    static JsonObject Fields(Values values)
    {
        var fields = new JsonObject();
        foreach (var (path, value) in values)
            fields[path] = value;
        return fields;
    }
}

using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using Sync.Sandbox.Stack;

namespace Sync.Sandbox.Demo;

/// <summary>Looks at the four places where a customer can be: the product, Stripe, Salesforce and the saga.</summary>
sealed class Eyes(SyncStack stack)
{
    /// <summary>Of the product, as its own REST API shows it; null when it has none.</summary>
    public async Task<JsonObject?> Product(string id, CancellationToken cancellationToken)
    {
        using var answer = await stack.Product.GetAsync(
            new Uri($"customers/{Uri.EscapeDataString(id)}", UriKind.Relative),
            cancellationToken
        );
        if (answer.StatusCode == HttpStatusCode.NotFound)
            return null;
        answer.EnsureSuccessStatusCode();
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync(cancellationToken))!.AsObject();
    }

    /// <summary>Live customers in Stripe by the id of the product that they carry; more than one is a double.</summary>
    public ILookup<string, JsonObject> Stripe() =>
        stack
            .Sandbox.Stripe.All()
            .Select(node => node!.AsObject())
            .Where(customer => customer["deleted"] is null)
            .ToLookup(customer => (string?)customer["metadata"]?["customer_id"] ?? "");

    /// <summary>Live accounts in Salesforce by the id of the product that they carry.</summary>
    public ILookup<string, JsonObject> Salesforce() =>
        stack
            .Sandbox.Salesforce.All()
            .Select(node => node!.AsObject())
            .Where(account => (bool?)account["IsDeleted"] is not true)
            .ToLookup(account => (string?)account["Product_Customer_Id__c"] ?? "");

    /// <summary>Deleted accounts that carried this id and that a person could still take out of the recycle bin.</summary>
    public int InRecycleBin(string id) =>
        stack
            .Sandbox.Salesforce.All()
            .Select(node => node!.AsObject())
            .Count(account => (bool?)account["IsDeleted"] is true && (string?)account["Product_Customer_Id__c"] == id);

    /// <summary>Rows of <c>dashboard.customers</c>.</summary>
    public async Task<Dictionary<string, SagaRow>> Saga(
        IReadOnlyCollection<string> ids,
        CancellationToken cancellationToken
    )
    {
        await using var command = stack.Database.CreateCommand(
            "select customer_id, state, behind, attention from dashboard.customers where customer_id = any($1)"
        );
        command.Parameters.Add(new NpgsqlParameter { Value = ids.ToArray() });
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        var found = new Dictionary<string, SagaRow>(StringComparer.Ordinal);
        while (await rows.ReadAsync(cancellationToken))
        {
            found[rows.GetString(0)] = new SagaRow(
                rows.GetString(1),
                rows.GetFieldValue<string[]>(2),
                await rows.IsDBNullAsync(3, cancellationToken) ? null : rows.GetString(3)
            );
        }

        return found;
    }

    /// <summary>Reasons of a customer's timeline rows of one code, in order.</summary>
    public async Task<IReadOnlyList<string>> Timeline(string id, string code, CancellationToken cancellationToken)
    {
        await using var command = stack.Database.CreateCommand(
            "select coalesce(reason, '') from sync.timeline where customer_id = $1 and code = $2 order by id"
        );
        command.Parameters.Add(new NpgsqlParameter { Value = id });
        command.Parameters.Add(new NpgsqlParameter { Value = code });
        var reasons = new List<string>();
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken))
            reasons.Add(rows.GetString(0));
        return reasons;
    }

    /// <summary>What the orchestrator could not read: reason codes of a topic's records with this key.</summary>
    public async Task<(string Code, string Reason, byte[]? Value)?> DeadLetter(
        string key,
        CancellationToken cancellationToken
    )
    {
        await using var command = stack.Database.CreateCommand(
            "select reason_code, reason, value from sync.dead_letter where direction = 'in' and key = $1"
        );
        command.Parameters.Add(new NpgsqlParameter { Value = System.Text.Encoding.UTF8.GetBytes(key) });
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        if (!await rows.ReadAsync(cancellationToken))
            return null;
        return (rows.GetString(0), rows.GetString(1), rows.IsDBNull(2) ? null : rows.GetFieldValue<byte[]>(2));
    }

    /// <summary>Why these customers are not in step, one line each; empty when all four places agree.</summary>
    public async Task<IReadOnlyList<string>> NotInStep(
        IReadOnlyCollection<string> ids,
        CancellationToken cancellationToken
    )
    {
        var stripe = Stripe();
        var salesforce = Salesforce();
        var saga = await Saga(ids, cancellationToken);
        List<string> faults = [];
        foreach (var id in ids)
        {
            if (Doubles(id, stripe, salesforce) is { } doubles)
                faults.Add(doubles);
            // Cheap looks first: most of the time the saga says that it is not done.
            var row = saga.GetValueOrDefault(id);
            if (row is not { State: "Live", Behind: [], Attention: null })
            {
                faults.Add($"{id}: the saga says {row?.ToString() ?? "nothing yet"}");
                continue;
            }

            var product = stack.Sandbox.Product.Find(id);
            if (product is null)
            {
                faults.Add($"{id}: the product has no such customer");
                continue;
            }

            faults.AddRange(
                Expectations
                    .Differences(
                        Sandbox.Product.CustomerInput.Write(product),
                        stripe[id].FirstOrDefault(),
                        salesforce[id].FirstOrDefault()
                    )
                    .Select(difference => $"{id}: {difference} differs from the product")
            );
        }

        return faults;
    }

    /// <summary>Why these customers are not gone everywhere.</summary>
    public async Task<IReadOnlyList<string>> NotGone(
        IReadOnlyCollection<string> ids,
        CancellationToken cancellationToken
    )
    {
        var stripe = Stripe();
        var salesforce = Salesforce();
        var saga = await Saga(ids, cancellationToken);
        List<string> faults = [];
        foreach (var id in ids)
        {
            if (stack.Sandbox.Product.Find(id) is not null)
                faults.Add($"{id}: is still in the product");
            if (stripe[id].Any())
                faults.Add($"{id}: is still in Stripe");
            if (salesforce[id].Any())
                faults.Add($"{id}: is still in Salesforce");
            if (saga.GetValueOrDefault(id) is not { State: "Removed", Behind: [] })
                faults.Add($"{id}: the saga says {saga.GetValueOrDefault(id)?.ToString() ?? "nothing"}");
        }

        return faults;
    }

    static string? Doubles(string id, ILookup<string, JsonObject> stripe, ILookup<string, JsonObject> salesforce)
    {
        if (stripe[id].Count() > 1)
            return $"{id}: is in Stripe {stripe[id].Count()} times";
        return salesforce[id].Count() > 1 ? $"{id}: is in Salesforce {salesforce[id].Count()} times" : null;
    }
}

/// <param name="Behind">Systems with a difference or a command in flight.</param>
sealed record SagaRow(string State, IReadOnlyList<string> Behind, string? Attention)
{
    public override string ToString() =>
        $"{State}, behind: {(Behind.Count == 0 ? "none" : string.Join(", ", Behind))}"
        + (Attention is null ? "" : $", attention: {Attention}");
}

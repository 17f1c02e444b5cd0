using System.Text.Json;
using Sync.Adapter.Vendors;
using Sync.Mapping;
using Sync.Messaging.Hosting;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter;

/// <summary>
/// Asks the org at start what it has, and refuses to start where the mapping cannot work there: a field that is missing or
/// hidden, one that is shorter than the mapping says, an external id that is not unique. An org that does not answer now is
/// no reason to refuse; it is asked again until it does.
/// </summary>
sealed class OrgCheck(
    SalesforceClient client,
    SalesforceMapping mapping,
    SyncConfig config,
    TimeProvider time,
    ILogger<OrgCheck> log
) : BackgroundService
{
    /// <summary>A start waits no longer.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    static readonly TimeSpan Again = TimeSpan.FromMinutes(1);

    /// <summary>A customer id has up to 128 characters, a stamp is a UUID.</summary>
    static readonly (string Field, int Length)[] Own =
    [
        (SalesforceMapping.CustomerIdField, 128),
        (SalesforceMapping.StampField, 36),
    ];

    bool _known;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        var faults = await Check(both.Token);
        cancellationToken.ThrowIfCancellationRequested();
        if (faults is { Count: > 0 })
            throw new StartRefusedException(faults);
        _known = faults is not null;
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!_known)
        {
            await Task.Delay(Again, time, stoppingToken);
            if (await Check(stoppingToken) is not { } faults)
                continue;
            // It runs already: what cannot work will pause with Salesforce's own words, and here is why.
            foreach (var fault in faults)
                log.OrgDiffers(fault);
            _known = true;
        }
    }

    /// <summary>What is wrong; null when the org could not be asked.</summary>
    async Task<IReadOnlyList<string>?> Check(CancellationToken cancellationToken)
    {
        try
        {
            var org = (await client.DescribeAsync(SalesforceMapping.Object, cancellationToken)).Value;
            List<string> faults = [.. Faults(org, config)];
            if (faults.Count == 0)
                mapping.Learn(org);
            return faults;
        }
        catch (Exception e)
            when (e
                    is SalesforceException
                        or SalesforceSignInException
                        or SalesforceBusyException
                        or SalesforceBudgetException
                        or HttpRequestException
                        or OperationCanceledException
                        or JsonException
            )
        {
            log.OrgUnknown(CodeOf(e));
            return null;
        }
    }

    static string CodeOf(Exception exception) =>
        exception switch
        {
            SalesforceSignInException e => e.Code,
            SalesforceException { Errors: [var first, ..] } => first.Code,
            _ => exception.GetType().Name,
        };

    /// <summary>All of it, each with what to do.</summary>
    internal static IEnumerable<string> Faults(ObjectDescription org, SyncConfig config)
    {
        const string permit = "check the permission set of the integration user";
        var system = config.System(SalesforceMapping.System);
        foreach (
            var (may, what) in ((bool, string)[])
                [
                    (org.Createable, "create"),
                    (org.Updateable, "change"),
                    (org.Deletable || system.OnDelete == DeletionRule.Keep, "delete"),
                ]
        )
        {
            if (!may)
                yield return $"Salesforce: the integration user may not {what} an {org.Name}; {permit}";
        }

        foreach (var (name, length) in Own)
        {
            if (Writable(org, name, "Salesforce") is { } fault)
                yield return fault;
            else if (org.Fields[name].Length < length)
                yield return $"Salesforce: {name} holds {org.Fields[name].Length} characters; {length} are needed";
        }

        if (
            org.Fields.GetValueOrDefault(SalesforceMapping.CustomerIdField) is { } id
            && !(id is { ExternalId: true, Unique: true, CaseSensitive: true })
        )
            yield return $"Salesforce: {id.Name} must be an external id, unique and case-sensitive; deploy the one of deploy/salesforce";

        foreach (var (path, map) in system.Fields)
        {
            var place = $"systems.json: {SalesforceMapping.System}: {path}";
            if (Writable(org, map.To, place) is { } fault)
                yield return fault;
            else if (org.Fields[map.To].Length is > 0 and var length && map.Max > length)
                yield return $"{place}: \"max\" is {map.Max}; {map.To} of this org holds {length} characters";
            if (HasPicklist(map.To) && org.Fields.ContainsKey($"{map.To}Code"))
                yield return $"{place}: this org takes states and countries from picklists, and {map.To} refuses what is no label of its list; map {map.To}Code instead, with \"max\" 10";
        }

        HashSet<string> written = new(system.Fields.Values.Select(f => f.To), StringComparer.OrdinalIgnoreCase);
        foreach (var field in org.Fields.Values.Where(f => f.Required && !written.Contains(f.Name)))
        {
            if (Own.All(own => own.Field != field.Name))
                yield return $"Salesforce: the org requires {field.Name} of every new {org.Name}, and no path is mapped to it; map one, or give it a default";
        }

        // Only where the org has switched the picklists on do these have a code beside them.
        static bool HasPicklist(string field) =>
            field is "BillingState" or "BillingCountry" or "ShippingState" or "ShippingCountry";

        static string? Writable(ObjectDescription org, string name, string place) =>
            org.Fields.GetValueOrDefault(name) is not { } field
                ? $"{place}: {name} is not there, or hidden; deploy it, or {permit}"
            : !field.Createable || !field.Updateable ? $"{place}: {name} may not be written; {permit}"
            : null;
    }
}

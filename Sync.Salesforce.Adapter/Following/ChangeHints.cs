using Sync.Adapter.Following;
using Sync.Adapter.Links;
using Sync.Contracts;
using Sync.Salesforce.Adapter.Client;

namespace Sync.Salesforce.Adapter.Following;

/// <summary>What one change event asks the adapter to look at: hints, or a gap where it does not say what changed.</summary>
sealed record ChangeHints(IReadOnlyList<(Guid Id, Hint Hint)> Hints, string? Gap)
{
    /// <summary>Ids of one event: 100,000 is where Salesforce itself gives up and says overflow.</summary>
    const int MaxIds = 100_000;

    static readonly ChangeHints None = new([], null);
    static readonly Guid Namespace = new("0c1c9a25-4c43-4bb5-9a5b-52a9f7f0a6d1");

    /// <param name="eventId">Names this very event, so that a second copy is known.</param>
    public static ChangeHints Of(ChangeEvent change, string eventId, EventSchema schema, SalesforceMapping mapping)
    {
        var header = change.Header;
        if (header.Entity != SalesforceMapping.Object)
            return None;
        if (header.ChangeType == "GAP_OVERFLOW")
            return new([], "overflow: one transaction changed more than Salesforce tells of");
        // A change of a field's type comes with 001* instead of ids.
        if (header.RecordIds.Count is 0 or > MaxIds || !header.RecordIds.All(RecordIds.IsId))
            return new([], "ids: an event names no records but all of them");

        var hint = HintOf(change, schema, mapping);
        return new(
            [
                .. header
                    .RecordIds.Select(RecordIds.To18)
                    .Distinct(StringComparer.Ordinal)
                    .Select(id => (CustomerIds.Version5(Namespace, $"{eventId}\n{id}"), hint with { ExternalId = id })),
            ],
            null
        );
    }

    static Hint HintOf(ChangeEvent change, EventSchema schema, SalesforceMapping mapping)
    {
        var look = new Hint { ExternalId = "", Kind = HintKind.Look };
        switch (change.Header.ChangeType)
        {
            case "CREATE" when Whole(change, schema, mapping) is { } fields:
                return look with
                {
                    Kind = HintKind.Created,
                    Fields = fields,
                    CustomerId = Text(change, schema, SalesforceMapping.CustomerIdField),
                    CommandId = Stamp(change, schema),
                };
            case "UPDATE":
                return Update(change, schema, mapping) ?? look;
            case "DELETE" or "GAP_DELETE":
                return look with { Kind = HintKind.Deleted };
            case "UNDELETE":
                return look with
                {
                    Kind = HintKind.Undeleted,
                    Fields = Whole(change, schema, mapping),
                    CustomerId = Text(change, schema, SalesforceMapping.CustomerIdField),
                };
            case "GAP_UNDELETE":
                return look with { Kind = HintKind.Undeleted };
            default:
                // GAP_CREATE, GAP_UPDATE, SNAPSHOT, and whatever comes to be.
                return look;
        }
    }

    /// <summary>What changed, with values; null when only a look can tell.</summary>
    static Hint? Update(ChangeEvent change, EventSchema schema, SalesforceMapping mapping)
    {
        var changed = FieldBitmap.Read(change.Header.Changed, schema);
        var nulled = FieldBitmap.Read(change.Header.Nulled, schema);
        var diff = FieldBitmap.Read(change.Header.Diff, schema);
        if (change.Values is null || !changed.Clear || !nulled.Clear || !diff.Clear)
            return null;

        Dictionary<string, string?> fields = new(StringComparer.Ordinal);
        foreach (var (path, field) in mapping.FieldByPath)
        {
            if (schema.Find(field) is not { } at)
                continue;
            // A long text comes as a difference to one that is not here.
            if (diff.Has(at))
                return null;
            if (nulled.Has(at))
                fields[path] = null;
            else if (changed.Has(at))
            {
                if (!change.TryText(at, out var text))
                    return null;
                fields[path] = text;
            }
        }

        var stamp = schema.Find(SalesforceMapping.StampField) is { } s && changed.Has(s) ? Stamp(change, schema) : null;
        string? customerId = null;
        if (schema.Find(SalesforceMapping.CustomerIdField) is { } c && (changed.Has(c) || nulled.Has(c)))
        {
            customerId = Text(change, schema, SalesforceMapping.CustomerIdField);

            // Somebody else has put our id there or taken it away. No mapped field tells that, so the saga must be told.
            if (stamp is null)
            {
                return new()
                {
                    ExternalId = "",
                    Kind = HintKind.Look,
                    CustomerId = customerId,
                    Always = true,
                };
            }
        }

        return new()
        {
            ExternalId = "",
            Kind = HintKind.Updated,
            Fields = fields,
            CustomerId = customerId,
            CommandId = stamp,
        };
    }

    /// <summary>Every mapped field that events carry; null when one of them cannot be compared.</summary>
    static Dictionary<string, string?>? Whole(ChangeEvent change, EventSchema schema, SalesforceMapping mapping)
    {
        Dictionary<string, string?> fields = new(StringComparer.Ordinal);
        foreach (var (path, field) in mapping.FieldByPath)
        {
            if (schema.Find(field) is not { } at)
                continue;
            if (!change.TryText(at, out var text))
                return null;
            fields[path] = text;
        }

        return fields;
    }

    /// <summary>Which of our commands made the change. Nothing else proves a write ours: a user may be shared.</summary>
    static Guid? Stamp(ChangeEvent change, EventSchema schema) =>
        Guid.TryParse(Text(change, schema, SalesforceMapping.StampField), out var stamp) ? stamp : null;

    static string? Text(ChangeEvent change, EventSchema schema, string field) =>
        schema.Find(field) is { } at && change.TryText(at, out var text) ? text : null;
}
